"""Headers that proxies send by default: callers are told apart, and pages, forms and sessions work."""

import time
from pathlib import Path

import httpx2
import pytest
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from services.api.app import create_app
from services.common.catalogue.catalogue import Catalogue
from tests.api.conftest import embedded_settings
from tests.api.v1.test_jobs import MUG
from tests.support.api_keys import LINES, bearer, key_of
from tests.support.live_server import LiveGateway
from tests.support.web.html_page import Page

pytestmark = pytest.mark.anyio

PROXY, OUTSIDE = "10.0.0.1", "203.0.113.9"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
FORM = {"prompt": "tea pot"}
BY_HTTPS = {"X-Forwarded-Host": "photos.example", "X-Forwarded-Proto": "https,http", "Front-End-Https": "on"}
one_job_each = pytest.mark.parametrize("settings", [{"owner_limit": 1, "trusted_proxies": PROXY}], indirect=True)
unlisted = pytest.mark.parametrize("settings", [{"owner_limit": 1}], indirect=True)
with_keys = pytest.mark.parametrize("settings", [{"keys": LINES}], indirect=True)


def client_at(
    app: ASGIApp, address: str, headers: dict[str, str] | None = None, base_url: str = "http://studio.test"
) -> httpx2.AsyncClient:
    """Return a client whose requests come from this address."""
    transport = httpx2.ASGITransport(app, client=(address, 40000))
    return httpx2.AsyncClient(transport=transport, base_url=base_url, headers=headers)


async def submit(app: ASGIApp, address: str, *headers: tuple[str, str]) -> int:
    async with client_at(app, address) as client:
        return (await client.post("/v1/jobs", json=MUG, headers=list(headers))).status_code


def by(*addresses: str) -> list[tuple[str, str]]:
    return [("X-Forwarded-For", address) for address in addresses]


def standard(*elements: str) -> list[tuple[str, str]]:
    return [("Forwarded", element) for element in elements]


@one_job_each
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (by("203.0.113.7"), by("203.0.113.8")),
        (by("203.0.113.7:5001"), by("203.0.113.8:5001")),
        (by("[2001:db8:1::1]:9"), by("[2001:db8:2::1]:9")),
        (by("[2001:db8:1::1]"), by("2001:db8:2::1")),
        (by("[fe80::1%eth0]:80"), by("fe80::2%25eth0")),
        (by('"203.0.113.7:80"'), by('"203.0.113.8:80"')),
        (by("203.0.113.7, "), by("203.0.113.8, ,")),
        (by("198.51.100.1", "203.0.113.7:1"), by("198.51.100.1", "203.0.113.8:1")),
        (by("198.51.100.1, 203.0.113.7\t"), by("198.51.100.1,\t203.0.113.8")),
        (by("64:ff9b::203.0.113.7"), by("64:ff9b::cb00:7108")),
        (standard("for=203.0.113.7;proto=https"), standard("proto=https;For=203.0.113.8")),
        (standard('for="[2001:db8:1::1]:4711"'), standard('by=10.0.0.1;for="[2001:db8:2::1]";host="a,b;c"')),
        (standard("for=198.51.100.1, for=203.0.113.7"), standard("for=198.51.100.1", 'for="203.0.113.8:_port"')),
        (by("203.0.113.7"), by("unknown")),
    ],
)
async def test_callers_are_told_apart(
    app: ASGIApp, first: list[tuple[str, str]], second: list[tuple[str, str]]
) -> None:
    """Two callers behind a proxy have a limit each, however the proxy writes their addresses."""
    statuses = [await submit(app, PROXY, *headers) for headers in (first, first, second, second)]

    assert statuses == [202, 429, 202, 429]


@one_job_each
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (by("203.0.113.7:5001"), by("203.0.113.7:5002")),
        (by("203.0.113.7"), by("::ffff:203.0.113.7")),
        (by("203.0.113.7"), by("[64:ff9b::cb00:7107]:1")),
        (by("2001:db8:1::1"), by("[2001:db8:1:0:ffff::2]:80")),
        (by("203.0.113.7"), standard('for="203.0.113.7:4711"')),
        (by("unknown"), by("_hidden")),
        (by("203.0.113.7, unknown"), by("203.0.113.8, unknown")),
        (standard("for=unknown"), standard("proto=https")),
        ([*by("203.0.113.7"), *standard("for=1.1.1.1")], [*by("203.0.113.7"), *standard("for=2.2.2.2")]),
        (by("1.1.1.1, 203.0.113.7"), by("2.2.2.2, 203.0.113.7")),
        (standard('for="1.1.1.1, for=203.0.113.7'), standard('for="2.2.2.2, for=203.0.113.7')),
    ],
)
async def test_one_caller_stays_one(app: ASGIApp, first: list[tuple[str, str]], second: list[tuple[str, str]]) -> None:
    """Another port, another spelling, another address of one /64 or a header of one's own makes no second caller."""
    assert [await submit(app, PROXY, *headers) for headers in (first, second)] == [202, 429]


@one_job_each
async def test_headers_of_clients_are_not_believed(app: ASGIApp) -> None:
    """A client that comes by no listed proxy counts by its own address, whatever it forwards."""
    sent: tuple[list[tuple[str, str]], ...] = (
        [],
        by("203.0.113.7"),
        by("[2001:db8::1]:9"),
        standard("for=203.0.113.8"),
    )

    assert [await submit(app, OUTSIDE, *headers) for headers in sent] == [202, 429, 429, 429]


@unlisted
@pytest.mark.parametrize("headers", [by("203.0.113.7:1")[0], standard("for=203.0.113.7")[0]])
async def test_shared_limit_names_the_setting(app: ASGIApp, headers: tuple[str, str]) -> None:
    """A limit that the visitors of an unlisted proxy share is told with the setting, to programs and on the page."""
    with capture_logs() as logs:
        async with client_at(app, "127.0.0.1", {**BROWSER, **dict([headers])}, "http://localhost") as client:
            await client.post("/v1/jobs", json=MUG)
            told = await client.post("/v1/jobs", json=MUG)
            page = await client.post("/", data=FORM)
            await client.post("/v1/jobs", json=MUG)

    assert (told.status_code, page.status_code) == (429, 429)
    assert "STUDIO_TRUSTED_PROXIES" in told.text
    assert "STUDIO_TRUSTED_PROXIES" in Page(page.text).text
    warned = [(log["address"], log["setting"]) for log in logs if log["log_level"] == "warning"]
    assert warned == [("127.0.0.1", "STUDIO_TRUSTED_PROXIES")]


@one_job_each
async def test_own_limit_names_no_setting(app: ASGIApp) -> None:
    """A caller who is told apart reads of no setting."""
    async with client_at(app, PROXY, {"X-Forwarded-For": "203.0.113.7:1"}) as client:
        answers = [await client.post("/v1/jobs", json=MUG) for _ in range(2)]

    assert answers[1].status_code == 429
    assert "STUDIO_" not in answers[1].text


@pytest.mark.parametrize(
    "mark",
    [
        {"X-Forwarded-For": "203.0.113.7"},
        {"X-Forwarded-Proto": "HTTPS"},
        {"X-Forwarded-Host": "photos.example"},
        {"Cf-Ray": "1"},
        {"CF-Connecting-IP": "203.0.113.7"},
        {"X-ARR-LOG-ID": "1"},
        {"X-Original-URL": "/"},
        {"X-Azure-ClientIP": "203.0.113.7"},
        {"Via": "2 Caddy"},
        {"Forwarded": "for=_gazonk"},
    ],
    ids=str,
)
async def test_request_by_a_proxy_is_not_local(app: ASGIApp, mark: dict[str, str]) -> None:
    """A request that a proxy on this machine passes on is limited and no operator's, unlike one of this machine."""
    async with client_at(app, "127.0.0.1", base_url="http://localhost") as client:
        local = await client.post("/v1/jobs", json=MUG)
        passed = await client.post("/v1/jobs", json=MUG, headers=mark)
        statuses = [(await client.get("/v1/dead-letters", headers=each)).status_code for each in ({}, mark)]

    assert ("RateLimit" in local.headers, "RateLimit" in passed.headers) == (False, True)
    assert statuses == [200, 403]


@pytest.mark.parametrize(("version", "limited"), [("1.0", True), ("1.1", False)])
def test_nginx_without_headers_is_not_local(live: LiveGateway, version: str, limited: bool) -> None:
    """A request as nginx passes it on without any setting, as HTTP/1.0 to our own address, counts as a proxy's."""
    body = b'{"prompt": "mug"}'
    head = [f"POST /v1/jobs HTTP/{version}", "Host: 127.0.0.1:8000", f"Content-Length: {len(body)}"]
    request = "\r\n".join([*head, "Connection: close", "Content-Type: application/json", "", ""]).encode() + body

    [answer] = live.exchange(request)

    assert (answer.status, "RateLimit" in answer.headers) == (202, limited)


@pytest.mark.parametrize(
    ("host", "origin", "headers"),
    [
        ("photos.example:443", "https://photos.example", {}),
        ("photos.example:80", "https://photos.example", {}),
        ("Photos.Example", "https://photos.example", {}),
        ("photos.example", "https://photos.example:8443", {"X-Forwarded-Port": "8443"}),
        ("gateway:8000", "https://photos.example", BY_HTTPS),
        ("gateway:8000", "http://photos.example:8080", {"X-Forwarded-Host": "photos.example:8080, inner"}),
        ("gateway:8000", "https://photos.example:8443", {**BY_HTTPS, "X-Forwarded-Port": "8443"}),
        ("studio.azurewebsites.net", "https://photos.example", {"X-Original-Host": "photos.example"}),
        ("gateway:8000", "https://photos.example", {"Forwarded": 'for=_a;host="photos.example";proto=https'}),
        ("[2001:db8::5]:8000", "http://[2001:db8::5]:8000", {}),
        ("gateway:8000", "https://anything.example", {"Sec-Fetch-Site": "same-origin"}),
    ],
)
async def test_forms_work_under_the_name_that_was_asked_for(
    app: ASGIApp, host: str, origin: str, headers: dict[str, str]
) -> None:
    """The form is taken where a proxy changes the name or port in Host and says so, or the browser does."""
    async with client_at(app, PROXY, {**BROWSER, "Host": host, "Origin": origin, **headers}) as client:
        assert (await client.post("/", data=FORM)).status_code == 303


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "studio_upstream", "gateway.studio.svc.cluster.local"])
async def test_name_that_was_lost_names_the_setting(app: ASGIApp, host: str) -> None:
    """Where a proxy drops the name, the page says which setting makes the form work, and with it the form does."""
    headers = {**BROWSER, "Host": host, "Origin": "http://photos.example:8080"}
    async with client_at(app, PROXY, headers) as client:
        refused = await client.post("/", data=FORM)

    assert (refused.status_code, refused.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
    told = "set STUDIO_PUBLIC_URL to the address that browsers use, such as http://photos.example:8080"
    assert told in Page(refused.text).text


@pytest.mark.parametrize("settings", [{"public_url": "HTTP://Photos.Example:80"}], indirect=True)
async def test_setting_makes_the_form_work(app: ASGIApp) -> None:
    """The public URL counts as our own name, in capital letters and with a port that browsers leave out too."""
    headers = {**BROWSER, "Host": "127.0.0.1:8000", "Origin": "http://photos.example"}
    async with client_at(app, PROXY, headers) as client:
        assert (await client.post("/", data=FORM)).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Forwarded-Host": "photos.example"}, {"X-Forwarded-Port": "443"}, {"Forwarded": "host=photos.example"}],
    ids=str,
)
async def test_other_sites_stay_out(app: ASGIApp, headers: dict[str, str]) -> None:
    """Another site's form is refused, whatever a proxy says about our own name."""
    async with client_at(app, PROXY, {**headers, "Host": "gateway:8000", "Origin": "https://evil.example"}) as client:
        assert (await client.post("/", data=FORM)).status_code == 403
        assert (await client.post("/v1/jobs", json=MUG)).json()["code"] == "other-origin"


@pytest.mark.parametrize("host", ["photos.example", "abc-1.trycloudflare.com", "a1b2.ngrok-free.app:443"])
async def test_unknown_name_is_a_page(app: ASGIApp, host: str) -> None:
    """A tunnel to this machine under a name that is not set is told so by a page, with the setting and its value."""
    async with client_at(app, "127.0.0.1", {**BROWSER, "Host": host}) as client:
        answers = [await client.get("/"), await client.post("/", data=FORM), await client.get("/status")]

    for answer in answers:
        assert (answer.status_code, answer.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
        name = host.partition(":")[0]
        assert f"STUDIO_PUBLIC_URL to the address that browsers use, such as https://{name}" in answer.text


FOREIGN = (
    {"Authorization": "Basic YWxpY2U6c2VjcmV0"},
    {"Authorization": "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln"},
    {"Authorization": "Negotiate YII="},
)


@with_keys
@pytest.mark.parametrize("own", FOREIGN, ids=str)
async def test_session_works_beside_credentials_of_a_proxy(app: ASGIApp, own: dict[str, str]) -> None:
    """A person signs in and orders although a proxy sends credentials of its own, and is asked to without a session."""
    headers = {**BROWSER, "Sec-Fetch-Site": "same-origin", **own}
    async with client_at(app, PROXY, headers) as client:
        assert (await client.get("/")).headers["Location"].startswith("/login")
        assert (await client.post("/login", data={"key": key_of("alice")})).status_code == 303
        assert (await client.get("/")).status_code == 200
        assert (await client.post("/", data=FORM)).status_code == 303
        assert len((await client.get("/v1/jobs")).json()["data"]) == 1
        foreign = await client.post("/v1/jobs", json=MUG, headers={"Sec-Fetch-Site": "cross-site"})
        revoked = await client.get("/v1/jobs", headers={"Authorization": "Bearer studio_" + "x" * 43})

    assert (foreign.status_code, revoked.status_code) == (403, 401)


@with_keys
@pytest.mark.parametrize(("own", "told"), [(FOREIGN[0], "Basic"), (FOREIGN[2], "Negotiate"), (bearer("alice"), None)])
async def test_program_is_told_of_credentials_of_a_proxy(
    client: httpx2.AsyncClient, own: dict[str, str], told: str | None
) -> None:
    """A program that gets no entry with a proxy's credentials reads their scheme, and no part of them."""
    answer = await client.get("/v1/jobs", headers=own)

    assert answer.status_code == (401 if told else 200)
    if told:
        assert f"scheme {told}" in answer.json()["detail"]
        assert own["Authorization"].partition(" ")[2] not in answer.text


@pytest.mark.parametrize("settings", [{}, {"public_url": "https://example.com/other"}], indirect=True)
@pytest.mark.parametrize(("prefix", "path"), [("/studio", "/"), ("studio/", "/history"), ("/a, /b", "/a/b/history")])
async def test_path_taken_off_names_the_setting(app: ASGIApp, prefix: str, path: str) -> None:
    """A page below a path that a proxy takes off, and that is not set, says which setting puts it into the links."""
    headers = {**BROWSER, "X-Forwarded-Prefix": prefix, "X-Forwarded-Host": "example.com"}
    async with client_at(app, PROXY, headers) as client:
        answer = await client.get(path)

    assert answer.status_code == (404 if path.startswith("/a/b") else 421)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    whole = "/a/b" if "," in prefix else "/studio"
    assert (
        f"set STUDIO_PUBLIC_URL to the address that browsers use, such as https://example.com{whole} (" in answer.text
    )


@pytest.mark.parametrize("settings", [{"public_url": "https://example.com/a/b/"}], indirect=True)
@pytest.mark.parametrize("prefix", ["/a/b", "/a/b/", "/a,b", "", "/"])
async def test_path_that_is_set_works(app: ASGIApp, prefix: str) -> None:
    """The path of the public URL in a proxy's header is no fault, and neither is an empty one."""
    async with client_at(app, PROXY, {**BROWSER, "X-Forwarded-Prefix": prefix}) as client:
        page = await client.get("/")

    assert page.status_code == 200
    assert "/a/b/static/studio.css" in page.text


TAKEN_OFF: tuple[tuple[str, str], ...] = (
    ("X-Forwarded-Context", "/studio"),
    ("X-Script-Name", "studio/"),
    ("X-Ingress-Path", "/studio"),
    ("X-Original-URL", "/studio/history?limit=3"),
    ("X-Original-URI", "/studio/history"),
    ("X-Envoy-Original-Path", "/studio/history"),
)


@pytest.mark.parametrize(("name", "value"), TAKEN_OFF)
async def test_path_that_was_asked_for_names_the_setting(app: ASGIApp, name: str, value: str) -> None:
    """IIS, Envoy, Jupyter and others tell in headers of their own which path they took off."""
    async with client_at(app, PROXY, {**BROWSER, "Host": "example.com", name: value}) as client:
        answer = await client.get("/history")

    assert (answer.status_code, answer.headers["Content-Type"]) == (421, "text/html; charset=utf-8")
    assert "such as https://example.com/studio (it is not set)" in Page(answer.text).text


@pytest.mark.parametrize("asked", ["/history", "/history?next=/a/history", "/start", "", "https://example.com/history"])
async def test_path_that_is_whole_is_no_fault(app: ASGIApp, asked: str) -> None:
    """A proxy that repeats the path it passes on, or names another page for the first one, takes nothing off."""
    async with client_at(app, PROXY, {**BROWSER, "X-Original-URL": asked}) as client:
        answers = [await client.get(path) for path in ("/history", "/")]

    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize(
    ("path", "prefix", "there"),
    [
        ("/studio/", "/studio", "/"),
        ("/studio/history", "/studio", "/history"),
        ("/my%20apps/studio/jobs/none", "/my%20apps/studio", "/jobs/none"),
        ("/studio/v1/jobs", "/studio", "/v1/jobs"),
    ],
)
async def test_path_passed_on_names_the_setting(app: ASGIApp, path: str, prefix: str, there: str) -> None:
    """A path that a proxy passes on, as nginx and Traefik do, and that is not set, is told with the setting."""
    async with client_at(app, PROXY, {**BROWSER, "Host": "example.com"}) as client:
        answer = await client.get(path)

    text = Page(answer.text).text
    assert answer.status_code == 404
    assert (
        f"{there} is there, below no other path. If a proxy serves this gateway below {prefix}, set STUDIO_PUBLIC_URL"
        in text
    )
    assert f"such as https://example.com{prefix} (it is not set)" in text


@pytest.mark.parametrize("path", ["/nowhere", "/nowhere/none", "/history/history", "/v1/jobs/none/history"])
async def test_path_of_our_own_is_no_prefix(app: ASGIApp, path: str) -> None:
    """A wrong address names no setting of a proxy's path."""
    async with client_at(app, PROXY, {"Host": "example.com"}) as client:
        assert "STUDIO_" not in (await client.get(path)).json()["detail"]


@pytest.mark.parametrize("settings", [{"public_url": "https://hub.example/user/ann%40b.example/ü"}], indirect=True)
@pytest.mark.parametrize("path", ["/user/ann%40b.example/%C3%BC/history", "/user/ann@b.example/ü/history", "/history"])
async def test_path_with_other_letters(app: ASGIApp, path: str) -> None:
    """A path of the public URL may have letters that are escaped in links, whichever way they come."""
    async with client_at(app, PROXY, {**BROWSER, "X-Forwarded-Prefix": "/user/ann@b.example/%C3%BC"}) as client:
        page = await client.get(path)
        sent = await client.post("/", data=FORM, headers={"Sec-Fetch-Site": "same-origin"})

    assert page.status_code == 200
    assert 'href="/user/ann%40b.example/%C3%BC/history"' in page.text
    assert sent.headers["Location"].startswith("/user/ann%40b.example/%C3%BC/jobs/")


async def test_page_without_its_style_sheet_names_the_setting(client: httpx2.AsyncClient) -> None:
    """A page says which setting puts a proxy's path into its links; its style sheet hides that, so it is seen without.

    A proxy that takes a path off and says nothing, as nginx and Caddy do, can be noticed by nothing else.
    """
    page = await client.get("/", headers=BROWSER)
    sheet = next(each["href"] for each in Page(page.text).all("link", rel="stylesheet"))

    assert Page(page.text).one("p", **{"class": "unstyled"})
    assert "sets STUDIO_PUBLIC_URL to the address that browsers use, path included" in Page(page.text).text
    assert ".unstyled { display: none; }" in (await client.get(sheet)).text


@pytest.mark.parametrize("settings", [{"public_url": "https://photos.example"}], indirect=True)
@pytest.mark.parametrize(("host", "limited"), [("photos.example", True), ("127.0.0.1:8000", False)])
async def test_proxy_without_headers_is_not_local(app: ASGIApp, host: str, limited: bool) -> None:
    """A request under the public name comes by a proxy, even by one that adds no header, as HAProxy."""
    async with client_at(app, "127.0.0.1", {"Host": host}) as client:
        answer = await client.post("/v1/jobs", json=MUG)

    assert (answer.status_code, "RateLimit" in answer.headers) == (202, limited)


@pytest.mark.parametrize("value", ['"' + '\\"' * 15_000, "for=a" + " " * 30_000 + '"', 'x="' * 10_000, "a=b;" * 7_000])
async def test_long_headers_take_no_time(app: ASGIApp, value: str) -> None:
    """A header that is made to be read slowly is read at once: a stranger cannot hold the gateway up."""
    async with client_at(app, OUTSIDE, {"Forwarded": value, "Origin": "https://photos.example"}) as client:
        began = time.process_time()
        answer = await client.post("/v1/jobs", json=MUG)

    assert answer.json()["code"] == "other-origin"
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize("settings", [{"keys": LINES, "public_url": "https://photos.example"}], indirect=True)
async def test_session_for_https_by_http(app: ASGIApp) -> None:
    """A browser that would drop the cookie of the session, which is for HTTPS, is led to the right address."""
    async with client_at(app, OUTSIDE, {**BROWSER, "Origin": "http://studio.test"}) as client:
        lost = await client.post("/login", data={"key": key_of("alice")})
        kept = await client.post("/login", data={"key": key_of("alice")}, headers={"Origin": "https://photos.example"})

    assert (lost.status_code, "Set-Cookie" in lost.headers) == (403, False)
    assert "https://photos.example" in Page(lost.text).text
    assert (kept.status_code, "secure" in kept.headers["Set-Cookie"].lower()) == (303, True)


@pytest.mark.parametrize("listed", ["nginx", "10.0.0.5/8", "10.0.0.1:80", "*"])
def test_proxies_that_are_none_stop_the_start(tmp_path: Path, catalogue: Catalogue, listed: str) -> None:
    """An entry that is neither an address nor a network is named with its setting and what it may be."""
    with pytest.raises(ValueError, match=r"STUDIO_TRUSTED_PROXIES: .* such as 10\.0\.0\.5"):
        create_app(embedded_settings(tmp_path, trusted_proxies=listed), catalogue)


async def test_hidden_sender_is_told_why(app: ASGIApp) -> None:
    """A form whose sender a proxy's Referrer-Policy hides is refused by a page that names the header."""
    async with client_at(app, PROXY, {**BROWSER, "Origin": "null"}) as client:
        refused = await client.post("/", data=FORM)

    assert refused.status_code == 403
    assert "Referrer-Policy: same-origin" in refused.text


@pytest.mark.parametrize("header", ["Connection: upgrade", "Connection: Keep-Alive, Upgrade\r\nUpgrade:"])
def test_upgrade_that_is_none(live: LiveGateway, header: str) -> None:
    """A header for WebSockets that nginx sends on every request, by a usual recipe, disturbs no page."""
    [answer] = live.exchange(f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\n\r\n".encode())

    assert answer.status == 200


def test_reference_names_the_address_that_was_asked(live: LiveGateway) -> None:
    """The reference says where its examples lead, and which setting changes that, to readers who came another way."""
    note = "You came by another one"
    own = httpx2.get(f"{live.url}/docs")
    other = httpx2.get(f"{live.url}/docs", headers={"Host": "studio.internal"})

    assert (note in own.text, note in other.text) == (False, True)
    assert "STUDIO_PUBLIC_URL sets it" in Page(other.text).text
