"""Refusing requests that break what the API asks for, in the API's own error form.

What is wrong with a request is found by a function that is handed in (`Check`); it is called once for
requests that are byte for byte the same, since the server's loop waits for it.
"""

import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from harness.core.admin import RefusedRequest
from harness.core.api_forms import Api, own_error
from harness.core.exchange import Request
from harness.core.visible import visible
from harness.replay.match import digest_of

KNOWN_REQUESTS = 100_000
"""Verdicts that are remembered by the digest of the request, recorded ones first."""
REFUSED_KEPT = 100


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a request: rule, JSON pointer and words in one line."""

    message: str

    def body(self, api: Api) -> bytes:
        """The body of the 400, in the form of the API that is asked."""
        return own_error(api, 400, self.message, "harness_invalid")


type Check = Callable[[Request], Wrong | None]


class Guard:
    """Judges requests. `invalid` counts those that were refused, `latest` has the latest of them."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self.known: dict[bytes, Wrong | None] = {}
        self.invalid = 0
        self.latest: deque[RefusedRequest] = deque(maxlen=REFUSED_KEPT)

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
        asked = visible(f"{request.method} {request.path.partition('?')[0]}")
        refused = RefusedRequest(request=asked, message=wrong.message)
        self.latest.append(refused)
        print(f"harness replay: invalid: {refused.request}: {refused.message}", file=sys.stderr, flush=True)
        return wrong
