"""Settings: generated documentation, refused misspellings, defaults that follow the data folder."""

from pathlib import Path

import pytest

from scripts.env_example import env_example
from services.common.load_settings import load_settings
from services.common.network.addresses import local_path
from services.common.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
NAMES = [name for name in Settings.model_fields if name != "failpoint"]


def _variables() -> list[str]:
    """Return the lines of `.env.example` that set something, uncommented."""
    return [line.removeprefix("# ") for line in env_example().splitlines() if line.startswith("# STUDIO_")]


def _fault_of(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what is told of this value in the environment."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=variable) as caught:
        load_settings({variable: value}, Path("none"))
    return str(caught.value)


def test_env_example_is_generated() -> None:
    """`.env.example` is generated from the settings class; `just env-example` writes it."""
    assert (ROOT / ".env.example").read_text() == env_example()


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_env_example_can_be_used(tmp_path: Path, newline: str, mark: str) -> None:
    """Uncommenting every line changes nothing, in any folder, with the line ends and the mark of Windows, too."""
    filled = tmp_path / ".env"
    filled.write_bytes((mark + newline.join(["# a comment", *_variables()]) + newline).encode())
    assert len(_variables()) == len(NAMES)
    assert load_settings({}, filled) == Settings()


@pytest.mark.parametrize("quote", ['"', "'"])
def test_quoted_values(tmp_path: Path, quote: str) -> None:
    """Values may be in quotes of either kind, empty ones included."""
    file = tmp_path / ".env"
    pairs = (line.split("=", 1) for line in _variables())
    file.write_text("\n".join(f"export {name} = {quote}{value}{quote}  # why" for name, value in pairs))
    assert load_settings({}, file) == Settings()


@pytest.mark.parametrize("place", ["environment", "file"])
@pytest.mark.parametrize("value", ["", " \r", '""'])
@pytest.mark.parametrize("name", NAMES)
def test_empty_is_unset(name: str, value: str, place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty value of any setting is none, wherever it stands: `${X:-}` in a file of Compose makes such."""
    variable, file = f"STUDIO_{name.upper()}", tmp_path / ".env"
    if place == "environment":
        monkeypatch.setenv(variable, value)
    else:
        file.write_text(f"{variable}={value}\n")
    environ = {variable: value} if place == "environment" else {}
    assert load_settings(environ, file) == Settings.model_validate({})


@pytest.mark.parametrize("empty", ["", "  ", "\r", '""'])
def test_empty_in_the_environment_leaves_the_file(empty: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A value in `.env` counts where the environment has an empty one."""
    file = tmp_path / ".env"
    file.write_text("STUDIO_PORT=9000\n")
    monkeypatch.setenv("STUDIO_PORT", empty)
    assert load_settings({"STUDIO_PORT": empty}, file).port == 9000


@pytest.mark.parametrize("quote", ['"', "'"])
def test_quotes_in_the_environment(quote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotes around a value are none of it: `docker run --env-file` keeps them, where a shell takes them off."""
    given = {"PORT": "9000", "DATA_DIR": "/srv/our data", "API_KEY": "studio_x", "URL": "http://gateway:80"}
    for name, value in given.items():
        monkeypatch.setenv(f"STUDIO_{name}", f"{quote}{value}{quote} ")
    settings = load_settings({}, Path("none"))
    assert settings.api_key is not None
    got = (settings.port, str(settings.data_dir), settings.api_key.get_secret_value(), settings.url)
    assert got == (9000, *[*given.values()][1:])


def test_lower_case(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Names in lower case are read, so that a misspelt one is refused and the place of a wrong value is right."""
    file = tmp_path / ".env"
    file.write_text("studio_port=9000\n")
    assert load_settings({}, file).port == 9000
    file.write_text("\nstudio_port=x\n")
    with pytest.raises(ValueError, match=f"STUDIO_PORT in {file}, line 2"):
        load_settings({}, file)
    with pytest.raises(ValueError, match="STUDIO_PROT"):
        load_settings({"studio_prot": "9000"}, Path("none"))


@pytest.mark.parametrize("place", ["environment", "file"])
def test_misspelt(tmp_path: Path, place: str) -> None:
    """A STUDIO_* name that is no setting is refused wherever it stands, with the nearest one that is."""
    file = tmp_path / ".env"
    file.write_text("STUDIO_PROT=9000\nHF_TOKEN=x\n" if place == "file" else "HF_TOKEN=x\n")
    with pytest.raises(ValueError, match=r"STUDIO_PROT \(did you mean STUDIO_PORT\?\)") as caught:
        load_settings({"STUDIO_PROT": "9000"} if place == "environment" else {}, file)
    assert (f"{file}, line 1" if place == "file" else "the environment") in str(caught.value)


@pytest.mark.parametrize("place", ["environment", "file"])
@pytest.mark.parametrize("name", ["STUDIO_JDK", "STUDIO_VM_OPTIONS", "STUDIO_PORT_8080_TCP_ADDR"])
def test_foreign(name: str, place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A variable of another program is refused with what allows it, and allowed by that; its value is not shown."""
    file = tmp_path / ".env"
    file.write_text(f"{name}=its-value\n" if place == "file" else "")
    environ = {name: "its-value"} if place == "environment" else {}
    with pytest.raises(ValueError, match="belongs to another program") as caught:
        load_settings(environ, file)
    assert f"STUDIO_FOREIGN_VARIABLES={name}" in str(caught.value)
    assert ("enableServiceLinks" in str(caught.value)) == ("_TCP" in name)
    assert "did you mean" not in str(caught.value)
    assert "its-value" not in str(caught.value)

    monkeypatch.setenv("STUDIO_FOREIGN_VARIABLES", name)
    assert load_settings(environ, file).port == 8000
    with pytest.raises(ValueError, match=f"STUDIO_FOREIGN_VARIABLES=STUDIO_HOME,{name}"):
        load_settings({**environ, "STUDIO_HOME": "x"}, file)


def test_a_setting_is_not_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting of ours cannot be declared another program's: it would be read all the same."""
    assert "STUDIO_PORT" in _fault_of("STUDIO_FOREIGN_VARIABLES", "STUDIO_JDK studio_port", monkeypatch)


@pytest.mark.parametrize(
    ("name", "value", "got", "allowed"),
    [
        ("PREFETCH", "many", "'many'", "a whole number from 1 up to 200"),
        ("PREFETCH", "0", "'0'", "a whole number from 1 up to 200"),
        ("PORT", "80.5", "'80.5'", "a whole number from 0 up to 65535"),
        ("PORT", "tcp://10.0.0.1:80", "'tcp://10.0.0.1:80'", "enableServiceLinks: false"),
        ("MODEL_MEMORY", "8 elephants", "'8 elephants'", "as in 8GB, 500MiB or 1000000"),
        ("MODEL_MEMORY", "-8GB", "'-8GB'", "a number of bytes"),
        ("MODEL_MEMORY", "0MB", "'0MB'", "a number of bytes"),
        ("GRACE_SECONDS", "1m", "'1m'", "a number from 0"),
        ("JOB_TTL_SECONDS", "inf", "'inf'", "a number above 0"),
        ("LOG_LEVEL", "INFO", "'INFO'", "debug, info, warning, error"),
        ("ALLOW_ANONYMOUS", "perhaps", "'perhaps'", "true or false"),
        ("SECRET_KEY", "too short", "9 characters, which are not shown", "at least 16 characters"),
        ("HOST", "http://0.0.0.0", "'http://0.0.0.0'", "0.0.0.0"),
        ("PUBLIC_URL", "studio.example.com", "'studio.example.com'", "https://example.com"),
        ("URL", "http://gateway:port", "'http://gateway:port'", "no URL"),
        ("URL", "/srv/gateway", "'/srv/gateway'", "http://127.0.0.1:8000"),
        ("S3_PUBLIC_ENDPOINT", "https://", "'https://'", "https://example.com"),
        ("BROKER_URL", "/srv/studio.db", "'/srv/studio.db'", "sqlite://, amqp://, amqps://"),
        ("BROKER_URL", "sqlite://studio.db", "'sqlite://studio.db'", "sqlite:////absolute/path"),
        ("STATUSES_URL", "amqp://u:secret@h/", "'amqp://***@h/'", "redis://"),
        ("STATUSES_URL", "redis://:sec/ret@h", "'redis://***@h'", "no URL"),
        ("OBJECTS_URL", "file:///", "'file:///'", "file:////absolute/path"),
        ("OBJECTS_URL", "file:////srv/a#b", "'file:////srv/a#b'", "%23"),
        ("DATA_DIR", "~no-such-user/studio", "'~no-such-user/studio'", "a path without ~"),
        ("DATA_DIR", "$NO_SUCH_VARIABLE/studio", "'$NO_SUCH_VARIABLE/studio'", "no variable NO_SUCH_VARIABLE"),
        ("STATUSES_URL", "redis://h/studio", "'redis://h/studio'", "the number of a database"),
        ("STATUSES_URL", "redis://:6379/0", "'redis://:6379/0'", "names no host"),
        ("BROKER_URL", "amqp://", "'amqp://'", "names no host"),
        ("OBJECTS_URL", "s3://", "'s3://'", "s3://BUCKET"),
        ("OBJECTS_URL", "s3://studio/photos", "'s3://studio/photos'", "s3://BUCKET"),
        ("OBJECTS_URL", "s3://minio:9000/studio", "'s3://minio:9000/studio'", "endpoint=http://HOST:PORT"),
        ("OBJECTS_URL", "s3://studio?endpoint=minio:9000", "endpoint=minio:9000", "endpoint=http://HOST:PORT"),
        ("OBJECTS_URL", "s3://studio?endpiont=http://minio", "endpiont", "endpoint=http://HOST:PORT"),
    ],
)
@pytest.mark.parametrize("place", ["environment", "file"])
def test_faults(
    name: str, value: str, got: str, allowed: str, place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A wrong value is told with its variable, its place, what was got and what is allowed, and without its secret."""
    variable, file = f"STUDIO_{name}", tmp_path / ".env"
    file.write_text(f"# a comment\n\n{variable}='{value}'\n" if place == "file" else "STUDIO_HOST=\n")
    if place == "environment":
        monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=variable) as caught:
        load_settings({variable: value} if place == "environment" else {}, file)
    told = str(caught.value)
    where = f"{file}, line 3" if place == "file" else "the environment"
    assert told.startswith(f"{variable} in {where}: ")
    assert got in told
    assert allowed in told
    assert "pydantic" not in told
    assert not [secret for secret in ("too short", "secret", "ret@h") if secret in told]


@pytest.mark.parametrize(
    ("text", "count"),
    [("8GB", 8e9), ("500 MiB", 500 * 2**20), ("1.5k", 1500), ("2Ti", 2**41), ("64b", 64), ("1000000", 1e6)],
)
def test_memory_with_units(text: str, count: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is a number of bytes, with a unit of 1000 or 1024, with or without the B."""
    monkeypatch.setenv("STUDIO_MODEL_MEMORY", text)
    assert load_settings().model_memory == count


def test_every_fault_is_told(tmp_path: Path) -> None:
    """All wrong values are told at once, each with its line."""
    file = tmp_path / ".env"
    file.write_text("STUDIO_PORT=x\nSTUDIO_DATA_DIR=~no-such-user/a\nSTUDIO_WORKERS=0\n")
    with pytest.raises(ValueError, match="STUDIO_PORT") as caught:
        load_settings({}, file)
    assert [f"{name} in {file}, line" in str(caught.value) for name in ("STUDIO_DATA_DIR", "STUDIO_WORKERS")] == [1, 1]
    assert "BROKER_URL" not in str(caught.value)


@pytest.mark.parametrize(
    "line", ["STUDIO_PORT: 9000", "STUDIO_PORT 9000", "STUDIO_PORT='9000", 'export STUDIO_PORT="9000" x']
)
def test_a_line_that_cannot_be_read(tmp_path: Path, line: str) -> None:
    """A line of ours that is no NAME=VALUE is told with its place; one of another program's is its business."""
    file = tmp_path / ".env"
    file.write_text(f"HF_TOKEN: x\n{line}\n")
    with pytest.raises(ValueError, match=f"STUDIO_PORT in {file}, line 2") as caught:
        load_settings({}, file)
    assert "9000" not in str(caught.value)
    file.write_text(line.replace("STUDIO", "OTHER"))
    assert load_settings({}, file) == Settings()


def test_a_setting_inside_an_open_quote(tmp_path: Path) -> None:
    """A setting that an open quote of another variable swallows is told, not lost."""
    file = tmp_path / ".env"
    file.write_text('TITLE="a studio\nSTUDIO_PORT=9000\nNOTE="x"\n')
    with pytest.raises(ValueError, match="STUDIO_PORT"):
        load_settings({}, file)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A file in another encoding is told by its name; a folder of the name, as of a virtual environment, is no file."""
    file = tmp_path / ".env"
    file.mkdir()
    assert load_settings({}, file) == Settings()
    file = tmp_path / "notepad.env"
    file.write_bytes("STUDIO_PORT=9000\r\n".encode("utf-16"))
    with pytest.raises(ValueError, match=f"{file} is not UTF-8"):
        load_settings({}, file)


def test_data_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded backends live in the data folder unless their URLs say otherwise."""
    monkeypatch.setenv("STUDIO_DATA_DIR", "/srv/studio")
    settings = load_settings()
    assert settings.broker_url == "sqlite:////srv/studio/studio.db"
    assert settings.objects_url == "file:////srv/studio/objects"


@pytest.mark.parametrize(
    "folder", ["/srv/c#", "/srv/what?/data", "/srv/100% ours", "/srv/50%25", "/srv/a&b;c", "./plain", "fotos/größe"]
)
def test_a_path_is_no_url(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data folder may have any characters, also those that mean something else in a URL."""
    monkeypatch.setenv("STUDIO_DATA_DIR", folder)
    settings = load_settings()
    assert local_path(settings.broker_url) == local_path(settings.statuses_url) == Path(folder, "studio.db")
    assert local_path(settings.objects_url) == Path(folder, "objects")


@pytest.mark.parametrize("place", ["environment", "file"])
@pytest.mark.parametrize("home", ["~", "$HOME", "${HOME}"])
def test_home(home: str, place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path may begin with the home folder, which no shell fills in for a file or a unit of systemd."""
    monkeypatch.setenv("HOME", "/home/ours")
    given = {
        "STUDIO_DATA_DIR": f"{home}/data",
        "STUDIO_KEYS_FILE": f"{home}/keys",
        "STUDIO_CATALOGUE": f"{home}/models.toml",
        "STUDIO_STYLES": f"{home}/styles.toml",
        "STUDIO_STATUSES_URL": f"sqlite:///{home}/other.db",
    }
    file = tmp_path / ".env"
    if place == "file":
        file.write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    for name, value in given.items() if place == "environment" else ():
        monkeypatch.setenv(name, value)
    settings = load_settings(given if place == "environment" else {}, file)
    paths = [settings.data_dir, settings.keys_file, settings.catalogue, settings.styles]
    assert paths == [Path("/home/ours", name) for name in ("data", "keys", "models.toml", "styles.toml")]
    assert local_path(settings.statuses_url) == Path("/home/ours/other.db")
    assert local_path(settings.objects_url) == Path("/home/ours/data/objects")


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


@pytest.mark.parametrize(
    ("host", "metrics_host"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "::")]
)
def test_one_port_for_two(host: str, metrics_host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same port for pages and metrics is refused where they would meet."""
    monkeypatch.setenv("STUDIO_HOST", host)
    monkeypatch.setenv("STUDIO_METRICS_HOST", metrics_host)
    monkeypatch.setenv("STUDIO_PORT", "9000")
    assert "STUDIO_PORT and STUDIO_METRICS_PORT are both 9000" in _fault_of("STUDIO_METRICS_PORT", "9000", monkeypatch)
    monkeypatch.setenv("STUDIO_METRICS_HOST", "10.0.0.7")
    monkeypatch.setenv("STUDIO_HOST", "127.0.0.1")
    assert load_settings().metrics_port == 9000
