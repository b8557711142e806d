"""Recording: a mitmproxy process that tees the traffic, and a writer process that redacts and stores it."""
