"""A model adapter for tests that raises at the moment that `options.at` names: made, prepared, loaded or called."""

from collections.abc import Sequence
from typing import Final

from services.common.catalogue.catalogue import Model
from services.inference.runtime.adapter import Context, Item, ModelAdapter
from services.inference.runtime.outputs import Output
from services.inference.runtime.sources import Source


class Panic(BaseException):
    """Stands for what libraries written in Rust raise, which is no Exception."""


FAILURES: Final[dict[str, BaseException]] = {
    "an error of the system": OSError(5, "Input/output error", "/srv/weights"),
    "a missing library": ModuleNotFoundError("No module named 'sentencepiece'", name="sentencepiece"),
    "a missing key": KeyError("text_model"),
    "no memory": MemoryError(),
    "an exit": SystemExit(3),
    "a panic": Panic("index out of range"),
    "a deadline of its own": TimeoutError(),
    "an end of iteration": StopIteration(),
    "several lines": RuntimeError("\nError(s) in loading state_dict:\n\tMissing key(s)"),
    "nothing said": ValueError(),
}


class FaultyAdapter(ModelAdapter):
    """`options.failure` is a key of FAILURES."""

    modality = "txt2img"

    def __init__(self, model: Model, source: Source) -> None:
        super().__init__(model, source)
        self._fail("made")

    def prepare_thread(self, threads: int) -> None:
        self._fail("prepared")

    def load(self, device: str) -> None:
        self._fail("loaded")

    def sample(self) -> Item:
        return Item("warm-up", 0, 0, "product", "", self.model.parameters({"prompt": "product"}))

    def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:
        self._fail("called")
        return []

    def close(self) -> None:
        pass

    def _fail(self, moment: str) -> None:
        if self.model.options["at"] == moment:
            raise FAILURES[str(self.model.options["failure"])]
