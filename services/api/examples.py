"""A request for each operation as one pastes it: for a shell with curl, and for Python.

Both begin from two variables: BASE, where the gateway is, and JOB_ID, a job of one's own.
"""

import json
from typing import Final

from services.api.endpoint import Endpoint

_SHELL: Final = {"job_id": "$JOB_ID", "index": "0", "code": "queue-full"}
_PYTHON: Final = {**_SHELL, "job_id": "{JOB_ID}"}
_OPENAI: Final = """from openai import OpenAI

client = OpenAI(base_url=f"{BASE}/v1", api_key="unused")
made = client.images.generate(%s)
print([image.url for image in made.data])"""


def curl_example(endpoint: Endpoint) -> str:
    """One command; it fails where the request is refused."""
    parts = [f'curl -fsS "$BASE{endpoint.path.format(**_SHELL)}"']
    if endpoint.body is not None:
        parts += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(dict(endpoint.body.example))}'"]
    elif endpoint.method != "GET":
        parts.append(f"-X {endpoint.method}")
    elif _makes_a_file(endpoint):
        parts.append("-o picture")
    return " \\\n    ".join(parts)


def python_example(endpoint: Endpoint) -> str:
    """With `requests`; with OpenAI's own client for OpenAI's route."""
    if endpoint.fault is not None and endpoint.body is not None:
        return _OPENAI % ", ".join(f"{name}={value!r}" for name, value in endpoint.body.example.items())
    url = f'f"{{BASE}}{endpoint.path.format(**_PYTHON)}"'
    body = "" if endpoint.body is None else f", json={json.dumps(dict(endpoint.body.example))}"
    lines = ["import requests", "", f"response = requests.{endpoint.method.lower()}({url}{body}, timeout=10)"]
    lines.append("response.raise_for_status()")
    if _makes_a_file(endpoint):
        lines += ['with open("picture", "wb") as file:', "    file.write(response.content)"]
    elif any(answer.view for answer in endpoint.answers.values()):
        lines.append("print(response.json())")
    return "\n".join(lines)


def _makes_a_file(endpoint: Endpoint) -> bool:
    return any(answer.files for answer in endpoint.answers.values())
