"""The key that signs cookies comes from the setting, from a file, or from chance."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.api.auth.secret_key import secret_key
from tests.api.conftest import embedded_settings


def test_embedded_key_is_made_once(tmp_path: Path) -> None:
    """Gateways that start at once on a new folder, and later ones, share one key, which only their user may read."""
    settings = embedded_settings(tmp_path / "new")
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(secret_key, [settings] * 8))

    assert keys == {secret_key(settings)}
    assert len(keys.pop()) >= 32
    (file,) = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_distributed_gateway_has_a_key_of_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Without a setting each distributed gateway draws a key, says so in the log, and writes no file."""
    settings = embedded_settings(tmp_path / "new", statuses_url="redis://127.0.0.1:1/0")

    assert secret_key(settings) != secret_key(settings)
    assert "STUDIO_SECRET_KEY" in "".join(capfd.readouterr())
    assert not (tmp_path / "new").exists()


def test_setting_goes_first(tmp_path: Path) -> None:
    """The operator's key is used as it is, with any backends; a key too short to be a secret is refused."""
    settings = embedded_settings(tmp_path / "new", secret_key="0123456789abcdef")
    assert secret_key(settings) == b"0123456789abcdef"
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValidationError, match="secret_key"):
        embedded_settings(tmp_path, secret_key="short")
