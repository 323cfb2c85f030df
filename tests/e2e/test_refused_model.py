"""The whole system, started with a model that cannot be loaded."""

from pathlib import Path

from tests.support.system import running_system

CATALOGUE = """
[models.mine]
title = "Mine"
modality = "txt2img"
adapter = "tests.support.models.faulty_adapter:FaultyAdapter"
source = "."
default = true
options = { at = "loaded", failure = "an error of the system" }
"""


def test_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    """The worker says in one sentence what is wrong and is not started again, and `studio` ends with it."""
    (tmp_path / "models.toml").write_text(CATALOGUE)
    with running_system(tmp_path, {}, tmp_path / "models.toml") as system:
        code, log = system.start().wait(60), system.log()
    assert code == 3
    assert log.count("model unavailable") == 1
    assert "mine cannot be loaded: the adapter tests.support.models.faulty_adapter:FaultyAdapter raised OSError" in log
    assert "the worker cannot start: its last log line says why" in log
    assert [word for word in ("Traceback", "starting another") if word in log] == []
