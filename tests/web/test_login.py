"""Signing in to the pages with a key and out again, as a browser without JavaScript does it."""

import httpx2
import pytest
from pydantic import SecretStr
from starlette.types import ASGIApp

from services.api.auth import sessions
from services.api.auth.authentication import Authenticator
from services.api.auth.client_address import TrustedProxies
from services.api.auth.keys import KeyRing
from services.api.auth.sessions import Sessions
from services.api.auth.visitor import Visitors
from services.common.settings import Settings
from tests.support.api_keys import LINES, bearer, key_of
from tests.support.wall_clock import wall_clock
from tests.support.web.html_page import Page
from tests.support.web.visitor import job_id, submit

pytestmark = pytest.mark.anyio

SECRET = "0123456789abcdef"
with_keys = pytest.mark.parametrize("settings", [{"keys": LINES}], indirect=True)


async def sign_in(browser: httpx2.AsyncClient, name: str, wanted: str = "/") -> httpx2.Response:
    page = Page((await browser.get("/login", params={"next": wanted})).text)
    return await browser.post("/login", data={**page.fields(), "key": key_of(name)})


@with_keys
async def test_pages_ask_who_is_there(browser: httpx2.AsyncClient) -> None:
    """Without a session every page leads to the sign-in page, and signing in leads back to the page."""
    for path in ("/", "/history", "/?prompt=tea+pot", "/jobs/0190a1b2-0000-7000-8000-000000000000"):
        sent = await browser.get(path)
        assert (sent.status_code, sent.headers["Cache-Control"]) == (303, "no-store")
        form = Page((await browser.get(sent.headers["Location"])).text)
        arrived = await browser.post("/login", data={**form.fields(), "key": f" {key_of('alice')}\n"})
        assert (arrived.status_code, arrived.headers["Location"]) == (303, path)
        browser.cookies.clear()
    for path in ("/busy", "/history/fragment"):
        assert (await browser.get(path)).status_code == 401
    assert (await browser.post("/", data={"prompt": "mug"})).headers["Location"] == "/login?next=%2F"


@with_keys
async def test_session_is_the_key(browser: httpx2.AsyncClient) -> None:
    """A job submitted in a session belongs to the key: on its page, in the history, and in the API with either."""
    await sign_in(browser, "alice")
    path = await submit(browser)
    ordered = await browser.post("/v1/jobs", json={"prompt": "cup"})

    assert ordered.status_code == 202
    listed = (await browser.get("/v1/jobs", headers=bearer("alice"))).json()["data"]
    assert [job["id"] for job in listed] == [ordered.json()["id"], job_id(path)]
    assert path in (await browser.get("/history")).text
    assert "alice" in Page((await browser.get("/history")).text).text
    assert (await browser.get(f"/v1{path}")).status_code == 200
    assert "studio_visitor" not in browser.cookies


@with_keys
async def test_others_photos_are_not_there(browser: httpx2.AsyncClient) -> None:
    """The photo of another key has no page, cannot be canceled, repeated or deleted, and does not fill the form."""
    await sign_in(browser, "alice")
    path = await submit(browser, prompt="alices secret lamp")
    await sign_in(browser, "bob")

    for method, page in (
        ("GET", ""),
        ("GET", "/fragment"),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("POST", "/delete"),
    ):
        assert (await browser.request(method, path + page)).status_code == 404, page
    assert "alices" not in (await browser.get("/", params={"from": job_id(path)})).text
    assert path not in (await browser.get("/history")).text
    await sign_in(browser, "olga")
    assert (await browser.get(path)).status_code == 200


@with_keys
@pytest.mark.parametrize("key", ["", "nonsense", "studio_" + "x" * 43, "k" * 100_000, "\u00e9\u2028"])
async def test_wrong_key(browser: httpx2.AsyncClient, key: str) -> None:
    """An unknown key is answered with the form again, marked as wrong for screen readers too, and opens no session."""
    answer = await browser.post("/login", data={"key": key, "next": "/history"})

    assert (answer.status_code, "Set-Cookie" in answer.headers) == (401, False)
    field = Page(answer.text).one("input", id="key")
    assert (field["aria-invalid"], field["aria-describedby"], field.get("value")) == ("true", "key-fault", None)
    assert Page(answer.text).fields()["next"] == "/history"


@with_keys
@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "", "/a\nb"])
async def test_signing_in_leads_to_this_site(browser: httpx2.AsyncClient, wanted: str) -> None:
    """Signing in always leads to a page of this site."""
    assert (await sign_in(browser, "alice", wanted)).headers["Location"] == "/"


@pytest.mark.parametrize(
    "settings", [{"keys": LINES}, {"keys": LINES, "public_url": "https://studio.test"}], indirect=True
)
async def test_cookie_is_kept_close(browser: httpx2.AsyncClient, settings: Settings) -> None:
    """The cookie is hidden from scripts and other sites, sent over HTTPS only if the site uses it, and expires."""
    name, *attributes = (await sign_in(browser, "alice")).headers["Set-Cookie"].split("; ")

    assert name.startswith("studio_session=")
    secure = {"secure"} if settings.public_url else set()
    expected = {"httponly", f"max-age={12 * 3600}", "path=/", "samesite=lax", *secure}
    assert {text.lower() for text in attributes} == expected


@with_keys
async def test_signing_out(browser: httpx2.AsyncClient) -> None:
    """After signing out a person has to sign in again."""
    await sign_in(browser, "alice")
    out = await browser.post("/logout")

    assert (out.status_code, out.headers["Location"]) == (303, "/login")
    assert out.headers["Clear-Site-Data"] == '"cache"'
    assert (await browser.get("/history")).status_code == 303


@with_keys
async def test_sessions_end(browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expired cookie opens no session, even if the browser still sends it."""
    await sign_in(browser, "alice")
    assert (await browser.get("/history")).status_code == 200

    monkeypatch.setattr(sessions, "SESSION_SECONDS", -1)

    assert (await browser.get("/history")).status_code == 303


@with_keys
@pytest.mark.parametrize(("step", "status"), [(-600, 200), (600, 200), (-7200, 303), (13 * 3600, 303)])
async def test_session_outlives_a_clock_that_is_set(
    browser: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, step: float, status: int
) -> None:
    """A person stays signed in when the clock is set by minutes; a session from far in the future is none."""
    clock = wall_clock(monkeypatch)
    await sign_in(browser, "alice")
    clock.ahead += step

    assert (await browser.get("/history")).status_code == status


@with_keys
async def test_forged_session(browser: httpx2.AsyncClient) -> None:
    """A cookie without a valid signature of this gateway opens no session."""
    await sign_in(browser, "alice")
    digest, moment, signature = browser.cookies["studio_session"].split(".")
    other = LINES.split()[2].rpartition(":")[2]
    browser.cookies.clear()
    for forged in (f"{other}.{moment}.{signature}", f"{digest}.zzzzzz.{signature}", f"{digest}.{moment}", digest, "."):
        answer = await browser.get("/v1/jobs", headers={"Cookie": f"studio_session={forged}"})
        assert answer.status_code == 401, forged


@pytest.mark.parametrize("settings", [{"secret_key": SECRET, "keys": LINES}], indirect=True)
async def test_session_of_a_key_taken_away(browser: httpx2.AsyncClient, state: dict[str, object]) -> None:
    """Taking a key away ends its sessions; those of other keys go on, at any gateway."""
    await sign_in(browser, "alice")
    alice = browser.cookies["studio_session"]
    await sign_in(browser, "bob")
    bob = browser.cookies["studio_session"]
    browser.cookies.clear()
    later = Settings(keys=SecretStr(" ".join(LINES.split()[1:])))
    secret = SECRET.encode()
    visitors, kept = Visitors(secret, secure=False, path="/"), Sessions(secret, secure=False, path="/")
    state["authenticator"] = Authenticator(KeyRing.of(later), visitors, kept, TrustedProxies(""), None)

    statuses = [
        (await browser.get("/history", headers={"Cookie": f"studio_session={cookie}"})).status_code
        for cookie in (alice, bob)
    ]

    assert statuses == [303, 200]


@with_keys
@pytest.mark.parametrize("path", ["/login", "/logout", "/"])
async def test_forms_of_other_sites(app: ASGIApp, path: str) -> None:
    """Another site cannot sign a person in or out."""
    headers = {"Sec-Fetch-Site": "cross-site"}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://studio.test", headers=headers
    ) as elsewhere:
        answer = await elsewhere.post(path, data={"key": key_of("alice")})
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False)


async def test_without_keys_there_is_nothing_to_sign_in_to(browser: httpx2.AsyncClient) -> None:
    """While keys are off, the sign-in page leads to the first page, and no page offers to sign out."""
    assert (await browser.get("/login")).headers["Location"] == "/"
    assert "/logout" not in (await browser.get("/")).text
    assert (await browser.post("/login", data={"key": key_of("alice")})).status_code == 401
