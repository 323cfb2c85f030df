import sys
from pathlib import Path

import pytest

from services.common.catalogue.catalogue import Model
from services.inference.adapters.txt2img import Txt2Img
from services.inference.runtime.adapter import QUIET
from services.inference.runtime.sources import Source
from tests.support.models.items import item
from training.__main__ import main, train
from training.recipe import Recipe

TINY = Recipe(
    photos=64,
    autoencoder_steps=2,
    autoencoder_batch=2,
    crop=64,
    text_steps=2,
    text_batch=4,
    unet_steps=2,
    unet_batch=2,
    decoder_batch=2,
    decoder_steps=3,
    compiled=False,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("training")
    train(folder / "work", folder / "model", TINY)
    return folder / "work", folder / "model"


def test_training_makes_a_pipeline_the_adapter_loads(trained: tuple[Path, Path]) -> None:
    """Training writes an ordinary pipeline folder that the adapter loads and that is small enough to ship."""
    _, target = trained
    model = Model(name="trained", title="Trained", modality="txt2img", adapter="txt2img", source=str(target))
    adapter = Txt2Img(model, Source(str(target)))
    adapter.load("cpu")
    (output,) = adapter.generate([item(1, steps=2)], QUIET)
    adapter.close()

    assert output.encode({}).width == 64
    assert sum(file.stat().st_size for file in target.rglob("*")) < 25_000_000
    assert not list(target.rglob("*.bin"))


def test_training_continues(trained: tuple[Path, Path]) -> None:
    """A finished training that runs again trains nothing."""
    folder, target = trained
    before = {file: file.stat().st_mtime_ns for file in folder.glob("*.pt")}
    train(folder, target, TINY)

    assert {file: file.stat().st_mtime_ns for file in folder.glob("*.pt")} == before
    assert sorted(file.stem for file in before) == ["autoencoder", "decoder", "text-encoder", "unet"]


def test_trained_pipeline_redraws_an_image(trained: tuple[Path, Path]) -> None:
    """The trained folder also loads as an image-to-image pipeline."""
    from diffusers import AutoPipelineForImage2Image
    from PIL import Image

    pipeline = AutoPipelineForImage2Image.from_pretrained(trained[1])
    pipeline.set_progress_bar_config(disable=True)
    start = Image.new("RGB", (128, 128), "red")
    redrawn = pipeline("a red mug", image=start, strength=0.5, num_inference_steps=4).images[0]

    assert redrawn.size == start.size
    assert redrawn.tobytes() != start.tobytes()


@pytest.mark.parametrize("option", ["--folder", "--target"])
def test_folders_are_tried_before_hours_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    """A folder that cannot be written to ends the command at once, with a sentence."""
    given = {"--folder": tmp_path / "build", "--target": tmp_path / "model", option: Path("/proc/studio-tiny")}
    arguments = [str(part) for pair in given.items() for part in pair]
    monkeypatch.setattr(sys, "argv", ["train", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "/proc/studio-tiny cannot be written to" in capsys.readouterr().err
