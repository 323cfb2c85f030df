"""The catalogue at the command line: a file that is not as it should be is refused with a sentence, and exit code 2."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, get_args

import pytest
import structlog
from typer.testing import CliRunner, Result

from services.__main__ import app
from services.common.catalogue.adapter_options import ADAPTERS, ChangeName
from services.common.modalities.registry import modalities
from services.inference.adapters.txt2img import Txt2Img
from services.inference.diffusers.changes import PIPELINE, PROCESS

ENTRY = 'title = "One"\nmodality = "txt2img"\nadapter = "txt2img"\nsource = "."\ndefault = true\n'
ONE = f"[models.one]\n{ENTRY}"
STYLE = '[styles.plain]\ntitle = "Plain"\ntemplate = "a photo of {product}"\n'
COMMANDS: Final[Sequence[Sequence[str]]] = (["api"], ["worker"], [])  # the last is the whole `studio`

Studio = Callable[..., Result]


def in_package(place: str = "mugs==1/x.onnx", sha256: str | None = f'"{"0" * 64}"', more: str = "") -> bytes:
    """Return a catalogue whose one model lies in a package."""
    pinned = "" if sha256 is None else f"sha256 = {sha256}\n"
    return (ONE.replace('"."', f'"pypi:{place}"') + pinned + more).encode()


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """Yield a function that runs `studio`; what a command does to this process is undone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUDIO_CATALOGUE", "models.toml")
    monkeypatch.setenv("STUDIO_STYLES", "styles.toml")
    (tmp_path / "styles.toml").write_text(STYLE)
    for module, hook in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, hook, getattr(module, hook))
    root = logging.getLogger()
    before = root.handlers, root.level
    yield lambda *arguments: CliRunner().invoke(app, arguments)
    logging.captureWarnings(capture=False)
    root.handlers, root.level = before
    structlog.reset_defaults()


FAULTS = {
    # defaults against the types and limits of the modality and of the entry
    "text for a number": ('defaults = {width = "128"}', ["defaults.width", "whole number", "'128'"]),
    "a fraction": ("defaults = {steps = 4.5}", ["defaults.steps", "whole number", "4.5"]),
    "true for a number": ("defaults = {seed = true}", ["defaults.seed", "whole number", "true"]),
    "beyond the modality": ("defaults = {guidance = 99}", ["defaults.guidance", "at most 30", "99"]),
    "no number": ("defaults = {guidance = nan}", ["defaults.guidance", "finite"]),
    "between two steps": ("defaults = {height = 100}", ["defaults.height", "multiple of 8", "100"]),
    "too many pixels": ("defaults = {width = 4096, height = 2048}", ["defaults", "4194304", "4096 x 2048"]),
    "beyond the entry": (
        "defaults = {width = 512}\nlimits = {max_side = 256}",
        ["defaults.width", "64 to 256 pixels in steps of 8", "512"],
    ),
    "more images than the entry": (
        "defaults = {num_images = 3}\nlimits = {max_images = 2}",
        ["defaults.num_images", "1 to 2", "3"],
    ),
    "a name of another program": ("defaults = {num_inference_steps = 4}", ["num_inference_steps", "mean steps?"]),
    "another such name": ("defaults = {guidance_scale = 4}", ["guidance_scale", "did you mean guidance?"]),
    "a misspelt default": ("defaults = {hieght = 64}", ["hieght", "did you mean height?"]),
    "a table for a number": ("defaults = {width = {pixels = 128}}", ["defaults.width", "whole number"]),
    "a list for a number": ("defaults = {steps = [4]}", ["defaults.steps", "whole number", "a list"]),
    "a number without end": ("defaults = {guidance = inf}", ["defaults.guidance", "finite"]),
    "a huge number": ("defaults = {width = 99999999999999999992}", ["defaults.width", "at most 4096", "99999999999"]),
    "a negative number": ("defaults = {guidance = -1.5}", ["defaults.guidance", "at least 0", "-1.5"]),
    "a day for a number": ("defaults = {seed = 2024-01-01}", ["defaults.seed", "whole number", "2024-01-01"]),
    "capital letters": ("defaults = {Width = 64}", ["Width", "did you mean width?"]),
    "a word for a word": ('defaults = {reproducibility = "exact"}', ["reproducibility", "'strict'", "'exact'"]),
    "beside the entry's steps": (
        "defaults = {height = 72}\nlimits = {multiple_of = 16}",
        ["defaults.height", "in steps of 16", "72"],
    ),
    "more steps than the entry": ("defaults = {steps = 30}\nlimits = {max_steps = 20}", ["defaults.steps", "1 to 20"]),
    "what each request gives": ('defaults = {prompt = "mug"}', ["defaults.prompt", "every request", "'mug'"]),
    "a look that is not there": ('defaults = {style = "plains"}', ["defaults.style", "'plains'", "mean 'plain'?"]),
    # options of an adapter
    "a misspelt option": ('options = {precisions = "float32"}', ["options.precisions", "did you mean precision?"]),
    "a foreign option": ('options = {lora = "x"}', ["options.lora", "off, on, precision"]),
    "a misspelt value": ('options = {precision = "floats32"}', ["options.precision", "'floats32'", "mean float32?"]),
    "a misspelt change": ('options = {off = ["decodr"]}', ["options.off.0", "'decodr'", "did you mean decoder?"]),
    "a value of other programs": (
        'options = {precision = "float16"}',
        ["options.precision", "'bfloat16'", "'float16'"],
    ),
    "true for a value": ("options = {precision = true}", ["options.precision", "'auto'", "true"]),
    "a change that cannot be asked for": ('options = {on = ["decoder"]}', ["options.on.0", "'traced-denoiser'"]),
    "a number among changes": ('options = {off = ["cpu", 5]}', ["options.off.1", "5"]),
    "text for a list": ('options = {off = "cpu"}', ["options.off", "a list", "'cpu'"]),
    "options that are text": ('options = "float32"', ["options", "a table", "'float32'"]),
    # keys and types of an entry
    "a misspelt key": ("max_bach = 4", ["max_bach", "did you mean max_batch?"]),
    "a default outside of its table": ("width = 512", ["width", "write defaults = { width = 512 }"]),
    "a limit outside of its table": ("max_side = 512", ["max_side", "write limits = { max_side = 512 }"]),
    "an option outside of its table": ('precision = "auto"', ["precision", "write options = { precision = 'auto' }"]),
    "a table among options": ("options = {lora = {a = 1}}", ["options.lora", "known are off, on, precision"]),
    "a foreign key": ('lora = "x"', ["lora", "unknown", "known are adapter"]),
    "a number as text": ('max_batch = "16"', ["max_batch", "whole number", "'16'"]),
    "another name": ('name = "two"', ["name", "must be one", "'two'"]),
    "defaults that are a list": ("defaults = [128, 128]", ["defaults", "a table", "a list"]),
    "a batch of none": ("max_batch = 0", ["max_batch", "at least 1", "0"]),
    "a batch of a thousand": ("max_batch = 1000", ["max_batch", "at most 256", "1000"]),
    "an alias that is no list": ('aliases = "gpt-image-1"', ["aliases", "a list", "'gpt-image-1'"]),
    "an alias that is the name": ('aliases = ["one"]', ["aliases", "'one' stands for [models.one] already"]),
    "an alias twice": ('aliases = ["x", "x"]', ["aliases", "'x' stands for [models.one] already"]),
    "an alias of nothing": ('aliases = [""]', ["aliases.0", "at least 1"]),
    "a digest of a folder": (f'sha256 = "{"0" * 64}"', ["sha256", "in a package (pypi:) alone", "leave it out"]),
    "a mirror of a folder": ('mirror = "hub:x/y"', ["mirror", "in a package (pypi:) alone", "leave it out"]),
    "a revision of a folder": ('revision = "main"', ["revision", "models on the hub alone", "'.'", "leave it out"]),
    # limits
    "limits the wrong way round": ("limits = {min_side = 512, max_side = 256}", ["limits", "min_side", "256", "512"]),
    "limits with nothing between": (
        "limits = {min_side = 72, max_side = 120, multiple_of = 64}",
        ["limits", "72 to 120", "multiple of 64"],
    ),
    "limits beyond the cap": ("limits = {min_side = 4096, max_side = 4096}", ["limits", "4194304", "4096 x 4096"]),
    "a step of nothing": ("limits = {multiple_of = 0}", ["limits.multiple_of", "at least 8", "0"]),
    "wider than the modality": ("limits = {max_steps = 1000}", ["limits.max_steps", "at most 150", "1000"]),
    "less than nothing": ("limits = {max_images = -1}", ["limits.max_images", "at least 1", "-1"]),
    "limits that are no number": ("limits = {max_side = nan}", ["limits.max_side"]),
    "half a limit": ("limits = {max_steps = 2.5}", ["limits.max_steps", "whole number", "2.5"]),
    "limits that are a number": ("limits = 512", ["limits", "a table", "512"]),
    "a misspelt limit": ("limits = {max_sides = 256}", ["limits.max_sides", "did you mean max_side?"]),
    "text for a limit": ('limits = {max_side = "256"}', ["limits.max_side", "whole number", "'256'"]),
}


@pytest.mark.parametrize(("line", "told"), FAULTS.values(), ids=FAULTS)
def test_faulty_entry(studio: Studio, tmp_path: Path, line: str, told: list[str]) -> None:
    """A fault of an entry names file, entry, key, what was got and what is allowed or meant."""
    (tmp_path / "models.toml").write_text(f"{ONE}{line}\n")

    done = studio("models", "--check", "models.toml")
    refused = [studio(*command) for command in COMMANDS]

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("models.toml: [models.one] ")
    assert [part for part in told if part not in done.stderr] == []
    assert done.stderr.count("\n") == 1
    assert [(each.exit_code, each.stderr) for each in refused] == [(2, done.stderr)] * len(COMMANDS)


FILES = {
    "empty": (b"", ["[models.NAME]", "empty"]),
    "a comment": (b"# nothing yet\n", ["[models.NAME]", "empty"]),
    "another table": (ONE.replace("models", "model").encode(), ["[model]", "did you mean model to be models?"]),
    "no table": (ENTRY.encode(), ["has no [models.NAME]", "title"]),
    "a table beside": (f"{ONE}[style.x]\n".encode(), ["'style'", "there are models"]),
    "looks in the wrong file": (f"{ONE}{STYLE}".encode(), ["'styles'", "there are models"]),
    "an entry of text": (f'[models]\nsd15 = "hub:x/y"\n{ONE}'.encode(), ["[models] sd15", "a table", "'hub:x/y'"]),
    "an entry that is a list": (f"[[models.two]]\n{ENTRY}{ONE}".encode(), ["[models] two", "a table", "a list"]),
    "models that are a list": (f"[[models]]\n{ENTRY}".encode(), ["models is a list", "[models.NAME]"]),
    "models that are text": (b'models = "studio-tiny"\n', ["models is 'studio-tiny'", "[models.NAME]"]),
    "no model": (b"[models]\n", ["[models] is empty"]),
    "broken": (b"[models.one]\ntitle = One\n", ["not valid TOML", "line 2", "'title = One'"]),
    "cut short": (b'[models.one]\ntitle = "On', ["not valid TOML", "title"]),
    "an entry twice": (f"{ONE}{ONE}".encode(), ["not valid TOML", "[models.one] twice"]),
    "a key twice": (f"{ONE}default = true\n".encode(), ["not valid TOML", "line 7", "default = true"]),
    "a dot in the name": (f"[models.one.5]\n{ENTRY}".encode(), ["[models.one] 5", '[models."NAME.5"]']),
    "a name with a space": (f'[models."One 5"]\n{ENTRY}'.encode(), ["'One 5'", "lower-case letters"]),
    "no default": (ONE.replace("true", "false").encode(), ["default = true", "none does", "there are one"]),
    "two defaults": (f"{ONE}[models.two]\n{ENTRY}".encode(), ["exactly one", "one, two do"]),
    "not text": (b"\xff\xfe[\x00m\x00", ["UTF-8", "0xff"]),
    "a number without end": (f"{ONE}max_batch = {'9' * 5000}\n".encode(), ["not valid TOML"]),
    "nested without end": (b"x = " + b"[" * 5000 + b"]" * 5000, ["not valid TOML"]),
    "an unpinned hub": (ONE.replace('"."', '"hub:x/y"').encode(), ["[models.one]", "revision"]),
    "a hub without an owner": (
        ONE.replace('"."', '"hub:sd15"').encode() + b'revision = "x"\n',
        ["source", "hub:OWNER/NAME", "'hub:sd15'"],
    ),
    "a branch of the hub": (
        ONE.replace('"."', '"hub:x/y"').encode() + b'revision = "main"\n',
        ["revision", "40 hex digits", "https://huggingface.co/x/y/commits", "'main'"],
    ),
    "an unpinned package": (in_package(sha256=None), ["[models.one]", "sha256"]),
    "a package without a version": (
        in_package("mugs/x.onnx"),
        ["source", "one version after ==", "'pypi:mugs/x.onnx'"],
    ),
    "a range of versions": (in_package("mugs>=1/x.onnx"), ["source", "one version after =="]),
    "all versions": (in_package("mugs==1.*/x.onnx"), ["source", "one version after =="]),
    "an option for pip": (in_package("-r==1/x.onnx"), ["source", "one version after =="]),
    "a package without a path": (in_package("mugs==1"), ["source", "a path inside the package"]),
    "a path out of the package": (in_package("mugs==1/../x.onnx"), ["source", "without . and .."]),
    "an absolute path": (in_package("mugs==1//etc/passwd"), ["source", "without . and .."]),
    "a short digest": (in_package(sha256='"abc"'), ["[models.one] sha256", "64 hex digits", "'abc'"]),
    "a digest in capitals": (in_package(sha256=f'"{"A" * 64}"'), ["sha256", "lower case", "'AAAA"]),
    "a number as digest": (in_package(sha256="5"), ["sha256", "64 hex digits", "{ FILE = DIGEST }"]),
    "no digests": (in_package(sha256="{}"), ["sha256", "{ FILE = DIGEST }"]),
    "a number among digests": (in_package(sha256="{ x = 5 }"), ["sha256", "64 hex digits", "for x", "'5'"]),
    "a file out of the folder": (in_package(sha256=f'{{ "../x" = "{"0" * 64}" }}'), ["sha256", "'../x'"]),
    "a mirror that is none": (in_package(more='mirror = "mugs"'), ["mirror", "hub:OWNER/NAME", "'mugs'"]),
    "a revision of a package": (in_package(more='revision = "main"'), ["revision", "models on the hub alone"]),
    "no megabytes": (in_package(more="megabytes = 0"), ["megabytes", "at least 1"]),
    "an address": (ONE.replace('"."', '"https://x.example/y"').encode(), ["source", "hub:OWNER/NAME", "the address"]),
    "an alias of another": (
        f'{ONE}[models.two]\n{ENTRY.replace("true", "false")}aliases = ["one"]\n'.encode(),
        ["[models.two] aliases", "'one' stands for [models.one] already"],
    ),
    "a name in capitals": (f"[models.SD]\n{ENTRY}".encode(), ["[models.SD] name", "'SD'", "lower-case letters"]),
    "a name too long": (f"[models.{'a' * 64}]\n{ENTRY}".encode(), ["name", "1 to 63 lower-case letters"]),
    "no name": (f'[models.""]\n{ENTRY}'.encode(), ["name", "1 to 63 lower-case letters"]),
    "no source": (ONE.replace('source = "."\n', "").encode(), ["[models.one] source", "required"]),
    "a title of blanks": (ONE.replace('"One"', '"  "').encode(), ["[models.one] title", "a character that shows"]),
    "JSON": (b'{"models": {"one": {}}}', ["not valid TOML", "line 1"]),
    "YAML": (b"models:\n  one:\n", ["not valid TOML", "line 1", "'models:'"]),
    "UTF-16 without a mark": (ONE.encode("utf-16-le"), ["not valid TOML"]),
    "an unknown modality": (ONE.replace("txt2img", "text2img").encode(), ["modality", "'text2img'", "mean txt2img?"]),
    "a modality that the adapter has not": (
        ONE.replace('modality = "txt2img"', 'modality = "tts"').encode(),
        ["modality", "must be txt2img", "'tts'"],
    ),
    "limits of no use": (
        f"{ONE}limits = {{max_side = 64}}\n".replace("txt2img", "stt").encode(),
        ["limits.max_side", "unknown field", "languages"],
    ),
    "text for true": (ONE.replace("true", '"yes"').encode(), ["[models.one] default", "true or false", "'yes'"]),
    "no title": (ONE.replace('title = "One"\n', "").encode(), ["[models.one] title", "required"]),
}


@pytest.mark.parametrize(("content", "told"), FILES.values(), ids=FILES)
def test_faulty_file(studio: Studio, tmp_path: Path, content: bytes, told: list[str]) -> None:
    """A file that holds no catalogue is refused by the start and by the check, in the same words."""
    (tmp_path / "models.toml").write_bytes(content)

    done = studio("models", "--check", "models.toml")
    refused = [studio(*command) for command in COMMANDS]

    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("models.toml: ")
    assert [part for part in told if part not in done.stderr] == []
    first = done.stderr.splitlines()[0]
    assert [(each.exit_code, each.stderr.startswith(first)) for each in refused] == [(2, True)] * len(COMMANDS)


STYLES = {
    "empty": ("", ["[styles.NAME]", "empty"]),
    "one table for one look": (STYLE.replace("styles", "style"), ["did you mean style to be styles?"]),
    "no place for the product": (STYLE.replace("{product}", "a mug"), ["[styles.plain] template", "{product} once"]),
    "two places": (STYLE.replace("{product}", "{product} {product}"), ["template", "{product} once"]),
    "a misspelt key": (f'{STYLE}negativeprompts = "x"\n', ["negativeprompts", "did you mean negative_prompt?"]),
    "a number for text": (f"{STYLE}swatch = 888888\n", ["swatch", "must be text", "888888"]),
    "an example of nothing": (f'{STYLE}example = ""\n', ["example", "at least 1"]),
    "a look in capitals": (STYLE.replace("plain", "Plain"), ["[styles.Plain] name", "lower-case letters"]),
    "a look of text": ('[styles]\nplain = "a photo of {product}"\n', ["[styles] plain", "a table [styles.plain]"]),
    "broken": ("[styles.plain\n", ["not valid TOML", "line 1"]),
}


@pytest.mark.parametrize(("content", "told"), STYLES.values(), ids=STYLES)
def test_faulty_looks(studio: Studio, tmp_path: Path, content: str, told: list[str]) -> None:
    """The file of the looks is checked like that of the models."""
    (tmp_path / "models.toml").write_text(ONE)
    (tmp_path / "styles.toml").write_text(content)

    for done in [studio("api"), studio("worker"), studio("models", "--check", "models.toml")]:
        assert done.exit_code == 2
        assert done.stderr.startswith("styles.toml: ")
        assert [part for part in told if part not in done.stderr] == []


@pytest.mark.parametrize(
    "place", ["missing.toml", ".", "loop.toml", "styles.toml/models.toml", f"{'x' * 300}.toml", "/proc/self/mem"]
)
def test_file_that_cannot_be_read(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """A file that is missing, a folder, or cannot be read is named: with its setting, or as what is to be checked."""
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    checked = studio("models", "--check", place)
    assert (checked.exit_code, checked.stdout) == (2, "")
    assert checked.stderr.startswith(f"{place}: cannot be read: ")
    assert "STUDIO_" not in checked.stderr
    monkeypatch.setenv("STUDIO_CATALOGUE", place)
    done = studio("api")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{place}: cannot be read: ")
    assert "STUDIO_CATALOGUE" in done.stderr


def test_no_permission(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that this user may not read is named with the reason."""
    whole = Path.read_text

    def refuse(path: Path, *arguments: str, **options: str) -> str:
        if path.name == "models.toml":
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, *arguments, **options)

    (tmp_path / "models.toml").write_text(ONE)
    monkeypatch.setattr(Path, "read_text", refuse)
    for done in [studio("api"), studio("worker"), studio("models"), studio("models", "--check", "models.toml")]:
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr.startswith("models.toml: cannot be read: Permission denied; ")


@pytest.mark.parametrize(
    ("arguments", "wanted", "told"),
    [
        (["api"], "two", "STUDIO_MODEL: there is no model 'two'; there are one (in models.toml)"),
        (["worker"], "ones", "STUDIO_MODEL: there is no model 'ones': did you mean 'one'? There are one"),
        (["worker", "--model", "One"], "", "--model: there is no model 'One': did you mean 'one'?"),
        (["worker", "--model", "one", "--model", "two"], "", "--model: there is no model 'two'; there are one"),
        (["--model", "one", "--model", "ones"], "", "--model: there is no model 'ones': did you mean 'one'?"),
        ([], "one,two", "STUDIO_MODEL: there is no model 'one,two'"),
    ],
)
def test_model_that_is_not_in_the_list(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], wanted: str, told: str
) -> None:
    """A model that settings or command line name, and the catalogue has not, ends the start with those there are."""
    (tmp_path / "models.toml").write_text(ONE)
    monkeypatch.setenv("STUDIO_MODEL", wanted)
    done = studio(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(told)


@pytest.mark.parametrize("command", ["worker", ""])
def test_listed_model_that_is_not_in_the_list(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A model in STUDIO_MODELS that the catalogue has not ends the start with those there are."""
    (tmp_path / "models.toml").write_text(ONE)
    monkeypatch.setenv("STUDIO_MODELS", "one, everything")
    done = studio(*command.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("STUDIO_MODELS: there is no model 'everything'; there are one (in models.toml)")


def test_check_of_a_pipe(studio: Studio) -> None:
    """What comes through a pipe can be checked: it is read once."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        pipe.write(ONE)
    done = studio("models", "--check", f"/dev/fd/{reader}")
    os.close(reader)
    assert (done.exit_code, done.stderr) == (0, "")


def test_check_tells_all(studio: Studio, tmp_path: Path) -> None:
    """The check names every fault on a line of its own; the start names the first, and how many there are."""
    faulty = 'defaults = {width = "128", guidance_scale = 1}\nlimits = {min_side = 512, max_side = 256, most = 1}\n'
    (tmp_path / "models.toml").write_text(f'{ONE}{faulty}[models.two]\ntitle = 5\n[models]\nthree = "x"\n')

    lines = studio("models", "--check", "models.toml").stderr.splitlines()
    started = studio("api").stderr.strip()

    parts = ("defaults.width", "guidance_scale", "min_side must", "limits.most", "two] title", "two] source", "three")
    assert [part for part in parts if not any(part in line for line in lines)] == []
    assert started == f"{lines[0]} ({len(lines) - 1} more: `studio models --check FILE` tells all)"


@pytest.mark.parametrize("file", ["other.toml", "looks.toml", "styles.toml", "windows.toml"])
def test_check_of_a_right_file(studio: Studio, tmp_path: Path, file: str) -> None:
    """A file without faults is told to be right: one of models, of looks, or of both where the settings name one."""
    (tmp_path / "models.toml").write_text(ONE if file == "looks.toml" else "broken")
    (tmp_path / "other.toml").write_text(f"\ufeff{ONE}")
    (tmp_path / "looks.toml").write_text(STYLE)
    (tmp_path / "windows.toml").write_bytes(ONE.replace("\n", "\r\n").encode())
    if file == "styles.toml":
        (tmp_path / file).write_text(f"{ONE}{STYLE}")

    done = studio("models", "--check", file)

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{file} is right: 1 models, 1 styles\n"


@pytest.mark.parametrize("modality", list(modalities()))
def test_modality_without_defaults(studio: Studio, tmp_path: Path, modality: str) -> None:
    """An entry of any modality may leave out what has a default, and give any options to a package's own adapter."""
    entry = ONE.replace('"txt2img"', f'"{modality}"', 1).replace('adapter = "txt2img"', 'adapter = "their.own:Adapter"')
    (tmp_path / "models.toml").write_text(f'{entry}options = {{ lora = "x" }}\n')
    assert studio("models", "--check", "models.toml").exit_code == 0


def test_declared_options_are_the_adapters_own() -> None:
    """The declared names of changes, and the modality, are those of the adapter."""
    assert get_args(ChangeName) == tuple(change.name for change in (*PROCESS, *PIPELINE))
    assert ADAPTERS["txt2img"].modality == Txt2Img.modality
