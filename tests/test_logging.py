"""Every record is one line without secrets, of our own code and of libraries."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from services.common.telemetry.logging import configure_logging

CANARY = "canary-7f3a9c21"
SECRETS = [
    f"cannot connect to amqp://studio:{CANARY}@rabbit:5672/",
    f"redis://:{CANARY}@redis/0 refused",
    f"https://s3/studio/jobs/a.png?X-Amz-Credential={CANARY}%2F2026&X-Amz-Expires=300&X-Amz-Signature={CANARY}",
    f"Authorization: Bearer {CANARY}",
    f"headers {{'authorization': 'Bearer {CANARY}'}}",
    f"Settings(secret_key='{CANARY}')",
]


@pytest.fixture(params=["json", "console"])
def written(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Yield the stream of the records."""
    root = logging.getLogger()
    before = root.handlers, root.level
    configure_logging("debug", request.param)
    [handler] = root.handlers
    stream = io.StringIO()
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield stream
    root.handlers, root.level = before
    structlog.reset_defaults()


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_masked(written: io.StringIO, text: str) -> None:
    """Passwords in URLs, keys in headers and signatures of presigned URLs are masked in messages and tracebacks."""
    logging.getLogger("library").warning("%s", text)
    try:
        raise RuntimeError(text)
    except RuntimeError:
        structlog.get_logger("ours").exception("it broke", reason=text)

    assert CANARY not in written.getvalue()
    assert written.getvalue().count("***") >= 3


def test_what_is_no_secret_stays(written: io.StringIO) -> None:
    """Addresses, names and ordinary words are logged unchanged."""
    for text in ("amqp://studio@rabbit:5672/", "http://127.0.0.1:8000", "basic usage", "password of 16 letters"):
        structlog.get_logger("ours").info("told", reason=text)
        assert text in written.getvalue()


def test_one_record_is_one_line(written: io.StringIO) -> None:
    """A client's text can neither begin another line nor control the terminal that shows it."""
    structlog.get_logger("ours").info("told\nnot a record", reason="a\r\nnot a record\x1b[31m\x9b2J")
    logging.getLogger("library").info("told\r\nnot a record")

    lines = written.getvalue().splitlines()
    assert len(lines) == 2
    assert not any(ord(character) < 32 or 126 < ord(character) < 160 for line in lines for character in line)
    if lines[0].startswith("{"):
        assert json.loads(lines[0])["reason"] == "a\r\nnot a record\x1b[31m\x9b2J"


def test_local_variables_are_not_told(written: io.StringIO) -> None:
    """A traceback has no local variables: they may hold a request, or the settings."""

    def fail(prompt: str) -> None:
        raise RuntimeError("it broke")

    variable = "in-a-variable"
    try:
        fail(variable)
    except RuntimeError:
        structlog.get_logger("ours").exception("unexpected")

    assert "RuntimeError: it broke" in written.getvalue()
    assert "in-a-variable" not in written.getvalue()
