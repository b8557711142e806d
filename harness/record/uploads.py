"""Clients that send large request bodies wait while the writer is behind.

The law of this file: only who sends such a body is held, and only before it is whole. A client that has
anything else under way on its connection (HTTP/2) is never held, nor is one whose answer has begun. What
is asked on a connection behind an upload that is held waits with it.
"""

import asyncio

from harness.record.backlog import SLUICES, Ends, Sluice

PATIENCE_S = 60.0
"""How long they wait at a time: a writer that hangs is then told of by the bound of its queue."""


class Uploads:
    """`behind`: the writer is. `held` are the sluices that are closed for it, by client."""

    def __init__(self) -> None:
        self.behind = False
        self.held: dict[Ends, Sluice] = {}
        self.patience: asyncio.TimerHandle | None = None

    def note(self, behind: bool) -> None:
        """Whether the writer is behind: then each client is held after the next part of its upload."""
        self.behind = behind
        if self.patience:
            self.patience.cancel()
        if behind:
            self.patience = asyncio.get_running_loop().call_later(PATIENCE_S, self.note, False)
            return
        for client in [*self.held]:
            self.release(client)

    def hold(self, client: Ends) -> None:
        """Read no more from a client for now."""
        if sluice := SLUICES.get(client):
            self.held[client] = sluice
            sluice.hold()

    def release(self, client: Ends) -> None:
        """Read on, if it is held."""
        if sluice := self.held.pop(client, None):
            sluice.release()
