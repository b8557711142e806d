"""Reports: a load run, two of them side by side, or a recording, as something one looks at.

`read` takes rows out of a recording; `run`, `compare` and `exchanges` build documents of them (`model`:
pure, what `--json` prints); `page` and `markdown` render documents. Nothing here knows how a run was made.
"""
