"""The embedded object store alone has a folder that keys must not lead out of, and half-written files."""

import asyncio
import errno
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.api.auth.secret_key import secret_key
from services.common.errors import BackendUnavailable, StorageDenied
from services.common.objects.filesystem import FilesystemObjectStore, open_filesystem_object_store
from tests.api.conftest import embedded_settings
from tests.support.odd_entries import ODD_ENTRIES

pytestmark = pytest.mark.anyio

KEY = "jobs/x/manifest.json"


@pytest.fixture
async def objects(tmp_path: Path) -> AsyncIterator[FilesystemObjectStore]:
    async with open_filesystem_object_store(tmp_path / "objects") as opened:
        yield opened


async def put(objects: FilesystemObjectStore, data: bytes) -> None:
    await objects.put(KEY, data, "application/json")


async def read(objects: FilesystemObjectStore) -> bytes:
    return b"".join([chunk async for chunk in objects.get(KEY)])


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "..", "../x", "a/../../x", "a/..", ".", "a//b", "a/", "a\\b", "a\0b", "A", "é", ".partial/x"],
)
async def test_key_that_is_no_plain_path_is_refused(objects: FilesystemObjectStore, key: str, tmp_path: Path) -> None:
    """A key that might lead out of the folder, or to files half written, is refused by every method."""
    (tmp_path / "x").write_bytes(b"outside")
    for call in (objects.put(key, b"", "text/plain"), anext(objects.get(key)), objects.delete([key])):
        with pytest.raises(ValueError, match="no object key"):
            await call

    assert (tmp_path / "x").read_bytes() == b"outside"


@pytest.mark.parametrize("prefix", ["../", "/etc/", "a/../../", ".partial/"])
async def test_prefix_that_is_no_plain_path_is_refused(objects: FilesystemObjectStore, prefix: str) -> None:
    """A prefix outside the folder cannot be listed."""
    with pytest.raises(ValueError, match="no prefix"):
        await objects.list(prefix)


async def test_readers_see_whole_objects(objects: FilesystemObjectStore) -> None:
    """While others write the same key, a reader gets one of the objects written, never a mixture."""
    written = [bytes([letter]) * 1_000_000 for letter in b"abcd"]
    await put(objects, written[0])

    async def write(data: bytes) -> None:
        for _ in range(5):
            await put(objects, data)

    async def check() -> None:
        for _ in range(10):
            assert await read(objects) in written

    await asyncio.gather(*(write(data) for data in written), check())


async def test_files_half_written_are_swept_up(objects: FilesystemObjectStore, tmp_path: Path) -> None:
    """A killed writer's file is never listed, and is deleted at the first opening an hour later; a young one stays."""
    old, young = (tmp_path / "objects" / ".partial" / name for name in ("old", "young"))
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    await put(objects, b"whole")

    assert await objects.list("") == [KEY]
    async with open_filesystem_object_store(tmp_path / "objects"):
        assert (old.exists(), young.exists()) == (False, True)


async def test_removed_jobs_leave_no_folders(objects: FilesystemObjectStore, tmp_path: Path) -> None:
    """Deleting the last object of a folder deletes the folder too."""
    await put(objects, b"data")

    await objects.delete([KEY])

    assert [path.name for path in (tmp_path / "objects").iterdir()] == [".partial"]


async def test_there_are_no_urls(objects: FilesystemObjectStore) -> None:
    """A folder has no server that a browser could be sent to."""
    await put(objects, b"data")

    assert await objects.url(KEY, media_type="text/plain", filename="a.txt", seconds=60) is None


async def test_lost_folder_is_unavailable(objects: FilesystemObjectStore, tmp_path: Path) -> None:
    """When the folder cannot be written any more, a ping and a put say so."""
    (tmp_path / "objects" / ".partial").rmdir()

    for call in (objects.ping(), put(objects, b"data")):
        with pytest.raises(BackendUnavailable, match="objects"):
            await call


async def test_unusable_folder_is_named_at_open(tmp_path: Path) -> None:
    """Opening below a file raises BackendUnavailable."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(BackendUnavailable, match="objects"):
        async with open_filesystem_object_store(tmp_path / "file" / "objects"):
            pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
async def test_disk_that_takes_nothing_is_not_ready(
    objects: FilesystemObjectStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A full or read-only disk answers everything but a write: so readiness writes, and leaves nothing behind."""
    await objects.ping()

    def refuse(self: Path, _data: bytes) -> int:
        raise OSError(number, os.strerror(number), str(self))

    with monkeypatch.context() as refusing:
        refusing.setattr(Path, "write_bytes", refuse)
        with pytest.raises(BackendUnavailable) as caught:
            await objects.ping()
    assert caught.value.cure
    assert await objects.list("") == []
    assert [*(objects._root / ".partial").iterdir()] == []


async def test_odd_entries_among_partial_files_are_left(objects: FilesystemObjectStore) -> None:
    """A folder that lies among the partial files keeps no store from opening."""
    odd = objects._root / ".partial" / "@eaDir"
    (odd / "photo").mkdir(parents=True)
    os.utime(odd, (0, 0))

    async with open_filesystem_object_store(objects._root) as opened:
        await opened.ping()


@pytest.mark.parametrize("odd", ODD_ENTRIES)
async def test_odd_entries_are_no_objects(objects: FilesystemObjectStore, odd: str) -> None:
    """A listing passes over what is not ours, and each key it gives can be read."""
    await put(objects, b"data")
    for folder in (objects._root, objects._root / "jobs", objects._root / "jobs" / "x"):
        ODD_ENTRIES[odd](folder)

    keys = await objects.list("")

    assert KEY in keys
    for key in keys:
        assert b"".join([chunk async for chunk in objects.get(key)]) in (b"data", b"odd")


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
async def test_disk_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The key that signs cookies is kept, and is one key, on a file system without hard links."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    settings = embedded_settings(tmp_path)
    assert secret_key(settings) == secret_key(settings)
    assert [file.name for file in tmp_path.iterdir()] == ["secret_key"]


@pytest.mark.parametrize("kind", ["mount", "link"])
async def test_objects_on_another_disk(
    objects: FilesystemObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Objects are whole, and nothing is left beside them, where `jobs` is on another disk than the rest."""
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        (objects._root / "jobs").symlink_to(tmp_path / "elsewhere")
    rename, crossed = os.rename, []

    def rename_on_one_disk(source: Path, target: Path) -> None:
        if Path(source).parent.name == ".partial":
            crossed.append(target)
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source, None, target)
        rename(source, target)

    monkeypatch.setattr(os, "replace", rename_on_one_disk)
    await put(objects, b"first")
    await put(objects, b"second")

    assert len(crossed) == 2
    assert await read(objects) == b"second"
    assert await objects.list("jobs/") == [KEY]
    assert [*(objects._root / ".partial").iterdir()] == []
    assert [file.name for file in (objects._root / KEY).parent.iterdir()] == ["manifest.json"]


async def test_full_other_disk_leaves_nothing(objects: FilesystemObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy to another disk that is full is told with its cure, and no part of it stays."""

    def refuse(_source: Path, target: Path) -> None:
        target.write_bytes(b"part")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    def cross(self: Path, target: Path) -> Path:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(self), None, str(target))

    monkeypatch.setattr(Path, "replace", cross)
    monkeypatch.setattr(shutil, "copyfile", refuse)
    with pytest.raises(BackendUnavailable) as caught:
        await put(objects, b"data")
    assert "df -i" in caught.value.cure
    assert [*(objects._root / KEY).parent.iterdir()] == []


@pytest.mark.parametrize("odd", ["a file", "a link to nothing", "a link to itself"])
async def test_folder_that_is_none_has_its_cure(tmp_path: Path, odd: str) -> None:
    """Something else in the folder's place is told with the place and what to do."""
    root = tmp_path / "data"
    if odd == "a file":
        root.touch()
    else:
        root.symlink_to("data" if "itself" in odd else "nowhere")
    with pytest.raises(BackendUnavailable) as caught:
        async with open_filesystem_object_store(root / "objects"):
            pass
    assert f"ls -ld {root}" in caught.value.cure
    assert "move what is" in caught.value.cure


async def test_start_in_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative data folder in a working folder that was removed is told with what to do."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(BackendUnavailable) as caught:
        async with open_filesystem_object_store(Path(".studio/objects")):
            pass
    assert "start from a folder that is there" in caught.value.cure


async def test_folder_behind_a_link_with_blanks(tmp_path: Path) -> None:
    """The data folder may be a link, and its name may have blanks and any letters."""
    (tmp_path / "große  Ablage 📷").mkdir()
    (tmp_path / "my data").symlink_to("große  Ablage 📷")
    async with open_filesystem_object_store(tmp_path / "my data" / "objects") as opened:
        await put(opened, b"data")
        assert await read(opened) == b"data"


async def test_names_are_short_and_in_lower_case(objects: FilesystemObjectStore) -> None:
    """Every name fits into 143 bytes (encrypted folders), and no two differ in their case alone."""
    digest = "f" * 64
    await objects.put(f"jobs/01a22fb2-f09e-7581-a5cc-ce65486bcb75/{digest}.webp", b"data", "image/webp")
    for key in await objects.list(""):
        assert max(map(len, key.split("/"))) <= 143
        assert key == key.lower()
    with pytest.raises(ValueError, match="no object key"):
        await objects.put("jobs/x/A.png", b"data", "image/png")


async def test_link_that_stays_is_not_followed(
    objects: FilesystemObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link in a job's place that cannot be deleted is a fault; what it leads to stays all the same."""
    (tmp_path / "precious").mkdir()
    photo = tmp_path / "precious" / "photo.png"
    photo.write_bytes(b"mine")
    link = objects._root / "jobs" / "linked"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(photo.parent)
    unlink = Path.unlink

    def refuse(self: Path, *, missing_ok: bool = False) -> None:
        if self == link:
            raise PermissionError(errno.EPERM, "no", str(self))
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageDenied):
        await objects.clear("jobs/linked")
    assert photo.read_bytes() == b"mine"


async def test_file_in_a_jobs_place_goes(objects: FilesystemObjectStore) -> None:
    """A file that lies where a job's folder should be goes with the job, as what lies in the folder does."""
    place = objects._root / "jobs" / "x"
    place.parent.mkdir()
    place.write_bytes(b"odd")
    await objects.clear("jobs/x")
    await objects.clear("jobs/x")
    assert not place.exists()
