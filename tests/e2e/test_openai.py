"""OpenAI's client works with a running gateway and worker when it is given the base URL."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx2
import openai
import pytest
from PIL import Image

from tests.support.models.scripted_adapter import expected_pixels, pixels_of
from tests.support.polling import poll
from tests.support.system import System, running_system


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(Path(tmp_path_factory.mktemp("openai")), {}) as running:
        running.start_gateway(image_wait_seconds="1.5")
        running.start_worker()
        yield running


@pytest.fixture
def client(system: System) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{system.url}/v1", api_key="unused") as connected:
        yield connected


def test_images_by_url(client: openai.OpenAI) -> None:
    """`n` images come as URLs that can be fetched directly, each with its own seed."""
    made = client.images.generate(prompt="red mug", n=2, size="64x64", response_format="url", extra_body={"seed": 3})
    assert made.data is not None
    assert made.size == "64x64"
    files = [httpx2.get(str(image.url)).content for image in made.data]
    assert [pixels_of(file) for file in files] == [
        expected_pixels("red mug", 3),
        expected_pixels("red mug", 4),
    ]


def test_images_inline(client: openai.OpenAI) -> None:
    """`response_format` b64_json returns the file itself."""
    made = client.images.generate(prompt="red mug", response_format="b64_json", extra_body={"seed": 5})
    assert made.data is not None
    (image,) = made.data
    assert image.url is None
    assert pixels_of(base64.b64decode(str(image.b64_json))) == expected_pixels("red mug", 5)


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_output_format(client: openai.OpenAI, name: Literal["jpeg", "webp"]) -> None:
    """`output_format` returns the same image in another format, by URL and inline."""
    shown = []
    for how in ("url", "b64_json"):
        made = client.images.generate(prompt="red mug", response_format=how, output_format=name, extra_body={"seed": 5})
        assert made.data is not None
        assert made.output_format == name
        (image,) = made.data
        file = httpx2.get(image.url).content if image.url else base64.b64decode(str(image.b64_json))
        assert Image.open(io.BytesIO(file)).format == name.upper()
        shown.append(file)
    assert shown[0] == shown[1]


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_output_compression(client: openai.OpenAI, name: Literal["jpeg", "webp"]) -> None:
    """`output_compression` trades the quality of a JPEG or WebP for a smaller file, the same by URL and inline."""
    sizes = []
    for percent in (0, 50, 100):
        files = []
        for how in ("url", "b64_json"):
            made = client.images.generate(
                prompt="red mug",
                response_format=how,
                output_format=name,
                output_compression=percent,
                extra_body={"seed": 5},
            )
            assert made.data is not None
            (image,) = made.data
            files.append(httpx2.get(image.url).content if image.url else base64.b64decode(str(image.b64_json)))
        assert files[0] == files[1]
        sizes.append(len(files[0]))
    assert sizes == sorted(set(sizes))


def test_png_loses_nothing(client: openai.OpenAI) -> None:
    """A PNG accepts OpenAI's default `output_compression` of 100 and is the stored file."""
    made = client.images.generate(
        prompt="red mug", output_compression=100, response_format="url", extra_body={"seed": 5}
    )
    assert made.data is not None
    assert pixels_of(httpx2.get(str(made.data[0].url)).content) == expected_pixels("red mug", 5)


def test_parameters_beyond_openais_own(client: openai.OpenAI, system: System) -> None:
    """Parameters that similar servers take through `extra_body` reach the job."""
    extra = {"seed": 1, "negative_prompt": "blurry", "num_inference_steps": 2, "guidance_scale": 3.5}
    raw = client.images.with_raw_response.generate(prompt="blue vase", extra_body=extra)
    job = system.client.get(f"/v1/jobs/{raw.headers['X-Job-Id']}").json()
    assert job["state"] == "succeeded"
    expected = {"prompt": "blue vase", "seed": 1, "negative_prompt": "blurry", "steps": 2, "guidance": 3.5}
    assert expected.items() <= job["params"].items()


def test_models(client: openai.OpenAI) -> None:
    """OpenAI's client lists the models on offer."""
    (model,) = client.models.list()
    assert model.id.startswith("scripted")
    assert (model.object, model.owned_by) == ("model", "studio")


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"quality": "hd"}, "quality"),
        ({"output_format": "gif"}, "output_format"),
        ({"output_compression": 50}, "output_compression"),
        ({"extra_body": {"num_inference_steps": 100_000}}, "num_inference_steps"),
        ({"n": 11}, "n"),
        ({"size": "64x65"}, "size"),
        ({"style": "vivid"}, "style"),
        ({"stream": True}, "stream"),
        ({"background": "transparent"}, "background"),
    ],
)
def test_what_cannot_be_honoured(client: openai.OpenAI, given: dict[str, object], param: str) -> None:
    """An unsupported field or value is refused under the client's own name for it, never ignored."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt="red mug", **given)  # type: ignore[call-overload]
    assert (caught.value.code, caught.value.type) == ("validation-error", "invalid_request_error")
    assert caught.value.param == param


def test_failed_job(client: openai.OpenAI, system: System) -> None:
    """A failed job raises an error with the job's code and id."""
    with pytest.raises(openai.InternalServerError) as caught:
        client.with_options(max_retries=0).images.generate(prompt="FAIL please")
    assert caught.value.code == "generation-failed"
    job = system.client.get(f"/v1/jobs/{caught.value.response.headers['X-Job-Id']}").json()
    assert job["state"] == "failed"


def test_slow_job(client: openai.OpenAI, system: System) -> None:
    """A job that outlasts the wait is a 504 with its id, which the client does not repeat; the job goes on."""
    with pytest.raises(openai.InternalServerError) as caught:
        client.images.generate(prompt="SLOW kettle")
    assert caught.value.status_code == 504
    job_id = caught.value.response.headers["X-Job-Id"]
    assert job_id in caught.value.message
    assert system.wait(job_id)["state"] == "succeeded"
    assert system.generation_counts()[job_id] == 1


def test_idempotency_key(client: openai.OpenAI) -> None:
    """The same Idempotency-Key returns the images of the same job."""
    ask = client.images.with_raw_response.generate
    first, second = (ask(prompt="red mug", extra_headers={"Idempotency-Key": "once"}) for _ in range(2))
    assert first.headers["X-Job-Id"] == second.headers["X-Job-Id"]
    assert first.parse().data == second.parse().data


def test_one_model(client: openai.OpenAI, system: System) -> None:
    """OpenAI's client looks at one model, and raises its own error for one that is not there."""
    assert client.models.retrieve(system.model).id == system.model
    with pytest.raises(openai.NotFoundError, match=system.model) as caught:
        client.models.retrieve("gpt-image-1")
    assert caught.value.code == "model_not_found"


def test_unknown_model(client: openai.OpenAI, system: System) -> None:
    """A model that is not on offer raises OpenAI's own error, which names those there are."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.images.generate(prompt="red mug", model="dall-e-3")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert system.model in caught.value.message


def test_every_default_in_words(client: openai.OpenAI) -> None:
    """A client that spells out every default gets its image."""
    made = client.images.generate(
        prompt="red mug",
        model=None,
        n=1,
        size="auto",
        quality="auto",
        background="opaque",
        moderation="auto",
        output_format="png",
        output_compression=100,
        partial_images=0,
        stream=False,
        style=None,
        user="user-1234",
        safety_identifier="user-1234",
        extra_body={"seed": 5},
    )
    assert made.data is not None
    assert pixels_of(base64.b64decode(str(made.data[0].b64_json))) == expected_pixels("red mug", 5)


def test_impatient_client(client: openai.OpenAI, system: System) -> None:
    """A client whose timeout is too short for the job gets its image all the same: its tries share one job."""
    before = set(system.generation_counts())
    patient = client.with_options(timeout=1.0, max_retries=4)
    made = patient.images.generate(prompt="SLOW impatient", extra_body={"seed": 9})
    assert made.data is not None
    assert pixels_of(base64.b64decode(str(made.data[0].b64_json))) == expected_pixels("SLOW impatient", 9)
    drawn = {job_id: count for job_id, count in system.generation_counts().items() if job_id not in before}
    assert list(drawn.values()) == [1]


def test_client_that_leaves(system: System) -> None:
    """When a client hangs up its job stops while it is drawn."""
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.post(f"{system.url}/v1/images/generations", json={"prompt": "SLOW and unwanted"}, timeout=0.4)

    def newest() -> dict[str, str]:  # a list is no look at one job, which would keep it going
        job = system.client.get("/v1/jobs?limit=1").json()["data"][0]
        return {"prompt": job["params"]["prompt"], "state": job["state"]}

    unwanted = {"prompt": "SLOW and unwanted", "state": "canceled"}
    poll(lambda: newest() == unwanted, 10, newest)
