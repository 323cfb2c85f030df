"""The JSON Schema of the body of POST /v1/jobs: one for each model on offer, as every model takes something else."""

from typing import Any, Final

from services.api.http.endpoint import Body
from services.api.http.model_schema import model_schema
from services.common.catalogue import Catalogue

_NAME: Final = "JobRequest"


def _schemas(catalogue: Catalogue, default: str) -> dict[str, dict[str, Any]]:
    """Exact, but for the rule of some models that joins width and height."""
    of_models: dict[str, dict[str, Any]] = {}
    for name, model in catalogue.models.items():
        schema = model_schema(model, catalogue)
        named = {"const": name, "type": "string"}
        if name == default:
            named["description"] = "Left out, it is this one."
        properties = {"model": named, **schema["properties"]}
        required = [*schema.get("required", []), *([] if name == default else ["model"])]
        of_models[f"{_NAME}.{name}"] = {**schema, "title": model.title, "properties": properties, "required": required}
    parts = [{"$ref": f"#/components/schemas/{name}"} for name in of_models]
    return {_NAME: {"description": "The parameters of one of the models on offer.", "anyOf": parts}, **of_models}


JOB_REQUEST: Final = Body(_schemas, {"prompt": "matte black coffee grinder", "style": "dark-luxury", "num_images": 2})
