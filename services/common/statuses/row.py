"""A status record as a flat row of texts, for stores that update single fields of it in place.

Numbers are written in full precision, booleans as "1" and "0", parts with a structure of their own as JSON.
"""

import json
from collections.abc import Iterable, Mapping

from pydantic import BaseModel

from services.common.schemas import StatusRecord

_JSON_FIELDS = ("message", "progress", "artifacts", "error", "warnings", "timeline")


def to_row(record: StatusRecord) -> dict[str, str | None]:
    """Every field of the record, None where it has no value."""
    return {name: _text(getattr(record, name)) for name in StatusRecord.model_fields}


def from_row(row: Mapping[str, str | None]) -> StatusRecord:
    """Take an absent field for one without a value; raise ValueError when the row is no record."""
    members = (
        f'"{name}":{text if name in _JSON_FIELDS else json.dumps(text)}'
        for name, text in row.items()
        if text is not None
    )
    return StatusRecord.model_validate_json(f"{{{','.join(members)}}}")


def json_list(values: Iterable[BaseModel]) -> str:
    return f"[{','.join(each.model_dump_json() for each in values)}]"


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case BaseModel():
            return value.model_dump_json()
        case tuple():
            return json_list(value)
        case bool():
            return "1" if value else "0"
        case float():
            return repr(value)
    return str(value)
