"""The table of dialects, and which row a request speaks."""

from harness.core.dialects import anthropic, ollama, openai_chat, openai_responses
from harness.core.dialects.row import Dialect, Ending, Places, reads_nothing
from harness.core.exchange import Request, path_of

DIALECTS: tuple[Dialect, ...] = (
    openai_chat.CHAT,
    openai_chat.COMPLETIONS,
    openai_responses.RESPONSES,
    openai_chat.EMBEDDINGS,
    anthropic.MESSAGES,
    ollama.CHAT,
    ollama.GENERATE,
)
"""No request fits two rows."""

BYTES = Dialect(
    name="bytes",
    routes=(),
    places=Places(model=(), usage=()),
    ending=Ending(data=b"[DONE]"),
    event=reads_nothing,
    body=reads_nothing,
)
"""What no row knows: kept as bytes, read by nobody."""


def recognise(request: Request) -> Dialect:
    """The dialect of a request, by its method and the end of its path; `BYTES` where no row fits.

    The upstream's path is asked first, then the client's, which a proxy may have rewritten.
    """
    method = request.method.upper()
    for target in (path_of(request.url), request.path):
        path = target.partition("?")[0].rstrip("/")
        for row in DIALECTS:
            if row.fits(method, path):
                return row
    return BYTES
