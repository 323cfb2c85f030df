"""/docs, the reference of the API for people."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from starlette.types import ASGIApp

from services.api.endpoints import endpoints
from services.api.http.endpoint import Endpoint
from services.api.reference.examples import curl_example, python_example
from services.common.catalogue.catalogue import Catalogue
from tests.api.conftest import embedded_settings
from tests.support.live_server import LiveGateway
from tests.support.picture_files import encoded, picture
from tests.support.sample_jobs import SampleJobs
from tests.support.sounds import sine
from tests.support.web.html_page import Page

TABLE = {f"{endpoint.method} {endpoint.path}": endpoint for endpoint in endpoints()}
# The state of the job in which an operation's example works, where it is not `succeeded`.
STATES = {"POST /v1/jobs/{job_id}/cancel": "running", "GET /v1/jobs/{job_id}/preview": "running"}


@pytest.fixture(scope="module")
def sample_jobs(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Iterator[SampleJobs]:
    with LiveGateway(embedded_settings(tmp_path_factory.mktemp("docs")), catalogue) as live:
        with SampleJobs(live) as opened:
            yield opened


@pytest.mark.parametrize("language", ["shell", "python"])
@pytest.mark.parametrize("endpoint", TABLE.values(), ids=TABLE.keys())
def test_examples_run(endpoint: Endpoint, language: str, sample_jobs: SampleJobs, tmp_path: Path) -> None:
    """Every example works when it is pasted behind the two lines at the top of the page."""
    job_id = sample_jobs.create(STATES.get(f"{endpoint.method} {endpoint.path}", "succeeded"))
    message_id, input_id = sample_jobs.create_dead_letter(ended=True), sample_jobs.create_input()
    (tmp_path / "mug.jpg").write_bytes(encoded(picture(), "jpeg"))
    if endpoint.path == "/v1/audio/transcriptions":
        (tmp_path / "speech.wav").write_bytes(sine())
    if language == "shell":
        command = ["bash", "-euc", curl_example(endpoint)]
    else:
        values = sample_jobs.url, job_id, input_id, message_id
        begin = f"BASE, JOB_ID, INPUT_ID, MESSAGE_ID = {values!r}\n"
        command = [sys.executable, "-c", begin + python_example(endpoint)]
    ids = {"JOB_ID": job_id, "INPUT_ID": input_id, "MESSAGE_ID": message_id}
    environment = {**os.environ, "BASE": sample_jobs.url, **ids}
    with sample_jobs.working():
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    if (language, endpoint.path) == ("python", "/v1/images/generations"):
        assert done.stdout.count("http") == 2  # a URL each
    if any(answer.files and not answer.view for answer in endpoint.answers.values()):
        written = "speech.wav" if endpoint.path == "/v1/audio/speech" else "image"
        assert (tmp_path / written).stat().st_size > 0


@pytest.mark.anyio
async def test_everything_is_on_the_page(app: ASGIApp, browser: httpx2.AsyncClient, catalogue: Catalogue) -> None:
    """Every operation with its two examples and every schema are on the page, and every link has a target."""
    text = (await browser.get("/docs")).text
    page, document = Page(text), (await browser.get("/openapi.json")).json()
    ids = {found["id"] for _, found in page.elements if "id" in found}
    jumps = {link["href"][1:] for link in page.all("a") if link["href"].startswith("#")}

    operations = {each["operationId"] for item in document["paths"].values() for each in item.values()}
    assert operations | set(document["components"]["schemas"]) <= ids
    assert jumps <= ids
    assert {f"JobRequest.{name}" for name in catalogue.models} <= jumps
    for endpoint in TABLE.values():
        assert " ".join(curl_example(endpoint).split()) in page.text
        assert " ".join(python_example(endpoint).split()) in page.text


@pytest.mark.anyio
@pytest.mark.parametrize("settings", [{"public_url": "https://studio.example/"}], indirect=True)
async def test_examples_name_the_public_url(browser: httpx2.AsyncClient) -> None:
    """Examples begin with the public URL where there is one, and never show the Host header."""
    text = (await browser.get("/docs", headers={"Host": "evil.example"})).text
    assert "BASE=https://studio.example" in text
    assert "evil.example" not in text
