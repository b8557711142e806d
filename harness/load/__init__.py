"""Load: many streaming requests at once, and measurements that say how good they are themselves.

A run lives in a folder (`harness.load.folder`): its plan, the calls to make, when they are due, and what
the workers write. A worker is a Locust process; its hot path only stamps and appends to a journal
(`journal`). A reducer beside each worker, a process of its own, derives from the journal what happened
to every request and writes it as records (`records`), which the parent reads, stores, sums and judges.
Nothing here imports Locust or gevent: the files in `loadtests/` do, and use what is here.
"""
