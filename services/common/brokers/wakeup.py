"""Wakes idle consumers of the embedded queue by an empty datagram to every consumer's Unix socket.

Best effort by design: the consumer polls as well, so a datagram that does not arrive costs a little time.
"""

import asyncio
import hashlib
import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from uuid import uuid4


class Wakeup:
    """One for each open queue file."""

    def __init__(self, queue_file: Path) -> None:
        self._folder = _folder_of(queue_file)
        self._socket: socket.socket | None = None
        self._address: Path | None = None
        self._sleepers: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Wake the consumers of all processes. Never blocks or raises; may be called in any thread."""
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0)
            for address in self._folder.glob("*.sock"):
                try:
                    sender.sendto(b"", str(address))
                except ConnectionRefusedError:
                    address.unlink(missing_ok=True)  # its consumer was killed
                except OSError:
                    continue  # a full socket wakes its consumer anyway; one just closed has none

    def listen(self) -> None:
        """Bind this process's socket. Repeatable; if it cannot be bound, consumers only poll."""
        if self._socket is not None:
            return
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.settimeout(0)
        address = self._folder / f"{os.getpid()}-{uuid4().hex[:8]}.sock"
        for _ in range(3):  # the last consumer of another process may be removing the folder
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                listener.bind(str(address))
            except OSError:
                continue
            self._socket, self._address = listener, address
            # A reader on the plain socket, since uvloop has no datagram endpoints for Unix sockets.
            asyncio.get_running_loop().add_reader(listener, self._drain, listener)
            return
        listener.close()

    def arm(self) -> asyncio.Future[None]:
        """Make a future that the next wake-up resolves: arm, look at the queue, and only then wait for it."""
        future = asyncio.get_running_loop().create_future()
        self._sleepers.add(future)
        future.add_done_callback(self._sleepers.discard)
        return future

    def look_again(self) -> None:
        """Wake the consumers of this process alone."""
        for future in tuple(self._sleepers):
            if not future.done():
                future.set_result(None)

    def close(self) -> None:
        if self._socket is None or self._address is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._address.unlink(missing_ok=True)
        self._socket = self._address = None
        with suppress(OSError):  # others still listen there
            self._folder.rmdir()

    def _drain(self, listener: socket.socket) -> None:
        with suppress(OSError):  # BlockingIOError: drained
            while True:
                listener.recv(1)
        self.look_again()


def _folder_of(queue_file: Path) -> Path:
    """Return the folder of the sockets: a hash, as the path of a Unix socket may have about 100 bytes.

    It is beside the queue where no folder for temporary files can be written, as in a read-only container.
    """
    queue = queue_file.resolve()
    try:
        temporary = Path(tempfile.gettempdir())
    except FileNotFoundError:
        temporary = queue.parent
    return temporary / f"studio-{hashlib.sha256(os.fsencode(queue)).hexdigest()[:12]}"
