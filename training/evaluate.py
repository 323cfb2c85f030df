"""`python -m training.evaluate [--json]`: measure how often studio-tiny matches its prompts, and how fast it is.

A classifier trained on renders alone judges the images. The command also prints the accuracy of this judge on renders
and on images labelled by a person.
"""

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.figure import Figure
from services.common.catalogue.catalogue import Catalogue
from services.common.catalogue.files import load_catalogue
from training.captions import FACTS
from training.exam import Question, write_exam
from training.grid import save_grid
from training.judge import ASKED, Judge, judge_images, labels_of, render_exam, train_judge
from training.photos import pixels
from training.scenes import PRODUCTS, Scene

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "models" / "studio-tiny"
LABELLED = Path(__file__).with_name("labelled.json")
QUESTIONS = 240
RENDERS = 600
GOALS = {"product": ">= 95", "colour": ">= 95", "background": ">= 90"}
SHEET = (
    *("red mug", "matte black coffee grinder", "two yellow bottles", "a glossy green teapot", "blue vase", "pink lamp"),
    *("an orange bell pepper", "a purple perfume flask", "white cup", "a navy book", "lime can", "turquoise bowl"),
)


def evaluate(folder: Path) -> Iterator[Figure]:
    """Yield the figures, those of the judge first. `folder` keeps the trained judge."""
    catalogue = load_catalogue(ROOT / "models" / "models.toml", ROOT / "models" / "styles.toml")
    defaults = catalogue.models["studio-tiny"].defaults
    judge = train_judge(folder)
    yield from _judge_itself(judge)
    pipeline = load(MODEL)
    yield from _speed(pipeline, defaults)
    questions = write_exam({name: style.template for name, style in catalogue.styles.items()}, QUESTIONS)
    images = draw(pipeline, [question.prompt for question in questions], defaults["steps"], defaults["guidance"])
    yield from _score(judge, questions, images)
    few = questions[:60]
    longer = draw(pipeline, [question.prompt for question in few], 20, defaults["guidance"])
    yield _steps_figure(judge, few, images[:60], longer)
    yield from _labelled(judge, images)
    yield _negative(judge, pipeline, defaults)
    _save_sheet(pipeline, catalogue, defaults)


def load(folder: Path) -> Any:
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(
    pipeline: Any, prompts: Sequence[str], steps: int, guidance: float, unwanted: str | None = None
) -> torch.Tensor:
    """Return an image a prompt, in -1..1; image k has the seed k. `unwanted` is the negative prompt of all."""
    drawn = []
    for start in range(0, len(prompts), 8):
        part = list(prompts[start : start + 8])
        generators = [torch.Generator().manual_seed(start + number) for number in range(len(part))]
        with torch.inference_mode():
            made = pipeline(
                part,
                negative_prompt=None if unwanted is None else [unwanted] * len(part),
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=generators,
                output_type="pt",
            )
        drawn.append(made.images * 2 - 1)
    return torch.cat(drawn)


def _judge_itself(judge: Judge) -> Iterator[Figure]:
    photos, scenes = render_exam(1_000_003, RENDERS)
    right = judge_images(judge, torch.cat([pixels(photo[None]) for photo in photos])) == labels_of(scenes)
    for place, name in enumerate(ASKED):
        yield _share(f"judge.renders.{name}", right[:, place], ">= 98")


def _score(judge: Judge, questions: Sequence[Question], images: torch.Tensor) -> Iterator[Figure]:
    right = judge_images(judge, images) == labels_of([question.scene for question in questions])
    for place, name in enumerate(ASKED):
        yield _share(f"studio-tiny.{name}", right[:, place], GOALS[name])
    unseen = torch.tensor([question.unseen for question in questions], device=right.device)
    yield _share("studio-tiny.unseen-pairs", right[unseen, :2].all(dim=1), ">= 85")


def _steps_figure(judge: Judge, few: Sequence[Question], short: torch.Tensor, longer: torch.Tensor) -> Figure:
    """Return how many more of 60 images are right after 20 steps than after the default number."""
    wanted = labels_of([question.scene for question in few])
    short_right, long_right = ((judge_images(judge, each) == wanted).all(dim=1).float() for each in (short, longer))
    gain = (long_right.mean() - short_right.mean()).item() * 100
    return Figure.of("studio-tiny.gain-of-20-steps", gain, "points", "<= 3", [gain])


def _negative(judge: Judge, pipeline: Any, defaults: Mapping[str, Any]) -> Figure:
    """Return how many fewer images show a background when the negative prompt names it, in percent.

    The prompts ask for no background. Every background counts by its frequency in the images without a negative prompt,
    which is left to chance and may be 0.
    """
    prompts = [f"a {product}" for product in PRODUCTS] * 3

    def seen(unwanted: str | None) -> Counter[str]:
        images = draw(pipeline, prompts, defaults["steps"], defaults["guidance"], unwanted)
        found = judge_images(judge, images)[:, ASKED.index("background")].tolist()
        return Counter(str(FACTS["background"][place]) for place in found)

    unasked = seen(None)
    left = {name: seen(f"{name} background")[name] for name in unasked}
    samples = [100 * (1 - left[name] / count) for name, count in unasked.items()]
    fewer = 100 * (1 - sum(left.values()) / unasked.total())
    return Figure.of("studio-tiny.negative-prompt", fewer, "% fewer", ">= 50", samples)


def _labelled(judge: Judge, images: torch.Tensor) -> Iterator[Figure]:
    """Compare the judge with a person's labels of the exam's first images, some of which show nothing (null).

    The labels belong to images by the shipped weights; other weights need new labels.
    """
    seen = json.loads(LABELLED.read_text("utf-8"))
    places = [place for place, label in enumerate(seen) if label is not None]
    right = judge_images(judge, images[places]) == labels_of([Scene(**seen[place]) for place in places])
    for place, name in enumerate(ASKED):
        yield _share(f"judge.labelled.{name}", right[:, place], ">= 95")


def _speed(pipeline: Any, defaults: Mapping[str, Any]) -> Iterator[Figure]:
    """Yield the time of one image at the defaults, and the time of one further step."""
    draw(pipeline, ["warm up"], 2, defaults["guidance"])
    whole: list[float] = []
    shorter: list[float] = []
    for _ in range(7):
        for steps, times in ((defaults["steps"], whole), (defaults["steps"] // 2, shorter)):
            begin = time.perf_counter()
            draw(pipeline, ["red mug"], steps, defaults["guidance"])
            times.append(time.perf_counter() - begin)
    yield Figure.of("studio-tiny.seconds", statistics.median(whole), "s", "<= 2", whole)
    saved = defaults["steps"] - defaults["steps"] // 2
    costs = [(full - part) / saved * 1000 for full, part in zip(whole, shorter, strict=True)]
    yield Figure.of("studio-tiny.step", statistics.median(costs), "ms", "<= 100", costs)


def _save_sheet(pipeline: Any, catalogue: Catalogue, defaults: Mapping[str, Any]) -> None:
    styles = list(catalogue.styles.values())
    prompts = [styles[number % len(styles)].prompt(product) for number, product in enumerate(SHEET)]
    file = ROOT / "docs" / "img" / "studio-tiny.png"
    save_grid(file, draw(pipeline, prompts, defaults["steps"], defaults["guidance"]), columns=6)


def _share(name: str, right: torch.Tensor, goal: str) -> Figure:
    samples = (right.float() * 100).tolist()
    return Figure.of(name, statistics.mean(samples), "%", goal, samples)


def main() -> int:
    parser = argparse.ArgumentParser(prog="just eval-studio-tiny", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line and nothing else to stdout")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "studio-tiny", help="folder of the trained judge"
    )
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    met = True
    for figure in evaluate(arguments.folder):
        figure.print(as_json=arguments.json)
        met = met and figure.ok
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
