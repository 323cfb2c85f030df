"""Every response carries a request id and security headers, and every request logs one line."""

import httpx2
import pytest
from structlog.testing import capture_logs

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("given", ["abc-1.2_Z", "x" * 64])
async def test_sane_request_id_is_kept(client: httpx2.AsyncClient, given: str) -> None:
    """A client's own request id comes back."""
    response = await client.get("/livez", headers={"X-Request-Id": given})

    assert response.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\x1b[31m", "<script>"])
async def test_other_request_ids_are_replaced(client: httpx2.AsyncClient, given: str) -> None:
    """A request id that could spoil a log is replaced by a new one each time."""
    first, second = [await client.get("/livez", headers={"X-Request-Id": given}) for _ in range(2)]

    assert first.headers["X-Request-Id"] not in (given, second.headers["X-Request-Id"])
    assert len(first.headers["X-Request-Id"]) == 32


async def test_request_logs_one_line_by_its_route(client: httpx2.AsyncClient) -> None:
    """The access line names the route, not the job, and quotes a path that has no route."""
    with capture_logs() as logs:
        await client.get("/v1/jobs/1")
        await client.get("/a%0d%0ab%1b")

    lines = [entry for entry in logs if entry["event"] == "request finished"]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("GET", "/v1/jobs/{job_id}", 404),
        ("GET", "/a%0D%0Ab%1B", 404),
    ]
    assert all(line["seconds"] >= 0 for line in lines)


async def test_security_headers_are_on_every_response(client: httpx2.AsyncClient) -> None:
    """Answers, errors included, carry a strict policy for browsers and do not name the server."""
    for path in ("/livez", "/v1/models", "/nowhere"):
        headers = (await client.get(path)).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy == {
            "default-src": "'self'",
            "img-src": "'self' blob: data:",
            "media-src": "'self' blob: data:",
            "object-src": "'none'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
            "form-action": "'self'",
        }
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers
        assert "Server" not in headers
