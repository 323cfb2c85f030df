"""The items of a job: one for each output that an adapter makes."""

from services import __version__
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.errors import InvalidMessage, InvalidRequest
from services.common.params import MAX_SEED, ImageParams, Params
from services.common.schemas import JobMessage
from services.inference.job.settings_text import PARAMETERS, settings_text
from services.inference.runtime.adapter import Item


def items_of(message: JobMessage, model: Model, catalogue: Catalogue) -> list[Item]:
    """Return one item per output; output k has seed + k. Raise InvalidMessage if the gateway would have refused it."""
    if message.model != model.name:
        raise InvalidMessage(f"model {message.model!r} came to a worker of {model.name!r}", message.job_id)
    try:
        params = model.parameters(message.params)
        prompt, negative = _prompts(params, catalogue)
    except (InvalidRequest, KeyError) as exc:
        raise InvalidMessage(str(exc), message.job_id) from exc
    count = params.num_images if isinstance(params, ImageParams) else 1
    first = params.seed or 0
    return [
        Item(message.job_id, index, (first + index) % (MAX_SEED + 1), prompt, negative, params)
        for index in range(count)
    ]


def metadata_of(item: Item, model: Model) -> dict[str, str]:
    """Return the facts to store inside the file: enough to make the output again.

    `prompt` is the text for the model; a warning of the job names the words that it cannot read. With a style,
    `product` is the text that the style was put around. `parameters` is all of it in the form that other tools read.
    """
    fields = {
        "prompt": item.prompt,
        "product": getattr(item.params, "prompt", None) if getattr(item.params, "style", None) else None,
        "negative_prompt": item.negative_prompt,
        "style": getattr(item.params, "style", None),
        "seed": item.seed,
        "model": model.name,
        "revision": model.revision,
        **{name: getattr(item.params, name, None) for name in ("width", "height", "steps", "guidance")},
        "software": f"commercial-studio-photos-generator {__version__}",
    }
    facts = {name: str(value) for name, value in fields.items() if value not in (None, "")}
    return {**facts, PARAMETERS: settings_text(facts)} if isinstance(item.params, ImageParams) else facts


def _prompts(params: Params, catalogue: Catalogue) -> tuple[str, str]:
    if not isinstance(params, ImageParams):
        return str(getattr(params, "prompt", "")), ""
    negative = params.negative_prompt or ""
    if params.style is None:
        return params.prompt, negative
    style = catalogue.styles[params.style]
    return style.prompt(params.prompt), ", ".join(part for part in (negative, style.negative_prompt) if part)
