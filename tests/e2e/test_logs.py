"""The logs of the processes keep the secrets of clients and operators."""

import json
import socket
import subprocess
import sys

import httpx2
import pytest

from tests.support.system import System

pytest_plugins = ["tests.support.system_fixtures"]

CANARY = "canary-7f3a9c21"


@pytest.mark.parametrize("style", ["json", "console"])
def test_logs_keep_secrets(system: System, style: str) -> None:
    """Even at debug level no prompt, key or cookie is written, and every record is one line."""
    system.start_gateway(log_level="debug", log_format=style, secret_key=f"{CANARY}-secret")
    worker = system.start_worker(log_level="debug", log_format=style, secret_key=f"{CANARY}-secret")
    headers = {"Authorization": f"Bearer {CANARY}", "Cookie": f"studio_visitor={CANARY}", "X-Api-Key": CANARY}
    jobs = [
        system.client.post("/v1/jobs", json={"prompt": f"{word} {CANARY}"}, headers=headers).json()
        for word in ("mug", "FAIL", "KEY")
    ]
    system.client.post("/v1/jobs", json={"prompt": CANARY, "style": CANARY, CANARY: 1}, headers=headers)
    system.client.post("/v1/jobs", content=f'{{"prompt": "{CANARY}'.encode())
    system.client.post("/", data={"prompt": CANARY}, headers=headers)
    system.client.get("/", params={"prompt": CANARY, "key": CANARY}, headers=headers)
    _leave_half_way(system)
    assert [system.wait(job["id"])["state"] for job in jobs] == ["succeeded", "failed", "failed"]
    worker.terminate()
    worker.wait(timeout=30)

    assert "request finished" in system.log()
    assert "job finished" in system.log()
    assert CANARY not in system.log()
    if style == "json":
        assert all(isinstance(json.loads(line), dict) for line in system.log().splitlines())


def _leave_half_way(system: System) -> None:
    with socket.create_connection(("127.0.0.1", system.port)) as connection:
        body = f'{{"prompt": "{CANARY}'
        head = f"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nX-Key: {CANARY}\r\n"
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n{body}".encode())
    assert httpx2.get(f"{system.url}/livez").status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"STUDIO_BROKER_URL": f"amqp://studio:{CANARY}@127.0.0.1:1/"},
        {"STUDIO_BROKER_URL": f"amqpp://studio:{CANARY}@127.0.0.1:1/"},
        {"STUDIO_STATUSES_URL": f"redis://:{CANARY}@127.0.0.1:1/0"},
        {"STUDIO_STATUSES_URL": f"rediss//:{CANARY}@127.0.0.1:1/0"},
        {"STUDIO_OBJECTS_URL": "s3://studio?endpoint=http://127.0.0.1:1", "STUDIO_S3_SECRET_KEY": CANARY},
        {"STUDIO_SECRET_KEY": CANARY[:15]},
    ],
    ids=lambda wrong: "-".join(wrong).lower(),
)
@pytest.mark.parametrize("command", ["api", "worker"])
def test_what_cannot_start_keeps_its_secrets(
    system: System, command: str, wrong: dict[str, str], request: pytest.FixtureRequest
) -> None:
    """A process that cannot reach or parse a backend's URL says so without the password."""
    environment = {**system.environment, "STUDIO_LOG_LEVEL": "debug", **wrong}
    if "STUDIO_S3_SECRET_KEY" in wrong:
        environment["STUDIO_S3_ACCESS_KEY"] = "studio"
    done = subprocess.run(
        [sys.executable, "-m", "services", command],
        cwd=system.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.strip()
    assert CANARY[:15] not in done.stdout + done.stderr
