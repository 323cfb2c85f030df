"""Scripts of listed sites may use the API, and no other sites' scripts."""

import httpx2
import pytest

from services.api.middleware.cors import listed_origins
from tests.api.v1.test_jobs import submit
from tests.support.api_keys import LINES, bearer, key_of
from tests.support.fakes import FakeWorker, stored_image

pytestmark = pytest.mark.anyio

LISTED, STRANGE = "https://shop.example.com", "https://evil.example.com"
listing = pytest.mark.parametrize("settings", [{"cors_origins": f"{LISTED}/, http://localhost:5173"}], indirect=True)


def of(origin: str) -> dict[str, str]:
    """Return the headers that a browser sends for a script on that site."""
    return {"Origin": origin, "Sec-Fetch-Site": "cross-site"}


@listing
async def test_listed_site_may_use_the_api(client: httpx2.AsyncClient) -> None:
    """A listed site's preflight succeeds, its job is accepted, and its scripts may read the answers and refusals."""
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    allowed = await client.options("/v1/jobs", headers={**of(LISTED), **asking})
    assert allowed.status_code == 200
    assert "POST" in allowed.headers["Access-Control-Allow-Methods"]
    taken = await client.post("/v1/jobs", json={"prompt": "mug"}, headers=of(LISTED))
    assert taken.status_code == 202
    missing = await client.get("/v1/jobs/none", headers=of("http://localhost:5173"))
    assert missing.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
    for answer in (allowed, taken):
        assert answer.headers["Access-Control-Allow-Origin"] == LISTED
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Retry-After" in taken.headers["Access-Control-Expose-Headers"]


@listing
async def test_listed_site_has_no_forms_here(client: httpx2.AsyncClient) -> None:
    """The form of the first page is refused even from a listed site."""
    assert (await client.post("/", data={"prompt": "mug"}, headers=of(LISTED))).status_code == 403


@pytest.mark.parametrize("settings", [{}, {"cors_origins": LISTED}], indirect=True, ids=["none listed", "another"])
async def test_other_sites_may_not(client: httpx2.AsyncClient) -> None:
    """A site that is not listed can change nothing, and its scripts may read no answer."""
    asking = {"Access-Control-Request-Method": "POST"}
    answers = [
        await client.options("/v1/jobs", headers={**of(STRANGE), **asking}),
        await client.post("/v1/jobs", json={"prompt": "mug"}, headers=of(STRANGE)),
        await client.get("/v1/models", headers=of(STRANGE)),
    ]
    assert [answer.status_code >= 400 for answer in answers] == [True, True, False]
    assert not any("Access-Control-Allow-Origin" in answer.headers for answer in answers)


@pytest.mark.parametrize(
    "settings",
    [{}, {"cors_origins": LISTED}, {"keys": LINES, "cors_origins": LISTED}],
    indirect=True,
    ids=["none listed", "another", "keys"],
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/images/generations", "/nowhere"])
async def test_refused_preflight_says_why(client: httpx2.AsyncClient, path: str) -> None:
    """A developer whose site is not listed reads which setting lists it, in the shape of the route."""
    asking = {"Access-Control-Request-Method": "POST"}
    answer = await client.options(path, headers={**of(STRANGE), **asking})

    told = answer.json()["error"]["message"] if "images" in path else answer.json()["detail"]
    assert answer.status_code == 405
    assert STRANGE in told
    assert "STUDIO_CORS_ORIGINS" in told


async def test_question_for_methods_is_no_preflight(client: httpx2.AsyncClient) -> None:
    """OPTIONS of a program is answered with the methods there are."""
    answer = await client.options("/v1/jobs")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize("settings", [{"keys": LINES, "cors_origins": LISTED}], indirect=True)
async def test_listed_site_has_no_part_in_a_session(client: httpx2.AsyncClient) -> None:
    """A script of a listed site changes nothing by the cookie of a person, which browsers send to related names."""
    signed_in = await client.post("/login", data={"key": key_of("alice")})
    assert signed_in.status_code == 303
    job = (await client.post("/v1/jobs", json={"prompt": "mug"}, headers=bearer("alice"))).json()["id"]
    site = {"Origin": LISTED, "Sec-Fetch-Site": "same-site"}

    refused = await client.post(f"/v1/jobs/{job}/cancel", headers=site)
    assert (refused.status_code, refused.json()["code"]) == (403, "other-origin")
    by_key = await client.post(f"/v1/jobs/{job}/cancel", headers={**site, **bearer("alice")})
    assert by_key.status_code == 202


@pytest.mark.parametrize(
    ("listed", "sent"),
    [
        ("HTTPS://Shop.Example.com:443", LISTED),
        ("https://müller.example/", "https://xn--mller-kva.example"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:5173", "http://[::1]:5173"),
    ],
)
def test_origins_are_spelt_as_browsers_do(listed: str, sent: str) -> None:
    """Capital letters, the port of the scheme and letters outside ASCII are written as browsers send them."""
    assert listed_origins(listed) == (sent,)


NO_ORIGINS = (
    *("*", "shop.example.com", "https://shop.example.com/page", "file:///", "https://*.example.com", "https://"),
    *("https://key@shop.example.com", "https://shop.example.com:port", "https://[::1", "null"),
)


@pytest.mark.parametrize("listed", NO_ORIGINS)
def test_what_is_no_origin_is_refused(listed: str) -> None:
    """Patterns, bare names, and URLs with a path, a user or another scheme are refused as origins."""
    with pytest.raises(ValueError, match="STUDIO_CORS_ORIGINS"):
        listed_origins(listed)


SDK_HEADERS = (
    *("authorization", "content-type", "accept", "idempotency-key", "openai-organization", "openai-project"),
    *(f"x-stainless-{name}" for name in ("arch", "lang", "os", "package-version", "runtime", "runtime-version")),
    *(f"x-stainless-{name}" for name in ("async", "helper-method", "read-timeout", "retry-count", "timeout")),
)
TRACING_HEADERS = ("traceparent", "tracestate", "baggage", "b3", "sentry-trace", "x-request-id")


@listing
@pytest.mark.parametrize("sent", [SDK_HEADERS, TRACING_HEADERS, ("X-Of-Tomorrow",)], ids=["sdk", "tracing", "new"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/images/generations"), ("GET", "/v1/models"), ("HEAD", "/v1/jobs/x/artifacts/0")]
)
async def test_preflights_of_clients(client: httpx2.AsyncClient, sent: tuple[str, ...], method: str, path: str) -> None:
    """A listed site's script may send the headers of OpenAI's clients, of tracers and of clients to come."""
    asking = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": ",".join(sent)}
    private = {"Access-Control-Request-Private-Network": "true"}
    allowed = await client.options(path, headers={**of(LISTED), **asking, **private})
    assert allowed.status_code == 200, allowed.text
    assert allowed.headers["Access-Control-Allow-Origin"] == LISTED
    named = {name.strip().lower() for name in allowed.headers["Access-Control-Allow-Headers"].split(",")}
    assert {name.lower() for name in sent} <= named
    assert allowed.headers["Access-Control-Allow-Private-Network"] == "true"

    refused = await client.options(path, headers={**of(STRANGE), **asking, **private})
    assert refused.status_code == 405
    assert not any(name.startswith("access-control-") for name in refused.headers)


@listing
@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        (of(LISTED), True),
        ({"Referer": f"{LISTED}/cart?id=1", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}, True),
        ({"Referer": "http://localhost:5173/"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}, True),  # a page that hides its name
        (of(STRANGE), False),
        ({"Referer": f"{STRANGE}/page", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Referer": f"{LISTED}.evil.example.com/"}, False),
        ({"Referer": "http://[broken"}, False),
        ({"Origin": "null"}, False),
    ],
)
async def test_images_may_be_embedded(
    client: httpx2.AsyncClient, worker: FakeWorker, headers: dict[str, str], shown: bool
) -> None:
    """Pages of listed sites may show images, whole or in another format, and pages of others may not."""
    job_id = await submit(client)
    await worker.succeed(job_id, stored_image())
    path = f"/v1/jobs/{job_id}/artifacts/0.png"
    etag = (await client.get(path)).headers["ETag"]
    answers = [
        await client.get(path, headers=headers),
        await client.head(path, headers=headers),
        await client.get(f"{path}?max_side=16", headers=headers),
        await client.get(path, headers={**headers, "If-None-Match": etag}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 304]
    policies = {answer.headers["Cross-Origin-Resource-Policy"] for answer in answers}
    assert policies == {"cross-origin" if shown else "same-origin"}
    assert all("Referer" in answer.headers["Vary"] for answer in answers)
    allowed = headers.get("Origin") if shown else None
    assert {answer.headers.get("Access-Control-Allow-Origin") for answer in answers} == {allowed}


@listing
async def test_previews_may_be_embedded_and_the_rest_may_not(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A preview may be shown as well; answers that are no images stay with their own site."""
    job_id = await submit(client)
    await worker.show(job_id, b"preview")
    page = {"Referer": f"{LISTED}/"}
    preview, job = [await client.get(f"/v1/jobs/{job_id}{rest}", headers=page) for rest in ("/preview", "")]
    assert preview.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert job.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_no_listed_site_no_embedding(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Without listed sites no other site's page may show an image."""
    job_id = await submit(client)
    await worker.succeed(job_id, stored_image())
    answer = await client.get(f"/v1/jobs/{job_id}/artifacts/0", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
