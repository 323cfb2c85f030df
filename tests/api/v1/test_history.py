"""GET /v1/jobs: whoever asks sees their own jobs and no others."""

import httpx2
import pytest
from starlette.types import ASGIApp

from tests.api.v1.test_jobs import MUG, submit
from tests.support.fakes import FakeWorker
from tests.support.web.visitor import job_id
from tests.support.web.visitor import submit as order

pytestmark = pytest.mark.anyio


def visitor(app: ASGIApp) -> httpx2.AsyncClient:
    """A browser without a past."""
    headers = {"Sec-Fetch-Site": "same-origin"}
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://studio.test", headers=headers)


async def listed(client: httpx2.AsyncClient, **query: str | int) -> list[str]:
    response = await client.get("/v1/jobs", params=query)
    assert response.status_code == 200, response.text
    return [job["id"] for job in response.json()["data"]]


async def test_jobs_are_paged_newest_first(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Every job is listed once, the newest first, as it shows itself; the last page says that it is the last."""
    jobs = [await submit(client) for _ in range(5)]
    await worker.succeed(jobs[0], b"picture")
    pages: list[list[dict[str, object]]] = []
    query: dict[str, str | int] = {"limit": 2}
    while query.get("cursor", "first"):
        page = (await client.get("/v1/jobs", params=query)).json()
        assert page["object"] == "list"
        pages.append(page["data"])
        query["cursor"] = page["next_cursor"]

    assert [job["id"] for page in pages for job in page] == sorted(jobs, reverse=True)
    assert [len(page) for page in pages] == [2, 2, 1]
    for shown in (pages[0][0], pages[-1][-1]):
        assert shown == (await client.get(f"/v1/jobs/{shown['id']}")).json()


async def test_visitors_see_their_own_jobs(app: ASGIApp) -> None:
    """Two visitors of the page and a program each list what they asked for themselves, by page or by JSON."""
    async with visitor(app) as one, visitor(app) as other, visitor(app) as program:
        mine = [job_id(await order(one)), job_id(await order(one, prompt="tea pot"))]
        mine.append(await submit(one))
        theirs = job_id(await order(other))
        again = await other.post(f"/jobs/{mine[0]}/retry", data={"seed": "same"})
        images = await other.post("/v1/images/generations", json={"prompt": "cup", "model": "nope"})
        assert images.status_code == 404
        programs = await submit(program)

        assert await listed(one) == sorted(mine, reverse=True)
        assert await listed(other) == [job_id(again.headers["Location"]), theirs]
        assert await listed(program) == [programs]


@pytest.mark.parametrize("settings", [{"image_wait_seconds": 0}], indirect=True)
async def test_openais_route_makes_a_job_of_the_same_history(client: httpx2.AsyncClient) -> None:
    """A picture ordered by OpenAI's route is listed, and can be canceled, like any other job."""
    answer = await client.post("/v1/images/generations", json={"prompt": "red mug"})
    made = answer.headers["X-Job-Id"]

    assert await listed(client) == [made]
    assert (await client.post(f"/v1/jobs/{made}/cancel")).json()["state"] == "canceled"
    assert (await client.get("/v1/jobs")).json()["data"][0]["state"] == "canceled"


async def test_looking_sets_no_cookie(app: ASGIApp) -> None:
    """Only who submits is given a cookie: for a year, out of reach of scripts, and not for other sites."""
    async with visitor(app) as browser:
        for path in ("/", "/v1/jobs", f"/jobs/{await submit(browser)}"):
            assert "Set-Cookie" not in (await browser.get(path)).headers
        await order(browser)
        form = {"prompt": "tea pot", "token": "another-form"}
        cookie = (await browser.post("/", data=form)).headers["Set-Cookie"]

    name, *attributes = cookie.split("; ")
    assert name.startswith("studio_visitor=")
    assert {text.lower() for text in attributes} == {"httponly", "max-age=31536000", "path=/", "samesite=lax"}


@pytest.mark.parametrize("settings", [{"public_url": "https://studio.example"}], indirect=True)
async def test_cookie_is_secure_where_the_site_is(app: ASGIApp) -> None:
    """With an https public URL the cookie is never sent in the clear."""
    async with visitor(app) as browser:
        answer = await browser.post("/", data={"prompt": "tea pot"})
    assert "Secure" in answer.headers["Set-Cookie"].split("; ")


async def test_first_double_click_makes_one_job_of_one_visitor(app: ASGIApp) -> None:
    """A form sent twice before the cookie arrived leads both times to the same job, and to the same history."""
    form = {"prompt": "tea pot", "token": "a-form-of-this-page"}
    async with visitor(app) as browser, visitor(app) as same:
        first, second = [await each.post("/", data=form) for each in (browser, same)]
        assert first.headers["Location"] == second.headers["Location"]
        assert first.headers["Set-Cookie"] == second.headers["Set-Cookie"]
        assert await listed(browser) == [job_id(first.headers["Location"])]


@pytest.mark.parametrize(
    "forged", ["", "x", "{name}", "{name}.x", "{other}.{signature}", "\xe9.{signature}", "." * 3000]
)
async def test_forged_cookie_is_none(app: ASGIApp, forged: str) -> None:
    """A cookie whose signature is not ours shows nobody's jobs, and is as good as none."""
    async with visitor(app) as browser, visitor(app) as forger:
        await order(browser)
        name, signature = browser.cookies["studio_visitor"].split(".")
        cookie = forged.format(name=name, other="0" * 32, signature=signature)
        headers = {b"Cookie": f"studio_visitor={cookie}".encode("latin-1")}
        response = await forger.get("/v1/jobs", headers=headers)
        assert (response.status_code, response.json()["data"]) == (200, [])
        assert (await forger.post("/v1/jobs", json=MUG, headers=headers)).status_code == 202


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=ten", "limit=+5", "limit=", "cursor=", "cursor=x", "page=2", "limit=1&limit=2"],
)
async def test_what_is_no_page_is_refused(client: httpx2.AsyncClient, query: str) -> None:
    """A limit or cursor that is none, one given twice and one misspelt are 422, naming the parameter."""
    response = await client.get(f"/v1/jobs?{query}")

    assert (response.status_code, response.json()["code"]) == (422, "validation-error")
    assert response.json()["errors"][0]["pointer"] == f"/{query.partition('=')[0]}"


async def test_unchanged_history_is_not_sent_again(client: httpx2.AsyncClient) -> None:
    """The list has an ETag that changes with any of its jobs, and is kept apart by cookie."""
    made = await submit(client)
    first = await client.get("/v1/jobs")
    known = {"If-None-Match": first.headers["ETag"]}
    second = await client.get("/v1/jobs", headers=known)
    await client.post(f"/v1/jobs/{made}/cancel")

    assert (second.status_code, second.headers["Vary"]) == (304, "Authorization, Cookie")
    assert (await client.get("/v1/jobs", headers=known)).status_code == 200
