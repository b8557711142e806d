"""Validating: schemas for every message, rules for the sequence of a stream, and what drifted."""
