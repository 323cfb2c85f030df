"""The command line: `studio` runs everything in one process tree, `studio generate` makes a photo."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.support.polling import poll
from tests.support.servers.server import free_port
from tests.support.system import System, running_system


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with running_system(tmp_path, {}) as running:
        yield running


def _generate(system: System, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return _studio(system, "generate", *arguments, **settings)


def _studio(system: System, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**system.environment, **{f"STUDIO_{name.upper()}": value for name, value in settings.items()}}
    command = [sys.executable, "-m", "services", *arguments]
    return subprocess.run(
        command, cwd=system.folder, env=environment, capture_output=True, text=True, timeout=90, check=False
    )


def _worker_once_it_loads(system: System, studio: int) -> psutil.Process:
    """Return the worker that `studio` with this process id started, once its adapter waits for the gate."""

    def loading() -> psutil.Process | None:
        for worker in psutil.Process(studio).children():
            for connection in worker.net_connections():
                if connection.status == psutil.CONN_LISTEN and _phase(connection.laddr.port) == "loading":
                    return worker
        return None

    return poll(loading, 60, system.log)


def _phase(port: int) -> object:
    """Return the phase of a worker, None for a gateway: a new process still holds its parent's socket."""
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/readyz").json().get("phase")
    except httpx2.TransportError:
        return None


def _until_submitted(system: System) -> None:
    poll(lambda: system.client.get("/v1/jobs").json()["data"], 60, system.log)


def test_one_command(system: System) -> None:
    """`studio` serves, restarts a worker that dies, and leaves no process behind when it stops."""
    studio = system.start()
    system.wait_for_log(f"Studio is ready: {system.url}")
    poison, good = system.submit("KILL every worker"), system.submit("then paint")
    assert system.wait(poison["id"])["error"]["code"] == "poison"
    assert system.wait(good["id"])["state"] == "succeeded"

    workers = psutil.Process(studio.pid).children(recursive=True)
    studio.send_signal(signal.SIGTERM)
    assert studio.wait(timeout=30) == 0
    assert workers
    assert not any(worker.is_running() for worker in workers)
    assert "never retrieved" not in system.log()


@pytest.mark.parametrize("key", ["Ctrl-C", "SIGTERM"])
def test_stopped_while_it_starts(system: System, key: str) -> None:
    """`studio` stops on a signal while its model loads; Ctrl-C reaches its worker as well."""
    catalogue = system.folder / "models.toml"
    catalogue.write_text(catalogue.read_text().replace("options = {", 'options = { gate = "never there",'))
    studio = system.start()
    worker = _worker_once_it_loads(system, studio.pid)
    studio.send_signal(signal.SIGINT if key == "Ctrl-C" else signal.SIGTERM)
    if key == "Ctrl-C":
        worker.send_signal(signal.SIGINT)
    assert studio.wait(timeout=20) == 0, system.log()
    assert not worker.is_running()
    assert "Studio is ready" not in system.log()


def test_stopped_at_once(system: System) -> None:
    """A signal before anything is ready leaves no process behind."""
    studio = system.start()
    while studio.poll() is None and not (workers := psutil.Process(studio.pid).children(recursive=True)):
        time.sleep(0.01)
    studio.send_signal(signal.SIGTERM)
    assert studio.wait(timeout=20) == 0, system.log()
    assert not psutil.wait_procs(workers, timeout=10)[1]
    assert "Studio is ready" not in system.log()


def test_worker_does_not_outlive_a_killed_studio(system: System) -> None:
    """A worker whose `studio` is killed with kill -9 finishes its jobs and exits."""
    studio = system.start()
    system.wait_for_log(f"Studio is ready: {system.url}")
    workers = psutil.Process(studio.pid).children(recursive=True)
    studio.kill()
    studio.wait()
    assert workers
    assert not psutil.wait_procs(workers, timeout=20)[1]


def test_generate_alone(system: System) -> None:
    """`studio generate` starts a gateway if none runs, and prints only the path to standard output."""
    done = _generate(system, "red cup", "-o", "cup.png", "--seed", "5")
    assert (done.returncode, done.stdout) == (0, "cup.png\n"), done.stderr
    assert (system.folder / "cup.png").read_bytes().startswith(b"\x89PNG")
    failed = _generate(system, "FAIL cup", "-o", "none.png")
    assert failed.returncode == 1
    assert "the model failed" in failed.stderr
    assert not (system.folder / "none.png").exists()


def test_generate_alone_beside_a_public_site(system: System) -> None:
    """`studio generate` uses the address of the gateway it started, even if the settings name a public URL."""
    public_url = f"http://127.0.0.1:{free_port()}"
    done = _generate(system, "red cup", "-o", "cup.png", public_url=public_url)
    assert (done.returncode, done.stdout) == (0, "cup.png\n"), done.stderr


def test_no_proxy_before_this_machine(system: System) -> None:
    """Requests to a gateway or a worker on this machine bypass the proxy of the environment."""
    system.environment.update(HTTP_PROXY=f"http://127.0.0.1:{free_port()}", NO_PROXY="", no_proxy="")
    alone = _generate(system, "red cup", "-o", "cup.png")
    assert (alone.returncode, alone.stdout) == (0, "cup.png\n"), alone.stderr
    system.start_gateway()
    system.start_worker()
    on_a_gateway = _generate(system, "red cup", "-o", "second.png", url=system.url)
    assert (on_a_gateway.returncode, on_a_gateway.stdout) == (0, "second.png\n"), on_a_gateway.stderr


def test_generate_on_a_running_gateway(system: System) -> None:
    """`studio generate` submits to a running gateway; `--json` prints the job with every file written."""
    system.start_gateway()
    system.start_worker()
    done = _generate(system, "red cup", "--count", "2", "-o", "cups.png", "--json")
    assert done.returncode == 0, done.stderr
    job = json.loads(done.stdout)
    assert job["files"] == ["cups-1.png", "cups-2.png"]
    assert system.client.get(f"/v1/jobs/{job['id']}").json()["state"] == "succeeded"


def test_generate_outlives_its_gateway(system: System) -> None:
    """`studio generate` waits for an accepted job and saves its photo although the gateway is killed and restarted."""
    gateway = system.start_gateway()
    generate = system.start("generate", "red cup", "-o", "cup.png")
    _until_submitted(system)
    gateway.kill()
    gateway.wait()
    time.sleep(2)
    system.start_gateway()
    system.start_worker()
    assert generate.wait(timeout=60) == 0, system.log()
    assert (system.folder / "cup.png").read_bytes().startswith(b"\x89PNG")
    assert len(system.client.get("/v1/jobs").json()["data"]) == 1


def test_generate_exit_codes(system: System) -> None:
    """`studio generate` exits with 2 and a sentence for a wrong request, and with 3 if no gateway answers."""
    system.start_gateway()
    wrong = _generate(system, "red cup", "--size", "7x7")
    assert wrong.returncode == 2
    assert "width" in wrong.stderr
    assert _generate(system, "red cup", "--size", "big").returncode == 2
    assert _generate(system).returncode == 2
    away = _generate(system, "red cup", url=f"http://127.0.0.1:{free_port()}")
    assert (away.returncode, away.stdout) == (3, "")


@pytest.mark.parametrize(
    ("arguments", "file", "begin"),
    [
        (["-o", "cup.JPG"], "cup.JPG", b"\xff\xd8\xff"),
        (["--output-format", "webp"], "photo.webp", b"RIFF"),
        (["--output-format", "jpeg", "-o", "cup.bin"], "cup.bin", b"\xff\xd8\xff"),
        (["-o", "cup"], "cup", b"\x89PNG"),
    ],
)
def test_generate_in_other_formats(system: System, arguments: list[str], file: str, begin: bytes) -> None:
    """The file has the requested format, else that of its suffix, else the format of the stored photo."""
    system.start_gateway()
    system.start_worker()
    done = _generate(system, "red cup", *arguments)
    assert (done.returncode, done.stdout) == (0, f"{file}\n"), done.stderr
    assert (system.folder / file).read_bytes().startswith(begin)


def test_jobs_are_listed_and_canceled(system: System) -> None:
    """`studio jobs` lists the newest job first, `studio cancel` cancels one; both exit with 3 if no gateway answers."""
    system.start_gateway()
    first, second = system.submit("red [cup]")["id"], system.submit("blue cup")["id"]
    system.environment["COLUMNS"] = "200"
    table = _studio(system, "jobs")
    listed = _studio(system, "jobs", "--json", "--limit", "1")
    assert [job["id"] for job in json.loads(listed.stdout)] == [second]
    assert table.stdout.index(second) < table.stdout.index(first)
    assert "red [cup]" in table.stdout

    canceled, unknown = _studio(system, "cancel", first), _studio(system, "cancel", "../nonsense")
    assert (canceled.returncode, canceled.stdout) == (0, "canceled\n")
    assert system.client.get(f"/v1/jobs/{first}").json()["state"] == "canceled"
    assert (unknown.returncode, unknown.stdout) == (2, "")
    for arguments in (["jobs"], ["cancel", first]):
        away = _studio(system, *arguments, url=f"http://127.0.0.1:{free_port()}")
        assert (away.returncode, away.stdout) == (3, "")


def test_listed_prompts_command_no_terminal(system: System) -> None:
    """`studio jobs` prints prompts without the control characters that terminals interpret."""
    system.start_gateway()
    system.submit("mug\x1b]0;title\x07\x1b[2J")
    listed = _studio(system, "jobs")
    assert "mug" in listed.stdout
    assert not set("\x1b\x07") & set(listed.stdout)
