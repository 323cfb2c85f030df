"""Reads compose.yaml and the Dockerfiles as `docker compose config` and `docker inspect` would show them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from scripts import doctor

ROOT: Final = Path(__file__).resolve().parents[2]
SECRETS: Final = {name: f"secret-of-twenty-letters-{index}" for index, name in enumerate(doctor.SECRETS)}
VARIABLE: Final = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def composition(variables: Mapping[str, str] = SECRETS) -> dict[str, Any]:
    """Return compose.yaml with its variables filled in. Raises KeyError for one without a value and a default."""

    def value(found: re.Match[str]) -> str:
        name, kind, default = found.groups()
        return variables[name] if kind != "-" else variables.get(name) or default

    composed: dict[str, Any] = yaml.safe_load(VARIABLE.sub(value, (ROOT / "compose.yaml").read_text()))
    return composed


def services(variables: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the services of compose.yaml with these variables in `.env`, besides the secrets."""
    found: dict[str, dict[str, Any]] = composition({**SECRETS, **(variables or {})})["services"]
    return found


def of_ours(name: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return a service that runs an image of ours; compose.yaml overrides the environment that the image sets."""
    service = services(variables)[name]
    build = service["build"]
    image = stage((ROOT / build["dockerfile"]).read_text(), build.get("target"))
    environment = {name: "" if value is None else value for name, value in service["environment"].items()}
    return {**service, "image": image, "environment": {**image["environment"], **environment}}


def stage(dockerfile: str, target: str | None) -> dict[str, Any]:
    """Return `environment`, `command` and `user` of one stage, by default the last, with those it inherits."""
    stages: dict[str, dict[str, Any]] = {}
    current: dict[str, Any] = {}
    for line in dockerfile.replace("\\\n", " ").splitlines():
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            parent, _, name = rest.partition(" AS ")
            inherited = stages.get(parent, {"environment": {}})
            current = {**inherited, "environment": dict(inherited["environment"])}
            stages[name or ""] = current
        elif instruction == "ENV":
            current["environment"].update(pair.split("=", 1) for pair in rest.split())
        elif instruction == "CMD":
            current["command"] = json.loads(rest)
        elif instruction == "USER":
            current["user"] = rest
    return stages[target] if target else current


def studio(environment: Mapping[str, object]) -> dict[str, str]:
    """Return the STUDIO_* variables among them, as strings."""
    return {name: str(value) for name, value in environment.items() if name.startswith("STUDIO_")}
