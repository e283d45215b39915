"""A Workload API at a Unix socket that says what a test wants, by real HTTP/2 frames."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import h2.config
import h2.connection
import h2.events

type Headers = list[tuple[str, str]]

OK: Headers = [(":status", "200"), ("content-type", "application/grpc")]
DENIED: Headers = [*OK, ("grpc-status", "7"), ("grpc-message", "no identity issued")]


class WorkloadApiServer:
    """Answers every call in the same way, and keeps what it was asked.

    Shape:
        answer  the message; None for a refusal by `DENIED`.
        silent  answers nothing at all.
    """

    def __init__(self) -> None:
        self.answer: bytes | None = None
        self.silent = False
        self.asked: list[tuple[dict[str, str], bytes]] = []

    @contextlib.contextmanager
    def listening(self, path: Path) -> Iterator[str]:
        """Serve at `path`, one connection after the other."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            serving = threading.Thread(target=self._serve, args=(listener,))
            serving.start()
            try:
                yield str(path)
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                serving.join()

    def _serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                stream, _ = listener.accept()
                with stream:
                    self._converse(stream)

    def _converse(self, stream: socket.socket) -> None:
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        http.initiate_connection()
        stream.sendall(http.data_to_send())
        headers: dict[str, str] = {}
        body = b""
        while data := stream.recv(65536):
            for event in http.receive_data(data):
                match event:
                    case h2.events.RequestReceived():
                        headers = {name.decode(): value.decode() for name, value in event.headers}
                    case h2.events.DataReceived():
                        body += event.data
                    case h2.events.StreamEnded() if not self.silent:
                        self.asked.append((headers, body))
                        self._answer(http, event.stream_id)
            stream.sendall(http.data_to_send())

    def _answer(self, http: h2.connection.H2Connection, stream_id: int) -> None:
        if self.answer is None:
            http.send_headers(stream_id, DENIED, end_stream=True)
            return
        http.send_headers(stream_id, OK)
        http.send_data(stream_id, b"\0" + len(self.answer).to_bytes(4) + self.answer)
        http.send_headers(stream_id, [("grpc-status", "0")], end_stream=True)
