"""The exception that refuses a request for a fault of its own."""

from collections.abc import Mapping


class RequestRefused(Exception):
    """A fault of the HTTP request itself. `code` is one of `KINDS` in `http/problems.py`."""

    def __init__(self, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = headers or {}
