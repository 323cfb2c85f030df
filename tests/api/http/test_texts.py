"""Refusals name the thing, what was got, what is allowed and what to do."""

from typing import Any

import httpx2
import pytest

from services.common.suggestions import nearest
from tests.api.v1.test_jobs import MUG

pytestmark = pytest.mark.anyio

IMAGES = "/v1/images/generations"


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"model": "studio-tny"}, "there is no model 'studio-tny': did you mean 'studio-tiny'? There are "),
        ({"model": "flux"}, "there is no model 'flux'; there are "),
        ({"model": 7}, "there is no model 7; there are "),
        ({"model": ["flux"] * 200}, "there is no model named by a list; there are "),
        ({"model": {}}, "there is no model named by an object; there are "),
        ({"style": "Dark Luxury"}, "did you mean 'dark-luxury'? There are dark-luxury, flat-lay"),
        ({"style": "baroque"}, "there is no style 'baroque'; there are dark-luxury"),
        ({"num_inference_steps": 4}, "unknown field: did you mean steps? Known are "),
        ({"n": 2}, "did you mean num_images?"),
        ({"cfg_scale": 2}, "did you mean guidance?"),
        ({"negativePrompt": ""}, "did you mean negative_prompt?"),
        ({"sampler": "euler"}, "unknown field; known are guidance, height"),
        ({"steps": 0}, "must be at least 1, not 0"),
        ({"steps": "many"}, "must be a whole number, not 'many'"),
        ({"guidance": 99}, "must be at most 30, not 99"),
        ({"width": 100}, "must be a multiple of 8, not 100"),
        ({"prompt": ""}, "must have at least 1 characters, not 0"),
        ({"prompt": " \t"}, "must have a character that shows, not ' \\t'"),
        ({"prompt": ["a"]}, "must be text, not a list"),
        ({"reproducibility": "loose"}, "must be 'strict', not 'loose'"),
    ],
)
async def test_faults_say_what_to_do(client: httpx2.AsyncClient, changes: dict[str, Any], detail: str) -> None:
    """Each fault of a job says what was got and what is allowed, and names a field or model only if it may be meant."""
    problem = (await client.post("/v1/jobs", json={**MUG, **changes})).json()

    assert problem["code"] == "validation-error"
    assert detail in problem["errors"][0]["detail"]
    assert detail in problem["detail"]


@pytest.mark.parametrize(
    ("field", "near"), [("steps", "num_inference_steps"), ("guidance", "guidance_scale"), ("width", "size")]
)
async def test_our_names_on_openais_route(client: httpx2.AsyncClient, field: str, near: str) -> None:
    """Our name of a parameter on OpenAI's route is answered with theirs, and never with a style."""
    answer = await client.post(IMAGES, json={"prompt": "mug", field: 64})

    assert f"did you mean {near}?" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("steps", ["style", "size"], None),
        ("stpes", ["style", "steps"], "steps"),
        ("Guidance-Scale", ["guidance_scale"], "guidance_scale"),
        ("sd15", ["sd21", "sdxl"], None),
        ("", ["steps"], None),
    ],
)
def test_nearest_is_near(name: str, known: list[str], found: str | None) -> None:
    """A name is suggested for a slip of the keyboard or another word for it, and not because a few letters agree."""
    assert nearest(name, known) == found


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/job", "did you mean /v1/jobs?"),
        ("/histroy", "did you mean /history?"),
        ("/zzz", "/docs lists every operation"),
        ("/problems/queue_full", "did you mean 'queue-full'?"),
        ("/v1/jobs/none", "check the id"),
        ("/v1/jobs/", "/v1/jobs is there, without a slash at its end"),
        ("/jobs/none/", "/jobs/none is there, without a slash at its end"),
        ("/v1/images/generations/", "/v1/images/generations is there, without a slash at its end"),
    ],
)
async def test_missing_paths_name_the_nearest(client: httpx2.AsyncClient, path: str, said: str) -> None:
    """A 404 names the path that was asked for, and the one that may be meant."""
    told = (await client.get(path)).json()
    detail = told["error"]["message"] if "error" in told else told["detail"]

    assert said in detail
    assert path.rpartition("/")[2] in detail


@pytest.mark.parametrize(
    ("headers", "content", "said"),
    [
        ({"Content-Type": "text/plain"}, b"{}", "the Content-Type is 'text/plain': send the body as application/json"),
        ({}, b"{}", "there is no Content-Type"),
        ({"Content-Type": "application/json; charset=latin-1"}, b"{}", "charset is latin-1"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"{}", "Content-Encoding is 'gzip'"),
        ({"Content-Type": "application/json"}, b"", "the body is empty: send a JSON object"),
        ({"Content-Type": "application/json"}, b"{'a': 1}", "the body is no JSON: "),
        ({"Content-Type": "application/json"}, b"[]", "the body: must be a JSON object, not a list"),
        ({"Content-Type": "application/json", "Idempotency-Key": '""'}, b"{}", "is no key: send one of 1 to 255"),
    ],
)
async def test_unreadable_bodies(
    client: httpx2.AsyncClient, headers: dict[str, str], content: bytes, said: str
) -> None:
    """A body that cannot be read is told by what was got."""
    assert said in (await client.post("/v1/jobs", content=content, headers=headers)).json()["detail"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/jobs?limit=ten", "must be a whole number, in digits, not 'ten'"),
        ("/v1/jobs?limit=1000", "must be at most 100, not "),
        ("/v1/jobs?limit=1&limit=2", "is given more than once"),
        ("/v1/jobs?cursor=x", "'x' is not valid here: The `next_cursor` of the page before"),
        ("/v1/jobs?page=2", "unknown field; known are cursor, limit, owner"),
    ],
)
async def test_queries(client: httpx2.AsyncClient, path: str, said: str) -> None:
    """A query is told what it may hold."""
    assert said in (await client.get(path)).json()["detail"]
