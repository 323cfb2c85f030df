"""The process that opens a file may break, hang or be taken over: the gateway goes on, and believes it little."""

import json
import sys
import time
from pathlib import Path

import httpx2
import pytest

from services.api.core.inputs import decoder
from services.common.backends import Backends
from tests.support.picture_files import encoded, picture

pytestmark = pytest.mark.anyio

PNG = encoded(picture())
START = """
import json, sys
from pathlib import Path
body = Path(json.loads(sys.argv[1])["body"])
"""
ANSWER = """
body.with_name("stored").write_text("<script>alert(1)</script>")
body.with_name("answer.json").write_text(sys.argv[2])
"""


def instead(monkeypatch: pytest.MonkeyPatch, program: str, *arguments: str) -> None:
    """Have this program run in place of the one that opens files."""

    def command(order: str) -> list[str]:
        return [sys.executable, "-c", START + program, order, *arguments]

    monkeypatch.setattr(decoder, "command", command)


@pytest.mark.parametrize(
    "program",
    ["sys.exit(1)", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "body.with_name('answer.json').touch()"],
    ids=["fails", "crashes", "says nothing"],
)
async def test_breaks(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """A process that ends without an answer costs its client the file, and nothing else."""
    instead(monkeypatch, program)
    broken = await client.post("/v1/inputs", content=PNG)
    monkeypatch.undo()

    assert (broken.status_code, broken.json()["code"]) == (422, "input-unreadable")
    assert (await client.post("/v1/inputs", content=PNG)).status_code == 201


async def test_hangs(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that does not end is ended after its time, and its client told to send less."""
    instead(monkeypatch, f"import time; time.sleep(3600); Path({str(tmp_path)!r}, 'went on').touch()")
    monkeypatch.setattr(decoder, "WORK_SECONDS", 1)
    began = time.monotonic()

    answer = await client.post("/v1/inputs", content=PNG)

    assert (answer.status_code, answer.json()["code"]) == (413, "input-too-large")
    assert 1 <= time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"file": "stored", "extension": "html"}, 422),
        ({"file": "stored", "extension": "../../x"}, 422),
        ({"file": "/etc/passwd", "extension": "png"}, 503),
        ({"file": "../../../../etc/passwd", "extension": "png"}, 503),
    ],
    ids=["another type", "a path as type", "a path", "a relative path"],
)
async def test_is_taken_over(
    client: httpx2.AsyncClient,
    backends: Backends,
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, str],
    status: int,
) -> None:
    """A process that lies gets no other file stored, and none of a type that browsers run."""
    facts = {"bytes": 3, "sha256": "0" * 64, "media_type": "text/html", "width": 1, "height": 1, "warnings": []}
    instead(monkeypatch, ANSWER, json.dumps({**facts, **said}))

    answer = await client.post("/v1/inputs", content=PNG)

    assert answer.status_code == status
    assert await backends.objects.list("inputs/") == []
