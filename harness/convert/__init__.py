"""Recordings of other tools: read into exchanges, and written from them."""
