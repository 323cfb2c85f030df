"""Settings: environment variables with the prefix STUDIO_, then `.env`, then these defaults.

Read once, by `services.__main__`; all other code gets the values it needs. An unknown STUDIO_* name is refused,
in the environment and in `.env` (which may hold other programs' variables, too),
since a misspelt setting would be ignored silently. `.env.example` is generated from this class.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Self

from dotenv import dotenv_values
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.common.failpoints import check_failpoint

PREFIX = "STUDIO_"


def data_folder(name: str) -> Path:
    """Return the folder of `web` or `models`: inside an installed package, or at the root of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / name


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    data_dir: Path = Field(Path(".studio"), description="Folder of the embedded backends.")
    broker_url: str = Field(
        default_factory=lambda data: f"sqlite:///{data['data_dir']}/studio.db",
        description="sqlite:///FILE or amqp://USER:PASSWORD@HOST/VHOST",
    )
    statuses_url: str = Field(
        default_factory=lambda data: f"sqlite:///{data['data_dir']}/studio.db",
        description="sqlite:///FILE or redis://HOST:PORT/DB",
    )
    objects_url: str = Field(
        default_factory=lambda data: f"file:///{data['data_dir']}/objects",
        description="file:///FOLDER or s3://BUCKET?endpoint=URL&region=NAME",
    )
    s3_access_key: SecretStr | None = Field(
        None, description="S3 access key; unset: the S3 client looks for credentials itself."
    )
    s3_secret_key: SecretStr | None = Field(None, description="Secret of the S3 access key.")
    s3_public_endpoint: str | None = Field(
        None, description="Endpoint named by presigned URLs, if browsers need a different one."
    )

    host: str = Field("127.0.0.1", description="Address the gateway listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the gateway listens on.")
    url: str | None = Field(
        None, description="Gateway that `studio generate` submits to; unset: the one on HOST:PORT, if it runs."
    )
    metrics_host: str = Field("127.0.0.1", description="Address of the gateway's /metrics.")
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of the gateway's /metrics; 0: none.")
    published_host: str | None = Field(
        None, description="Address on which a container's port is published, where HOST is the container's own."
    )
    public_url: str | None = Field(
        None, description="Base of absolute links; a path in it is the prefix of every URL. Unset: links are relative."
    )
    secret_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="Signs cookies, by which visitors find their jobs, and image URLs; the same on every gateway. "
        "Unset: one kept in the data folder if records are in SQLite, else a new one in each process.",
    )
    keys: SecretStr | None = Field(
        None, description="API keys: the lines that `studio keys new` prints. With any, every client needs a key."
    )
    keys_file: Path | None = Field(None, description="A file of such lines, in addition to STUDIO_KEYS or instead.")
    allow_anonymous: bool = Field(
        default=False, description="Allow an address that is not loopback although there are no keys."
    )
    api_key: SecretStr | None = Field(None, description="Key that `studio generate`, `jobs` and `cancel` send.")
    trusted_proxies: str = Field(
        "", description="Addresses and networks whose X-Forwarded-For is believed, separated by commas."
    )
    cors_origins: str = Field(
        "",
        description="Other sites, such as https://shop.example.com, whose scripts may use the API and whose pages may "
        "show its images; with commas.",
    )
    max_body_bytes: int = Field(1_000_000, ge=1024, description="Largest request body.")
    body_deadline_seconds: float = Field(10, gt=0, description="Seconds within which a request body must arrive.")
    graceful_timeout_seconds: float = Field(
        35, gt=0, description="Time the gateway gives running requests at shutdown."
    )
    artifact_delivery: Literal["stream", "redirect"] = Field(
        "stream", description="How artifacts reach clients: through the gateway, or by a presigned URL."
    )
    poll_seconds: float = Field(1.0, gt=0, le=60, description="How often clients are told to poll a running job.")
    image_wait_seconds: float = Field(
        120, ge=0, description="How long POST /v1/images/generations waits for its job before it answers 504."
    )
    rate_limit: str | None = Field(
        None,
        description="Most submits of a key (without keys: of an address), as in 60/minute; empty: no limit. "
        "Unset: 60/minute; no limit for loopback without keys.",
    )
    owner_limit: int | None = Field(
        None,
        ge=1,
        description="Most jobs of a key or address that may wait or run at once. "
        "Unset: 200; no limit for loopback without keys.",
    )
    queue_limit: int = Field(1000, ge=1, description="Most jobs that wait for a model; more are refused with 503.")
    job_ttl_seconds: float = Field(3600, gt=0, description="A job that has not begun after this time expires.")
    retention_seconds: float = Field(604_800, gt=0, description="How long status records of finished jobs are kept.")
    sweep_seconds: float = Field(10, gt=0, description="How often the gateway repairs what a crash left behind.")

    model: str | None = Field(
        None, description="Catalogue name of the model that a worker serves; unset: the default model."
    )
    catalogue: Path = Field(data_folder("models") / "models.toml", description="The models on offer.")
    styles: Path = Field(data_folder("models") / "styles.toml", description="The studio looks on offer.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps ...")
    workers: int = Field(1, ge=1, le=64, description="Workers on this machine; each gets its share of the cores.")
    worker_host: str = Field("127.0.0.1", description="Address of the worker's /livez, /readyz and /metrics.")
    worker_port: int = Field(0, ge=0, le=65535, description="Port of the worker's health and metrics; 0: none.")
    prefetch: int | None = Field(
        None, ge=1, le=200, description="Deliveries that a worker holds of each lane; unset: two batches of the model."
    )
    job_deadline_seconds: float = Field(
        600, gt=0, description="A model call that takes longer fails its jobs with `timeout`."
    )
    grace_seconds: float = Field(60, ge=0, description="Time a stopping worker gives its running jobs.")
    max_attempts: int = Field(
        3, ge=1, le=50, description="A job that takes its worker down this often fails as `poison`."
    )
    status_lease_seconds: float = Field(30, gt=0, description="A worker silent for this long loses its job.")
    broker_lease_seconds: float = Field(
        10, gt=0, description="A worker silent for this long loses its deliveries from the embedded queue."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe level logged.")
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, else json."
    )
    failpoint: str | None = Field(None, exclude=True, description="For tests: NAME or NAME@K, see `check_failpoint`.")

    @model_validator(mode="after")
    def _keep_failpoints_out_of_production(self) -> Self:
        if self.failpoint is not None:
            names = ("host", "worker_host", "public_url", "broker_url", "statuses_url", "objects_url")
            check_failpoint(self.failpoint, {f"{PREFIX}{name.upper()}": getattr(self, name) for name in names})
        return self


def load_settings(environ: Mapping[str, str] = os.environ, env_file: Path = Path(".env")) -> Settings:
    """Read the settings. Raises ValueError naming every unknown STUDIO_* variable with the nearest setting."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    filed = dotenv_values(env_file)
    given = {*environ, *filed}
    if f"{PREFIX}FAILPOINT" in filed:
        raise ValueError(f"{PREFIX}FAILPOINT is for tests, and is read from the environment only")
    unknown = sorted(name for name in given if name.startswith(PREFIX) and name not in known)
    if unknown:
        nearest = {name: get_close_matches(name, known, 1) for name in unknown}
        hints = [f"{name} (did you mean {near[0]}?)" if near else name for name, near in nearest.items()]
        raise ValueError(f"unknown setting: {', '.join(hints)}")
    return Settings(_env_file=env_file)


def env_example() -> str:
    """Return the text of `.env.example`: every setting with its description and default, commented out."""
    lines = ["# Generated from services/common/settings.py by `just env-example`. Uncomment the lines you change."]
    for name, info in Settings.model_fields.items():
        if info.exclude:
            continue
        default = info.get_default(call_default_factory=True, validated_data={"data_dir": Path(".studio")})
        if isinstance(default, Path) and default.is_absolute():
            default = f"models/{default.name}"
        lines += ["", f"# {info.description}", f"# {PREFIX}{name.upper()}={'' if default is None else default}"]
    return "\n".join(lines) + "\n"
