"""Verifying: replay a recording to an accurate client, and judge bytes and times."""
