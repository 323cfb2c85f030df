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
_OPENAI: Final = """from openai import OpenAI

client = OpenAI(base_url=f"{BASE}/v1", api_key=%s)
made = client.%s(%s)
%s"""
# The method of OpenAI's client for each of its routes, and what to do with the result.
_CALLS: Final = {
    "/v1/images/generations": ("images.generate", "print([image.url for image in made.data])"),
    "/v1/audio/speech": ("audio.speech.create", 'made.write_to_file("speech.wav")'),
    "/v1/audio/transcriptions": ("audio.transcriptions.create", "print(made.text)"),
}


def curl_example(endpoint: Endpoint, *, keys: bool = False) -> str:
    """Return one command, which fails when the request is refused."""
    parts = [f'curl -fsS "$BASE{endpoint.path.format(**_SHELL)}"']
    if _needs_key(endpoint, keys=keys):
        parts.append('-H "Authorization: Bearer $KEY"')
    if endpoint.body is not None:
        parts += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(dict(endpoint.body.example))}'"]
    elif endpoint.upload is not None:
        parts.append(f"-F {endpoint.upload.field}=@{endpoint.upload.example}")
        parts += [f"-F {name}={value}" for name, value in _form(endpoint).items()]
    elif endpoint.method != "GET":
        parts.append(f"-X {endpoint.method}")
    if _makes_a_file(endpoint):
        parts.append(f"-o {'speech.wav' if endpoint.path in _CALLS else 'image'}")
    return " \\\n    ".join(parts)


def python_example(endpoint: Endpoint, *, keys: bool = False) -> str:
    """Return a program that uses `requests`, or OpenAI's own client for OpenAI's route."""
    if endpoint.path in _CALLS:
        call, shown = _CALLS[endpoint.path]
        return _OPENAI % ("KEY" if keys else '"unused"', call, _arguments(endpoint), shown)
    url = f'f"{{BASE}}{endpoint.path.format(**_PYTHON)}"'
    body = "" if endpoint.body is None else f", json={json.dumps(dict(endpoint.body.example))}"
    if endpoint.upload is not None:
        body = f', files={{"{endpoint.upload.field}": open("{endpoint.upload.example}", "rb")}}'
    if _needs_key(endpoint, keys=keys):
        body += ', headers={"Authorization": f"Bearer {KEY}"}'
    lines = ["import requests", "", f"response = requests.{endpoint.method.lower()}({url}{body}, timeout=10)"]
    lines.append("response.raise_for_status()")
    if _makes_a_file(endpoint):
        lines += ['with open("image", "wb") as file:', "    file.write(response.content)"]
    elif any(answer.view for answer in endpoint.answers.values()):
        lines.append("print(response.json())")
    return "\n".join(lines)


def _arguments(endpoint: Endpoint) -> str:
    given = [f"{name}={value!r}" for name, value in (endpoint.body.example if endpoint.body else {}).items()]
    if endpoint.upload is not None:
        given.append(f'{endpoint.upload.field}=open("{endpoint.upload.example}", "rb")')
        given += [f"{name}={value!r}" for name, value in _form(endpoint).items()]
    return ", ".join(given)


def _form(endpoint: Endpoint) -> dict[str, str]:
    """Return the fields that the form needs beside its file: OpenAI's client sends no recording without a model."""
    return {"model": "whisper-1"} if endpoint.upload and endpoint.upload.fields else {}


def _needs_key(endpoint: Endpoint, *, keys: bool) -> bool:
    return keys and endpoint.access is not Access.OPEN


def _makes_a_file(endpoint: Endpoint) -> bool:
    return any(answer.files and not answer.view for answer in endpoint.answers.values())
