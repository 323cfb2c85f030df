"""Reads the parameters after the question mark, as strictly as a body."""

from collections import Counter
from typing import Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError
from starlette.requests import Request

from services.common.catalogue.catalogue import refusal_of
from services.common.errors import InvalidRequest
from services.common.param_faults import FAULTS, NAME

MOST_PARAMETERS: Final = 100  # of a query, on any route


def _digits(text: Any) -> Any:
    if isinstance(text, str) and not (text.isascii() and text.isdigit()):
        raise ValueError(f"must be a whole number, in digits, not {text[:40]!r}")
    return text


PLAIN: Final = BeforeValidator(_digits)  # for an int: pydantic accepts more than digits
Query = TypeVar("Query", bound=BaseModel)


def read_query(request: Request[Any], schema: type[Query]) -> Query:
    """Read the query. Raises InvalidRequest for a query that breaks the schema or gives a parameter twice."""
    given = request.query_params.multi_items()
    if twice := [name for name, times in Counter(name for name, _ in given).items() if times > 1]:
        detail = "is given more than once; give it once"
        told: list[dict[str, object]] = [{"pointer": f"/{name[:NAME]}", "detail": detail} for name in twice[:FAULTS]]
        raise InvalidRequest(told, len(twice) - len(told))
    try:
        return schema.model_validate(dict(given))
    except ValidationError as exc:
        raise refusal_of(exc, schema) from exc
