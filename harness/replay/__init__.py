"""Replaying: an HTTP server that answers with recorded bytes at their recorded times."""
