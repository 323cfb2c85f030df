"""One operation of the API: its route and, from the same entry, its description in the OpenAPI document."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from starlette.routing import Route

from services.api.http.authorization import Access, authorized
from services.api.http.problems import Kind
from services.api.http.state import Handler
from services.common.catalogue.catalogue import Catalogue

JsonSchema = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """The answer with one status: JSON of this `view`, a file of one of the media types `files`, or no body.

    `headers` are always sent, `sometimes` may be; both by their name in `headers.py`. `example` is one of the view.
    """

    description: str
    view: type[BaseModel] | None = None
    headers: Sequence[str] = ()
    sometimes: Sequence[str] = ()
    files: Sequence[str] = ()
    example: BaseModel | None = None


@dataclass(frozen=True)
class Body:
    """A JSON body. `schemas` are by name; the first is the whole, and may refer to the others as components.

    `schemas` takes the catalogue and the name of the default model.
    """

    schemas: Callable[[Catalogue, str], Mapping[str, JsonSchema]]
    example: Mapping[str, Any]


@dataclass(frozen=True)
class Upload:
    """A file as the body, of one of these media types, or in this field of a form.

    The form may have more fields, by the schema that `fields` makes as those of Body. `example` is the name of a file.
    """

    field: str
    media_types: Sequence[str] = ()
    fields: Callable[[Catalogue, str], JsonSchema] | None = None
    example: str = "mug.jpg"


@dataclass(frozen=True)
class Endpoint:
    """The handler's docstring is the description; `problems` are the codes of `problems.py` it may answer with."""

    method: str
    path: str
    handler: Handler
    summary: str
    tag: str
    answers: Mapping[int, Answer]
    problems: Sequence[str] = ()
    query: type[BaseModel] | None = None
    headers: Sequence[str] = ()
    body: Body | None = None
    upload: Upload | None = None
    access: Access = Access.USER
    fault: type[BaseModel] | None = None  # the shape of its problems, where it is not ours
    kinds: Mapping[str, Kind] = field(default_factory=dict)  # of its problems that differ from `problems.py`

    @property
    def route(self) -> Route:
        return Route(self.path, authorized(self.handler, self.access), methods=[self.method])
