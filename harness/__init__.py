"""Record, check, replay and load-test the traffic of LLM APIs, with every token at its own time."""

__version__ = "0.1.0"
