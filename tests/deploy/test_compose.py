"""compose.yaml, as far as it can be checked without a container engine."""

import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from services.api.auth.exposure import check_exposure
from services.common.catalogue.files import load_catalogue
from services.common.load_settings import load_settings
from services.common.settings import Settings
from services.inference.runtime.registry import resolve_adapter
from services.inference.worker.consumer import prefetch_of
from tests.support.api_keys import LINES
from tests.support.compose_files import ROOT, SECRETS, VARIABLE, composition, of_ours, services, studio

OURS = ("gateway", "worker", "worker-gpu")
PINNED = re.compile(r"@sha256:[0-9a-f]{64}$|:v?\d+\.\d+\.\d+$")


def _seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def test_schema() -> None:
    """The file is valid by the Compose specification's own schema."""
    check = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [check, "--builtin-schema", "vendor.compose-spec", "compose.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", OURS)
def test_settings(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every STUDIO_* variable of an image and its service is a setting with a value the settings take."""
    environment = studio(of_ours(name)["environment"])
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)

    settings = load_settings(environment, tmp_path / "none")

    assert settings.broker_url.startswith("amqp://studio:")
    assert settings.statuses_url.startswith("redis://")
    assert settings.objects_url.startswith("s3://")
    assert settings.log_format == "json"


@pytest.mark.parametrize("name", OURS)
def test_services_are_confined(name: str) -> None:
    """Gateway and workers run as a user other than root, without capabilities, on a read-only file system."""
    service = of_ours(name)
    assert int(service["image"]["user"].partition(":")[0]) >= 10000
    assert (service["read_only"], service["init"], service["cap_drop"]) == (True, True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", ["worker", "worker-gpu"])
def test_a_worker_is_given_time(name: str) -> None:
    """A stopped worker has time for the longest job, and is not killed before its grace period ends."""
    service = of_ours(name)
    environment = service["environment"]
    deadline, grace = environment["STUDIO_JOB_DEADLINE_SECONDS"], environment["STUDIO_GRACE_SECONDS"]
    assert deadline < grace < _seconds(service["stop_grace_period"])


@pytest.mark.parametrize("name", ["worker", "worker-gpu"])
def test_a_worker_serves_what_is_installed(name: str) -> None:
    """A worker serves every model whose weights are there, the one of requests that name none first."""
    environment = of_ours(name)["environment"]
    assert (environment["STUDIO_MODEL"], environment["STUDIO_MODELS"]) == ("studio-tiny", "installed")
    assert environment["STUDIO_MODEL"] == of_ours("gateway")["environment"]["STUDIO_MODEL"]


def test_rabbitmq_gives_a_worker_time() -> None:
    """A worker of all models that ship may make every delivery that it holds alone before RabbitMQ cuts it off."""
    shipped = load_catalogue(Settings().catalogue, Settings().styles).models.values()
    batches = [model.max_batch or resolve_adapter(model.adapter).max_batch for model in shipped]
    held = sum(prefetch_of(None, max_batch, among=len(batches)) for max_batch in batches)
    conf = (ROOT / "deploy" / "rabbitmq" / "rabbitmq.conf").read_text()
    (milliseconds,) = re.findall(r"^consumer_timeout = (\d+)$", conf, re.MULTILINE)
    assert 4 * held * of_ours("worker")["environment"]["STUDIO_JOB_DEADLINE_SECONDS"] < int(milliseconds) / 1000


def test_the_gateway_is_given_time() -> None:
    """The gateway is not killed before its graceful timeout ends."""
    service = of_ours("gateway")
    assert service["environment"]["STUDIO_GRACEFUL_TIMEOUT_SECONDS"] < _seconds(service["stop_grace_period"])


@pytest.mark.parametrize(("name", "service"), services().items())
def test_waiting_is_for_health(name: str, service: dict[str, Any]) -> None:
    """Every service has a health check, and starts only when the services that it needs are healthy."""
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, name
    assert "localhost" not in str(service["healthcheck"]["test"]), "may be ::1, where nothing listens"
    for needed, condition in service.get("depends_on", {}).items():
        assert needed in services()
        assert condition["condition"] == "service_healthy"


@pytest.mark.parametrize("name", OURS)
def test_health_commands(name: str) -> None:
    """The health command of compose.yaml is that of the image, and names a service that `studio health` knows."""
    command = of_ours(name)["healthcheck"]["test"]
    kind = name.partition("-")[0]
    assert command == ["CMD", "python", "-m", "services", "health", kind]
    dockerfile = (ROOT / of_ours(name)["build"]["dockerfile"]).read_text()
    assert f'CMD ["python", "-m", "services", "health", "{kind}"]' in dockerfile


@pytest.mark.parametrize("name", OURS)
def test_modules_of_a_mounted_folder_are_not_run(name: str) -> None:
    """`python -m services` of an image, and of its health command, looks for no module in the current folder."""
    assert of_ours(name)["environment"]["PYTHONSAFEPATH"] == "1"


@pytest.mark.parametrize(("name", "service"), services().items())
def test_ports_are_loopback(name: str, service: dict[str, Any]) -> None:
    """Ports are published on this host only, unless the operator names another address."""
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


@pytest.mark.parametrize(
    ("address", "keys", "starts"), [("", "", True), ("0.0.0.0", "", False), ("0.0.0.0", LINES, True)]
)
def test_a_published_port_needs_keys(
    address: str, keys: str, starts: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Published on loopback the gateway starts without keys; published elsewhere it starts only with keys."""
    environment = studio(of_ours("gateway", {"GATEWAY_ADDRESS": address, "GATEWAY_KEYS": keys})["environment"])
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = load_settings(environment, tmp_path / "none")
    with nullcontext() if starts else pytest.raises(ValueError, match="STUDIO_KEYS"):
        check_exposure(settings, settings.host)


@pytest.mark.parametrize(("name", "service"), services().items())
def test_images_are_pinned(name: str, service: dict[str, Any]) -> None:
    """Foreign images are pinned by digest or full version; MinIO's does not come from Docker Hub, which removed it."""
    if name in OURS:
        return
    assert PINNED.search(service["image"]), service["image"]
    assert not service["image"].startswith("minio/")


def test_packages_may_come_from_a_mirror() -> None:
    """Every index that pip installs from is a build argument, which Compose takes from .env."""
    builds = [services()[name]["build"] for name in OURS]
    for dockerfile in {build["dockerfile"] for build in builds}:
        text = (ROOT / dockerfile).read_text().replace("\\\n", " ")
        given = {name for build in builds if build["dockerfile"] == dockerfile for name in build["args"]}
        assert given == set(re.findall(r"^ARG (\w+_INDEX_URL)=", text, re.MULTILINE))
        assert not re.search(r"^RUN .*https?://", text, re.MULTILINE)


def test_profiles() -> None:
    """The default profiles start one worker without a GPU and one S3 server; the profile `gpu` reserves a device."""

    def started(*profiles: str) -> set[str]:
        return {name for name, one in services().items() if not one.get("profiles") or {*one["profiles"]} & {*profiles}}

    secrets = (ROOT / "scripts" / "secrets.sh").read_text()
    assert "COMPOSE_PROFILES cpu,minio" in secrets
    always = {"gateway", "rabbitmq", "redis"}
    assert started("cpu", "minio") == always | {"worker", "minio"}
    assert started("gpu", "seaweedfs") == always | {"worker-gpu", "seaweedfs"}
    assert "deploy" not in services()["worker"]
    devices = services()["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert [device["capabilities"] for device in devices] == [["gpu"]]


@pytest.mark.parametrize("name", ["minio", "seaweedfs"])
def test_one_address_for_s3(name: str) -> None:
    """Either S3 server is found under the same name."""
    assert services()[name]["networks"]["default"]["aliases"] == ["s3"]


@pytest.mark.parametrize("secret", SECRETS)
def test_no_default_credentials(secret: str) -> None:
    """Compose refuses to start while a secret is missing."""
    with pytest.raises(KeyError, match=secret):
        composition({name: value for name, value in SECRETS.items() if name != secret})
    required = {name for name, kind, _ in VARIABLE.findall((ROOT / "compose.yaml").read_text()) if kind == "?"}
    assert required == set(SECRETS)


def test_secrets(tmp_path: Path) -> None:
    """`just setup` adds missing secrets to .env, readable by its owner only, and keeps every line that is there."""
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(ROOT / "scripts" / "secrets.sh", tmp_path / "scripts")
    env = tmp_path / ".env"
    env.write_text("STUDIO_PORT=9000\nREDIS_PASSWORD=mine")  # no newline at the end

    subprocess.run([script], check=True, timeout=20)
    first = env.read_text()
    subprocess.run([script], check=True, timeout=20)

    assert env.read_text() == first
    assert env.stat().st_mode & 0o777 == 0o600
    written = dict(line.split("=", 1) for line in first.splitlines())
    assert (written["STUDIO_PORT"], written["REDIS_PASSWORD"]) == ("9000", "mine")
    assert set(written) == {"STUDIO_PORT", "COMPOSE_PROFILES", *SECRETS}
    made = [written[name] for name in SECRETS if name != "REDIS_PASSWORD"]
    assert all(re.fullmatch(r"[0-9a-f]{20,40}", secret) for secret in made)
    assert len(set(made)) == len(made)
    assert load_settings({}, env).port == 9000


def test_empty_secrets_are_filled_in(tmp_path: Path) -> None:
    """`just setup` fills in variables that .env names without a value: Compose would not start with them."""
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(ROOT / "scripts" / "secrets.sh", tmp_path / "scripts")
    env = tmp_path / ".env"
    env.write_text(
        "REDIS_PASSWORD=\nSTUDIO_PORT=\nCOMPOSE_PROFILES=  \nS3_SECRET_KEY=mine\n"
        "RABBITMQ_PASSWORD=\"\"\nGRAFANA_PASSWORD=''\nexport GATEWAY_SECRET = ours\n"
    )

    subprocess.run([script], check=True, timeout=20)

    lines = [line.removeprefix("export ").replace(" = ", "=") for line in env.read_text().splitlines()]
    written = dict(line.split("=", 1) for line in lines)
    assert len(written) == len(lines)
    assert (written["STUDIO_PORT"], written["S3_SECRET_KEY"], written["COMPOSE_PROFILES"]) == ("", "mine", "cpu,minio")
    assert written["GATEWAY_SECRET"] == "ours"
    assert all(written[name].strip("\"'") for name in SECRETS)
