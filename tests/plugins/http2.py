"""A server that speaks HTTP/2 over TLS, and breaks off where it is told to."""

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError
from hyperframe.frame import GoAwayFrame

HEADERS = [(":status", "200"), ("content-type", "text/event-stream")]


class Http2Upstream:
    """Answers with `head`, `chunks` and an end; a path says what goes wrong: `/WHAT/WHEN/...`.

    WHAT: `goaway`, `reset`, `close`, `drain` (a GOAWAY that lets the answer end); WHEN: `before` the head,
    `amid` the chunks. Another path is answered whole.
    """

    def __init__(self, pem: Path, chunks: tuple[bytes, ...]) -> None:
        self.chunks = chunks
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem)
        self.context.set_alpn_protocols(["h2"])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                thread = threading.Thread(target=self.serve, args=(connection,), daemon=True)
                self.threads.append(thread)
                thread.start()

    def serve(self, raw: socket.socket) -> None:
        with (
            suppress(OSError, ProtocolError),
            raw,
            self.context.wrap_socket(raw, server_side=True) as connection,
        ):
            protocol = H2Connection(H2Configuration(client_side=False))
            protocol.initiate_connection()
            connection.sendall(protocol.data_to_send())
            paths: dict[int, str] = {}
            while data := connection.recv(65536):
                for event in protocol.receive_data(data):
                    if isinstance(event, RequestReceived):
                        paths[event.stream_id] = dict(event.headers)[b":path"].decode()
                    elif isinstance(event, DataReceived):
                        protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    elif isinstance(event, StreamEnded):
                        self.answer(connection, protocol, event.stream_id, paths[event.stream_id])
                connection.sendall(protocol.data_to_send())

    def answer(self, connection: ssl.SSLSocket, protocol: H2Connection, stream: int, path: str) -> None:
        _, what, when, *_ = path.split("/")
        if when == "before":
            self.fail(protocol, stream, what)
            return
        protocol.send_headers(stream, HEADERS)
        for chunk in self.chunks:
            protocol.send_data(stream, chunk)
            if when == "amid":
                connection.sendall(protocol.data_to_send())
                threading.Event().wait(0.05)
                if what != "drain":
                    self.fail(protocol, stream, what)
                    return
                connection.sendall(GoAwayFrame(0, last_stream_id=stream, error_code=0).serialize())
        protocol.end_stream(stream)

    def fail(self, protocol: H2Connection, stream: int, what: str) -> None:
        if what == "goaway":
            protocol.close_connection(ErrorCodes.INTERNAL_ERROR, last_stream_id=0)
        elif what == "reset":
            protocol.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
        else:
            raise ConnectionAbortedError

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(20)
