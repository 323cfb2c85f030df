"""API keys from `studio keys new` to the programs that send them and the gateways that require them."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import openai
import pytest

from services.api.auth.keys import digest_of
from tests.support.system import System, running_system


def _studio(folder: Path, environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "services", *arguments]
    return subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=90, check=False
    )


def _new_key(system: System, *arguments: str) -> dict[str, Any]:
    done = _studio(system.folder, system.environment, "keys", "new", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    made: dict[str, Any] = json.loads(done.stdout)
    return made


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(Path(tmp_path_factory.mktemp("keys")), {}) as running:
        yield running


@pytest.fixture(scope="module")
def key(system: System) -> str:
    """The key of the user alice, at a running gateway with her line in a file, and with a worker."""
    made = _new_key(system, "--name", "alice")
    file = system.folder / "keys"
    file.write_text(f"{made['line']}\n")
    system.start_gateway(keys_file=str(file))
    system.start_worker()
    return str(made["key"])


def test_made_once_and_kept_as_a_hash(system: System) -> None:
    """`studio keys new` prints a new key each time, and a line with its digest instead of the key."""
    first, second = _new_key(system, "--name", "alice"), _new_key(system, "--name", "olga", "--role", "operator")

    assert first["line"] == f"alice:user:{digest_of(first['key'])}"
    assert second["line"] == f"olga:operator:{digest_of(second['key'])}"
    assert first["key"] != second["key"]
    assert len(first["key"]) > 43
    plain = _studio(system.folder, system.environment, "keys", "new")
    (_, text), (_, line) = (each.split() for each in plain.stdout.splitlines())
    assert line == f"studio:user:{digest_of(text)}"
    assert _studio(system.folder, system.environment, "keys", "new", "--name", "a b").returncode == 2


def test_commands_show_the_key(system: System, key: str) -> None:
    """`studio generate`, `jobs` and `cancel` use STUDIO_API_KEY; without it the error says that a key is needed."""
    environment = {**system.environment, "STUDIO_URL": system.url}
    with_key = {**environment, "STUDIO_API_KEY": key}
    made = _studio(system.folder, with_key, "generate", "red mug", "--json", "-o", "mug.png")
    assert made.returncode == 0, made.stderr
    job = json.loads(made.stdout)
    listed = _studio(system.folder, with_key, "jobs", "--json")
    refused = _studio(system.folder, environment, "jobs")

    assert (system.folder / "mug.png").exists()
    assert [each["id"] for each in json.loads(listed.stdout)] == [job["id"]]
    assert _studio(system.folder, with_key, "cancel", job["id"]).returncode == 2  # the job has ended
    assert (refused.returncode, "Bearer" in refused.stderr) == (2, True)
    assert key not in system.log()


def test_openais_client(system: System, key: str) -> None:
    """OpenAI's client works with a key of ours as its API key, and raises its own error for a wrong one."""
    with openai.OpenAI(base_url=f"{system.url}/v1", api_key=key, max_retries=0) as client:
        assert client.images.generate(prompt="red mug").data
        assert [model.id for model in client.models.list()]
    with openai.OpenAI(base_url=f"{system.url}/v1", api_key="another", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.images.generate(prompt="red mug")
    assert caught.value.code == "unauthenticated"


@pytest.mark.parametrize("command", [["api"], []], ids=["api", "studio"])
def test_no_public_server_without_keys(tmp_path: Path, command: list[str]) -> None:
    """Without keys the server refuses an address beyond loopback: it exits with 2 and says what to do."""
    with running_system(tmp_path, {"STUDIO_HOST": "0.0.0.0"}) as system:
        done = _studio(tmp_path, system.environment, *command)

        assert done.returncode == 2
        assert "STUDIO_KEYS" in done.stderr
        assert "Traceback" not in done.stderr
        system.start_gateway(allow_anonymous="true")
