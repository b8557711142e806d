"""Refusing requests that break what the API asks for, in the API's own error form.

What is wrong with a request is found by a function that is handed in (`Check`); it is called once for
requests that are byte for byte the same, since the server's loop waits for it.
"""

import json
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from harness.core.exchange import Request
from harness.core.visible import visible
from harness.replay.match import digest_of

KNOWN_REQUESTS = 100_000
"""Verdicts that are remembered by the digest of the request, recorded ones first."""
REFUSED_KEPT = 100

ANTHROPIC = "anthropic."
"""How the dialects begin whose errors have Anthropic's form; all others have OpenAI's."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a request: the API that it is for, and rule, JSON pointer and words in one line."""

    dialect: str
    message: str

    def body(self) -> bytes:
        """The body of the 400."""
        message = f"harness: {self.message}"
        if self.dialect.startswith(ANTHROPIC):
            return json.dumps(
                {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
            ).encode()
        error = {
            "message": message,
            "type": "invalid_request_error",
            "param": None,
            "code": "harness_invalid",
        }
        return json.dumps({"error": error}).encode()


type Check = Callable[[Request], Wrong | None]


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that was refused, without its body, and why."""

    request: str
    message: str


class Guard:
    """Judges requests. `invalid` counts those that were refused, `latest` has the latest of them."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self.known: dict[bytes, Wrong | None] = {}
        self.invalid = 0
        self.latest: deque[Refused] = deque(maxlen=REFUSED_KEPT)

    def judge(self, request: Request) -> Wrong | None:
        """What is wrong with a request, which is looked up if an equal one was judged before."""
        digest = digest_of(request)
        if digest in self.known:
            return self.known[digest]
        wrong = self.check(request)
        if len(self.known) < KNOWN_REQUESTS:
            self.known[digest] = wrong
        return wrong

    def refuse(self, request: Request) -> Wrong | None:
        """Judge a request that came in; if it is refused, count it, and say so on stderr at once."""
        wrong = self.judge(request)
        if wrong is None:
            return None
        self.invalid += 1
        refused = Refused(visible(f"{request.method} {request.path.partition('?')[0]}"), wrong.message)
        self.latest.append(refused)
        print(f"harness replay: invalid: {refused.request}: {refused.message}", file=sys.stderr, flush=True)
        return wrong
