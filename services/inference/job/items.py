"""The items of a job: one for each output that an adapter makes."""

from services import __version__
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.errors import InvalidMessage, InvalidRequest
from services.common.modalities.modality import Media, Words
from services.common.modalities.params import MAX_SEED
from services.common.schemas import JobMessage
from services.inference.job.settings_text import PARAMETERS, settings_text
from services.inference.runtime.adapter import Item


def items_of(message: JobMessage, model: Model, catalogue: Catalogue) -> list[Item]:
    """Return one item per output; output k has seed + k. Raise InvalidMessage if the gateway would have refused it."""
    if (message.model, message.modality) != (model.name, model.modality):
        told = f"{message.modality} of model {message.model!r} came to a worker of {model.name!r}, {model.modality}"
        raise InvalidMessage(told, message.job_id)
    contract = model.contract
    try:
        params = model.parameters(message.params)
        given = params.model_dump()
        words = contract.words(given, catalogue.styles)
    except InvalidRequest as exc:
        raise InvalidMessage(str(exc), message.job_id) from exc
    cost, first = contract.cost(given, message.inputs), params.seed or 0
    return [
        Item(
            message.job_id,
            index,
            (first + index) % (MAX_SEED + 1),
            words.prompt,
            words.negative_prompt,
            params,
            cost,
        )
        for index in range(contract.count(given))
    ]


def metadata_of(item: Item, model: Model) -> dict[str, str]:
    """Return the facts to store inside the file: enough to make the output again.

    `prompt` is the text for the model; a warning of the job names the words that it cannot read. With a style,
    `product` is the text that the style was put around. In an image, `parameters` is all of it in the form that other
    tools read.
    """
    contract = model.contract
    fields = {
        **contract.facts(item.params.model_dump(), Words(item.prompt, item.negative_prompt)),
        "seed": item.seed,
        "model": model.name,
        "revision": model.revision,
        "software": f"commercial-studio-photos-generator {__version__}",
    }
    facts = {name: str(value) for name, value in fields.items() if value not in (None, "")}
    return {**facts, PARAMETERS: settings_text(facts)} if contract.makes is Media.IMAGE else facts
