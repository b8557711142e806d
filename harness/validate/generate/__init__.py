"""Makes the JSON Schemas of `schemas/` from the types of the official SDKs: `make schemas`.

The law of this package: only facts are taken over (names, types, values, what is required), no
prose; what several versions of an SDK say is accumulated, so that nothing is ever narrowed and nothing
becomes required that was not. The same input gives the same bytes.
"""
