"""Prints `.env.example`: every setting with its description and default, commented out."""

from pathlib import Path

from services.common.setting_sources import PREFIX
from services.common.settings import Settings


def env_example() -> str:
    """Return the text of the file.

    Defaults that depend on the data folder, or on where this program lies, are left empty, which means unset.
    """
    lines = ["# Generated from services/common/settings.py by `just env-example`. Uncomment the lines you change."]
    for name, info in Settings.model_fields.items():
        if info.exclude:
            continue
        fixed = info.default_factory is None and not (isinstance(info.default, Path) and info.default.is_absolute())
        default = info.default if fixed and info.default is not None else ""
        lines += ["", f"# {info.description}", f"# {PREFIX}{name.upper()}={default}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(env_example(), end="")
