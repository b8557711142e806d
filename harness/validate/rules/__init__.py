"""Rules for the sequence of a stream, which no schema can see, and for what a whole answer adds up to."""

from harness.validate.rules.rule import Fault, Rule, Scope
from harness.validate.rules.stream import Stream, request_of
from harness.validate.rules.table import RULES, check

__all__ = ["RULES", "Fault", "Rule", "Scope", "Stream", "check", "request_of"]
