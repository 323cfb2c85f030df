"""A worker whose model cannot work leaves with the exit code that nothing restarts, and one sentence in its log."""

from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.cli.serve.supervisor import UNUSABLE
from services.cli.serve.worker import run_worker
from services.common.catalogue.catalogue import Catalogue
from services.common.settings import Settings
from tests.support.models.faulty_adapter import FAILURES
from tests.support.models.items import tiny_model

pytestmark = pytest.mark.anyio

FAULTY = "tests.support.models.faulty_adapter:FaultyAdapter"


async def _left(tmp_path: Path, adapter: str = FAULTY, source: str = ".", **options: str) -> tuple[int, str]:
    """Return the exit code of a worker, and the reason that it logged as the last thing and once."""
    model = tiny_model(source, **options).model_copy(update={"adapter": adapter, "default": True})
    settings = Settings(catalogue=tmp_path / "models.toml", data_dir=tmp_path / "data", device="cpu")
    with capture_logs() as logs:
        code = await run_worker(settings, Catalogue(models={"tiny": model}, styles={}), [model], attended=False)
    return code, _reason(logs)


def _reason(logs: Sequence[MutableMapping[str, Any]]) -> str:
    assert [log["event"] for log in logs].count("model unavailable") == 1
    assert logs[-1]["event"] == "model unavailable"
    assert "exc_info" not in logs[-1]
    return str(logs[-1]["reason"])


MOMENTS = {
    "made": "check `adapter`, `source` and `options` of [models.tiny] in ",
    "prepared": "install the model or the adapter again",
    "loaded": "install the model or the adapter again",
    "called": "tiny cannot make its own sample: ",
}


@pytest.mark.parametrize("failure", [*FAILURES])
@pytest.mark.parametrize(("at", "told"), MOMENTS.items())
async def test_whatever_an_adapter_raises(tmp_path: Path, at: str, told: str, failure: str) -> None:
    """Any exception while a model is made, loaded or tried ends the worker with 78 and a sentence with the cure."""
    code, reason = await _left(tmp_path, at=at, failure=failure)
    assert code == UNUSABLE
    if failure == "no memory" and at != "made":
        told = "memory"
    if failure == "a missing library" and at in ("prepared", "loaded"):
        told = "install the library sentencepiece where the worker runs"
    assert told in reason
    assert "\n" not in reason
    assert ";" in reason


@pytest.mark.parametrize(
    ("adapter", "told"),
    [
        ("txt2imgs", "no adapter 'txt2imgs'; installed are: img2img, stt, tts, txt2img"),
        ("tests.support.models.absent:Nothing", "No module named 'tests.support.models.absent'; install its package"),
        ("tests.support.models.items:Nothing", "has no attribute 'Nothing'"),
        ("tests.support.models.items:item", "is not a subclass of ModelAdapter"),
        ("nothing", "no adapter 'nothing'"),
        (":", "cannot be imported"),
    ],
)
async def test_adapter_that_is_not_there(tmp_path: Path, adapter: str, told: str) -> None:
    """An adapter that cannot be found ends the worker with 78, and is named."""
    code, reason = await _left(tmp_path, adapter)
    assert (code, told in reason) == (UNUSABLE, True), reason


@pytest.mark.parametrize("source", ["absent", "a\0b", "~nobody-of-this-name/x", "x" * 300, "loop", "file/below"])
async def test_source_that_cannot_be_read(tmp_path: Path, source: str) -> None:
    """A source that is no folder, in whatever way, ends the worker with 78 and names the entry."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    code, reason = await _left(tmp_path, source=source)
    assert (code, "`source` of [models.tiny] in the catalogue" in reason) == (UNUSABLE, True), reason
