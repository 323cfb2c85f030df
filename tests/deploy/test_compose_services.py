"""The commands, settings and secrets of compose.yaml, run as processes against real RabbitMQ, Redis and S3."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.compose_files import ROOT, composition, of_ours, services
from tests.support.metrics_scrape import Scrape
from tests.support.servers.installation import server_program
from tests.support.servers.rabbitmq import RabbitMQServer
from tests.support.servers.redis import RedisServer
from tests.support.servers.s3 import S3Server
from tests.support.servers.server import exchange_line, free_port
from tests.support.system import System

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]


class ComposeRedis(RedisServer):
    """Redis with the command line of compose.yaml."""

    def command(self) -> list[str]:
        program, *arguments = services()["redis"]["command"]
        where = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        return [*server_program([program], "apt-get install redis-server", self.folder), *arguments, *where]

    def ready(self) -> bool:
        return exchange_line(self.port, b"PING\r\n").startswith(b"-NOAUTH")

    def healthy(self) -> bool:
        """Run the health command of compose.yaml."""
        service = services()["redis"]
        kind, command = service["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        shell = ["sh", "-c", command.replace("redis-cli", f"redis-cli -p {self.port}")]
        done = subprocess.run(shell, env={"PATH": "/usr/bin:/bin", **service["environment"]}, timeout=20, check=False)
        return done.returncode == 0


class Host:
    """The backends of compose.yaml, and `system`, whose processes start as the containers would."""

    def __init__(self, folder: Path, wheel: Path, cleanup: ExitStack) -> None:
        self.redis = ComposeRedis(folder / "redis")
        users = composition()["configs"]["rabbitmq-users"]["content"]
        self.rabbitmq = RabbitMQServer(folder / "rabbitmq", users)
        self.s3 = S3Server(folder / "s3")
        environment = services()["minio"]["environment"]
        self.s3.access_key, self.s3.secret_key = environment["MINIO_ROOT_USER"], environment["MINIO_ROOT_PASSWORD"]
        for server, end in (
            (self.redis, self.redis.stop),
            (self.s3, self.s3.stop),
            (self.rabbitmq, self.rabbitmq.close),
        ):
            cleanup.callback(end)
            server.start()
        self.system = System(folder, {}, ROOT / "models" / "models.toml")
        cleanup.callback(self.system.close)
        for name in [name for name in self.system.environment if name.startswith("STUDIO_")]:
            del self.system.environment[name]
        self.system.environment["PYTHONPATH"] = str(wheel)
        self.metrics_port, self._worker_port = free_port(), free_port()

    def start(self, name: str) -> subprocess.Popen[bytes]:
        service = of_ours(name)
        interpreter, module, package, *arguments = service["image"]["command"]
        assert [interpreter, module, package] == ["python", "-m", "services"]
        process = self.system.start(*arguments, **self._settings(name))
        where = self.system.port if name == "gateway" else self._worker_port
        self.system.wait_until_ready(f"http://127.0.0.1:{where}/readyz", process)
        return process

    def health(self, name: str) -> int:
        """Return the exit code of the service's health command."""
        kind, _, *arguments = of_ours(name)["healthcheck"]["test"]
        assert kind == "CMD"
        given = {f"STUDIO_{key.upper()}": value for key, value in self._settings(name).items()}
        environment = {**self.system.environment, **given}
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=self.system.folder, env=environment, timeout=20, check=False).returncode

    def _settings(self, name: str) -> dict[str, str]:
        """Return the settings of the container, with ports and addresses of this machine."""
        ports = {"rabbitmq:5672": self.rabbitmq.port, "redis:6379": self.redis.port, "s3:9000": self.s3.port}
        own = {
            "STUDIO_PORT": self.system.port,
            "STUDIO_METRICS_PORT": self.metrics_port,
            "STUDIO_WORKER_PORT": self._worker_port,
        }
        settings: dict[str, str] = {}
        for variable, value in {**of_ours(name)["environment"], **own}.items():
            if variable.startswith("STUDIO_"):
                text = str(value).replace("0.0.0.0", "127.0.0.1")
                for inside, outside in ports.items():
                    text = text.replace(inside, f"127.0.0.1:{outside}")
                settings[variable.removeprefix("STUDIO_").lower()] = text
        return settings


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package that the images install: built, unpacked, and outside the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=120)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "package")
    return folder / "package"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Iterator[Host]:
    with ExitStack() as cleanup:
        yield Host(tmp_path_factory.mktemp("host"), wheel, cleanup)


def test_a_photo(host: Host) -> None:
    """Gateway and worker start with the settings of compose.yaml, make a photo, and drain within the grace period."""
    gateway = host.start("gateway")
    worker = host.start("worker")
    assert (host.health("gateway"), host.health("worker"), host.redis.healthy()) == (0, 0, True)
    job = host.system.wait(host.system.submit("matte black coffee grinder", num_images=1)["id"])
    assert job["state"] == "succeeded", job
    photo = host.system.client.get(job["artifacts"][0]["url"])
    assert photo.content.startswith(b"\x89PNG")
    assert Scrape(f"http://127.0.0.1:{host.metrics_port}")("studio_jobs_submitted_total", outcome="accepted") == 1

    for process, name in ((worker, "worker"), (gateway, "gateway")):
        process.terminate()
        assert process.wait(60) == 0, host.system.log()[-3000:]
        assert host.health(name) == 1


def test_rabbitmq(host: Host) -> None:
    """RabbitMQ has the policies that we ship, and its user may use our queues only."""
    policies = host.rabbitmq.ctl("list_policies", "--formatter", "json")
    assert {policy["name"] for policy in json.loads(policies)} == {"studio-jobs", "studio-dead"}
    listed: list[dict[str, Any]] = json.loads(host.rabbitmq.ctl("list_permissions", "--formatter", "json"))
    ours = "^studio\\."
    assert listed == [{"user": "studio", "configure": ours, "write": ours, "read": ours}]


def test_health_can_fail(host: Host) -> None:
    """Without Redis its own health command and those of gateway and worker fail."""
    host.start("gateway")
    host.start("worker")
    host.redis.stop()
    try:
        assert (host.health("gateway"), host.health("worker"), host.redis.healthy()) == (1, 1, False)
    finally:
        host.redis.start()
