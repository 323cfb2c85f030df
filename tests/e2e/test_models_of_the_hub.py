"""`studio models pull` with a model on a hub on loopback."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.models.hub_server import NAME, REVISION, Hub, hub_server
from tests.support.models.package_catalogue import ROOT, PackageStudio
from tests.support.models.refusing_hub import refusing_hub
from tests.support.polling import poll

FILES = {"config.json": b"{}", "model.safetensors": os.urandom(4_000_000), "words/list.json": b'["red"]'}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_server(FILES) as opened:
        yield opened


@pytest.fixture
def studio(hub: Hub, tmp_path: Path) -> PackageStudio:
    return of_hub(tmp_path, hub.url)


def of_hub(folder: Path, url: str, **entry: object) -> PackageStudio:
    studio = PackageStudio(folder, "http://127.0.0.1:9/simple/")
    studio.environment |= {"HF_ENDPOINT": url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    studio.write(f"hub:{NAME}", None, mirror=None, revision=REVISION, **{"megabytes": None, **entry})
    return studio


def pull(studio: PackageStudio, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return studio.run("models", "pull", "mugs", *options, **variables)


def snapshot(studio: PackageStudio) -> dict[str, bytes]:
    (folder,) = studio.home.glob("hub/models--*/snapshots/*")
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def test_pull(studio: PackageStudio) -> None:
    """The hub says how large the download is; afterwards the model is installed, also offline."""
    done = pull(studio)
    assert (done.returncode, done.stderr) == (0, "")
    first, last = done.stdout.splitlines()
    assert first == f"mugs: Red mugs, licence MIT, a download of at most 4.0 MB, hub:{NAME}"
    assert last.startswith("mugs is installed, 4.0 MB in ")
    assert snapshot(studio) == FILES
    (listed,) = json.loads(studio.run("models", "--json").stdout)
    assert (listed["installed"], listed["bytes"]) == (True, sum(map(len, FILES.values())))
    offline = pull(studio, "--offline", HF_ENDPOINT="http://127.0.0.1:9")
    assert (offline.returncode, "4.0 MB here" in offline.stdout) == (0, True)


def test_killed_in_the_middle(studio: PackageStudio, hub: Hub) -> None:
    """After a kill, a pull fetches only the files that are not whole."""
    hub.gate.clear()
    process = studio.start("models", "pull", "mugs")
    assert hub.halfway.wait(30)
    poll(lambda: len(list(studio.home.rglob("*.json"))) >= 2, 30, lambda: list(studio.home.rglob("*")))
    process.kill()
    process.communicate()
    hub.fetched.clear()
    hub.gate.set()
    assert pull(studio).returncode == 0
    assert hub.fetched.keys() == {"model.safetensors"}
    assert snapshot(studio) == FILES


def test_broken_connection(studio: PackageStudio, hub: Hub) -> None:
    """A download whose connection breaks goes on with the bytes that are missing."""
    hub.files = {**FILES, "model.safetensors": os.urandom(24_000_000)}
    hub.cuts = 1
    assert pull(studio).returncode == 0
    asked = hub.fetched["model.safetensors"]
    assert asked is not None, "it was fetched from the beginning"
    assert asked.startswith("bytes=10485760"), "huggingface_hub writes pieces of 10 MiB"
    assert snapshot(studio) == hub.files


def test_gated_model(tmp_path: Path) -> None:
    """A gated model is refused with its page and HF_TOKEN."""
    with refusing_hub(403, "GatedRepo") as url:
        done = pull(of_hub(tmp_path, url))
    assert done.returncode == 1
    assert f"{NAME} is gated: accept its terms on https://huggingface.co/{NAME} and set HF_TOKEN" in done.stderr


def test_offline(studio: PackageStudio, hub: Hub) -> None:
    """Offline nothing is asked of the hub, and the command that fetches the model is named."""
    done = pull(studio, "--offline")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"hf download {NAME} --revision {REVISION}" in done.stderr
    assert hub.fetched == {}


def test_pipeline(tmp_path: Path) -> None:
    """A diffusers pipeline comes with the files that loading reads, and with none that may hold code."""
    folder = ROOT / "models" / "studio-tiny"
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    unwanted = {"unet/diffusion_pytorch_model.bin": b"pickled", "all.ckpt": b"pickled", "photos/one.png": b"a photo"}
    with hub_server({**files, **unwanted}) as hub:
        done = pull(of_hub(tmp_path, hub.url, adapter="txt2img", options={}))
    assert (done.returncode, done.stderr) == (0, "")
    assert [name for name in unwanted if name in hub.fetched] == []
    assert {name for name in files if name.endswith(".safetensors")} <= hub.fetched.keys()
