"""Nothing that a request contains keeps the event loop from other requests, or makes a long answer."""

import base64
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.http.headers import MOST_HEADERS
from services.api.http.requests.json_body import MOST_VALUES
from services.api.http.requests.query import MOST_PARAMETERS
from services.common.catalogue.catalogue import Catalogue
from services.common.param_faults import FAULTS
from tests.api.conftest import embedded_settings
from tests.api.v1.test_jobs import MUG
from tests.fuzz.cost import Cost, CostMeter
from tests.fuzz.heavy import ANSWER_BYTES, BUSY_SECONDS, cost_of
from tests.fuzz.heavy_requests import HeavyRequest, HeavyRequests
from tests.support.api_keys import LINES
from tests.support.fakes import FakeWorker
from tests.support.live_server import LiveGateway

pytestmark = pytest.mark.anyio

JOBS, IMAGES, HOME, RETRY, LOGIN = "/v1/jobs", "/v1/images/generations", "/", "/jobs/{job_id}/retry", "/login"
JSON, FORM, MULTIPART = "application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Iterator[CostMeter]:
    """A gateway with the default limits of bodies."""
    settings = embedded_settings(tmp_path_factory.mktemp("heavy"), image_wait_seconds=0)
    with LiveGateway(settings, catalogue) as live, CostMeter(live).running() as running:
        yield running


def heavy(method: str, path: str, kind: str) -> HeavyRequest:
    parts = {"job_id": "0" * 32, "input_id": "none", "index": "0", "message_id": "none"}
    parts |= {"code": "none", "model": "none"}
    requests = HeavyRequests([(method, path)], parts).each_kind()
    return next(each for each in requests if each.kind == kind)


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        *[
            ("POST", route, f"{JSON}: {kind}")
            for route in (JOBS, IMAGES)
            for kind in (
                "unknown members",
                "misspelt members",
                "members of null",
                "members twice",
                "list of lists",
                "list of objects",
                "list of floats",
                "list of texts",
                "open lists",
                "no JSON at all",
                "one long name",
                "names of slashes",
                "long numbers",
                "all fields long",
                "long look",
                "text of commas",
                "text of backslashes",
                "text of surrogates",
            )
        ],
        *[
            ("POST", route, f"{FORM}: {kind}")
            for route in (HOME, LOGIN)
            for kind in (
                "many fields",
                "ampersands",
                "long field",
                "long field of escapes",
                "fields of quotes",
            )
        ],
        ("POST", HOME, "header: parameters"),
        ("POST", HOME, f"{MULTIPART}: many parts"),
        ("POST", HOME, f"{MULTIPART}: part of dashes"),
        ("GET", HOME, "query: quotes in prompt"),
        ("GET", "/login", "query: quotes in next"),
        ("GET", JOBS, "query: many parameters"),
        ("GET", JOBS, "query: misspelt names"),
        ("GET", HOME, "header: cookie of quotes"),
        ("GET", JOBS, "header: many headers"),
        ("GET", JOBS, "header: weights"),
        ("GET", "/v1/jobs/{job_id}", "job_id: control characters"),
        ("GET", "/v1/dead-letters/{message_id}", "message_id: control characters"),
        ("GET", "/problems/{code}", "code: wide"),
    ],
)
def test_heavy_request(meter: CostMeter, method: str, path: str, kind: str) -> None:
    """A request of this kind, as large as it may be, costs the loop less than 50 ms and is answered in 64 KB."""
    cost: Cost = cost_of(meter, heavy(method, path, kind))

    assert cost.answer.status in range(200, 505)
    assert cost.busy < BUSY_SECONDS
    assert cost.answer_bytes < ANSWER_BYTES


@pytest.mark.parametrize("count", [FAULTS, FAULTS + 1, 200])
async def test_faults_are_told_up_to_a_number(client: httpx2.AsyncClient, count: int) -> None:
    """A refusal tells the first ten faults, and how many more there are."""
    answer = await client.post(JOBS, json={**MUG, **{f"unknown{number}": 1 for number in range(count)}})

    problem = answer.json()
    assert (answer.status_code, len(problem["errors"])) == (422, FAULTS)
    assert problem.get("more_errors", 0) == count - FAULTS
    assert problem["detail"].endswith(f"; and {count - FAULTS} more") == (count > FAULTS)


async def test_faults_on_openais_route(client: httpx2.AsyncClient) -> None:
    """OpenAI's clients read in the message how many more faults there are."""
    answer = await client.post(IMAGES, json={**MUG, **{f"unknown{number}": 1 for number in range(50)}})

    message = answer.json()["error"]["message"]
    assert message.count("unknown field") == FAULTS
    assert message.endswith(f"And {50 - FAULTS} more faults")


@pytest.mark.parametrize(
    "body",
    [
        {f"unknown{number}": 1 for number in range(MOST_VALUES + 1)},
        {"prompt": [""] * MOST_VALUES},
        {"prompt": [{}] * MOST_VALUES},
        {"prompt": ['\\"', "\\\\"] * MOST_VALUES},
        [1] * MOST_VALUES,
    ],
    ids=["members", "texts", "objects", "quotes", "list"],
)
async def test_body_of_many_values(client: httpx2.AsyncClient, body: object) -> None:
    """A body with more values than any request has is refused as a whole."""
    problem = (await client.post(JOBS, json=body)).json()

    assert (problem["code"], [error["pointer"] for error in problem["errors"]]) == ("validation-error", [""])
    assert f"more than {MOST_VALUES} values" in problem["detail"]


@pytest.mark.parametrize("unit", [",", "[", "{", '"', "\\", '\\",', '",[{'])
async def test_text_is_not_counted_as_values(client: httpx2.AsyncClient, unit: str) -> None:
    """The longest prompt is accepted whatever its characters are, and comes back as it was sent."""
    prompt = (unit * 1000)[:1000]

    answer = await client.post(JOBS, json={"prompt": prompt})

    assert (answer.status_code, answer.json()["params"]["prompt"]) == (202, prompt)


async def test_many_headers(client: httpx2.AsyncClient) -> None:
    """A request with more than a hundred headers is 431, one with a hundred is answered."""
    there = len(client.build_request("GET", JOBS).headers)

    def sending(count: int) -> dict[str, str]:
        return {f"X-{number}": "a" for number in range(count - there)}

    assert (await client.get(JOBS, headers=sending(MOST_HEADERS))).status_code == 200
    refused = await client.get(JOBS, headers=sending(MOST_HEADERS + 1))
    assert (refused.status_code, refused.json()["code"]) == (431, "too-many-headers")


async def test_many_cookies(client: httpx2.AsyncClient) -> None:
    """Cookies do not count, although HTTP/2 may have a header for each."""
    cookies = [("cookie", f"shop-{number}=a") for number in range(2 * MOST_HEADERS)]
    assert (await client.get(JOBS, headers=cookies)).status_code == 200


@pytest.mark.parametrize("path", [JOBS, "/history", "/login", "/nowhere"])
async def test_many_parameters(client: httpx2.AsyncClient, path: str) -> None:
    """A query of more than a hundred parameters is 414 on every route, and one of a hundred is read."""
    read = await client.get(f"{path}?{'&'.join(['cursor=a'] * MOST_PARAMETERS)}")
    refused = await client.get(f"{path}?{'&'.join(['cursor=a'] * (MOST_PARAMETERS + 1))}")

    assert read.status_code != 414
    assert (refused.status_code, refused.json()["code"]) == (414, "too-many-parameters")


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"Accept": "a/b," * 40 + "text/html"}, "text/html; charset=utf-8"),
        ({"Accept": "a/b," * 60 + "text/html"}, "application/problem+json"),
    ],
)
async def test_long_lists_in_headers(client: httpx2.AsyncClient, headers: dict[str, str], told: str) -> None:
    """The first fifty of a list of media types count."""
    assert (await client.get("/nowhere", headers=headers)).headers["Content-Type"] == told


@pytest.mark.parametrize(("before", "applied"), [(40, "wait=0"), (60, None)])
async def test_many_preferences(client: httpx2.AsyncClient, before: int, applied: str | None) -> None:
    """The first fifty of a list of preferences count."""
    answer = await client.post(JOBS, json=MUG, headers={"Prefer": "a," * before + "wait=0"})

    assert answer.headers.get("Preference-Applied") == applied


@pytest.mark.parametrize("size", [1, 511])
@pytest.mark.parametrize("path", [JOBS, HOME, "/nowhere"])
async def test_body_in_crumbs(client: httpx2.AsyncClient, path: str, size: int) -> None:
    """A body in thousands of small pieces is refused, or left unread where no handler reads it."""
    read = 0

    async def crumbs() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(1_900):
            read += 1
            yield b" " * size

    kind = {"Content-Type": FORM if path == HOME else JSON, "Transfer-Encoding": "chunked"}
    answer = await client.post(path, content=crumbs(), headers=kind)

    assert answer.status_code == (404 if path == "/nowhere" else 400)
    assert path == "/nowhere" or "in more than 1000 pieces" in answer.text
    assert read < 1_100


async def test_body_in_packets(client: httpx2.AsyncClient) -> None:
    """A body in the smallest packets of a network is read to its end."""

    async def packets() -> AsyncIterator[bytes]:
        for _ in range(1_800):
            yield b" " * 536
        yield b'{"prompt": "a mug"}'

    kind = {"Content-Type": JSON, "Transfer-Encoding": "chunked"}

    assert (await client.post(JOBS, content=packets(), headers=kind)).status_code == 202


async def test_typed_text_is_kept(client: httpx2.AsyncClient) -> None:
    """A text a little too long stays in the form, and of one much too long as much as people can shorten."""
    for length in (1001, 1500, 10_000):
        page = await client.post("/", data={"prompt": "é" * length})
        assert page.status_code == 422
        assert f"This is {length} characters long" in page.text
        assert page.text.count("é") == min(length, 2000)


async def test_form_that_is_too_large(client: httpx2.AsyncClient) -> None:
    """A form larger than any of ours is 413."""
    page = await client.post("/", data={"prompt": "a" * 200_000})

    assert page.status_code == 413


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (
            f"{MULTIPART}; a={'b' * 1000}",
            '--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nmug\r\n--b--\r\n',
        ),
        (FORM, "prompt=mug" + "&" * 65),
        (FORM, "prompt=mug" + "&a=1" * 32),
    ],
    ids=["type", "ampersands", "fields"],
)
async def test_form_of_no_browser(client: httpx2.AsyncClient, kind: str, body: str) -> None:
    """A form that no browser sends is 400: with a long Content-Type, or with more fields than any of ours has."""
    assert (await client.post("/", content=body, headers={"Content-Type": kind})).status_code == 400


@pytest.mark.parametrize(
    "path", ["/v1/jobs/{}", "/v1/jobs/{}/artifacts/0", "/v1/dead-letters/{}", "/problems/{}", "/{}"]
)
async def test_paths_are_quoted_in_part(app: ASGIApp, path: str) -> None:
    """A refusal quotes the beginning of a long path."""
    transport = httpx2.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        problem = (await client.get(path.format("%00" * 3000))).json()

    assert problem["status"] == 404
    assert len(problem["detail"]) < 1500


@pytest.mark.parametrize("digits", [38, 600])
async def test_numbers_are_given_back_in_part(client: httpx2.AsyncClient, digits: int) -> None:
    """A number of hundreds of digits is not given back; the sentence about it has the first ones."""
    [error] = (await client.post(JOBS, json={**MUG, "seed": 10**digits})).json()["errors"]

    assert ("got" in error) == (digits < 40)
    assert str(10**digits)[:30] in error["detail"]


async def test_cursor_of_no_page(client: httpx2.AsyncClient) -> None:
    """A cursor that no page gave leads to the first page, and not into a link."""
    answer = await client.get(f"/history?cursor={'a' * 3000}")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/history")


@pytest.mark.parametrize("settings", [{"keys": LINES}], indirect=True)
@pytest.mark.parametrize(("length", "led"), [(1900, "/history%3F"), (3000, "/")])
async def test_long_address_after_signing_in(client: httpx2.AsyncClient, length: int, led: str) -> None:
    """Signing in leads back to the page that was asked for, or from an address of thousands of characters home."""
    answer = await client.get(f"/history?{'a' * length}")

    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"/login?next={led.replace('/', '%2F')}")
    assert len(answer.headers["Location"]) < 2100


@pytest.mark.parametrize(
    ("cookies", "shown"),
    [
        ("studio_visitor={visitor}", True),
        ("theme=dark; studio_visitor={visitor}; _ga=1", True),
        (" studio_visitor = {visitor} ;;=;a", True),
        ("studio_visitor=old.x; studio_visitor={visitor}", True),
        ("studio_visitor={visitor}; studio_visitor=old.x", False),
        ("xstudio_visitor={visitor}", False),
    ],
)
async def test_cookie_among_others(client: httpx2.AsyncClient, cookies: str, shown: bool) -> None:
    """A visitor is known by the last cookie of that name, whatever other cookies the browser sends."""
    made = await client.post("/", data={"prompt": "vase", "token": "t" * 20})
    visitor = made.cookies["studio_visitor"]
    client.cookies.clear()

    page = await client.get("/history", headers={"Cookie": cookies.format(visitor=visitor)})

    assert (made.headers["Location"] in page.text) is shown


async def test_large_images_are_sent_in_pieces(app: ASGIApp, worker: FakeWorker) -> None:
    """Images of many megabytes are answered whole, in pieces between which other requests are served."""
    files = [b"\0" * (8_000_000 + number) for number in range(3)]
    sent: list[int] = []

    async def noting_app(scope: Scope, receive: Receive, send: Send) -> None:
        async def noting_send(message: Message) -> None:
            sent.append(len(message.get("body", b"")))
            await send(message)

        await app(scope, receive, noting_send)

    transport = httpx2.ASGITransport(noting_app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://studio.test") as client:
        async with worker.finishing(*files):
            answer = await client.post(IMAGES, json=MUG)

    assert answer.status_code == 200
    assert [base64.b64decode(image["b64_json"]) for image in answer.json()["data"]] == files
    assert sum(sent) == len(answer.content) == int(answer.headers["Content-Length"])
    assert max(sent) < 200_000
