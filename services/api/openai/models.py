"""The model of a request: by its name or an alias, if it makes what the route is for."""

from dataclasses import dataclass

from services.api.http.endpoint import JsonSchema
from services.api.http.model_schema import model_schema
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.errors import InvalidRequest, ModelNotFound
from services.common.modalities.limits import value_schema
from services.common.modalities.modality import Media


@dataclass(frozen=True)
class Kind:
    """The models that a route offers: they make `makes` of files of the media `given`, or of words alone.

    `lack` says of another model, in a sentence, what it does not do.
    """

    makes: Media
    lack: str
    given: tuple[Media, ...] = ()

    def models(self, catalogue: Catalogue) -> list[str]:
        """Return the names of these models."""
        return [name for name, model in catalogue.models.items() if self._has(model)]

    def names(self, catalogue: Catalogue) -> list[str]:
        """Return all names that a client may use for these models."""
        models = self.models(catalogue)
        return [*models, *(alias for name in models for alias in catalogue.models[name].aliases)]

    def narrow(self, schema: JsonSchema, catalogue: Catalogue, default: str) -> JsonSchema:
        """Return the schema of a body with the names of these models; one is needed if the default is none of them."""
        names = self.names(catalogue)  # none where no such model is on offer: then every name is refused
        fields = {**schema["properties"], "model": {"enum": names} if names else {"type": "string"}}
        needed = list(schema.get("required", ()))
        return {
            **schema,
            "properties": fields,
            "required": needed + ["model"] * (default not in self.models(catalogue)),
        }

    def choices(self, catalogue: Catalogue, parameter: str) -> list[str] | None:
        """Return what these models allow for a parameter, together; None where one of them allows any text."""
        found: dict[str, None] = {}
        for name in self.models(catalogue):
            fields = model_schema(catalogue.models[name], catalogue)["properties"]
            allowed = value_schema(fields[parameter]).get("enum") if parameter in fields else None
            if allowed is None:
                return None
            found |= dict.fromkeys(allowed)
        return list(found)

    def asked_for(self, name: str | None, default: Model, catalogue: Catalogue) -> Model:
        """Return the model of this name or alias, or the default one.

        Raises ModelNotFound, or InvalidRequest for a model of another kind.
        """
        offered = self.models(catalogue)
        model = default if name is None else catalogue.known_as(name)
        if model is None:
            raise ModelNotFound(name, offered)
        if not self._has(model):
            raise InvalidRequest([{"pointer": "/model", "detail": f"{model.name} {self.lack}", "allowed": offered}])
        return model

    def _has(self, model: Model) -> bool:
        contract = model.contract
        return contract.makes is self.makes and self.given == tuple(kind.media for kind in contract.inputs.values())


IMAGES = Kind(Media.IMAGE, "makes no images from words alone")
SPEECH = Kind(Media.AUDIO, "makes no sound from words")
TRANSCRIPTS = Kind(Media.TEXT, "writes no recordings down", (Media.AUDIO,))
