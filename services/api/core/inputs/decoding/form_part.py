"""Takes the one file out of a form (RFC 7578)."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

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
    target = body.with_name("part")
    with target.open("wb") as file:
        form = FormFile(order.content_type, order.max_bytes, file.write)
        for chunk in _chunks(body):
            form.feed(chunk)
        form.end()
    return target


def _chunks(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


class FormFile:
    """Hands the content of the field `file` to `write` as it comes, and refuses any other field.

    Every method raises Refusal. `most` is the longest file in bytes.
    """

    def __init__(self, content_type: str, most: int, write: Callable[[bytes], object]) -> None:
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser, parse_options_header

        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise Refusal("bad-form", "the Content-Type of the form has no boundary")
        try:
            self._parser = MultipartParser(boundary, self._callbacks)
        except FormParserError as exc:  # the boundary is too long
            raise _broken(exc) from exc
        self._write = write
        self._most = most
        self._name, self._value = b"", b""
        self._bytes = 0
        self._files = 0
        self._ended = False

    def feed(self, chunk: bytes) -> None:
        """Read on in the form."""
        from python_multipart.exceptions import FormParserError

        try:
            self._parser.write(chunk)
        except FormParserError as exc:
            raise _broken(exc) from exc

    def end(self) -> None:
        """Refuse a form that has no file, or that ends too early."""
        if not self._ended:
            raise Refusal("bad-form", "the form ends before its last boundary: it was cut off, or is broken")
        if not self._files:
            raise Refusal("bad-form", f"the form has no field {FIELD!r}: send the file in it")

    @property
    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_header_field": self._on_name,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_part_data": self._on_data,
            "on_end": self._on_end,
        }

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
        self._write(data[start:end])

    def _on_end(self) -> None:
        self._ended = True


def _broken(exc: Exception) -> Refusal:
    return Refusal("bad-form", f"the form is broken: {str(exc)[:120]}")
