"""The server around the application: its start, its end, and what it speaks."""

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from services.common.catalogue.catalogue import Catalogue
from services.common.errors import BackendUnavailable
from tests.api.conftest import embedded_settings
from tests.support.live_server import LiveGateway


def test_free_port_is_reported(live: LiveGateway) -> None:
    """With port 0 the URL handed to `on_ready` is one that answers, without a Server header."""
    response = httpx2.get(f"{live.url}/readyz")

    assert response.status_code == 200
    assert not live.url.endswith(":0")
    assert "Server" not in response.headers


def test_http2_is_spoken(live: LiveGateway) -> None:
    """A client that begins with HTTP/2 gets it (row 55)."""
    with httpx2.Client(http1=False, http2=True) as client:
        accepted = client.post(f"{live.url}/v1/jobs", json={"prompt": "a mug"})
        refused = client.post(f"{live.url}/v1/jobs", content=b" " * 300_000)
        unread = client.post(f"{live.url}/nowhere", content=b" " * 300_000)

    assert {answer.http_version for answer in (accepted, refused, unread)} == {"HTTP/2"}
    assert (accepted.status_code, refused.status_code, unread.status_code) == (202, 415, 404)


def test_running_request_is_answered_at_shutdown(tmp_path: Path, catalogue: Catalogue) -> None:
    """Once the shutdown has begun no new connection is taken, and a request being answered gets its whole answer."""
    settings = embedded_settings(tmp_path, graceful_timeout_seconds=20)
    answers: list[httpx2.Response] = []

    def wait_for_job(url: str) -> None:
        headers = {"Prefer": "wait=2"}
        answers.append(httpx2.post(f"{url}/v1/jobs", json={"prompt": "a mug"}, headers=headers, timeout=20))

    with LiveGateway(settings, catalogue) as gateway:
        client = threading.Thread(target=wait_for_job, args=(gateway.url,))
        client.start()
        until(lambda: bool(gateway.live_jobs()))
        gateway.stop()
        until(lambda: not is_listening(gateway.address))
        answered_before = bool(answers)
        client.join()

    assert not answered_before
    assert answers[0].status_code == 202
    assert answers[0].json()["state"] == "queued"


def until(condition: Callable[[], bool]) -> None:
    """Wait for it; the test's own timeout ends the waiting."""
    while not condition():
        time.sleep(0.01)


def is_listening(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0


def test_taken_address_is_an_error(live: LiveGateway, tmp_path: Path, catalogue: Catalogue) -> None:
    """A second gateway on the same port ends with the address, the setting and what to do."""
    settings = embedded_settings(tmp_path, port=live.address[1])

    said = rf"^cannot listen on 127\.0\.0\.1:{live.address[1]}: the port is in use.* STUDIO_PORT to a free port$"
    with pytest.raises(OSError, match=said), LiveGateway(settings, catalogue):
        pass


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid", "2001:db8::1"])
def test_address_of_another_machine_is_an_error(tmp_path: Path, catalogue: Catalogue, host: str) -> None:
    """A host that this machine does not have is named with its setting."""
    settings = embedded_settings(tmp_path, host=host, allow_anonymous=True)

    with pytest.raises(OSError, match=rf"^cannot listen on .*{host}.*no address.* STUDIO_HOST"):
        with LiveGateway(settings, catalogue):
            pass


def test_taken_port_of_metrics_is_an_error(live: LiveGateway, tmp_path: Path, catalogue: Catalogue) -> None:
    """A port for metrics that is in use is told by its own setting."""
    settings = embedded_settings(tmp_path, metrics_port=live.address[1])

    with pytest.raises(OSError, match=r"in use.* STUDIO_METRICS_PORT"), LiveGateway(settings, catalogue):
        pass


def test_backend_that_cannot_be_opened_is_an_error(tmp_path: Path, catalogue: Catalogue) -> None:
    """A gateway whose backends do not open raises their error, not the server's."""
    (tmp_path / "file").touch()
    settings = embedded_settings(tmp_path, broker_url=f"sqlite:///{tmp_path}/file/jobs.db")

    with pytest.raises(BackendUnavailable, match="broker"), LiveGateway(settings, catalogue):
        pass
