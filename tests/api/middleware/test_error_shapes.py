"""Every refusal has the shape its reader understands: a page in a browser, OpenAI's shape for its clients."""

from typing import NoReturn

import httpx2
import openai
import pytest

from services.api.core.gateway import Gateway
from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue
from services.common.settings import Settings
from tests.api.v1.test_jobs import MUG
from tests.support.api_keys import LINES, bearer
from tests.support.fake_backends import without
from tests.support.live_server import LiveGateway
from tests.support.web.html_page import Page

pytestmark = pytest.mark.anyio

ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
NAVIGATION = {"Accept": ACCEPT, "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
OLD_BROWSER = {"Accept": ACCEPT}
IMAGES = "/v1/images/generations"


class Broken:
    """A part with a defect, whatever is asked of it."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("secret")


def assert_page(answer: httpx2.Response, status: int) -> Page:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert "Content-Security-Policy" in answer.headers
    page = Page(answer.text)
    assert page.one("h1") is not None
    return page


def assert_openai(answer: httpx2.Response, status: int, code: str) -> str:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/json")
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["type"]) == (code, "server_error" if status >= 500 else "invalid_request_error")
    return str(error["message"])


@pytest.mark.parametrize("browser", [NAVIGATION, OLD_BROWSER], ids=["browser", "old browser"])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "//v1/jobs", 404),
        ("GET", "/jobs/none", 404),
        ("GET", "/static/none.css", 404),
        ("GET", "/v1/jobs/none", 404),
        ("GET", "/v1/jobs/none/artifacts/0", 404),
        ("GET", "/problems/none", 404),
        ("PUT", "/", 405),
        ("POST", "/status", 405),
        ("BREW", "/history", 405),
        ("GET", "/v1/jobs?limit=x", 422),
    ],
)
async def test_browser_gets_a_page(
    client: httpx2.AsyncClient, browser: dict[str, str], method: str, path: str, status: int
) -> None:
    """A person who opens an address that is absent, forbidden or wrong gets a page."""
    assert_page(await client.request(method, path, headers=browser), status)


@pytest.mark.parametrize("path", ["/", "/history", "/v1/models/none/none", "/v1/jobs"])
@pytest.mark.parametrize("settings", [{}, {"keys": LINES}], indirect=True, ids=["no keys", "keys"])
async def test_refused_name_is_a_page(client: httpx2.AsyncClient, settings: Settings, path: str) -> None:
    """A refusal before any handler is a page on pages, sign-in included, and OpenAI's shape on OpenAI's paths."""
    headers = {**NAVIGATION, "Host": "rebound.example"}
    answer = await client.get(path, headers=headers)

    if path.startswith("/v1/models"):
        assert_openai(answer, 404, "not-found")
    elif settings.keys is None:
        assert "rebound.example" in assert_page(answer, 403).text
    elif path == "/v1/jobs":
        assert "/login" in [each["href"] for each in assert_page(answer, 401).all("a")]
    else:
        assert answer.headers["Location"].startswith("/login")


async def test_defect_is_a_page(client: httpx2.AsyncClient, state: dict[str, object]) -> None:
    """A defect is a page that names the request id for the operator, and tells nothing of the defect."""
    state["positions"] = Broken()

    for path in ("/", "/v1/queue"):
        answer = await client.get(path, headers={**NAVIGATION, "X-Request-Id": "mine-7"})
        assert "mine-7" in assert_page(answer, 500).text
        assert "secret" not in answer.text


@pytest.mark.parametrize("settings", [{"max_body_bytes": 1024}], indirect=True)
async def test_large_form_is_a_page(client: httpx2.AsyncClient) -> None:
    """A form that is too large, or gives its length twice, is answered by a page that says what is allowed."""
    sent = {"prompt": "x" * 2000}
    assert "1024 bytes" in assert_page(await client.post("/", data=sent, headers=OLD_BROWSER), 413).text
    twice = {**OLD_BROWSER, "Transfer-Encoding": "chunked", "Content-Length": "3"}
    assert "send only one" in assert_page(await client.post("/", content=b"a=b", headers=twice), 400).text


async def test_backend_down_is_a_page(
    client: httpx2.AsyncClient, backends: Backends, catalogue: Catalogue, settings: Settings, state: dict[str, object]
) -> None:
    """With a backend down a browser gets a page with Retry-After, also for a link into the API."""
    state["gateway"] = Gateway(without(backends, "statuses"), catalogue, settings)
    path = "01890a5d-ac96-774b-bcce-b302099a8057"

    for each in (f"/jobs/{path}", f"/v1/jobs/{path}/artifacts/0"):
        answer = await client.get(each, headers=NAVIGATION)
        assert_page(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "*/*"},
        {"Accept": "application/json"},
        {"Accept": "application/json, text/html;q=0.9"},
        {"Accept": "text/html;q=0, */*"},
        {"Accept": "text/html;q=x"},
        {"Accept": "text/html"},
        {"Accept": ACCEPT, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
    ],
    ids=str,
)
async def test_programs_get_problems(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    """A program and a script of a page get a problem, of the API even if the program asks for HTML."""
    for path in ("/v1/jobs/none", *(() if headers == {"Accept": "text/html"} else ("/nowhere",))):
        answer = await client.get(path, headers=headers)
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")
        assert answer.json()["status"] == 404


@pytest.mark.parametrize("accept", ["*/*", "application/json", ACCEPT])
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/chat/completions", 404, "not-found"),
        ("POST", "/v1/images/edits", 404, "not-found"),
        ("POST", "/v1/images/variations", 404, "not-found"),
        ("DELETE", "/v1/models/studio-tiny", 405, "method-not-allowed"),
        ("POST", "/v1//chat//completions", 404, "not-found"),
        ("POST", "/v1/audio/translations", 404, "not-found"),
        ("GET", IMAGES, 405, "method-not-allowed"),
        ("DELETE", "/v1/models", 405, "method-not-allowed"),
        ("BREW", "/v1/videos", 405, "method-not-allowed"),
    ],
)
async def test_openais_routes(
    client: httpx2.AsyncClient, accept: str, method: str, path: str, status: int, code: str
) -> None:
    """A route of OpenAI's that is not served, and a method that is not allowed, are answered in OpenAI's shape."""
    message = assert_openai(await client.request(method, path, headers={"Accept": accept}), status, code)

    assert path in message
    assert (IMAGES in message) is (status == 404 or path == IMAGES)


@pytest.mark.parametrize("settings", [{"max_body_bytes": 1024}], indirect=True)
async def test_openais_middleware(client: httpx2.AsyncClient, state: dict[str, object]) -> None:
    """Refusals of middleware have OpenAI's shape: a body too large or twice long, a defect, another site's page."""
    large = {"prompt": "x" * 2000}
    assert "1024" in assert_openai(await client.post(IMAGES, json=large), 413, "body-too-large")
    twice = {"Transfer-Encoding": "chunked", "Content-Length": "2"}
    assert_openai(await client.post(IMAGES, content=b"{}", headers=twice), 400, "bad-request")
    assert_openai(await client.post(IMAGES, content=b"{}"), 415, "unsupported-media-type")
    assert_openai(await client.post(IMAGES, json=MUG, headers={"Origin": "https://evil.example"}), 403, "other-origin")
    assert_openai(await client.get("/v1/models", headers={"Host": "rebound.example"}), 403, "other-origin")
    state["gateway"] = state["positions"] = Broken()
    for answer in (await client.post(IMAGES, json=MUG), await client.get("/v1/models")):
        assert answer.headers["X-Request-Id"] in assert_openai(answer, 500, "internal-error")


@pytest.mark.parametrize("settings", [{"keys": LINES, "rate_limit": "1/year"}], indirect=True)
async def test_openais_limits(client: httpx2.AsyncClient) -> None:
    """A missing key and a used-up limit have OpenAI's shape on every route, with their headers."""
    for answer in (await client.post(IMAGES, json=MUG), await client.get("/v1/models")):
        assert_openai(answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    answers = [await client.post(IMAGES, content=b"", headers=bearer("alice")) for _ in range(2)]
    assert_openai(answers[1], 429, "too-many-requests")
    assert int(answers[1].headers["Retry-After"]) >= 1


@pytest.mark.parametrize("path", ["/images/generations", "/chat/completions", "/v1/v1/models"])
async def test_base_url_without_version(client: httpx2.AsyncClient, path: str) -> None:
    """A client of OpenAI's with a base URL that lacks /v1, or has it twice, is told so in its shape."""
    assert "with /v1 behind it" in assert_openai(await client.post(path, json={}), 404, "not-found")


@pytest.mark.parametrize("path", ["/openai/v1/images/generations", "/api/v1/chat/completions", "/studio/v1/models/x"])
async def test_base_url_with_another_path(client: httpx2.AsyncClient, path: str) -> None:
    """A client of OpenAI's with a base URL of another program is told in its shape what is there."""
    message = assert_openai(await client.post(path, json={}), 404, "not-found")

    if not path.endswith("completions"):
        assert (
            f"/v1{path.partition('/v1')[2]} is there, below no other path. If a proxy serves this gateway below /"
            in message
        )
    else:
        assert "with /v1 behind it" in message


@pytest.mark.parametrize(("base", "said"), [("/v1", "/v1/chat/completions"), ("", "with /v1 behind it")])
def test_openais_client_says_why(live: LiveGateway, base: str, said: str) -> None:
    """OpenAI's own client raises an error whose message, code and type are ours."""
    with (
        openai.OpenAI(base_url=live.url + base, api_key="unused", max_retries=0) as client,
        pytest.raises(openai.NotFoundError, match=said) as caught,
    ):
        client.chat.completions.create(model="studio-tiny", messages=[])

    assert (caught.value.code, caught.value.type) == ("not-found", "invalid_request_error")


@pytest.mark.parametrize("call", ["skills", "azure", "jobs"])
def test_openais_client_is_told_on_any_path(live: LiveGateway, call: str) -> None:
    """OpenAI's own clients read why, whichever path they make: of a new route, of Azure's, of ours."""
    given = {"api_key": "unused", "max_retries": 0}
    plain = openai.OpenAI(base_url=f"{live.url}/v1", **given)  # type: ignore[arg-type]
    azure = openai.AzureOpenAI(azure_endpoint=live.url, api_version="2024-02-01", **given)  # type: ignore[call-overload]

    def ask() -> object:
        if call == "azure":
            return azure.images.generate(prompt="red mug", model="gpt-image-1")
        return plain.get(f"/{call}/none", cast_to=object)

    with plain, azure, pytest.raises(openai.NotFoundError, match=r" - there is no") as caught:
        ask()

    assert caught.value.code == ("job-not-found" if call == "jobs" else "not-found")
