"""A catalogue whose model lies in a package, and `studio` with an index and a cache of its own."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.models.package_index import wheel

ROOT = Path(__file__).resolve().parents[3]
WEIGHTS = {"model.bin": os.urandom(3_000_000), "words/list.json": b'["red", "mug"]'}
FILES = {
    **{f"red_mugs/model/{name}": content for name, content in WEIGHTS.items()},
    "red_mugs/model/unlisted.bin": b"not named in the catalogue",
    "red_mugs/__init__.py": b"raise SystemExit('code of the package was run')",
    "../../../../outside.txt": b"outside",
    "/tmp/outside.txt": b"outside",
}
WHEEL = wheel(FILES)
DIGESTS = {name: hashlib.sha256(content).hexdigest() for name, content in WEIGHTS.items()}
SOURCE = "pypi:red-mugs==1.2/red_mugs/model"
MIRROR = "hub:someone/red-mugs"


class PackageStudio:
    """`folder` gets the catalogue and the cache. pip reads no settings but those in `environment`."""

    def __init__(self, folder: Path, index_url: str) -> None:
        self.folder, self.home = folder, folder / "home"
        self.catalogue = folder / "models.toml"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("STUDIO_", "PIP_", "HF_"))},
            "PYTHONPATH": str(ROOT),
            "STUDIO_CATALOGUE": str(self.catalogue),
            "HF_HOME": str(self.home),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": index_url,
            "PIP_RETRIES": "0",
            "PIP_RESUME_RETRIES": "0",
            "NO_PROXY": "127.0.0.1",
        }
        self.write()

    def write(self, source: str = SOURCE, sha256: str | Mapping[str, str] | None = DIGESTS, **more: object) -> None:
        """Write the catalogue, without the keys that have the value None."""
        options = {"calls": str(self.folder / "calls.txt")}
        entry: dict[str, object] = {
            "title": "Red mugs",
            "modality": "txt2img",
            "adapter": "tests.support.models.scripted_adapter:ScriptedAdapter",
            "source": source,
            "sha256": sha256,
            "mirror": MIRROR,
            "licence": "MIT",
            "megabytes": 3,
            "default": True,
            "options": options,
            **more,
        }
        lines = [f"{key} = {_toml(value)}\n" for key, value in entry.items() if value is not None]
        self.catalogue.write_text("[models.mugs]\n" + "".join(lines))

    def run(self, *arguments: str, before: Sequence[str] = (), **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `studio` to its end. `before` are a program and its arguments that start it."""
        command, environment = self._command(arguments, variables)
        return subprocess.run(
            [*before, *command],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        command, environment = self._command(arguments, variables)
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=pipe, stderr=pipe, text=True)

    def files(self) -> dict[str, bytes]:
        """Return all that lies in the cache of packages but locks, by its path below the folder of the model."""
        found = [file for file in (self.home / "packages").rglob("*") if file.is_file() and file.suffix != ".lock"]
        return {"/".join(file.relative_to(self.home / "packages").parts[1:]): file.read_bytes() for file in found}

    def _command(self, arguments: Sequence[str], variables: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, "-P", "-m", "services", *arguments], {**self.environment, **variables}


def _toml(value: object) -> str:
    """Return the value as TOML, whose texts, numbers and truths are those of JSON."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)
