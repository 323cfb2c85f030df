"""Requests of OpenAI's clients: defaults in every spelling are taken, all else is refused by its name."""

import asyncio
import json
from typing import Any

import httpx2
import pytest

from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue
from tests.support.fakes import FakeWorker, stored_image

pytestmark = pytest.mark.anyio

IMAGES = "/v1/images/generations"
# What asks for nothing but the default.
DEFAULTS: list[dict[str, Any]] = [
    {"quality": "auto"},
    {"quality": "standard"},
    {"background": "auto"},
    {"background": "opaque"},
    {"moderation": "auto"},
    {"moderation": "low"},
    {"user": "user-1234"},
    {"safety_identifier": "b1946ac92492d2347c6235b4d2611184"},
    {"stream": False},
    {"partial_images": 0},
    {"size": "auto"},
    {"output_compression": 100},
    {"output_format": "webp", "output_compression": 100},
    {"n": 1},
    # Fields that other clients fill with null, known here or not.
    {"style": None},
    dict.fromkeys(["model", "n", "size", "response_format", "output_format", "output_compression", "stream"]),
    dict.fromkeys(["quality", "background", "moderation", "partial_images", "user", "safety_identifier", "seed"]),
    dict.fromkeys(["svg", "frame_count", "frame_duration_ms", "complexity", "mask", "tomorrow"]),
]
# What asks for something else: the field, and a word of what is allowed.
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"quality": "hd"}, "quality", "standard"),
    ({"quality": "xhigh"}, "quality", "auto"),
    ({"quality": 7}, "quality", "auto"),
    ({"background": "transparent"}, "background", "opaque"),
    ({"moderation": "off"}, "moderation", "low"),
    ({"stream": True}, "stream", "false"),
    ({"stream": 0}, "stream", "false"),
    ({"partial_images": 2}, "partial_images", "0"),
    ({"user": 5}, "user", "text"),
    ({"safety_identifier": ["a"]}, "safety_identifier", "text"),
    ({"output_format": "gif"}, "output_format", "webp"),
    ({"output_format": "svg"}, "output_format", "jpeg"),
    ({"output_compression": 50}, "output_compression", "100"),
    ({"response_format": "base64"}, "response_format", "b64_json"),
    ({"n": 0}, "n", "1"),
    ({"n": 11}, "n", "4 images, not 11: send several requests for more"),
    ({"n": -1}, "n", "1 to 4"),
    ({"n": 5}, "n", "several requests"),
    ({"n": True}, "n", "whole number"),
    ({"size": "big"}, "size", "512x512"),
    ({"size": "65x64"}, "size", "multiple of"),
    ({"style": "vivid"}, "style", "dark-luxury"),
    ({"svg": {"model": "gpt-5"}}, "svg", "prompt"),
    ({"frame_count": 4}, "frame_count", "output_format"),
    ({"qualty": "auto"}, "qualty", "quality"),
    ({"a/b~c": 1}, "a/b~c", "prompt"),
    ({"num_inference_steps": 151}, "num_inference_steps", "150"),
    ({"prompt": None}, "prompt", "required"),
    ({"prompt": "x" * 1001}, "prompt", "1000"),
]


@pytest.mark.parametrize("given", DEFAULTS, ids=str)
async def test_defaults_are_taken(
    client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends, given: dict[str, Any]
) -> None:
    """A value that means the default, and a null, make the same job as leaving the field out."""
    async with worker.finishing(stored_image()):
        answer = await client.post(IMAGES, json={"prompt": "red mug", **given})

    assert answer.status_code == 200, answer.text
    job = (await client.get(f"/v1/jobs/{answer.headers['X-Job-Id']}")).json()
    assert {name: job["params"][name] for name in ("prompt", "num_images")} == {"prompt": "red mug", "num_images": 1}
    assert "style" not in job["params"]


@pytest.mark.parametrize(("given", "param", "allowed"), REFUSED, ids=[str(row[0])[:60] for row in REFUSED])
async def test_what_cannot_be_had_is_refused_by_name(
    client: httpx2.AsyncClient, given: dict[str, Any], param: str, allowed: str
) -> None:
    """A value that asks for something else is a 400 that names the field, what was got and what is allowed."""
    answer = await client.post(IMAGES, json={"prompt": "red mug", **given})

    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (400, "invalid_request_error", "validation-error")
    assert error["param"] == param
    assert error["message"].startswith(f"{param}: ")
    assert allowed in error["message"].partition(": ")[2]
    got = given[param]
    if isinstance(got, str | int) and len(str(got)) < 100 and "x6" not in str(got):
        assert f"got {json.dumps(got)}" in error["message"]
    assert "X-Job-Id" not in answer.headers
    assert (await client.get("/v1/jobs")).json()["data"] == []


async def test_every_fault_is_told(client: httpx2.AsyncClient) -> None:
    """The message names each field at fault, for these clients show nothing else."""
    asked = {"prompt": "red mug", "quality": "hd", "background": "transparent", "n": 9}
    message = (await client.post(IMAGES, json=asked)).json()["error"]["message"]
    assert all(f"{name}: " in message for name in ("quality", "background", "n"))


async def test_a_fault_is_told_once(client: httpx2.AsyncClient) -> None:
    """A size that is no good on both sides is one fault of `size`, and what is allowed is said once."""
    message = (await client.post(IMAGES, json={"prompt": "red mug", "size": "1024x1024"})).json()["error"]["message"]
    assert message.count("size: ") == message.count("96 to 192 pixels in steps of 16") == 1
    assert "got 1024" in message


async def test_canceled_job(client: httpx2.AsyncClient, backends: Backends) -> None:
    """A job that is canceled meanwhile is told with its id and what to do, and the client does not repeat it."""
    asking = asyncio.create_task(client.post(IMAGES, json={"prompt": "red mug"}))
    async with asyncio.timeout(10):
        while not (jobs := await backends.statuses.list()):
            await asyncio.sleep(0.01)
    await client.post(f"/v1/jobs/{jobs[0].job_id}/cancel")

    answer = await asking
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], answer.headers["x-should-retry"]) == (409, "canceled", "false")
    assert error["message"] == f"job {jobs[0].job_id} was canceled before it was over: ask again for another one"


@pytest.mark.parametrize("name", ["dall-e-3", "gpt-image-2.5-flare", "", "Studio-Tiny", "x" * 5000])
async def test_unknown_model(client: httpx2.AsyncClient, catalogue: Catalogue, name: str) -> None:
    """A model that is not on offer is a 404 `model_not_found` that names those that draw from words."""
    answer = await client.post(IMAGES, json={"prompt": "red mug", "model": name})

    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (404, "invalid_request_error")
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert {each for each in catalogue.models if each in error["message"]} == {"studio-tiny", "sd15"}
    assert len(answer.content) < 2000


async def test_images_are_inline_unless_asked_for_by_url(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Without `response_format` the answer has the file and no URL: many clients read nothing else."""
    async with worker.finishing(stored_image()):
        inline = await client.post(IMAGES, json={"prompt": "red mug"})
        linked = await client.post(IMAGES, json={"prompt": "red mug", "response_format": "url"})
    assert [list(answer.json()["data"][0]) for answer in (inline, linked)] == [["b64_json"], ["url"]]


async def test_alias_of_a_model(
    client: httpx2.AsyncClient, worker: FakeWorker, state: dict[str, object], catalogue: Catalogue
) -> None:
    """A client in which another model's name is fixed gets the model that has it as an alias."""
    model = catalogue.default_model.model_copy(update={"aliases": ("gpt-image-1", "DALL-E 3")})
    state["catalogue"] = catalogue.model_copy(update={"models": {**catalogue.models, model.name: model}})
    for alias in model.aliases:
        async with worker.finishing(stored_image()):
            answer = await client.post(IMAGES, json={"prompt": "red mug", "model": alias})
        assert answer.status_code == 200, answer.text
        job = (await client.get(f"/v1/jobs/{answer.headers['X-Job-Id']}")).json()
        assert job["model"] == model.name


@pytest.mark.parametrize("alias", ["sd15", "studio-tiny", "twice"])
def test_a_name_is_one_models(catalogue: Catalogue, alias: str) -> None:
    """An alias that is also a name, or another model's alias, is refused when the catalogue is read."""
    models = catalogue.model_dump()["models"]
    models["studio-tiny"]["aliases"] = [alias]
    models["sd15"]["aliases"] = ["twice"]
    with pytest.raises(ValueError, match=f"that of one model, and once: {alias}"):
        Catalogue.model_validate({"models": models, "styles": {}})
