"""Fixtures: the voice and the listener."""

from tests.support.models.speech_models import stt, tts, whisper

__all__ = ["stt", "tts", "whisper"]
