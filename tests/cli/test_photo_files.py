"""The files of `studio generate` and `fetch`: what is refused before a job is submitted, and what is never lost."""

import os
import socket
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli import job_commands
from services.cli.output_format import OutputFormat, destination
from services.cli.photo_files import NotWritten, PhotoFiles
from services.common.catalogue.catalogue import Catalogue
from services.common.catalogue.files import load_catalogue
from services.common.modalities.modality import Media
from services.common.settings import Settings
from tests.api.conftest import catalogue

__all__ = ["catalogue"]

LONG = "x" * 300
MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, which holds a folder and a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.png").write_bytes(b"old")
    return tmp_path


@pytest.mark.parametrize("command", [["generate", "red mug"], ["fetch", "0198c0de-0000-7000-8000-000000000000"]])
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-o", "nowhere/a.png"], "no folder nowhere"),
        (["-o", "folder/deeper/still/a.png"], "no folder folder/deeper/still"),
        (["-o", "."], ". is a folder"),
        (["-o", ""], ". is a folder"),
        (["-o", "folder"], "folder is a folder: name a file in it, such as folder/photo.png"),
        (["-o", "new/"], "new/ is a folder"),
        (["-o", "file.png/a.png"], "file.png is no folder"),
        (["-o", f"{LONG}.png"], "its name is too long"),
        (["-o", f"{LONG}/a.png"], "its name is too long"),
        (["-o", f"folder/{'é' * 130}.png"], "its name is too long"),
        (["-o", "/proc/a.png"], "/proc/a.png cannot be written"),
        (["-o", "/sys/kernel/a.png"], "/sys/kernel/a.png cannot be written"),
        (["-o", "a.gif"], "has no format .gif"),
        (["-o", "a.TIFF"], "no format .tiff"),
        (["-o", "a.png.docx"], "no format .docx"),
        (["-o", "a.gif", "--output-format", "png"], "a.gif ends in .gif, but --output-format is png: name it .png"),
        (["-o", "a.png", "--output-format", "jpeg"], "a.png ends in .png, but --output-format is jpeg"),
        (["-o", "a.jpg", "--output-format", "webp"], "a.jpg ends in .jpg, but --output-format is webp"),
        (["-o", "-", "--json"], "-o - and --json both write to standard output"),
    ],
)
def test_refused_before_anything_is_submitted(
    folder: Path, command: list[str], arguments: list[str], told: str
) -> None:
    """A target that cannot take the photo ends the command with 2 and a sentence; no gateway is asked or started."""
    before = sorted(folder.rglob("*"))
    done = _invoke(*command, *arguments)
    assert done.exit_code == 2, done.output
    assert told in done.output.replace("\n", "")
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["hibari", "ready", "-o", "mug.png"], "mug.png: a sound has no format .png; name it .wav, .mp3, .opus"),
        (["hibari", "ready", "-o", "mug.txt"], "a sound has no format .txt"),
        (["hibari", "ready", "-o", "mug", "--output-format", "jpeg"], "a sound has no format jpeg; choose wav, mp3"),
        (["studio-tiny", "red mug", "-o", "mug.mp3"], "mug.mp3: a photo has no format .mp3; name it .png, .jpg"),
        (["whisper-tiny-en", "-o", "mug.mp3"], "a text has no format .mp3; name it .txt, .json, .srt, .vtt"),
        (["hibari"], "hibari needs words"),
        (["whisper-tiny-en", "red mug"], "whisper-tiny-en takes no words"),
    ],
)
def test_what_a_model_does_not_make(folder: Path, arguments: list[str], told: str) -> None:
    """A format or words that do not fit the model end the command with 2 and what fits; nothing is submitted."""
    done = _invoke("generate", "--model", *arguments)
    assert done.exit_code == 2, done.output
    assert told in done.output.replace("\n", "")


@pytest.mark.parametrize(
    ("media", "wanted", "expected"),
    [
        (Media.AUDIO, None, ("speech.wav", OutputFormat.WAV)),
        (Media.AUDIO, OutputFormat.AAC, ("speech.m4a", OutputFormat.AAC)),
        (Media.TEXT, None, ("transcript.txt", OutputFormat.TXT)),
        (Media.VIDEO, None, ("video", None)),
    ],
)
def test_usual_names(folder: Path, media: Media, wanted: OutputFormat | None, expected: object) -> None:
    """Without -o the file is named after what is made."""
    files, form = destination(None, wanted, force=False, media=media)
    assert (str(files.path), form) == expected


def test_several_photos_do_not_fit_standard_output(folder: Path) -> None:
    """Standard output takes one photo."""
    done = _invoke("generate", "red mug", "-o", "-", "--count", "2")
    assert (done.exit_code, "takes one photo, and 2 are asked for" in done.output) == (2, True)


def test_longest_name_counts(folder: Path) -> None:
    """A name that is short enough for one photo may be too long with the number of one of several."""
    files, _ = destination(f"{'x' * 251}.png", None, force=False)
    files.check(1)
    with pytest.raises(ValueError, match="too long"):
        files.check(2)
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["file.png"]


@pytest.mark.parametrize(
    ("output", "wanted", "expected"),
    [
        (None, None, ("photo.png", OutputFormat.PNG)),
        (None, OutputFormat.JPEG, ("photo.jpg", OutputFormat.JPEG)),
        ("a.PNG", None, ("a.PNG", OutputFormat.PNG)),
        ("a.jpeg", OutputFormat.JPEG, ("a.jpeg", OutputFormat.JPEG)),
        ("a.b.webp", None, ("a.b.webp", OutputFormat.WEBP)),
        ("a", None, ("a", None)),
        (".png", None, (".png", None)),
        ("a.part", OutputFormat.WEBP, ("a.part", OutputFormat.WEBP)),
        ("/dev/null", None, ("/dev/null", None)),
    ],
)
def test_formats(folder: Path, output: str | None, wanted: OutputFormat | None, expected: object) -> None:
    """The format is the one asked for, else that of the suffix, else the stored one."""
    files, image_format = destination(output, wanted, force=False)
    files.check(1)
    assert (str(files.path), image_format) == expected


def test_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `~` that no shell has replaced is the home folder."""
    monkeypatch.setenv("HOME", str(folder))
    assert destination("~/a.png", None, force=False)[0].path == folder / "a.png"


def _invoke(*arguments: str) -> Result:
    """Run a command with the catalogue of the project."""
    catalogue = load_catalogue(MODELS / "models.toml", MODELS / "styles.toml")
    return CliRunner().invoke(job_commands.job_commands, arguments, obj=(Settings(), catalogue))


def _write(files: PhotoFiles, count: int = 1, only: int | None = None) -> tuple[list[str], list[str]]:
    """Write photos and return the names of their files, and what is told."""
    told: list[str] = []
    photos = {index: b"new" for index in range(count) if only in (None, index)}
    return [str(path) for path in files.write(photos, count, told.append)], told


def test_existing_file_stays(folder: Path) -> None:
    """The next free name is taken and told; with `force` the file is written over, and nothing is told."""
    files, _ = destination("file.png", None, force=False)
    for number in (2, 3):
        names, (told,) = _write(files)
        assert names == [f"file-{number}.png"]
        assert f"file.png is taken: written to file-{number}.png" in told
    assert (folder / "file.png").read_bytes() == b"old"

    assert _write(destination("file.png", None, force=True)[0]) == (["file.png"], [])
    assert (folder / "file.png").read_bytes() == b"new"


def test_broken_link_is_a_file_that_exists(folder: Path) -> None:
    """A link whose target is gone is not written through."""
    (folder / "link.png").symlink_to("gone.png")
    assert _write(destination("link.png", None, force=False)[0])[0] == ["link-2.png"]
    assert not (folder / "gone.png").exists()


def test_numbers_of_several(folder: Path) -> None:
    """Several photos get following numbers of which none is taken; a missing one leaves its number out."""
    files, _ = destination("mug.png", None, force=False)
    assert _write(files, 2) == (["mug-1.png", "mug-2.png"], [])
    names, (told,) = _write(files, 2)
    assert (names, "mug-3.png, mug-4.png" in told) == (["mug-3.png", "mug-4.png"], True)
    assert _write(PhotoFiles(Path("vase.png")), 3, only=1) == (["vase-2.png"], [])
    assert _write(PhotoFiles(Path("vase.png")), 1) == (["vase.png"], [])


def test_file_that_appears_meanwhile_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another program makes between the look and the write is not written over."""
    files, free = PhotoFiles(Path("mug.png")), PhotoFiles._free

    def late(self: PhotoFiles, path: Path, count: int) -> list[Path]:
        names = free(self, path, count)
        if not (folder / "mug.png").exists():
            (folder / "mug.png").write_bytes(b"other")
        return names

    monkeypatch.setattr(PhotoFiles, "_free", late)
    assert _write(files)[0] == ["mug-2.png"]
    assert (folder / "mug.png").read_bytes() == b"other"


def test_write_that_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo that cannot be written says why and which others are written, and leaves no part of itself."""
    with pytest.raises(NotWritten, match=r"/dev/full could not be written: No space left"):
        _write(PhotoFiles(Path("/dev/full")))

    written = Path.open

    def full(path: Path, mode: str, buffering: int) -> object:
        if path.name == "mug-2.png":
            path.touch()
            return written(Path("/dev/full"), "wb", buffering)
        return written(path, mode, buffering)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(NotWritten, match=r"No space left.*mug-1\.png is written"):
        _write(PhotoFiles(Path("mug.png")), 3)
    assert (folder / "mug-1.png").exists()
    assert not (folder / "mug-2.png").exists()


def test_pipe(folder: Path) -> None:
    """A pipe takes the photo of a job for whoever reads it, is not removed, and is waited for by nobody."""
    os.mkfifo("pipe")
    files, _ = destination("pipe", None, force=False)
    files.check(1)
    with pytest.raises(ValueError, match="is a pipe and takes one photo, not 2"):
        files.check(2)
    with pytest.raises(NotWritten, match="pipe could not be written: nothing reads from it"):
        _write(files)
    reading = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert _write(files) == (["pipe"], [])
    assert os.read(reading, 10) == b"new"
    os.close(reading)
    assert (folder / "pipe").is_fifo()


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("nowhere/a.png", "No such file or directory"),
        ("link.png", "a link that leads in a circle"),
        ("folder", "it is a folder"),
    ],
)
def test_link_to_what_cannot_be_written(folder: Path, link: str, told: str) -> None:
    """With `force` a link is followed, so what it leads to is tried before anything is submitted."""
    (folder / "link.png").symlink_to(link)
    with pytest.raises(ValueError, match=told):
        PhotoFiles(Path("link.png"), force=True).check(1)


def test_link_that_is_written_through(folder: Path) -> None:
    """With `force` a link whose target is gone makes the target, and the check leaves none behind."""
    (folder / "link.png").symlink_to("folder/gone.png")
    files = PhotoFiles(Path("link.png"), force=True)
    files.check(1)
    assert not (folder / "folder" / "gone.png").exists()
    assert _write(files) == (["link.png"], [])
    assert (folder / "folder" / "gone.png").read_bytes() == b"new"


def test_socket_is_no_file(folder: Path) -> None:
    """With `force` only files, pipes and devices such as /dev/null are written to, no sockets and no disks."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(ValueError, match="socket cannot be written: it is no file: name another file"):
            PhotoFiles(Path("socket"), force=True).check(1)


@pytest.mark.parametrize("output", ["-", "/dev/stdout", "/dev/fd/1"])
def test_names_of_standard_output(folder: Path, monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    """Standard output has several names; one that is closed is refused before anything is submitted."""
    files, _ = destination(output, None, force=False)
    with pytest.raises(NotWritten, match="standard output takes one photo, and 2 were made"):
        _write(files, 2)
    monkeypatch.setattr(sys, "__stdout__", None)
    with pytest.raises(ValueError, match="standard output is closed"):
        files.check(1)


def test_photos_of_the_entry_count(folder: Path, catalogue: Catalogue) -> None:
    """Without --count as many photos are checked for as the catalogue's entry makes."""
    name, model = next(iter(catalogue.models.items()))
    two = model.model_copy(update={"defaults": {**model.defaults, "num_images": 2}})
    several = catalogue.model_copy(update={"models": {**catalogue.models, name: two}})
    arguments = ["generate", "red mug", "-o", "-", "--model", name]
    done = CliRunner().invoke(job_commands.job_commands, arguments, obj=(Settings(), several))
    assert (done.exit_code, "takes one photo, and 2 are asked for" in done.output) == (2, True)


def test_name_does_not_command_the_terminal(folder: Path) -> None:
    """A name with control characters is told without them, in one line."""
    name = "a\n\x1b[2Jb"
    assert _write(PhotoFiles(Path(name))) == ([name], [])
    told = _write(PhotoFiles(Path(name)))[1]
    refused = _invoke("generate", "red mug", "-o", f"{name}/c.png")
    assert refused.exit_code == 2
    for text in (*told, refused.output.strip()):
        assert not set(text) & {"\n", "\x1b"}


def test_name_is_printed_as_it_is(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The path on standard output is that of the file, byte for byte, so that a script finds it."""
    job_commands._report({"state": "succeeded"}, [Path(os.fsdecode(b"caf\xe9.png"))], as_json=False)
    assert capfdbinary.readouterr().out == b"caf\xe9.png\n"
