"""Listeners of mitmproxy on sockets that hold their ports already (`harness.record.ports`).

The law of this file: mitmproxy opens nothing itself, so that a port that was promised is had.
"""

import asyncio
import socket
from collections.abc import Mapping

from mitmproxy.proxy.mode_servers import AsyncioServerInstance

from harness.record.backlog import SLUICES, Sluice
from harness.record.ports import BACKLOG


def install(sockets: Mapping[int, socket.socket]) -> None:
    """Have mitmproxy listen on these sockets, by port, from now on in this process."""

    async def listen(
        instance: AsyncioServerInstance,  # type: ignore[type-arg]
        _host: str,
        port: int,
    ) -> list[asyncio.Server]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ends = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
            sluice = SLUICES[ends] = Sluice(reader)
            try:
                await instance.handle_stream(sluice, writer)  # type: ignore[arg-type]
            finally:
                SLUICES.pop(ends, None)

        return [await asyncio.start_server(handle, sock=sockets[port], backlog=BACKLOG)]

    AsyncioServerInstance.listen = listen  # type: ignore[assignment,method-assign]
