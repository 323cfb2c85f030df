"""Settings: environment variables with the prefix STUDIO_, then `.env`, then these defaults.

Read once, by `services.__main__`; all other code gets the values it needs. An empty value is none. An unknown STUDIO_*
name is refused, in the environment and in `.env` (which may hold other programs' variables, too), since a misspelt
setting would be ignored silently. `.env.example` is generated from this class.
"""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from services.common.failpoints import check_failpoint
from services.common.network.addresses import file_url, share_address
from services.common.setting_sources import ENCODING, PREFIX, CleanSource
from services.common.setting_types import (
    BrokerURL,
    ByteCount,
    Host,
    LocalPath,
    ObjectsURL,
    StatusesURL,
    WebURL,
    data_folder,
)

SECRETS: Final = ("s3_access_key", "s3_secret_key", "secret_key", "keys", "api_key")


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file_encoding=ENCODING,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    data_dir: LocalPath = Field(Path(".studio"), description="Folder of the embedded backends.")
    broker_url: BrokerURL = Field(
        default_factory=lambda data: file_url("sqlite", data["data_dir"] / "studio.db"),
        description="sqlite:///FILE or amqp://USER:PASSWORD@HOST/VHOST; unset: studio.db in the data folder.",
    )
    statuses_url: StatusesURL = Field(
        default_factory=lambda data: file_url("sqlite", data["data_dir"] / "studio.db"),
        description="sqlite:///FILE or redis://HOST:PORT/DB; unset: studio.db in the data folder.",
    )
    objects_url: ObjectsURL = Field(
        default_factory=lambda data: file_url("file", data["data_dir"] / "objects"),
        description="file:///FOLDER or s3://BUCKET?endpoint=URL&region=NAME; unset: objects in the data folder.",
    )
    s3_access_key: SecretStr | None = Field(
        None, description="S3 access key; unset: the S3 client looks for credentials itself."
    )
    s3_secret_key: SecretStr | None = Field(None, description="Secret of the S3 access key.")
    s3_public_endpoint: WebURL | None = Field(
        None, description="Endpoint named by presigned URLs, if browsers need a different one."
    )

    host: Host = Field("127.0.0.1", description="Address the gateway listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the gateway listens on.")
    url: WebURL | None = Field(
        None, description="Gateway that `studio generate` submits to; unset: the one on HOST:PORT, if it runs."
    )
    metrics_host: Host = Field("127.0.0.1", description="Address of the gateway's /metrics.")
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of the gateway's /metrics; 0: none.")
    published_host: Host | None = Field(
        None, description="Address on which a container's port is published, where HOST is the container's own."
    )
    public_url: WebURL | None = Field(
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
    keys_file: LocalPath | None = Field(
        None, description="A file of such lines, in addition to STUDIO_KEYS or instead."
    )
    allow_anonymous: bool = Field(
        default=False, description="Allow an address that is not loopback although there are no keys."
    )
    api_key: SecretStr | None = Field(None, description="Key that `studio generate`, `jobs` and `cancel` send.")
    trusted_proxies: str = Field(
        "",
        description="Addresses and networks of proxies whose X-Forwarded-For or Forwarded is believed, with commas. "
        "All who come by another proxy are one caller to limits, those of downloads and conversions included.",
    )
    cors_origins: str = Field(
        "",
        description="Other sites, such as https://shop.example.com, whose scripts may use the API and whose pages may "
        "show its images; with commas.",
    )
    max_body_bytes: int = Field(1_500_000, ge=1024, description="Largest request body.")
    body_deadline_seconds: float = Field(10, gt=0, description="Seconds within which a request body must arrive.")
    graceful_timeout_seconds: float = Field(
        35, gt=0, description="Time the gateway gives running requests at shutdown."
    )
    max_input_bytes: int = Field(
        30_000_000, ge=1024, description="Largest picture or sound that POST /v1/inputs takes."
    )
    max_input_pixels: int = Field(
        50_000_000,
        ge=1024,
        description="Most pixels of such a picture; decoding one takes up to 16 bytes of memory for each.",
    )
    max_input_seconds: float = Field(1800, gt=0, description="Longest such sound.")
    input_deadline_seconds: float = Field(60, gt=0, description="Seconds within which such a file must arrive.")
    input_ttl_seconds: float = Field(
        86_400, ge=60, description="How long a file that was sent in is kept, unless a job was made from it."
    )
    artifact_delivery: Literal["stream", "redirect"] = Field(
        "stream", description="How artifacts reach clients: through the gateway, or by a presigned URL."
    )
    poll_seconds: float = Field(1.0, gt=0, le=60, description="How often clients are told to poll a running job.")
    image_wait_seconds: float = Field(
        120, ge=0, description="How long a route of OpenAI's waits for its job before it answers 504."
    )
    rate_limit: str | None = Field(
        None,
        description="Most submits of a key (without keys: of an address), as in 60/minute; none: no limit. "
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
        None, description="Model of requests that name none, which a worker loads first; unset: the default model."
    )
    models: str = Field(
        "",
        description="Catalogue names of the models that a worker serves, with commas; installed: all whose weights "
        "are on this machine. Unset: STUDIO_MODEL, and for the command `studio` all that are installed as well.",
    )
    model_memory: ByteCount | None = Field(
        None,
        description="Memory that the loaded models of a worker may take together, as in 8GB or 500MiB: on a GPU of the "
        "device, else of the process. Models that were not used for longest are unloaded for others. "
        "Unset: three quarters of the GPU's memory, or half of the machine's or the container's.",
    )
    catalogue: LocalPath = Field(
        data_folder("models") / "models.toml", description="The models on offer; unset: models.toml of this program."
    )
    styles: LocalPath = Field(
        data_folder("models") / "styles.toml",
        description="The studio looks on offer; unset: styles.toml of this program.",
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps ...")
    workers: int = Field(1, ge=1, le=64, description="Workers on this machine; each gets its share of the cores.")
    worker_host: Host = Field("127.0.0.1", description="Address of the worker's /livez, /readyz and /metrics.")
    worker_port: int = Field(0, ge=0, le=65535, description="Port of the worker's health and metrics; 0: none.")
    prefetch: int | None = Field(
        None, ge=1, le=200, description="Deliveries that a worker holds of each lane; unset: two batches of a model."
    )
    job_deadline_seconds: float = Field(
        600, gt=0, description="A model call that takes longer fails its jobs with `timeout`."
    )
    grace_seconds: float = Field(60, ge=0, description="Time a stopping worker gives its running jobs.")
    max_attempts: int = Field(
        3, ge=1, le=50, description="A job that takes its worker down this often fails as `poison`."
    )
    status_lease_seconds: float = Field(
        15, ge=3, description="A worker silent for this long loses its job; it gives a sign every second or so."
    )
    broker_lease_seconds: float = Field(
        10, gt=0, description="A worker silent for this long loses its deliveries from the embedded queue."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe level logged.")
    log_format: Literal["auto", "console", "json"] = Field(
        "auto", description="auto: console on a terminal, else json."
    )
    foreign_variables: str = Field(
        "", description="Variables that begin with STUDIO_ and belong to other programs, separated by commas."
    )
    failpoint: str | None = Field(None, exclude=True, description="For tests: NAME or NAME@K, see `check_failpoint`.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take from each place only what is not empty there."""
        return init_settings, CleanSource(env_settings), CleanSource(dotenv_settings)

    @model_validator(mode="after")
    def _keep_ports_apart(self) -> Self:
        if self.port and self.port == self.metrics_port and share_address(self.host, self.metrics_host):
            raise ValueError(
                f"{PREFIX}PORT and {PREFIX}METRICS_PORT are both {self.port}: give one of them another port"
            )
        return self

    @model_validator(mode="after")
    def _keep_failpoints_out_of_production(self) -> Self:
        if self.failpoint is not None:
            names = ("host", "worker_host", "public_url", "broker_url", "statuses_url", "objects_url")
            check_failpoint(self.failpoint, {f"{PREFIX}{name.upper()}": getattr(self, name) for name in names})
        return self
