"""Rules for completions: those of chat completions, without roles and tools; a finish may repeat.

Format: https://platform.openai.com/docs/api-reference/completions.
"""

from harness.core.dialects.openai_chat import COMPLETIONS
from harness.validate.finding import Kind
from harness.validate.rules.choices import shared_rules, some_finish
from harness.validate.rules.logprobs import logprobs
from harness.validate.rules.rule import Rule, Scope

ONLY = (COMPLETIONS.name,)

RULES = (
    *shared_rules("completions", COMPLETIONS.name),
    Rule(
        "completions.finish",
        ONLY,
        Kind.SOFT_RULE,
        "every choice has a finish_reason",
        some_finish,
        Scope.BOTH,
    ),
    Rule(
        "completions.logprobs",
        ONLY,
        Kind.RULE,
        "the tokens of logprobs make up the text",
        logprobs,
        Scope.BOTH,
    ),
)
