"""A studio look: words for the model around those of the product."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.common.modalities.params import Text

Name = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$"),
    Field(description="1 to 63 lower-case letters, digits, dots and hyphens, of which the first is no dot or hyphen"),
]


class Style(BaseModel):
    """A studio look: `template` holds `{product}` once; `example` is a product that suits it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    title: Text
    template: Annotated[
        str,
        StringConstraints(pattern=r"^[^{}]*\{product\}[^{}]*$"),
        Field(description="it must hold {product} once, and no other brace"),
    ]
    negative_prompt: str = ""
    swatch: str = "#888888"
    example: Text = "red mug"

    def prompt(self, product: str) -> str:
        """Put the product into the template literally: `{}` or `%s` in it stays text, unlike with str.format."""
        before, _, after = self.template.partition("{product}")
        return before + product + after
