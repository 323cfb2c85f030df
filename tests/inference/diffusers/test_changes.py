"""Each change of a pipeline can be left out, and leaves the images as they are."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from services.common.catalogue.catalogue import Model
from services.common.catalogue.files import load_catalogue
from services.common.errors import ModelUnavailable
from services.inference.adapters.txt2img import Txt2Img
from services.inference.diffusers.changes import PIPELINE, PROCESS, changes_off
from services.inference.runtime.sources import Source
from tests.support.models.items import apart, draw, item
from tests.support.system import ROOT

pytestmark = pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")  # diffusers' schedulers, under numpy 2

# Of 255. `timestep` and `decoder` change the order of sums; `rounding` does nothing in single precision.
APART = {"timestep": 1, "rounding": 1, "traced-denoiser": 0, "decoder": 1}
PROGRAM = """
import json, sys
from services.inference.adapters.txt2img import Txt2Img
from services.inference.runtime.sources import Source
from tests.support.models.items import draw, item, tiny_model

source, off = sys.argv[1:]
options = {"precision": "float32", "on": ["traced-denoiser"], "off": json.loads(off)}
adapter = Txt2Img(tiny_model(source).model_copy(update={"options": options}), Source(source))
adapter.prepare_thread(2)
adapter.load("cpu")
for image in draw(adapter, *(item(seed, f"product {seed}") for seed in range(3))):
    sys.stdout.buffer.write(image.tobytes())
"""


@pytest.fixture(scope="module")
def with_all(tiny: Model) -> list[Image.Image]:
    """The images of a batch, drawn with all changes."""
    return _drawn(tiny, off=[])


@pytest.mark.parametrize("name", APART)
def test_parity(with_all: list[Image.Image], tiny: Model, name: str) -> None:
    """A pipeline without one change draws what it draws with it, to the bound of that change."""
    pairs = zip(with_all, _drawn(tiny, off=[name]), strict=True)
    assert max(apart(*pair) for pair in pairs) <= APART[name]


def test_parity_of_the_process(with_all: list[Image.Image], tiny: Model) -> None:
    """A process without the changes of a process draws the same bytes as one with them."""
    off = json.dumps([change.name for change in PROCESS])
    drawn = subprocess.check_output([sys.executable, "-c", PROGRAM, tiny.source, off], cwd=ROOT)
    assert drawn == b"".join(image.tobytes() for image in with_all)


def test_every_change_of_a_pipeline_has_a_bound() -> None:
    """No change is added without a bound to hold."""
    assert {change.name for change in PIPELINE} <= set(APART)


def test_cpu_stands_for_all_that_save_time_on_one() -> None:
    """The name `cpu` leaves out what only saves time on a CPU, and none of what a promise rests on."""
    assert changes_off({"off": ["cpu"]}) == {change.name for change in (*PROCESS, *PIPELINE) if change.cpu}
    assert changes_off({"off": ["cpu"]}).isdisjoint({"timestep", "rounding"})


def test_a_change_that_costs_some_models_time_is_asked_for() -> None:
    """The denoiser is traced for an entry that asks for it, as the model that ships does, and `off` outweighs `on`."""
    assert changes_off({}) == {"traced-denoiser"}
    assert changes_off({"on": ["traced-denoiser"]}) == frozenset()
    assert changes_off({"on": ["traced-denoiser"], "off": ["cpu"]}) == {"kept-memory", "traced-denoiser"}
    assert (
        changes_off(
            load_catalogue(ROOT / "models" / "models.toml", ROOT / "models" / "styles.toml")
            .models["studio-tiny"]
            .options
        )
        == frozenset()
    )


@pytest.mark.parametrize("given", [["tracing"], "cpu", ["decoder", "CPU"], True])
def test_unknown_name_is_refused(given: object) -> None:
    """A name that no change has is refused with those that there are."""
    with pytest.raises(ModelUnavailable, match=r"it takes a list of any of .*traced-denoiser"):
        changes_off({"off": given})
    with pytest.raises(ModelUnavailable, match=r"the option `on` is .*traced-denoiser"):
        changes_off({"on": given})


def _drawn(tiny: Model, off: list[str]) -> list[Image.Image]:
    options = {"precision": "float32", "on": ["traced-denoiser"], "off": off}
    adapter = Txt2Img(tiny.model_copy(update={"options": options}), Source(tiny.source))
    adapter.load("cpu")
    images = draw(adapter, *(item(seed, f"product {seed}") for seed in range(3)))
    adapter.close()
    return images
