"""What every body this service answers with is made of: a schema nothing can be added to."""

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """Subclasses are the OpenAPI document's components by their names."""

    model_config = ConfigDict(extra="forbid", frozen=True)
