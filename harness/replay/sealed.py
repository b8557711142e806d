"""TLS on a connection whose bytes somebody else reads and writes.

The law of this file: no socket and no clock. What came in is given to `take`, which returns what it
says; what is to go out is given to `seal`. So the moment of arrival, and that of every write, stay in
the hands of whoever holds the socket, as without TLS.
"""

import ssl
from contextlib import suppress

MOST_BYTES = 1 << 20
"""Of plaintext from one record and what waits behind it; more is asked for again."""


class Sealed:
    """The server's side of one TLS connection. `over`: the client said that nothing more comes."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.shaken = False
        self.over = False

    def take(self, data: bytes) -> bytes:
        """What bytes from the client say; `answer` may be due afterwards. Raises ssl.SSLError."""
        self.incoming.write(data)
        said = b""
        try:
            if not self.shaken:
                self.tls.do_handshake()
                self.shaken = True
            while more := self.tls.read(MOST_BYTES):
                said += more
            self.over = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.over = True
        return said

    def answer(self) -> bytes:
        """What TLS itself has to tell the client now."""
        return self.outgoing.read()

    def seal(self, data: bytes | memoryview) -> bytes:
        """Bytes for the client as they go onto the wire."""
        self.tls.write(data)
        return self.outgoing.read()

    def farewell(self) -> bytes:
        """The word that nothing more comes, by which a client tells an end from a cut (RFC 8446, 6.1)."""
        with suppress(ssl.SSLError):  # the client's own word is still to come, or was never to be expected
            self.tls.unwrap()
        return self.outgoing.read()
