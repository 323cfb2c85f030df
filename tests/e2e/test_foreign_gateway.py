"""The command line proves that it speaks to a gateway before it gives away its key or a job, and stays with it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from rich.console import Console

from services.cli import client, gateway_access
from services.cli.client import cancel_job, list_jobs, submit
from services.cli.gateway_access import GatewayAccess, check_gateway
from services.cli.gateway_answers import Refused, Unreachable
from services.cli.generate import run_generate
from services.cli.health import NotReady, Service, ask_health
from services.cli.photo_files import PhotoFiles
from services.common.catalogue.files import load_catalogue
from services.common.settings import Settings
from tests.support.fakes import PROOF, CannedGateway, CannedServer, canned

pytestmark = pytest.mark.anyio

KEY = SecretStr("studio_the-key-of-alice")
PAGE = canned(b"<html>It works!</html>", media_type="text/html")
FOREIGN = {
    "a page": PAGE,
    "another API": canned(b'{"status": "ok"}'),
    "another service that lives": canned(b'{"status": "live"}'),
    "a worker": canned(b'{"service": "studio-worker", "live": true, "ready": true}'),
    "a list": canned(b'["studio-gateway"]'),
    "half an answer": canned(b'{"service": "studio-gateway"'),
    "deep nesting": canned(b"[" * 100_000),
    "not as JSON": canned(b'{"service": "studio-gateway"}', media_type="text/plain"),
    "no such page": canned(b'{"service": "studio-gateway"}', "404 Not Found"),
    "a page to sign in": canned(b"", "302 Found", "text/html", "Location: https://login.example/?rd=studio"),
    "bytes that are no gzip": canned(
        b'{"service": "studio-gateway"}', "200 OK", "application/json", "Content-Encoding: gzip"
    ),
}
UNHEALTHY = [name for name in FOREIGN if name != "not as JSON"]  # /readyz is asked without a key to lose

SUCCEEDED: dict[str, Any] = {
    "id": "a-job",
    "state": "succeeded",
    "progress": None,
    "params": {},
    "artifacts": [],
    "links": {},
}
QUEUED: dict[str, Any] = {**SUCCEEDED, "state": "queued"}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(gateway_access, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(gateway_access, "RETRY_FOR_SECONDS", 0.5)


async def _submit(gateway: GatewayAccess, file: Path = Path("nowhere.png")) -> dict[str, Any]:
    job, _ = await submit(gateway, {"prompt": "a secret product"}, PhotoFiles(file), None, Console(stderr=True))
    return job


COMMANDS: dict[str, Callable[[GatewayAccess], Awaitable[object]]] = {
    "generate": _submit,
    "jobs": lambda gateway: list_jobs(gateway, 20),
    "cancel": lambda gateway: cancel_job(gateway, "a-job"),
}


def _answer(job: dict[str, Any], status: str = "200 OK") -> bytes:
    return canned(json.dumps(job).encode(), status)


def _with_artifact(job: dict[str, Any], base: str) -> dict[str, Any]:
    """Return the job with its links and one artifact at the address of `base`."""
    artifact = {"index": 0, "media_type": "image/png", "url": f"{base}/v1/jobs/a-job/artifacts/0"}
    return {**job, "artifacts": [artifact], "links": {"self": f"{base}/v1/jobs/a-job"}}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("answer", FOREIGN.values(), ids=FOREIGN.keys())
async def test_nothing_is_sent_to_another_program(command: str, answer: bytes) -> None:
    """A program that does not answer as a gateway gets neither the key nor a job, whatever it answers."""
    other = CannedServer([answer])
    async with other.serving() as url:
        with pytest.raises(Unreachable, match="nothing was sent"):
            await COMMANDS[command](GatewayAccess(url, KEY))
    assert other.requests
    assert all(request.startswith("GET /livez ") for request in other.requests)
    assert KEY.get_secret_value() not in "".join(other.requests)


async def test_a_redirected_gateway_is_named() -> None:
    """A redirect of the whole gateway, as to HTTPS, is not followed; the message names the address to set."""
    there = canned(b"", "301 Moved Permanently", "text/html", "Location: https://studio.example/livez")
    async with CannedServer([there]).serving() as url:
        with pytest.raises(Unreachable, match=r"leads to https://studio\.example/livez.*STUDIO_URL"):
            await list_jobs(GatewayAccess(url, KEY), 20)


async def test_the_key_goes_to_a_gateway() -> None:
    """A gateway that proves itself gets the key with the request, and no key with the question before."""
    gateway = CannedGateway([canned(b'{"data": []}')])
    async with gateway.serving() as url:
        assert await list_jobs(GatewayAccess(url, KEY), 20) == []
    assert f"Bearer {KEY.get_secret_value()}" in gateway.requests[0]
    assert "authorization" not in gateway.probes[0].lower()


async def test_below_a_path() -> None:
    """The question and the requests go below the path of the gateway's URL."""
    other = CannedServer([PROOF, canned(b'{"data": []}')])
    async with other.serving() as url:
        assert await list_jobs(GatewayAccess(f"{url}/photos/"), 20) == []
    assert [request.split()[1] for request in other.requests] == ["/photos/livez", "/photos/v1/jobs?limit=20"]


async def test_a_port_that_another_program_takes_over() -> None:
    """A program that takes the gateway's port while a job is waited for gets no key; the accepted job is named."""
    gateway = CannedGateway([_answer(QUEUED)], proofs=[PROOF, PROOF, PAGE])
    async with gateway.serving() as url:
        with pytest.raises(Unreachable, match=r"job a-job was accepted, but .*nothing was sent"):
            await _submit(GatewayAccess(url, KEY))
    assert len(gateway.requests) == 2


async def test_a_gateway_that_restarts_behind_a_proxy() -> None:
    """A proxy that answers for a gateway which is being restarted is asked again, and gets no key meanwhile."""
    away = canned(b"<html>Bad Gateway</html>", "502 Bad Gateway", "text/html")
    gateway = CannedGateway([_answer(QUEUED), _answer(SUCCEEDED)], proofs=[PROOF, away, away, PROOF])
    async with gateway.serving() as url:
        assert (await _submit(GatewayAccess(url, KEY)))["state"] == "succeeded"
    assert (len(gateway.probes), len(gateway.requests)) == (4, 2)


async def test_a_proxy_without_its_gateway() -> None:
    """A proxy that answers 503 for its gateway is one to try again later, and gets no job."""
    proxy = CannedServer([canned(b"<html>", "503 Service Unavailable", "text/html")])
    async with proxy.serving() as url:
        with pytest.raises(Refused, match="503") as caught:
            await _submit(GatewayAccess(url, KEY))
    assert caught.value.unavailable
    assert all(request.startswith("GET /livez ") for request in proxy.requests)


@pytest.mark.parametrize("path", ["", "/photos"])
async def test_the_address_that_was_given(tmp_path: Path, path: str) -> None:
    """Links that lead to the gateway's public address are not followed: that address gets no request and no key."""
    public = CannedServer([PAGE])
    async with public.serving() as outer:
        job = _with_artifact(QUEUED, f"{outer}{path}")
        photo = canned(b"a photo", media_type="image/png")
        answers = [_answer(job, "202 Accepted"), _answer({**job, "state": "succeeded"}), photo]
        gateway = CannedGateway(answers)
        async with gateway.serving() as url:
            await _submit(GatewayAccess(url, KEY), tmp_path / "cup.png")
    assert (tmp_path / "cup.png").read_bytes() == b"a photo"
    assert public.requests == []
    assert len(gateway.requests) == 3


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"])
async def test_a_redirect_of_a_file_goes_without_the_key(tmp_path: Path, status: str) -> None:
    """A file that the gateway redirects to another server, as to S3, is fetched there without the key."""
    storage = CannedServer([canned(b"a photo", media_type="image/png")])
    async with storage.serving() as elsewhere:
        there = canned(b"", status, "text/html", f"Location: {elsewhere}/bucket/a.png?signature=x")
        gateway = CannedGateway([_answer(_with_artifact(SUCCEEDED, ""), "202 Accepted"), there])
        async with gateway.serving() as url:
            # The same host, with another port: another origin.
            assert urlsplit(url).hostname == urlsplit(elsewhere).hostname
            await _submit(GatewayAccess(url, KEY), tmp_path / "cup.png")
    assert (tmp_path / "cup.png").read_bytes() == b"a photo"
    (asked,) = storage.requests
    assert asked.startswith("GET /bucket/a.png?signature=x ")
    assert "authorization" not in asked.lower()


@pytest.mark.parametrize("command", ["generate", "cancel"])
async def test_a_redirect_of_a_request_is_not_followed(command: str) -> None:
    """A redirected submit or cancel is refused: neither the job nor the key goes to the other address."""
    other = CannedServer([_answer(SUCCEEDED)])
    async with other.serving() as elsewhere:
        there = canned(b"", "308 Permanent Redirect", "text/html", f"Location: {elsewhere}/v1/jobs")
        async with CannedGateway([there]).serving() as url:
            with pytest.raises(Refused):
                await COMMANDS[command](GatewayAccess(url, KEY))
    assert other.requests == []


async def test_generate_at_an_address_that_was_set(tmp_path: Path) -> None:
    """`studio generate` with STUDIO_URL starts no gateway of its own where another program answers: it says so."""
    models = Path(__file__).parents[2] / "models"
    catalogue = load_catalogue(models / "models.toml", models / "styles.toml")
    async with CannedServer([PAGE]).serving() as url:
        settings = Settings(url=url, data_dir=tmp_path)
        saving = (PhotoFiles(tmp_path / "cup.png"), None)
        with pytest.raises(Unreachable, match=f"{url} is no gateway of this program"):
            await run_generate(settings, catalogue, catalogue.default_model, {"prompt": "cup"}, saving, Console())


@pytest.mark.parametrize("service", ["gateway", "worker"])
@pytest.mark.parametrize("answer", [PAGE, *(FOREIGN[name] for name in UNHEALTHY), canned(b"null"), canned(b"")])
async def test_health_of_another_program(service: Service, answer: bytes) -> None:
    """Another program on the port is neither a healthy gateway nor a healthy worker, although it answers 200."""
    if service == "worker":
        answer = answer.replace(b"studio-worker", b"studio-parker")
    async with CannedServer([answer]).serving() as url:
        port = int(url.rpartition(":")[2])
        with pytest.raises(NotReady):
            await ask_health(Settings(port=port, worker_port=port), service)


async def test_health_says_what_answers() -> None:
    """The message of `studio health` names what answers instead, without its page."""
    async with CannedServer([PAGE]).serving() as url:
        with pytest.raises(NotReady) as caught:
            await ask_health(Settings(port=int(url.rpartition(":")[2])), "gateway")
    assert "no gateway of this program: it answers 200 (text/html)" in str(caught.value)
    assert "It works!" not in str(caught.value)


SIGN_IN = canned(b"<html>Who are you?</html>", media_type="text/html; charset=utf-8")


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_page_in_place_of_an_answer(command: str) -> None:
    """A page to sign in, of a proxy that lets /livez alone through, is no answer: the message names its address."""
    async with CannedGateway([SIGN_IN]).serving() as url:
        with pytest.raises(Unreachable, match=rf"{url}/v1/jobs\S* answered text/html in place of application/json"):
            await COMMANDS[command](GatewayAccess(url, KEY))


@pytest.mark.parametrize("redirected", [False, True])
async def test_a_page_in_place_of_a_photo(tmp_path: Path, redirected: bool) -> None:
    """A page is not saved as a photo, also behind a redirect; the job is named, and the link's signature is not."""
    async with CannedServer([SIGN_IN]).serving() as elsewhere:
        there = canned(b"", "302 Found", "text/html", f"Location: {elsewhere}/login?signature=x")
        answers = [_answer(_with_artifact(SUCCEEDED, ""), "202 Accepted"), there if redirected else SIGN_IN]
        async with CannedGateway(answers).serving() as url:
            with pytest.raises(Unreachable, match=r"job a-job .*text/html in place of image/png.*studio fetch") as told:
                await _submit(GatewayAccess(url, KEY), tmp_path / "cup.png")
    assert "signature" not in str(told.value)
    assert not (tmp_path / "cup.png").exists()


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
async def test_a_problem_that_cannot_be_read(body: bytes) -> None:
    """An answer that only calls itself a problem is told as a proxy's, without the password in the URL."""
    refusal = canned(body, "403 Forbidden", "application/problem+json")
    async with CannedGateway([refusal]).serving() as url:
        with pytest.raises(Refused, match="answered 403 Forbidden, which is no answer of a gateway") as told:
            await list_jobs(GatewayAccess(url.replace("://", "://user:secret@"), KEY), 20)
    assert "secret" not in str(told.value)


async def test_an_answer_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of which a little comes all the time has a deadline, before and after the proof."""
    monkeypatch.setattr(gateway_access, "FOUND_SECONDS", 0.2)
    monkeypatch.setattr(gateway_access, "ANSWER_SECONDS", 0.2)

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dripping.add(cast("asyncio.Task[None]", asyncio.current_task()))
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"X")
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()

    dripping = set[asyncio.Task[None]]()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(Unreachable, match="no answer in time"):
            await check_gateway(url)
        with pytest.raises(Unreachable, match=r"no whole answer within 0\.2 s"):
            await list_jobs(GatewayAccess(url, KEY), 20)
        await asyncio.wait(dripping)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("HTTPS_PROXY", "socks9://me:hidden@proxy:1080", "HTTPS_PROXY names a proxy with the scheme 'socks9'"),
        ("ALL_PROXY", "socks5://proxy:1080", "ALL_PROXY names a SOCKS proxy, and the library for these"),
        ("http_proxy", "http://proxy:port", "http_proxy is no URL of a proxy"),
    ],
)
async def test_a_proxy_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    """A proxy that the HTTP client does not know is named without its password; none leads to this machine."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(Unreachable) as caught:
        await list_jobs(GatewayAccess("https://studio.example"), 1)
    assert str(caught.value).startswith(f"https://studio.example cannot be asked: {told}")
    assert "hidden" not in str(caught.value)
    with pytest.raises(Unreachable, match="no gateway answers"):
        await list_jobs(GatewayAccess("http://127.0.0.1:9"), 1)
