"""One operation of the API: the route that serves it and, from the same entry, what the OpenAPI document says of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from starlette.routing import Route

from services.api.http.authorization import Access, Refusal, authorized
from services.api.http.problems import on_error
from services.api.http.state import Handler
from services.common.catalogue import Catalogue

JsonSchema = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What comes with one status: JSON of this `view`, a file of one of these media types, or no body.

    `headers` always come, `sometimes` may; both by their name in `headers.py`. `example` is one of the view.
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

    They are made for a catalogue and the name of the model that requests without one get.
    """

    schemas: Callable[[Catalogue, str], Mapping[str, JsonSchema]]
    example: Mapping[str, Any]


@dataclass(frozen=True)
class Endpoint:
    """`handler`'s docstring is the description, `problems` the codes of `problems.py` it may answer with."""

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
    access: Access = Access.USER
    fault: type[BaseModel] | None = None  # in whose shape the problems are, where that is not ours
    refuse: Refusal = on_error  # makes a refusal of that shape

    @property
    def route(self) -> Route:
        return Route(self.path, authorized(self.handler, self.access, self.refuse), methods=[self.method])
