"""A request for each operation, to paste into a shell with curl or into Python.

Both use variables: BASE, the gateway's URL, JOB_ID, a job of the reader's, INPUT_ID, an input of theirs, and for
operators MESSAGE_ID, a dead letter; and KEY, where the gateway asks for one.
"""

import json
from typing import Final

from services.api.http.authorization import Access
from services.api.http.endpoint import Endpoint

_SHELL: Final = {
    "job_id": "$JOB_ID",
    "input_id": "$INPUT_ID",
    "message_id": "$MESSAGE_ID",
    "index": "0",
    "code": "queue-full",
    "model": "studio-tiny",
}
_PYTHON: Final = {**_SHELL, "job_id": "{JOB_ID}", "input_id": "{INPUT_ID}", "message_id": "{MESSAGE_ID}"}
_PHOTO: Final = "mug.jpg"
_OPENAI: Final = """from openai import OpenAI

client = OpenAI(base_url=f"{BASE}/v1", api_key=%s)
made = client.images.generate(%s)
print([image.url for image in made.data])"""


def curl_example(endpoint: Endpoint, *, keys: bool = False) -> str:
    """Return one command, which fails when the request is refused."""
    parts = [f'curl -fsS "$BASE{endpoint.path.format(**_SHELL)}"']
    if _needs_key(endpoint, keys=keys):
        parts.append('-H "Authorization: Bearer $KEY"')
    if endpoint.body is not None:
        parts += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(dict(endpoint.body.example))}'"]
    elif endpoint.upload is not None:
        parts.append(f"-F {endpoint.upload.field}=@{_PHOTO}")
    elif endpoint.method != "GET":
        parts.append(f"-X {endpoint.method}")
    elif _makes_a_file(endpoint):
        parts.append("-o image")
    return " \\\n    ".join(parts)


def python_example(endpoint: Endpoint, *, keys: bool = False) -> str:
    """Return a program that uses `requests`, or OpenAI's own client for OpenAI's route."""
    if endpoint.fault is not None and endpoint.body is not None:
        given = ", ".join(f"{name}={value!r}" for name, value in endpoint.body.example.items())
        return _OPENAI % ("KEY" if keys else '"unused"', given)
    url = f'f"{{BASE}}{endpoint.path.format(**_PYTHON)}"'
    body = "" if endpoint.body is None else f", json={json.dumps(dict(endpoint.body.example))}"
    if endpoint.upload is not None:
        body = f', files={{"{endpoint.upload.field}": open("{_PHOTO}", "rb")}}'
    if _needs_key(endpoint, keys=keys):
        body += ', headers={"Authorization": f"Bearer {KEY}"}'
    lines = ["import requests", "", f"response = requests.{endpoint.method.lower()}({url}{body}, timeout=10)"]
    lines.append("response.raise_for_status()")
    if _makes_a_file(endpoint):
        lines += ['with open("image", "wb") as file:', "    file.write(response.content)"]
    elif any(answer.view for answer in endpoint.answers.values()):
        lines.append("print(response.json())")
    return "\n".join(lines)


def _needs_key(endpoint: Endpoint, *, keys: bool) -> bool:
    return keys and endpoint.access is not Access.OPEN


def _makes_a_file(endpoint: Endpoint) -> bool:
    return any(answer.files for answer in endpoint.answers.values())
