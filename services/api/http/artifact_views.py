"""The artifacts of a job in JSON."""

from typing import Literal, Self

from services.api.http.view import View
from services.common.schemas import Artifact


class ArtifactView(View):
    """`bytes` is the size of the file at `url`.

    An image has `width` and `height` in pixels, sound `duration_seconds`, text the number of its `characters`.
    `source_type` is the IPTC DigitalSourceType of the content.
    """

    index: int
    url: str
    media_type: str
    width: int | None
    height: int | None
    duration_seconds: float | None
    characters: int | None
    source_type: str | None
    bytes: int
    sha256: str
    seed: int | None

    @classmethod
    def of(cls, artifact: Artifact, url: str) -> Self:
        return cls(url=url, **artifact.model_dump(exclude={"key"}))


class ArtifactListView(View):
    """The artifacts of one job."""

    object: Literal["list"] = "list"
    data: tuple[ArtifactView, ...]


def artifact_path(job_id: str, artifact: Artifact) -> str:
    """Return the path of the artifact's URL."""
    return f"/v1/jobs/{job_id}/artifacts/{artifact.index}"
