"""A module in the folder or an answer on the port is not ours because of its name or its place."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tests.support.api_keys import LINES, key_of
from tests.support.servers.server import free_port
from tests.support.system import System, running_system

STUDIO = Path(sys.executable).with_name("studio")  # the console script, as it is installed
MODULES = (
    *("services/__init__.py", "queue.py", "diffusers.py"),
    *("torch/__init__.py", "asyncio/__init__.py", "typing.py", "sitecustomize.py", "tests/__init__.py"),
)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with running_system(tmp_path, {}) as running:
        yield running


def _studio(system: System, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**system.environment, **{f"STUDIO_{name.upper()}": value for name, value in settings.items()}}
    return subprocess.run(
        [STUDIO, *arguments],
        cwd=system.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def _put_modules(folder: Path) -> Path:
    """Put modules into the folder that write their names into the returned file when they are run."""
    ran = folder / "ran.txt"
    for name in MODULES:
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"open({str(ran)!r}, 'a').write({name!r} + ' ')\n")
    return ran


def test_modules_in_the_folder_are_not_run(system: System) -> None:
    """`studio` and its worker run no module of the folder they are started in, whatever its name."""
    ran = _put_modules(system.folder)
    done = _studio(system, "generate", "red cup", "-o", "cup.png")
    assert (done.returncode, done.stdout) == (0, "cup.png\n"), done.stderr
    assert not ran.exists(), ran.read_text()


class _Page(BaseHTTPRequestHandler):
    """Another program: it answers each request with a page, and keeps what it was sent."""

    sent: ClassVar[list[str]]

    def do_GET(self) -> None:
        self.sent.append(f"{self.command} {self.path}\n{self.headers}")
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html>It works!</html>")

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@contextmanager
def _another_program(port: int) -> Iterator[list[str]]:
    """Serve pages on this port while the block runs; yield the requests."""
    sent: list[str] = []
    _Page.sent = sent
    with HTTPServer(("127.0.0.1", port), _Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield sent
        finally:
            server.shutdown()
            thread.join()


def test_another_program_on_the_port(system: System) -> None:
    """A program that answers 200 where the gateway should be gets no key; no command takes it for a gateway."""
    key = key_of("alice")
    with _another_program(system.port) as sent:
        health = _studio(system, "health", "gateway")
        listed, canceled = (_studio(system, *command, api_key=key) for command in (("jobs",), ("cancel", "a-job")))
        set_there = _studio(system, "generate", "red cup", url=system.url, api_key=key)
        alone = _studio(system, "generate", "red cup", "-o", "cup.png", api_key=key)
    assert health.returncode == 1
    for done in (listed, canceled, set_there):
        assert (done.returncode, done.stdout) == (3, "")
        assert "no gateway of this program" in done.stderr
        assert "STUDIO_URL" in done.stderr
    # Without STUDIO_URL it starts a gateway of its own, as where nothing listens.
    assert (alone.returncode, alone.stdout) == (0, "cup.png\n"), alone.stderr
    assert {request.splitlines()[0] for request in sent} == {"GET /livez", "GET /readyz"}
    assert key not in "".join(sent)


@pytest.mark.parametrize("path", ["", "/photos"])
def test_a_public_address(system: System, path: str) -> None:
    """With STUDIO_PUBLIC_URL set, the command line asks the address it was given, and the outer one gets nothing."""
    outer = free_port()
    system.environment["STUDIO_PUBLIC_URL"] = f"http://127.0.0.1:{outer}{path}"
    system.environment["STUDIO_KEYS"] = LINES
    with _another_program(outer) as sent:
        system.start_gateway()
        system.start_worker()
        done = _studio(system, "generate", "red cup", "-o", "cup.png", url=system.url, api_key=key_of("alice"))
    assert (done.returncode, done.stdout) == (0, "cup.png\n"), done.stderr
    assert (system.folder / "cup.png").read_bytes().startswith(b"\x89PNG")
    assert sent == []
