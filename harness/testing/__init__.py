"""Recordings in the tests of other programs: what the pytest plugin does once a test asks for it."""
