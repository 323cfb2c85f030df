"""A process in a container of which nothing but the data folder can be written, and with few open files."""

import resource
import tempfile
from pathlib import Path

import pytest

from services.cli.serve.process import MOST_FILES, ensure_temporary_folder, raise_file_limit
from services.common.brokers.sqlite import open_sqlite_broker
from tests.support.messages import new_message


@pytest.fixture
def no_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nonexistent")
    monkeypatch.setattr(tempfile, "tempdir", None)
    found = tempfile._candidate_tempdir_list  # type: ignore[attr-defined]
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: found()[:1])  # as where the others are read-only


@pytest.mark.usefixtures("no_temporary_folder")
def test_temporary_files_go_to_the_data_folder(tmp_path: Path) -> None:
    """Where no folder for temporary files can be written, they go to the data folder, also in child processes."""
    with pytest.raises(FileNotFoundError):
        tempfile.gettempdir()
    ensure_temporary_folder(tmp_path / "data")
    with tempfile.NamedTemporaryFile() as file:
        assert Path(file.name).parent == tmp_path / "data/tmp"


@pytest.mark.usefixtures("no_temporary_folder")
def test_data_folder_that_cannot_be_written_either(tmp_path: Path) -> None:
    """A command that needs no temporary files goes on without a folder for them."""
    (tmp_path / "data").touch()
    ensure_temporary_folder(tmp_path / "data")


def test_usual_machine_keeps_its_folder(tmp_path: Path) -> None:
    """Where there is a folder for temporary files, nothing is made in the data folder."""
    ensure_temporary_folder(tmp_path / "data")
    assert not (tmp_path / "data").exists()


@pytest.mark.anyio
@pytest.mark.usefixtures("no_temporary_folder")
async def test_queue_without_temporary_folder(tmp_path: Path) -> None:
    """The embedded queue delivers where its consumers' sockets have no folder for temporary files."""
    message = new_message()
    async with open_sqlite_broker(tmp_path / "studio.db", queue_limit=9, lease_seconds=10) as broker:
        await broker.publish(message)
        deliveries = broker.consume(message.model, 1)
        async with await anext(deliveries) as body:
            assert body
        await deliveries.aclose()


def test_open_files_are_as_many_as_allowed() -> None:
    """A low limit of open files, as macOS and some service managers set it, is raised to what the system allows."""
    now, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, allowed))
    try:
        raise_file_limit()
        raised, still_allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (now, allowed))
    assert still_allowed == allowed
    assert raised == (MOST_FILES if allowed == resource.RLIM_INFINITY else min(allowed, MOST_FILES))
