"""Reads the settings, once, and says all that is wrong with them."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from services.common.setting_sources import PREFIX, SettingSources, listed_names
from services.common.settings import SECRETS, Settings


def load_settings(environ: Mapping[str, str] = os.environ, env_file: Path = Path(".env")) -> Settings:
    """Read the settings. Raises ValueError naming every wrong variable, its place, and what is allowed instead."""
    sources = SettingSources.of(environ, env_file)
    if f"{PREFIX}FAILPOINT" in sources.in_file:
        raise ValueError(f"{PREFIX}FAILPOINT is for tests, and is read from the environment only")
    try:
        settings = Settings(_env_file=env_file)
    except ValidationError as exc:
        raise ValueError(sources.told(exc, Settings.model_json_schema(), SECRETS)) from exc
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    sources.refuse_unknown(known, listed_names(settings.foreign_variables))
    return settings
