"""A Locust user that streams: `harness load` runs it, and so does plain `locust -f`."""
