"""Rules for chat completions.

What OpenAI's API reference says of chunks
(https://platform.openai.com/docs/api-reference/chat-streaming), and what its streams do.
"""

from collections.abc import Iterator

from harness.core.dialects.openai_chat import CHAT
from harness.validate.finding import Kind
from harness.validate.rules.calls import call_arguments, call_heads, call_ids, call_indexes, calls_finish
from harness.validate.rules.choices import choices_of, one_finish, shared_rules
from harness.validate.rules.logprobs import logprobs
from harness.validate.rules.rule import Fault, Rule, Scope
from harness.validate.rules.stream import Stream

ONLY = (CHAT.name,)


def role_first(stream: Stream) -> Iterator[Fault]:
    """The first delta of a choice has the role, no other."""
    for choice in stream.once(choices_of).values():
        first, *later = choice.pieces
        if not first.said.get("role"):
            yield Fault(first.event, first.pointer("role"), "there is none")
        repeated = [piece for piece in later if piece.said.get("role")]
        yield from (Fault(piece.event, piece.pointer("role"), "it comes again") for piece in repeated)


RULES = (
    *shared_rules("chat", CHAT.name),
    Rule("chat.role-first", ONLY, Kind.SOFT_RULE, "the role comes with the first delta alone", role_first),
    Rule(
        "chat.one-finish",
        ONLY,
        Kind.SOFT_RULE,
        "every choice has exactly one finish_reason",
        one_finish,
        Scope.BOTH,
    ),
    Rule(
        "chat.call-indexes",
        ONLY,
        Kind.RULE,
        "the tool calls of a choice begin in the order of their indexes 0, 1, 2 and so on",
        call_indexes,
    ),
    Rule(
        "chat.call-head",
        ONLY,
        Kind.RULE,
        "id and name come with the first delta of a call, and never change",
        call_heads,
        Scope.BOTH,
    ),
    Rule(
        "chat.call-arguments",
        ONLY,
        Kind.RULE,
        "the arguments of a call are JSON, unless they were cut by length",
        call_arguments,
        Scope.BOTH,
    ),
    Rule("chat.call-ids", ONLY, Kind.RULE, "no two calls have the same id", call_ids, Scope.BOTH),
    Rule(
        "chat.calls-finish",
        ONLY,
        Kind.RULE,
        "a choice that finishes with tool_calls or function_call has calls",
        calls_finish,
        Scope.BOTH,
    ),
    Rule(
        "chat.logprobs",
        ONLY,
        Kind.RULE,
        "the tokens of logprobs make up the content",
        logprobs,
        Scope.BOTH,
    ),
)
