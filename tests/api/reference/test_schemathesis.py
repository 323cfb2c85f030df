"""Schemathesis sends each operation allowed and forbidden requests, and checks the answers against the document."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from services.api.endpoints import endpoints
from services.api.reference.openapi import openapi_document
from services.common.catalogue.files import load_catalogue
from tests.api.conftest import embedded_settings
from tests.support.live_server import LiveGateway
from tests.support.sample_jobs import SampleJobs

MODELS = Path(__file__).parents[3] / "models"
CATALOGUE = load_catalogue(MODELS / "models.toml", MODELS / "styles.toml")
IMAGES = "/v1/images/generations"
SPEECH = "/v1/audio/speech"
TRANSCRIPTIONS = "/v1/audio/transcriptions"
INPUTS = "/v1/inputs"
PROVENANCE = "/v1/provenance"
ARTIFACT = "/v1/jobs/{job_id}/artifacts/{index}"

DOCUMENT = openapi_document(endpoints(), CATALOGUE, CATALOGUE.default_model.name)


def accepting(*statuses: str, refusing: bool = True) -> schemathesis.BaseSchema:
    """Return the document, with these statuses as possible answers to valid requests.

    Requests that break the schema are refused unless `refusing` is False.
    """
    checks = {
        "positive_data_acceptance": {"expected-statuses": list(statuses)},
        "negative_data_rejection": {"enabled": refusing},
    }
    return schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig.from_dict({"checks": checks}))


# 410: a requested job may have been removed, which no schema can express.
operations = accepting("2xx", "3xx", "404", "409", "410").exclude(
    path=[IMAGES, SPEECH, TRANSCRIPTIONS, INPUTS, PROVENANCE, ARTIFACT]
)
# 422: the formats depend on what the job has made.
artifacts = accepting("2xx", "3xx", "404", "410", "422").include(path=ARTIFACT)
# 400: the sizes of each model are in /v1/models; a pattern of them all would be unreadable.
images = accepting("2xx", "400").include(path=IMAGES)
speech = accepting("200").include(path=SPEECH)
# 415, 422: no schema tells which bytes are a recording.
recordings = accepting("200", "415", "422").include(path=TRANSCRIPTIONS)
# 415, 422: no schema tells which bytes are a picture. Each is looked at by a process of its own.
files = accepting("201", "415", "422").include(path=INPUTS)
# 422: there must be a file, and that is all.
shown_files = accepting("200", "415", "422", refusing=False).include(path=PROVENANCE)
thorough = settings(
    max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def sample_jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleJobs]:
    folder = tmp_path_factory.mktemp("schemathesis")
    with LiveGateway(
        embedded_settings(folder, queue_limit=1_000_000, sweep_seconds=3600, image_wait_seconds=10), CATALOGUE
    ) as live:
        with SampleJobs(live) as opened:
            yield opened


@pytest.fixture(scope="module")
def worker(sample_jobs: SampleJobs) -> Iterator[None]:
    with sample_jobs.working():
        yield


@operations.parametrize()
@thorough
def test_operation(case: schemathesis.Case[Any], sample_jobs: SampleJobs) -> None:
    """Every answer is one that the document describes, and a request is refused exactly where the document says so."""
    sample_jobs.send(case)


@artifacts.parametrize()
@thorough
def test_artifacts(case: schemathesis.Case[Any], sample_jobs: SampleJobs) -> None:
    """The answers of the route of files keep to the document, in every format and part."""
    sample_jobs.send(case)


@pytest.mark.filterwarnings("ignore:Skipped test cases with unsupported payload media types")  # it makes no pictures
@files.parametrize()
@settings(thorough, max_examples=30)
def test_files(case: schemathesis.Case[Any], sample_jobs: SampleJobs) -> None:
    """The answers of the route that takes files keep to the document, whatever the files are."""
    sample_jobs.send(case)


@pytest.mark.filterwarnings("ignore:Skipped test cases with unsupported payload media types")
@shown_files.parametrize()
@thorough
def test_shown_files(case: schemathesis.Case[Any], sample_jobs: SampleJobs) -> None:
    """The answers about files keep to the document, whatever the files are."""
    sample_jobs.send(case)


@images.parametrize()
@thorough
def test_images(case: schemathesis.Case[Any], sample_jobs: SampleJobs, worker: None) -> None:
    """The answers of OpenAI's route keep to the document too, while a worker makes the images."""
    sample_jobs.send(case)


@speech.parametrize()
@thorough
def test_speech(case: schemathesis.Case[Any], sample_jobs: SampleJobs, worker: None) -> None:
    """The answers of OpenAI's route for speech keep to the document, in every format."""
    sample_jobs.send(case)


@recordings.parametrize()
@settings(thorough, max_examples=30)
def test_recordings(case: schemathesis.Case[Any], sample_jobs: SampleJobs, worker: None) -> None:
    """The answers of OpenAI's route for recordings keep to the document, whatever the files are."""
    sample_jobs.send(case)
