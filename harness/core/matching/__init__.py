"""Matching: which requests count as the same one, by declared rules, and how two of them differ.

The law of this package: pure; a request and the rules in, its subject out (`matcher`). Two requests
match when their subjects have one key; all that is told of a miss is told of subjects as well, so
that what a rule takes away is never named as a difference.
"""
