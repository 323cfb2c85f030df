"""Text to speech: English, by the voices of hibari, which run on the CPU faster than they speak."""

import gc
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, cast

from services.common.errors import ModelUnavailable
from services.common.job_warnings import WORDS_UNSAID
from services.common.modalities.speech import TtsLimits, TtsParams
from services.inference.runtime.adapter import Cancelled, Context, Item, ModelAdapter
from services.inference.runtime.outputs import AudioOutput, Output
from services.inference.speech.script import Script
from services.inference.speech.voices import load_voices

if TYPE_CHECKING:
    import numpy as np
    from hibari import Hibari
    from numpy.typing import NDArray

_SAMPLE: Final = "The photo of your mug is ready."
_SHOWN: Final = 10  # words of a warning


class Tts(ModelAdapter):
    """Says texts with the voices in `source`, a file or a folder of hibari's. Runs on the CPU, whatever the device."""

    modality: ClassVar[str] = "tts"
    hub_files: ClassVar[Sequence[str]] = ("*.onnx",)
    max_batch = 4

    _voices: "Mapping[str, Hibari]"
    _threads: int = 1

    def prepare_thread(self, threads: int) -> None:
        self._threads = threads

    def load(self, device: str) -> None:  # noqa: ARG002 - hibari runs on the CPU only
        self._voices = load_voices(self.fetch(), self._threads)
        entry, there = f"[models.{self.model.name}] in the catalogue", ", ".join(self._voices)
        offered = cast("TtsLimits", self.model.limits).voices
        if not offered:
            raise ModelUnavailable(
                f"the `limits` of {entry} must name its `voices`; {self.source.location} has {there}"
            )
        if missing := sorted({*offered} - {*self._voices}):
            raise ModelUnavailable(
                f"{self.source.location} has no voice {' and no '.join(missing)}, only {there}: put its file there, or "
                f"leave it out of the `voices` of {entry}"
            )

    def batch_key(self, item: Item) -> Hashable:  # noqa: ARG002 - texts are said one after the other, all may share
        return None

    def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:
        _stop_if_unwanted(batch, context)
        context.stage("text-encode")
        scripts = [self._script(item, context) for item in batch]
        total, before = sum(len(script.parts) for script in scripts), 0
        context.stage("speak")
        outputs: list[Output] = []
        for item, script in zip(batch, scripts, strict=True):
            sounds: list[NDArray[np.float32]] = []
            for sound in self._sounds(item, script):
                sounds.append(sound)
                context.progress(before + len(sounds), total)
                _stop_if_unwanted(batch, context)
                if context.cancelled(item.job_id):
                    break  # the batch mates go on
            outputs.append(_joined(sounds, self._voices))
            before += len(script.parts)
        return outputs

    def sample(self) -> Item:
        return Item("warm-up", 0, 0, _SAMPLE, "", self.model.parameters({"text": _SAMPLE}))

    def close(self) -> None:
        self._voices = {}
        gc.collect()

    def _script(self, item: Item, context: Context) -> Script:
        params = cast("TtsParams", item.params)
        script = Script.of(item.prompt, self._voice(item), params.speed)
        if script.unsaid:
            told = " ".join(script.unsaid[:_SHOWN]) + (" …" if len(script.unsaid) > _SHOWN else "")
            context.warn(
                item.job_id, WORDS_UNSAID, f"the voice has no sound for these words, and left them out: {told}"
            )
        return script

    def _sounds(self, item: Item, script: Script) -> "Iterator[NDArray[np.float32]]":
        """Say one part after the other, with the noise in the voice from the item's own seed."""
        import numpy as np

        voice, speed = self._voice(item), cast("TtsParams", item.params).speed
        source = np.random.default_rng(item.seed)
        for part in script.parts:
            yield voice.from_ids(voice.ids(part), speed, source)

    def _voice(self, item: Item) -> "Hibari":
        return self._voices[cast("TtsParams", item.params).voice or cast("TtsLimits", self.model.limits).voices[0]]


def _joined(sounds: "Sequence[NDArray[np.float32]]", voices: "Mapping[str, Hibari]") -> AudioOutput:
    import numpy as np

    rate = next(iter(voices.values())).sample_rate
    return AudioOutput(np.concatenate([np.zeros(0, np.float32), *sounds]), rate)


def _stop_if_unwanted(batch: Sequence[Item], context: Context) -> None:
    if all(context.cancelled(item.job_id) for item in batch):
        raise Cancelled
