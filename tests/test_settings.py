"""Settings: generated documentation, refused misspellings, defaults that follow the data folder."""

from pathlib import Path

import pytest

from services.common.settings import Settings, env_example, load_settings

ROOT = Path(__file__).resolve().parents[1]


def test_env_example_is_generated() -> None:
    """`.env.example` is generated from the settings class; `just env-example` writes it."""
    assert (ROOT / ".env.example").read_text() == env_example()


def test_env_example_can_be_used(tmp_path: Path) -> None:
    """Uncommenting every line that has a value changes nothing."""
    lines = [line.removeprefix("# ") for line in env_example().splitlines() if line.startswith("# STUDIO_")]
    filled = tmp_path / ".env"
    filled.write_text("\n".join(line for line in lines if not line.endswith("=")))
    changed = load_settings({}, filled).model_dump(exclude={"catalogue", "styles"})
    assert changed == Settings().model_dump(exclude={"catalogue", "styles"})


@pytest.mark.parametrize("place", ["environment", "file"])
def test_misspelt(tmp_path: Path, place: str) -> None:
    """A STUDIO_* name that is no setting is refused wherever it stands, with the nearest one that is."""
    file = tmp_path / ".env"
    file.write_text("STUDIO_PROT=9000\nHF_TOKEN=x\n" if place == "file" else "HF_TOKEN=x\n")
    with pytest.raises(ValueError, match=r"STUDIO_PROT \(did you mean STUDIO_PORT\?\)"):
        load_settings({"STUDIO_PROT": "9000"} if place == "environment" else {}, file)


def test_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded backends live in the data folder unless their URLs say otherwise."""
    monkeypatch.setenv("STUDIO_DATA_DIR", "/srv/studio")
    settings = load_settings()
    assert settings.broker_url == "sqlite:////srv/studio/studio.db"
    assert settings.objects_url == "file:////srv/studio/objects"


@pytest.mark.parametrize(
    ("variable", "place"),
    [
        ("HOST", "0.0.0.0"),
        ("WORKER_HOST", "10.0.0.7"),
        ("PUBLIC_URL", "https://studio.example"),
        ("BROKER_URL", "amqp://studio:secret@rabbitmq/%2F"),
        ("STATUSES_URL", "redis://redis:6379/0"),
        ("OBJECTS_URL", "s3://studio?endpoint=http://minio:9000"),
        ("OBJECTS_URL", "s3://studio"),
    ],
)
def test_failpoints_stay_out_of_production(variable: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failpoint stops the start of a process that listens to another machine or works with one."""
    monkeypatch.setenv("STUDIO_FAILPOINT", "worker.begun@2")
    assert load_settings().failpoint == "worker.begun@2"
    monkeypatch.setenv(f"STUDIO_{variable}", place)
    with pytest.raises(ValueError, match=f"STUDIO_{variable} reaches beyond this machine"):
        load_settings()


def test_failpoints_come_from_the_environment_only(tmp_path: Path) -> None:
    """A failpoint in `.env`, where it would stay, is refused."""
    file = tmp_path / ".env"
    file.write_text("STUDIO_FAILPOINT=worker.begun\n")
    with pytest.raises(ValueError, match="read from the environment only"):
        load_settings({}, file)


@pytest.mark.parametrize("armed", ["worker.begin", "worker.begun@twice"])
def test_failpoint_unknown(armed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failpoint that could never fire is refused."""
    monkeypatch.setenv("STUDIO_FAILPOINT", armed)
    with pytest.raises(ValueError, match="STUDIO_FAILPOINT"):
        load_settings()
