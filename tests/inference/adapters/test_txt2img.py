"""The adapter txt2img, on a real diffusers pipeline with random weights."""

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from services.common.catalogue.catalogue import Model
from services.common.errors import GenerationError, ModelUnavailable
from services.inference.adapters.txt2img import Txt2Img
from services.inference.runtime.adapter import Cancelled, Context, Item
from services.inference.runtime.outputs import Preview
from services.inference.runtime.sources import Source
from tests.support.models.items import draw, item, tiny_model
from tests.support.models.refusing_hub import refusing_hub


def test_same_seed_same_bytes(txt2img: Txt2Img) -> None:
    """A seed drawn again, after another one, gives the same bytes."""
    (first,), (_,), (again,) = draw(txt2img, item(1)), draw(txt2img, item(2)), draw(txt2img, item(1))
    assert first.tobytes() == again.tobytes()


def test_a_new_adapter_draws_the_same(txt2img: Txt2Img, tiny: Model) -> None:
    """A seed gives the same bytes after a restart of the worker."""
    fresh = Txt2Img(tiny, Source(tiny.source))
    fresh.load("cpu")
    assert draw(fresh, item(1))[0].tobytes() == draw(txt2img, item(1))[0].tobytes()
    fresh.close()


def test_models_of_one_process_keep_their_formats(tiny: Model) -> None:
    """A model in single precision rounds nowhere, also after one in half precision was loaded beside it."""
    import torch

    seen: list[bool] = []
    noting = Context(lambda *_: seen.append(torch.backends.cudnn.allow_tf32), lambda _job_id: False)
    before = torch.backends.cudnn.allow_tf32
    models = [Txt2Img(tiny_model(tiny.source, precision=name), Source(tiny.source)) for name in ("float32", "bfloat16")]
    try:
        for model in models:
            model.load("cpu")
        for model in (*models, *models):
            draw(model, item(1, steps=1), context=noting)
    finally:
        torch.backends.cudnn.allow_tf32 = before
        for model in models:
            model.close()
    assert seen == [False, True, False, True]


@pytest.mark.parametrize("other", [item(2), item(1, "a red shoe"), item(1, steps=5)], ids=["seed", "prompt", "steps"])
def test_parameters_change_the_image(txt2img: Txt2Img, other: Item) -> None:
    """Another seed, prompt or number of steps gives another image."""
    assert draw(txt2img, item(1))[0].tobytes() != draw(txt2img, other)[0].tobytes()


@pytest.mark.parametrize("width", [64, 72, 256])
def test_size(txt2img: Txt2Img, width: int) -> None:
    """The image has the requested size, also when it is no power of two."""
    (image,) = draw(txt2img, item(1, width=width))
    assert (image.size, image.mode) == ((width, 64), "RGB")


def test_progress_counts_the_steps(txt2img: Txt2Img) -> None:
    """Every step of the pipeline is reported, in order, with their number."""
    seen: list[tuple[int, int]] = []
    draw(
        txt2img,
        item(1),
        context=Context(lambda step, total, _preview=None: seen.append((step, total)), lambda _job_id: False),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_stages(txt2img: Txt2Img) -> None:
    """A call says when the text is encoded, the image denoised and the image decoded, in that order, also again."""
    entered: list[str] = []
    context = Context(lambda *_: entered.append("step"), lambda _job_id: False, entered.append)
    for _ in range(2):
        draw(txt2img, item(1), context=context)
    assert entered == ["text-encode", "denoise", "step", "step", "step", "step", "decode"] * 2


def test_previews_change_no_image(txt2img: Txt2Img) -> None:
    """A preview of each item can be taken after every step, and taking it changes no image."""
    sizes: list[list[tuple[int, int]]] = []

    def look(step: int, total: int, preview: Callable[[], Sequence[Preview]] | None = None, /) -> None:
        assert preview is not None
        sizes.append([each.image.size for each in preview()])

    looked = draw(txt2img, item(1), item(2), context=Context(look, lambda _job_id: False))
    assert sizes == [[(8, 8), (8, 8)]] * 4
    unlooked = draw(txt2img, item(1), item(2))
    assert [each.tobytes() for each in looked] == [each.tobytes() for each in unlooked]


def test_cancel_stops_within_one_step(txt2img: Txt2Img) -> None:
    """A call whose jobs are all canceled during a step ends with that step, and the next call is unaffected."""
    expected = draw(txt2img, item(1))[0].tobytes()
    steps: list[int] = []
    context = Context(lambda step, *_: steps.append(step), lambda _job_id: len(steps) == 2)
    with pytest.raises(Cancelled):
        draw(txt2img, item(1), context=context)
    assert steps == [1, 2]
    assert draw(txt2img, item(1))[0].tobytes() == expected


def test_canceled_before_the_first_step(txt2img: Txt2Img) -> None:
    """A call whose jobs are all canceled draws nothing."""
    steps: list[int] = []
    with pytest.raises(Cancelled):
        draw(txt2img, item(1), context=Context(lambda step, *_: steps.append(step), lambda _job_id: True))
    assert steps == []


def test_a_canceled_job_does_not_stop_its_batch_mates(txt2img: Txt2Img) -> None:
    """A batch goes on while one of its jobs is not canceled."""
    batch = [item(1, job_id="unwanted"), item(2, job_id="wanted")]
    context = Context(lambda *_: None, lambda job_id: job_id == "unwanted")
    assert len(draw(txt2img, *batch, context=context)) == 2


def test_long_prompts_are_cut_quietly(
    txt2img: Txt2Img, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A prompt longer than the model reads is cut, and nothing is printed or logged about it."""
    with caplog.at_level(logging.WARNING):
        assert len(draw(txt2img, item(1, "☕ grinder " * 100))) == 1
    assert (*capfd.readouterr(), caplog.text) == ("", "", "")


def test_loading_prints_nothing(tiny: Model, capfd: pytest.CaptureFixture[str]) -> None:
    """No library draws its progress bars while a model is loaded."""
    adapter = Txt2Img(tiny, Source(tiny.source))
    adapter.load("cpu")
    adapter.close()
    assert capfd.readouterr() == ("", "")


def test_numbers_that_overflow_are_an_error(tiny: Model, tmp_path: Path) -> None:
    """A pipeline whose numbers overflow fails the job, where diffusers would store a black image."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = _copy(tiny, tmp_path)
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    tensors["decoder.conv_out.bias"] = torch.full((3,), torch.nan)
    save_file(tensors, weights)
    adapter = Txt2Img(tiny, Source(str(folder)))
    adapter.load("cpu")
    with pytest.raises(GenerationError, match="no picture"):
        draw(adapter, item(1))
    adapter.close()


@pytest.mark.parametrize(
    ("component", "pickled"),
    [("unet", "diffusion_pytorch_model.bin"), ("text_encoder", "pytorch_model.bin")],
)
def test_pickled_weights_are_refused(tiny: Model, tmp_path: Path, component: str, pickled: str) -> None:
    """A folder whose weights can run code when they are read is not loaded, also when all else is safe."""
    import torch
    from safetensors.torch import load_file

    folder = _copy(tiny, tmp_path)
    (safe,) = (folder / component).glob("*.safetensors")
    torch.save(load_file(safe), folder / component / pickled)
    safe.unlink()
    with pytest.raises(ModelUnavailable, match="safetensors weights, and pickled ones can run code"):
        Txt2Img(tiny, Source(str(folder))).load("cpu")


def test_code_in_a_model_folder_is_not_run(tiny: Model, tmp_path: Path) -> None:
    """A component that brings its own Python file is refused, and the file is not run."""
    folder = _copy(tiny, tmp_path)
    (folder / "unet" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    index = json.loads((folder / "model_index.json").read_text())
    index["unet"] = ["evil", "Evil"]
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelUnavailable):
        Txt2Img(tiny, Source(str(folder))).load("cpu")
    assert not (tmp_path / "ran").exists()


def test_folder_without_a_pipeline(tiny: Model, tmp_path: Path) -> None:
    """A folder without a pipeline is refused with the reason."""
    with pytest.raises(ModelUnavailable, match=r"no model_index\.json"):
        Txt2Img(tiny, Source(str(tmp_path))).load("cpu")


def test_hub_out_of_reach(tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub model that is neither cached nor reachable is refused with the command that fetches it."""
    import huggingface_hub.constants as hub

    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)  # what the environment variable sets at import
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    adapter = Txt2Img(tiny, Source("owner/name", revision="0" * 40))
    with pytest.raises(ModelUnavailable, match=f"hf download owner/name --revision {'0' * 40}"):
        adapter.load("cpu")
    adapter.close()


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (403, "GatedRepo", "accept its terms on https://huggingface.co/owner/name and set HF_TOKEN"),
        (404, "RepoNotFound", "check the name, or set HF_TOKEN"),
        (404, "RevisionNotFound", f"has no revision {'0' * 40}"),
    ],
)
def test_hub_refuses(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, code: str, advice: str
) -> None:
    """The hub's reason for a refusal becomes a sentence that says what to do."""
    import huggingface_hub.constants as hub
    from huggingface_hub.hf_api import api

    with refusing_hub(status, code) as url:
        monkeypatch.setattr(api, "endpoint", url)  # what HF_ENDPOINT sets at import
        monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
        with pytest.raises(ModelUnavailable, match=advice):
            Txt2Img(tiny, Source("owner/name", revision="0" * 40)).load("cpu")


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_device_that_is_not_there(tiny: Model, device: str) -> None:
    """A device that torch cannot use is named, with what to set instead."""
    with pytest.raises(ModelUnavailable, match=f"{device}.*STUDIO_DEVICE"):
        Txt2Img(tiny, Source(tiny.source)).load(device)


def _copy(model: Model, tmp_path: Path) -> Path:
    return shutil.copytree(model.source, tmp_path / "model")
