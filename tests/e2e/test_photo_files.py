"""`studio generate` and `fetch` write their photos to files and to standard output, and name the job if they cannot."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.operator import studio
from tests.support.polling import poll
from tests.support.system import System, running_system

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(tmp_path_factory.mktemp("system"), {}) as running:
        running.start_gateway()
        running.start_worker()
        yield running


def _jobs(system: System) -> list[str]:
    return [job["id"] for job in system.client.get("/v1/jobs", params={"limit": 100}).json()["data"]]


def _piped(system: System, *arguments: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "services", *arguments],
        cwd=system.folder,
        env=system.environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=90,
        check=False,
    )


@pytest.mark.parametrize("output", ["nowhere/a.png", ".", "b.gif", "x" * 300 + ".png"])
def test_nothing_is_submitted_for_a_target_that_cannot_be(system: System, output: str) -> None:
    """No job is made where its photo could not be saved."""
    before = _jobs(system)
    done = studio(system, "generate", "red mug", "-o", output)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert _jobs(system) == before


def test_second_photo_goes_beside_the_first(system: System) -> None:
    """Without -o, too, no photo is written over: the next free name is taken, told and printed."""
    first, second = studio(system, "generate", "red mug"), studio(system, "generate", "blue mug")
    old = (system.folder / "photo.png").read_bytes()
    forced = studio(system, "generate", "green mug", "--force")

    assert (first.stdout, first.stderr) == ("photo.png\n", "")
    assert second.stdout == "photo-2.png\n"
    assert "photo.png is taken: written to photo-2.png" in second.stderr
    assert (system.folder / "photo-2.png").read_bytes() != old
    assert (forced.stdout, (system.folder / "photo.png").read_bytes() != old) == ("photo.png\n", True)


@pytest.mark.parametrize(("options", "begin"), [([], PNG), (["--output-format", "webp"], b"RIFF")])
def test_standard_output(system: System, options: list[str], begin: bytes) -> None:
    """`-o -` writes the file and nothing else to standard output, and makes no file."""
    done = _piped(system, "generate", "red mug", "-o", "-", *options)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(begin)
    assert not (system.folder / "-").exists()


def test_standard_output_of_a_gateway_of_its_own(tmp_path: Path) -> None:
    """With a gateway and a worker started for the photo standard output has nothing but the photo."""
    with running_system(tmp_path, {}) as system:
        done = _piped(system, "generate", "red mug", "-o", "-")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(PNG)
    assert done.stdout.rstrip().endswith(b"IEND\xaeB`\x82")


def test_no_photo_on_a_terminal(system: System) -> None:
    """`-o -` is refused where standard output is a terminal, before anything is submitted."""
    before = _jobs(system)
    ours, theirs = os.openpty()
    done = _piped(system, "generate", "red mug", "-o", "-", stdout=theirs)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 2
    assert b"a terminal cannot show a photo" in done.stderr
    assert _jobs(system) == before


@pytest.mark.parametrize("to_standard_output", [False, True])
def test_last_write_fails(system: System, *, to_standard_output: bool) -> None:
    """If the disk is full at last, the job and the command that fetches its photo are named, and the command works."""
    with Path("/dev/full").open("wb") as full:
        output = "-" if to_standard_output else "/dev/full"
        done = _piped(system, "generate", "red mug", "-o", output, stdout=full.fileno())
    assert done.returncode == 1
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    found = re.search(r"job (\S+) has succeeded.*`studio fetch (\S+) -o FILE`", done.stderr.decode())
    assert found
    assert found[1] == found[2] == _jobs(system)[0]

    fetched = studio(system, "fetch", found[2], "-o", f"fetched-{to_standard_output}.jpg")
    assert fetched.returncode == 0, fetched.stderr
    assert (system.folder / fetched.stdout.strip()).read_bytes().startswith(b"\xff\xd8\xff")


def test_reader_that_leaves(system: System) -> None:
    """A reader that closes the pipe early is told of as any other write that fails."""
    reading, writing = os.pipe()
    os.close(reading)
    done = _piped(system, "generate", "red mug", "-o", "-", stdout=writing)
    os.close(writing)
    assert done.returncode == 1
    assert b"Broken pipe" in done.stderr
    assert b"studio fetch" in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_fetch_of_several(system: System) -> None:
    """`studio fetch` saves all photos of a job, waits for one that runs, and refuses what is no job."""
    job_id = system.submit("SLOW mugs", num_images=2)["id"]
    fetched = studio(system, "fetch", job_id, "-o", "slow.png")
    assert (fetched.returncode, fetched.stdout) == (0, "slow-1.png\nslow-2.png\n"), fetched.stderr
    piped = _piped(system, "fetch", job_id, "-o", "-")
    assert (piped.returncode, piped.stdout) == (2, b"")
    assert b"takes one photo, and 2 are asked for" in piped.stderr
    for unknown in ("../nonsense", "0198c0de-0000-7000-8000-000000000000"):
        assert studio(system, "fetch", unknown, "-o", "none.png").returncode == 2
    failed = studio(system, "fetch", system.submit("FAIL mug")["id"], "-o", "none.png")
    assert (failed.returncode, "the model failed" in failed.stderr) == (1, True)
    assert not (system.folder / "none.png").exists()


def test_fetch_without_a_gateway(tmp_path: Path) -> None:
    """`studio fetch` starts a gateway where none runs; a job that nothing makes then is not waited for."""
    with running_system(tmp_path, {}) as system:
        full = studio(system, "generate", "red mug", "-o", "/dev/full")
        found = re.search(r"`studio fetch (\S+) -o FILE`", full.stderr)
        assert found, full.stderr
        gateway = system.start_gateway()
        waiting = system.submit("red mug")["id"]
        gateway.terminate()
        gateway.wait(timeout=30)

        fetched = studio(system, "fetch", found[1], "-o", "mug.png")
        not_made = studio(system, "fetch", waiting, "-o", "none.png")

    assert (fetched.returncode, fetched.stdout) == (0, "mug.png\n"), fetched.stderr
    assert (tmp_path / "mug.png").read_bytes().startswith(PNG)
    assert not_made.returncode == 2
    assert f"job {waiting} is queued, and no gateway is running" in not_made.stderr


def test_command_that_is_interrupted_names_its_job(system: System) -> None:
    """Ctrl-C while the photo is made names the job and the command that fetches it."""
    before = _jobs(system)
    command = [sys.executable, "-m", "services", "generate", "SLOW mug", "-o", "interrupted.png"]
    with subprocess.Popen(
        command, cwd=system.folder, env=system.environment, stderr=subprocess.PIPE, text=True
    ) as process:
        job_id = poll(lambda: next((each for each in _jobs(system) if each not in before), None), 30)
        system.wait_for(job_id, lambda job: job["state"] == "running")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert f"job {job_id} was accepted; `studio fetch {job_id}` saves it later" in told
    assert "Traceback" not in told
    assert process.returncode not in (0, -signal.SIGINT)


@pytest.mark.parametrize("closed", ["<&- >&-", "<&- >&- 2>&-"])
def test_standard_streams_are_closed(system: System, closed: str) -> None:
    """A command that is started without standard streams, as by some schedulers, writes its photo all the same."""
    name = f"closed-{len(closed)}.png"
    command = f'"{sys.executable}" -m services generate "red mug" -o {name} {closed}'
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=system.folder,
        env={**system.environment, "STUDIO_LOG_FORMAT": "auto"},
        timeout=90,
        check=False,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert (system.folder / name).read_bytes().startswith(PNG)
