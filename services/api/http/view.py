"""The base of every JSON answer: a schema without additional members."""

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """A subclass is a component of the OpenAPI document under its own name."""

    model_config = ConfigDict(extra="forbid", frozen=True)
