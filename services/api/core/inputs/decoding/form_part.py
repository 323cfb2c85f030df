"""Takes the one file out of a form (RFC 7578)."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Final, Self

from services.api.core.inputs.decoding.order import Order, Refusal

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD: Final = "file"
CHUNK_BYTES: Final = 256 * 1024
_FORM: Final = "multipart/form-data"


def is_form(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == _FORM


def take_part(body: Path, order: Order) -> Path:
    """Write the file beside the form, and return its path. Raises Refusal for a form without exactly one file."""
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(order.content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise Refusal("bad-form", "the Content-Type of the form has no boundary")
    target = body.with_name("part")
    try:
        with _Part(target, order.max_bytes) as part:
            parser = MultipartParser(boundary, part.callbacks)
            for chunk in _chunks(body):
                parser.write(chunk)
            parser.finalize()
    except FormParserError as exc:
        raise Refusal("bad-form", f"the form is broken: {str(exc)[:120]}") from exc
    part.check()
    return target


def _chunks(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


class _Part:
    """Writes the content of the field `file` as the parser finds it, and refuses any other field."""

    def __init__(self, target: Path, most: int) -> None:
        self._target = target
        self._most = most
        self._name, self._value = b"", b""
        self._bytes = 0
        self._files = 0
        self._ended = False

    def __enter__(self) -> Self:
        self._file: IO[bytes] = self._target.open("wb")
        return self

    def __exit__(self, _type: type[BaseException] | None, _exc: object, _trace: TracebackType | None) -> None:
        self._file.close()

    @property
    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_header_field": self._on_name,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_part_data": self._on_data,
            "on_end": self._on_end,
        }

    def check(self) -> None:
        """Refuse a form that has no file, or that ends too early."""
        if not self._ended:
            raise Refusal("bad-form", "the form ends before its last boundary: it was cut off, or is broken")
        if not self._files:
            raise Refusal("bad-form", f"the form has no field {FIELD!r}: send the file in it")

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        name, value, self._name, self._value = self._name.lower(), self._value, b"", b""
        if name == b"content-disposition":
            self._begin(value)

    def _begin(self, disposition: bytes) -> None:
        from python_multipart.multipart import parse_options_header

        field = parse_options_header(disposition)[1].get(b"name", b"").decode("utf-8", "replace")
        if field != FIELD:
            raise Refusal("bad-form", f"the form has a field {field[:40]!r}: send {FIELD!r} alone")
        self._files += 1
        if self._files > 1:
            raise Refusal("bad-form", f"the form has several fields {FIELD!r}: send one file a request")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._bytes += end - start
        if not self._files:
            raise Refusal("bad-form", "a part of the form has no name")
        if self._bytes > self._most:
            raise Refusal(
                "too-large", f"the file is longer than {self._most} bytes, the most taken: send a smaller one"
            )
        self._file.write(data[start:end])

    def _on_end(self) -> None:
        self._ended = True
