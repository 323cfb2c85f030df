"""How errors look to clients, and what they do not show."""

from typing import NoReturn

import httpx2
import pytest
from structlog.testing import capture_logs

from services.api.core.gateway import Gateway
from services.api.http.problems import KINDS
from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue
from services.common.errors import BackendUnavailable
from services.common.settings import Settings
from tests.api.v1.test_jobs import MUG
from tests.support.fake_backends import without

pytestmark = pytest.mark.anyio


async def test_fault_names_what_was_got_and_what_is_allowed(client: httpx2.AsyncClient) -> None:
    """A refused request says for every fault where it is, what was got and what is allowed."""
    response = await client.post("/v1/jobs", json={"prompt": "a mug", "steps": 1000, "hieght": 64})

    problem = response.json()
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == "/v1/jobs"
    assert {error["pointer"] for error in problem["errors"]} == {"/steps", "/hieght"}
    by_pointer = {error["pointer"]: error for error in problem["errors"]}
    assert by_pointer["/steps"]["got"] == 1000
    assert "150" in str(by_pointer["/steps"]["allowed"])
    assert "height" in by_pointer["/hieght"]["detail"]


@pytest.mark.parametrize("code", sorted(KINDS))
async def test_every_problem_type_resolves(client: httpx2.AsyncClient, code: str) -> None:
    """The type URI of every problem answers with what it means."""
    response = await client.get(f"/problems/{code}")

    assert response.status_code == 200
    assert response.json()["type"] == f"/problems/{code}"
    assert response.json()["title"]


async def test_unknown_problem_is_not_found(client: httpx2.AsyncClient) -> None:
    """A problem type nobody uses is 404."""
    assert (await client.get("/problems/no-such")).status_code == 404


class BrokenGateway:
    """A gateway with a defect."""

    async def wait(self, job_id: str, seconds: float) -> NoReturn:
        raise RuntimeError("secret")


async def test_defect_is_logged_once_and_hidden(client: httpx2.AsyncClient, state: dict[str, object]) -> None:
    """A defect answers 500 without a word of it, and is logged once with its traceback and the request id."""
    state["gateway"] = BrokenGateway()

    with capture_logs() as logs:
        response = await client.get("/v1/jobs/1", headers={"X-Request-Id": "mine"})

    assert (response.status_code, response.json()["code"]) == (500, "internal-error")
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["X-Request-Id"] == response.json()["request_id"] == "mine"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "secret" not in response.text
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["unexpected error"]


@pytest.mark.parametrize("down", ["broker", "statuses"])
async def test_backend_down_is_503(
    client: httpx2.AsyncClient,
    backends: Backends,
    catalogue: Catalogue,
    settings: Settings,
    state: dict[str, object],
    down: str,
) -> None:
    """With a backend down a submit is 503 with Retry-After, and its address stays with us."""
    state["gateway"] = Gateway(without(backends, down), catalogue, settings)

    response = await client.post("/v1/jobs", json=MUG)

    assert response.status_code == 503
    assert response.json()["code"] in ("backend-unavailable", "not-accepted")
    assert int(response.headers["Retry-After"]) > 0
    assert "secret-host" not in response.text


class ForgetfulGateway(Gateway):
    """A gateway whose status store stops answering once a job is accepted."""

    async def wait(self, job_id: str, seconds: float) -> NoReturn:
        raise BackendUnavailable("statuses", "gone")


async def test_accepted_job_is_never_reported_as_refused(
    client: httpx2.AsyncClient, backends: Backends, catalogue: Catalogue, settings: Settings, state: dict[str, object]
) -> None:
    """A client waiting while the status store goes down still gets its 202."""
    state["gateway"] = ForgetfulGateway(backends, catalogue, settings)

    response = await client.post("/v1/jobs", json=MUG, headers={"Prefer": "wait=5"})

    assert response.status_code == 202
    assert response.json()["state"] == "queued"
