"""The models that a worker serves: by options, by settings, or all that are installed."""

from collections.abc import Iterable, Sequence
from typing import Final

from services.cli.options import chosen_model, named_model
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.catalogue.installed import is_installed
from services.common.settings import Settings

INSTALLED: Final = "installed"  # in STUDIO_MODELS; the default model is among them, installed or not


def served_models(
    settings: Settings, catalogue: Catalogue, names: Sequence[str] | None, unset: str = ""
) -> Sequence[Model]:
    """Return the models that the options name, else those of STUDIO_MODELS or `unset`, else the default model alone.

    The first is to be loaded first: the default model, where the settings name it. Ends the command for an unknown
    name.
    """
    if names:
        return _each_once(named_model(settings, catalogue, name, "--model") for name in names)
    default, chosen = chosen_model(settings, catalogue, None), list[Model]()
    for name in (settings.models or unset).replace(",", " ").split():
        if name == INSTALLED:
            chosen += [default, *_installed(settings, catalogue)]
        else:
            chosen.append(named_model(settings, catalogue, name, "STUDIO_MODELS"))
    return _each_once(sorted(chosen or [default], key=lambda model: model.name != default.name))


def _installed(settings: Settings, catalogue: Catalogue) -> Iterable[Model]:
    return (model for model in catalogue.models.values() if is_installed(model, settings.catalogue.parent))


def _each_once(models: Iterable[Model]) -> Sequence[Model]:
    return tuple({model.name: model for model in models}.values())
