"""With keys, each request needs a known one, and a key sees only its own jobs; an operator's sees all of them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from asgi_lifespan import LifespanManager
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from services.api.app import create_app
from services.api.auth.client_address import TrustedProxies, party_of
from services.api.auth.exposure import check_exposure
from services.api.auth.keys import KeyRing
from services.api.endpoints import endpoints
from services.api.http.authorization import Access
from services.api.http.endpoint import Endpoint
from services.common.catalogue.catalogue import Catalogue
from services.common.ids import new_job_id
from services.common.settings import Settings
from tests.api.conftest import embedded_settings
from tests.api.v1.test_jobs import MUG
from tests.support.api_keys import LINES, bearer, key_of
from tests.support.fakes import FakeWorker, stored_image

pytestmark = pytest.mark.anyio

with_keys = pytest.mark.parametrize("settings", [{"keys": LINES}], indirect=True)
GUARDED = [each for each in endpoints() if each.access is not Access.OPEN]


def path_of(template: str, job_id: str) -> str:
    return template.format(job_id=job_id, input_id=job_id, index="0", code="not-found", message_id="none", model="none")


async def submit_as(client: httpx2.AsyncClient, name: str, **params: Any) -> str:
    response = await client.post("/v1/jobs", json={**MUG, **params}, headers=bearer(name))
    assert response.status_code == 202, response.text
    made: str = response.json()["id"]
    return made


@with_keys
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer studio_" + "x" * 43},
        {"Authorization": f"Basic {key_of('alice')}"},
        {"Authorization": key_of("alice")},
        {"Authorization": f"Bearer {key_of('alice')} x"},
        {"Authorization": b"Bearer \xe9\xff\x80"},
        {"Authorization": "Bearer " + "k" * 1_000_000},
        {"X-Api-Key": key_of("alice")},
        {"Cookie": f"studio_session={key_of('alice')}"},
    ],
    ids=[
        "none",
        "empty",
        "no key",
        "another",
        "basic",
        "bare",
        "two",
        "not ascii",
        "a megabyte",
        "elsewhere",
        "cookie",
    ],
)
async def test_no_key_no_entry(client: httpx2.AsyncClient, headers: dict[Any, Any]) -> None:
    """Without a known key in the Authorization header every operation is a 401 that names the scheme."""
    assert len(GUARDED) >= 10
    for endpoint in GUARDED:
        path = path_of(endpoint.path, new_job_id())
        response = await client.request(endpoint.method, path, headers=headers, params={"api_key": key_of("alice")})

        assert response.status_code == 401, endpoint.path
        assert response.headers["WWW-Authenticate"].startswith('Bearer realm="studio"')
        said = response.json()
        assert said.get("error", said)["code"] == "unauthenticated"


@with_keys
async def test_what_stays_open(client: httpx2.AsyncClient) -> None:
    """Health, the meaning of problems, the documentation and the sign-in page need no key."""
    for path in ("/livez", "/readyz", "/problems/unauthenticated", "/openapi.json", "/docs", "/login"):
        assert (await client.get(path)).status_code == 200, path


@with_keys
async def test_others_jobs_are_not_there(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The job of another key is a 404 in every operation, and cannot be told from a job that never was."""
    made = await submit_as(client, "alice")
    await worker.succeed(made, stored_image())
    operations = [each for each in GUARDED if "{job_id}" in each.path]
    assert len(operations) >= 6
    for each in operations:
        missing = new_job_id()
        answers = [
            await client.request(each.method, path_of(each.path, job_id), headers=bearer("bob"))
            for job_id in (made, missing)
        ]
        theirs, none = [answer.text.replace(made, "JOB").replace(missing, "JOB") for answer in answers]
        assert [answer.status_code for answer in answers] == [404, 404], each.path
        request_ids = [answer.headers["X-Request-Id"] for answer in answers]
        assert theirs.replace(request_ids[0], "") == none.replace(request_ids[1], ""), each.path

    assert (await client.get(f"/v1/jobs/{made}/artifacts/0", headers=bearer("alice"))).status_code == 200


@with_keys
async def test_waiting_for_another_keys_job_ends_at_once(client: httpx2.AsyncClient) -> None:
    """`Prefer: wait` on the job of another key is answered at once, so that the time tells nothing either."""
    made = await submit_as(client, "alice")

    response = await client.get(f"/v1/jobs/{made}", headers={**bearer("bob"), "Prefer": "wait=20"}, timeout=5)

    assert response.status_code == 404


@with_keys
async def test_removed_jobs_have_owners_too(client: httpx2.AsyncClient) -> None:
    """A removed job is a 410 for its owner and operators, and a 404 for other keys."""
    made = await submit_as(client, "alice")
    assert (await client.delete(f"/v1/jobs/{made}", headers=bearer("alice"))).status_code == 204

    statuses = [
        (await client.get(f"/v1/jobs/{made}", headers=bearer(name))).status_code for name in ("alice", "bob", "olga")
    ]

    assert statuses == [410, 404, 410]


@with_keys
async def test_lists_are_by_key(client: httpx2.AsyncClient) -> None:
    """A key lists its own jobs. `owner` lets an operator list those of another key, and lists none for a user."""
    mine, theirs = await submit_as(client, "alice"), await submit_as(client, "bob")

    async def listed(name: str, **query: str) -> list[str]:
        response = await client.get("/v1/jobs", params=query, headers=bearer(name))
        assert response.status_code == 200, response.text
        return [job["id"] for job in response.json()["data"]]

    assert await listed("alice") == [mine]
    assert await listed("olga") == []
    assert await listed("olga", owner="bob") == [theirs]
    assert await listed("alice", owner="alice") == [mine]
    assert await listed("alice", owner="bob") == []


@with_keys
async def test_operator_sees_everything(client: httpx2.AsyncClient) -> None:
    """An operator may read, cancel and remove any job."""
    made = await submit_as(client, "alice")

    assert (await client.get(f"/v1/jobs/{made}", headers=bearer("olga"))).status_code == 200
    assert (await client.post(f"/v1/jobs/{made}/cancel", headers=bearer("olga"))).json()["state"] == "canceled"
    assert (await client.delete(f"/v1/jobs/{made}", headers=bearer("olga"))).status_code == 204


@pytest.fixture
async def operators(settings: Settings, catalogue: Catalogue) -> AsyncIterator[httpx2.AsyncClient]:
    """A client on the gateway's machine; the gateway has one more operation, for operators."""

    async def handler(_request: Request[Any]) -> Response:
        return Response("in")

    application = create_app(settings, catalogue)
    application.router.routes.append(Endpoint("POST", "/x", handler, "X", "X", {}, access=Access.OPERATOR).route)
    async with (
        LifespanManager(application) as manager,
        httpx2.AsyncClient(transport=httpx2.ASGITransport(manager.app), base_url="http://127.0.0.1:8000") as opened,
    ):
        yield opened


@with_keys
async def test_what_is_the_operators(operators: httpx2.AsyncClient) -> None:
    """An operation for operators takes an operator's key; a user's is a 403."""
    answers = [await operators.post("/x", headers=bearer(name)) for name in ("olga", "alice")]

    assert [answer.status_code for answer in answers] == [200, 403]
    assert answers[1].json()["code"] == "forbidden"


async def test_operator_without_keys_is_on_the_machine(operators: httpx2.AsyncClient) -> None:
    """While keys are off only local requests are an operator's: none by a proxy, a public name or another site."""
    for headers in ({}, {"Host": "localhost:8000"}, {"Host": "[::1]"}):
        assert (await operators.post("/x", headers=headers)).status_code == 200
    for headers in (
        {"X-Forwarded-For": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "rebound.example"},
        {"Host": "["},
        {"Origin": "https://evil.example"},
    ):
        assert (await operators.post("/x", headers=headers)).status_code == 403, headers


REBOUND = ({"Host": "evil.example:8000"}, {"Host": "evil.example", "X-Forwarded-For": "203.0.113.7"})


@pytest.mark.parametrize("settings", [{"public_url": "https://photos.example"}], indirect=True)
async def test_foreign_names_of_this_machine_are_refused(client: httpx2.AsyncClient) -> None:
    """While keys are off, a public name other than the public URL's is refused on this machine (DNS rebinding)."""
    job = (await client.post("/v1/jobs", json=MUG)).json()["id"]
    for headers in REBOUND:
        for method, path in (("GET", "/v1/jobs"), ("GET", "/"), ("DELETE", f"/v1/jobs/{job}"), ("POST", "/v1/jobs")):
            assert (await client.request(method, path, headers=headers)).status_code == 403
        for path in ("/livez", "/readyz", "/static/studio.css"):
            assert (await client.get(path, headers=headers)).status_code == 200
    for name in ("localhost:8000", "127.0.0.1", "[::1]:8000", "studio", "photos.example", "192.0.2.1"):
        assert (await client.get(f"/v1/jobs/{job}", headers={"Host": name})).status_code == 200, name


@with_keys
async def test_keys_work_under_any_name(client: httpx2.AsyncClient) -> None:
    """With keys any host name is accepted, as no other site has the key or the cookie."""
    assert (await client.get("/v1/jobs", headers={**bearer("alice"), "Host": "evil.example"})).status_code == 200


@with_keys
async def test_idempotency_keys_are_by_owner(client: httpx2.AsyncClient) -> None:
    """Two keys that use the same Idempotency-Key get a job each."""
    same = {"Idempotency-Key": "monday"}
    made = [
        (await client.post("/v1/jobs", json=MUG, headers={**bearer(name), **same})).json()["id"]
        for name in ("alice", "bob", "alice")
    ]

    assert made[0] == made[2] != made[1]


async def test_without_keys_urls_are_capabilities(app: ASGIApp, client: httpx2.AsyncClient) -> None:
    """While keys are off, any client with a job's URL may use it, and the Authorization header is not read."""
    made = (await client.post("/v1/jobs", json=MUG, headers={"Authorization": "Bearer unused"})).json()["id"]

    assert (await client.get(f"/v1/jobs/{made}")).status_code == 200
    assert (await client.get("/v1/jobs")).json()["data"][0]["id"] == made


@pytest.mark.parametrize("settings", [{}, {"keys": LINES}], indirect=True, ids=["off", "on"])
async def test_document_says_whether_keys_are_needed(client: httpx2.AsyncClient, settings: Settings) -> None:
    """The document always describes the scheme; with keys every operation asks for it, except the open ones."""
    document = (await client.get("/openapi.json")).json()
    asked = {
        (method.upper(), path): bool(operation.get("security"))
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }

    scheme = document["components"]["securitySchemes"]["key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    on = settings.keys is not None
    assert asked == {(each.method, each.path): on and each.access is not Access.OPEN for each in endpoints()}
    shown = (await client.get("/docs")).text
    assert ("Authorization: Bearer $KEY" in shown) is on


@pytest.mark.parametrize("origin", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
async def test_other_sites_change_nothing(client: httpx2.AsyncClient, origin: dict[str, str]) -> None:
    """A browser's request from another site's page cannot submit, cancel or remove a job."""
    made = (await client.post("/v1/jobs", json=MUG)).json()["id"]
    for method, path in (("POST", "/v1/jobs"), ("POST", f"/v1/jobs/{made}/cancel"), ("DELETE", f"/v1/jobs/{made}")):
        refused = await client.request(method, path, headers=origin)
        assert (refused.status_code, refused.json()["code"]) == (403, "other-origin")
    seen = await client.get(f"/v1/jobs/{made}", headers=origin)

    assert seen.json()["state"] == "queued"
    assert not [name for name in seen.headers if name.lower().startswith("access-control-")]


def test_file_of_keys(tmp_path: Path) -> None:
    """Keys may be in a file with comments, beside those of the setting; only their digests are kept."""
    first, second, _ = LINES.split()
    file = tmp_path / "keys"
    file.write_text(f"# those of the studio\n{second}  # Bob's\n")

    keyring = KeyRing.of(embedded_settings(tmp_path, keys=first, keys_file=file))

    assert keyring is not None
    assert [keyring.find(key_of(name)) is not None for name in ("alice", "bob", "olga")] == [True, True, False]
    assert key_of("alice") not in repr(keyring) + LINES


@pytest.mark.parametrize("content", ["", "# nothing\n", "alice:user:short", "alice:admin:" + "0" * 64, "studio_secret"])
def test_what_is_no_key_stops_the_start(tmp_path: Path, catalogue: Catalogue, content: str) -> None:
    """A file without keys, or with an entry that is none, stops the start, and the error quotes none of it."""
    file = tmp_path / "keys"
    file.write_text(content)

    with pytest.raises(ValueError, match="API key") as caught:
        create_app(embedded_settings(tmp_path, keys_file=file), catalogue)

    assert "studio_secret" not in str(caught.value)


def test_missing_file_of_keys_stops_the_start(tmp_path: Path, catalogue: Catalogue) -> None:
    """A missing file of keys stops the start."""
    with pytest.raises(OSError, match="nowhere"):
        create_app(embedded_settings(tmp_path, keys_file=tmp_path / "nowhere"), catalogue)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_needs_no_keys(tmp_path: Path, address: str) -> None:
    """The gateway listens on loopback addresses without keys."""
    check_exposure(embedded_settings(tmp_path), address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.0.7", "fe80::1%eth0"])
def test_other_addresses_need_keys(tmp_path: Path, address: str) -> None:
    """On other addresses the gateway needs keys, STUDIO_ALLOW_ANONYMOUS, or a published address that is loopback."""
    with pytest.raises(ValueError, match="STUDIO_ALLOW_ANONYMOUS"):
        check_exposure(embedded_settings(tmp_path), address)
    for changes in ({"keys": LINES}, {"allow_anonymous": True}, {"published_host": "127.0.0.1"}):
        check_exposure(embedded_settings(tmp_path, **changes), address)
    with pytest.raises(ValueError, match=r"10\.0\.0\.1"):
        check_exposure(embedded_settings(tmp_path, published_host="10.0.0.1"), "127.0.0.1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "party"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.2.3.4", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("::ffff:10.0.0.1", ["2001:db8:1:2:3::4"], "2001:db8:1:2::"),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str, forwarded: list[str], party: str) -> None:
    """X-Forwarded-For is read from its end, as far as trusted proxies wrote it."""
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]

    client = TrustedProxies("10.0.0.0/24").client({"type": "http", "client": (peer, 1), "headers": headers})

    assert party_of(client) == f"address:{party}"


@pytest.mark.parametrize("header", ["x-forwarded-for: {}", "forwarded: for={}"])
@pytest.mark.parametrize(("proxies", "party"), [(40, "203.0.113.9"), (10_000, "10.0.0.1")])
def test_nearest_proxies_are_read(header: str, proxies: int, party: str) -> None:
    """Only the nearest fifty of a chain of thousands of proxies are read."""
    name, _, form = header.partition(": ")
    chain = ",".join(form.format(address) for address in ["203.0.113.9", *["10.0.0.1"] * proxies])
    headers = [(name.encode(), chain.encode())]

    client = TrustedProxies("10.0.0.0/24").client({"type": "http", "client": ("10.0.0.2", 1), "headers": headers})

    assert party_of(client) == f"address:{party}"


def test_no_proxy_is_a_mistake(tmp_path: Path, catalogue: Catalogue) -> None:
    """An entry of the trusted proxies that is neither an address nor a network stops the start."""
    with pytest.raises(ValueError, match="proxy"):
        create_app(embedded_settings(tmp_path, trusted_proxies="proxy"), catalogue)


def test_keys_are_not_shown(tmp_path: Path) -> None:
    """Printed settings hold neither a key nor a digest."""
    settings = embedded_settings(tmp_path, keys=LINES, api_key=key_of("alice"))
    assert not {*LINES.split(), key_of("alice")} & set(str(settings).replace("'", " ").split())
