"""Scripts of listed sites may use the API, and no other sites' scripts."""

import httpx2
import pytest

from services.api.middleware.cors import listed_origins

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
    assert (await client.post("/", data={"product": "mug"}, headers=of(LISTED))).status_code == 403


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


@pytest.mark.parametrize("listed", ["*", "shop.example.com", "https://shop.example.com/page", "file:///"])
def test_what_is_no_origin_is_refused(listed: str) -> None:
    """`*`, a bare name, a URL with a path and a file URL are refused as origins."""
    with pytest.raises(ValueError, match="STUDIO_CORS_ORIGINS"):
        listed_origins(listed)
