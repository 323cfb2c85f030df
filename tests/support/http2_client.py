"""One HTTP/2 connection, request by request, with all that the server says on it."""

import socket
from collections.abc import Callable
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded
from hyperframe.frame import Frame, GoAwayFrame, RstStreamFrame

SECONDS = 20.0


class Http2Client:
    """`with Http2Client(address) as client`: begins with HTTP/2 at once, by prior knowledge.

    It takes `window` bytes of each answer: it says nothing of having read them.
    """

    def __init__(self, address: tuple[str, int], window: int = 65_535) -> None:
        self._socket = socket.create_connection(address, SECONDS)
        # The requests of these tests are odd on purpose.
        self._connection = H2Connection(H2Configuration(validate_outbound_headers=False))
        self._connection.local_settings.initial_window_size = window
        self._connection.local_settings.acknowledge()
        self._connection.initiate_connection()
        self.events: list[Event] = []
        self.closed = False

    def __enter__(self) -> Self:
        self.flush()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(
        self, method: str, path: str, *headers: tuple[str, str], body: bytes | None = None, end: bool = True
    ) -> int:
        """Send a request and return the number of its stream. Without `end` a body is to follow."""
        stream = self._connection.get_next_available_stream_id()
        self._connection.send_headers(stream, [*_pseudo(method, path), *headers], end_stream=end and body is None)
        self.flush()
        if body is not None:
            self.send_body(stream, body)
        return stream

    def send_body(self, stream: int, body: bytes) -> None:
        """Send the whole body of a request."""
        self._connection.send_data(stream, body, end_stream=True)
        self.flush()

    def send_and_reset(self, method: str, path: str, *headers: tuple[str, str]) -> None:
        """Send a request and take it back, in the same bytes."""
        stream = self._connection.get_next_available_stream_id()
        self._connection.send_headers(stream, [*_pseudo(method, path), *headers], end_stream=True)
        self._connection.reset_stream(stream)
        self.flush()

    def reset(self, stream: int) -> None:
        """Take a request back that is under way, even after GOAWAY, when h2's client would send nothing."""
        self._socket.sendall(RstStreamFrame(stream, error_code=ErrorCodes.CANCEL).serialize())

    def answer(self, stream: int) -> tuple[int, bytes]:
        """Return status and body of the answer to a request."""
        self.receive(lambda event: isinstance(event, StreamEnded) and event.stream_id == stream)
        mine = [event for event in self.events if getattr(event, "stream_id", None) == stream]
        [head] = [event for event in mine if isinstance(event, ResponseReceived)]
        body = b"".join(event.data for event in mine if isinstance(event, DataReceived))
        return int(dict(head.headers)[b":status"]), body

    def receive(self, met: Callable[[Event], bool] = lambda _event: False) -> None:
        """Read until an event meets this, or to the end of the connection."""
        while not self.closed and not any(met(event) for event in self.events):
            data = self._socket.recv(65_536)
            self.closed = not data
            self.events += self._connection.receive_data(data)
            self.flush()

    def frames_to_the_end(self, method: str, path: str) -> list[Frame]:
        """Return the frames that come until the server closes, and send a request after the first GOAWAY.

        The client of h2 would neither send nor read after GOAWAY.
        """
        stream = self._connection.get_next_available_stream_id()
        self._connection.send_headers(stream, _pseudo(method, path), end_stream=True)
        late = self._connection.data_to_send() or b""
        frames: list[Frame] = []
        with self._socket.makefile("rb") as reader:
            while head := reader.read(9):
                frame, length = Frame.parse_frame_header(memoryview(head))
                frame.parse_body(memoryview(reader.read(length)))
                frames.append(frame)
                if isinstance(frame, GoAwayFrame) and late:
                    self._socket.sendall(late)
                    late = b""
        return frames

    def flush(self) -> None:
        if data := self._connection.data_to_send():
            self._socket.sendall(data)


def _pseudo(method: str, path: str) -> list[tuple[str, str]]:
    return [(":method", method), (":path", path), (":scheme", "http"), (":authority", "studio")]
