"""The command line in locales and with bytes that are not UTF-8."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.system import running_system

CATALOGUE = """
[models.cafe]
title = "Café"
modality = "txt2img"
adapter = "txt2img"
source = "studio-tiny"
licence = "Lizenz für Ünïcode ☕"
default = true
"""


def _studio(*arguments: str | bytes, **environ: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "services", *arguments]
    return subprocess.run(command, env={**os.environ, **environ}, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_table_is_printed_in_an_encoding_that_lacks_its_characters(tmp_path: Path, encoding: str) -> None:
    """A list prints as escapes the characters that the terminal's encoding lacks."""
    (tmp_path / "models.toml").write_text(CATALOGUE, encoding="utf-8")
    found = _studio("models", STUDIO_CATALOGUE=str(tmp_path / "models.toml"), PYTHONIOENCODING=encoding, COLUMNS="200")
    assert found.returncode == 0, found.stderr
    assert b"\\u2615" in found.stdout


@pytest.mark.parametrize("prompt", [b"caf\xe9", b"\xff\xfe mug"])
def test_a_prompt_that_is_not_text_is_refused_in_a_sentence(tmp_path: Path, prompt: bytes) -> None:
    """A prompt with bytes that are no UTF-8 ends with exit code 2 and a sentence."""
    with running_system(tmp_path, {}) as system:
        system.start_gateway()
        found = _studio("generate", prompt, "-o", str(tmp_path / "x.png"), STUDIO_URL=system.url)
    assert (found.returncode, b"Traceback" in found.stderr) == (2, False), found.stderr
    assert b"bytes that are not UTF-8" in found.stderr
