"""Speech to text: any Whisper model that faster-whisper loads."""

import gc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final, cast

from services.common.job_warnings import NO_SPEECH, PARAMETER_UNUSED
from services.common.modalities.speech import SttParams
from services.inference.runtime.adapter import Cancelled, Context, Item, ModelAdapter
from services.inference.runtime.outputs import Output, Segment, TranscriptOutput, Word
from services.inference.speech.recordings import RATE, decoded, stretches
from services.inference.speech.whisper import NEEDED, load_whisper

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import Segment as Heard

_PERCENT: Final = 100
_DIGITS: Final = 3  # of seconds and probabilities


class Stt(ModelAdapter):
    """Writes recordings down, with the times of the words. `source` is a folder in the format of faster-whisper."""

    modality: ClassVar[str] = "stt"
    hub_files: ClassVar[Sequence[str]] = (*NEEDED, "vocabulary.*", "preprocessor_config.json")

    _model: "WhisperModel | None" = None
    _threads: int = 1

    def prepare_thread(self, threads: int) -> None:
        self._threads = threads

    def load(self, device: str) -> None:
        self._model = load_whisper(self.fetch(), device, self._threads)

    def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:
        outputs: list[Output] = []
        for before, item in enumerate(batch):

            def heard(share: float, before: int = before) -> None:
                if share:
                    context.progress(int(_PERCENT * (before + min(share, 1.0))), _PERCENT * len(batch))
                if all(context.cancelled(other.job_id) for other in batch):
                    raise Cancelled

            heard(0.0)
            outputs.append(self._transcript(item, context, heard))
            heard(1.0)
        return outputs

    def close(self) -> None:
        self._model = None
        gc.collect()

    def _transcript(self, item: Item, context: Context, heard: Callable[[float], None]) -> TranscriptOutput:
        """Write one recording down, and call `heard` with the share that is done, of 1, after each segment."""
        import ctranslate2

        model = cast("WhisperModel", self._model)
        ctranslate2.set_random_seed(item.seed)  # it draws lots where its first tries fail
        context.stage("decode")
        samples = decoded(item.inputs["audio"])
        seconds, language = len(samples) / RATE, self._language(item, context)
        context.stage("transcribe")
        segments: list[Segment] = []
        for stretch in stretches(samples):
            found, about = model.transcribe(stretch.samples, language, vad_filter=True, word_timestamps=True)
            language = about.language  # of the first stretch, for those that follow
            for each in found:
                segments.append(_segment(len(segments), each, stretch.start))
                heard(segments[-1].end / seconds)
        if not segments:
            context.warn(item.job_id, NO_SPEECH, "no speech was heard in the recording: check that its sound is there")
        return TranscriptOutput(language, round(seconds, _DIGITS), segments)

    def _language(self, item: Item, context: Context) -> str | None:
        """Return the language that was asked for, if the model knows it; None has the model find out."""
        asked, known = cast("SttParams", item.params).language, cast("WhisperModel", self._model).supported_languages
        if asked is None or asked in known:
            return asked
        message = f"the language {asked} had no effect: {self.model.name} does not know it"
        context.warn(item.job_id, PARAMETER_UNUSED, message)
        return None


def _segment(index: int, heard: "Heard", start: float) -> Segment:
    def at(seconds: float) -> float:
        return round(start + float(seconds), _DIGITS)

    words = [
        Word(word.word, at(word.start), at(word.end), round(float(word.probability), _DIGITS))
        for word in heard.words or ()
    ]
    return Segment(index, at(heard.start), at(heard.end), heard.text, words)
