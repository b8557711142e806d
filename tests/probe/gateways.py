"""Small gateways with a fault each, run as `python gateways.py FAULT PROVIDER PORT`.

Each asks the provider on a connection of its own for each request, so that the provider's close ends an
answer. `faithful` has no fault: it passes bytes on as they come, and leaves when its client does.
`FAULT+rewrites` rewrites requests as well.
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

LAST = b"0\r\n\r\n"
HOLD_S = 0.005
REWRITES = "+rewrites"


async def answer_of(source: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The head, then HTTP chunks with their framing; what is not chunked as it comes."""
    head = await source.readuntil(b"\r\n\r\n")
    yield head
    if b"transfer-encoding: chunked" not in head.lower():
        while data := await source.read(65536):
            yield data
        return
    with suppress(asyncio.IncompleteReadError):
        while True:
            line = await source.readuntil(b"\r\n")
            yield line + await source.readexactly(int(line, 16) + 2)


async def faithful(source: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        out.write(data)
        await out.drain()


async def holds(source: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
    async for part in answer_of(source):
        await asyncio.sleep(HOLD_S)
        out.write(part)
        await out.drain()


async def buffers(source: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
    out.write(await source.read())
    await out.drain()


async def drops_last(source: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
    async for part in answer_of(source):
        if b"[DONE]" not in part:
            out.write(part)
            await out.drain()


async def smooths(source: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
    chunked = False
    async for part in answer_of(source):
        chunked = chunked or b"transfer-encoding: chunked" in part.lower()
        error = part.partition(b"\r\n")[2].startswith(b'data: {"error"')
        if part != LAST and not error:
            out.write(part)
            await out.drain()
    out.write(LAST if chunked else b"")


FAULTS = {
    "faithful": faithful,
    "holds": holds,
    "buffers": buffers,
    "drops-last": drops_last,
    "smooths": smooths,
    "reads-on": faithful,
    "forgets": faithful,
}


async def read_request(fault: str, source: asyncio.StreamReader) -> bytes:
    head = await source.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    lengths = [line.partition(b":")[2] for line in lines if line.lower().startswith(b"content-length:")]
    if fault == "forgets":
        lines = [line for line in lines if not line.lower().startswith(b"x-harness-")]
    first, rest = b"\r\n".join(lines).split(b"\r\n", 1)
    body = await source.readexactly(int(lengths[0])) if lengths else b""
    if REWRITES in fault:
        first = first.replace(b" HTTP/1.1", b"?api-version=7 HTTP/1.1")
        rest = rest.replace(b"x-probe: kept?\r\n", b"x-added: 1\r\n")
        body = body.replace(b'"stream": true', b'"stream": true ').replace(b'"model": ', b'"Model": ')
        rest = re.sub(rb"(?i)(content-length): \d+", rb"\1: %d" % len(body), rest)
    return first + b"\r\nConnection: close\r\n" + rest + body


async def pass_on(fault: str, provider: str, source: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        request = await read_request(fault, source)
        place = urlsplit(provider)
        back, forth = await asyncio.open_connection(place.hostname, place.port)
        forth.write(request)
        answer = asyncio.ensure_future(relay(fault, back, out))
        gone = asyncio.ensure_future(source.read(1))
        waits = {answer} if fault == "reads-on" else {answer, gone}
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in (answer, gone):
            task.cancel()
        forth.close()
    out.close()


async def relay(fault: str, source: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
    """The answer with its fault; one that reads on does so without a client as well."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        await FAULTS[fault.removesuffix(REWRITES)](source, out)
    if fault == "reads-on":
        await source.read()


async def serve(fault: str, provider: str, port: int) -> None:
    async def answer(source: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        await pass_on(fault, provider, source, out)

    async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], int(sys.argv[3])))
