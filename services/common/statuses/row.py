"""A status record as a flat row of texts, for stores that update single fields of it in place.

Numbers are written in full precision, booleans as "1" and "0", parts with a structure of their own as JSON.
"""

import json
from collections.abc import Mapping

from services.common.schemas import StatusRecord

_JSON_FIELDS = ("message", "progress", "artifacts", "error", "timeline")


def to_row(record: StatusRecord) -> dict[str, str | None]:
    """Every field of the record, None where it has no value."""
    fields = record.model_dump(mode="json")
    return {name: _text(fields[name], as_json=name in _JSON_FIELDS) for name in StatusRecord.model_fields}


def from_row(row: Mapping[str, str | None]) -> StatusRecord:
    """Take an absent field for one without a value; raise ValueError when the row is no record."""
    present = {name: text for name, text in row.items() if text is not None}
    return StatusRecord.model_validate(
        {name: json.loads(text) if name in _JSON_FIELDS else text for name, text in present.items()}
    )


def _text(value: object, *, as_json: bool) -> str | None:
    if value is None:
        return None
    if as_json:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, bool):
        return "1" if value else "0"
    return repr(value) if isinstance(value, float) else str(value)
