"""The schema of a refusal: the body that `problems.py` makes."""

from services.api.core.health import Ready
from services.api.http.view import View

Plain = str | int | float | bool | None


class FaultView(View):
    """One fault of the request: `pointer` (RFC 6901) says where, `got` what was there, `allowed` what may be."""

    pointer: str
    detail: str
    got: Plain = None
    allowed: str | list[str] | dict[str, Plain] | None = None


class DependenciesView(View):
    """The readiness of each backend."""

    broker: Ready
    statuses: Ready
    objects: Ready


class ProblemView(View):
    """A problem of RFC 9457. `code` is stable; `type` resolves to its meaning.

    `errors` holds the first faults of a request, and `more_errors` the number of further ones. `trace_id` is there
    where requests are traced.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str | None
    trace_id: str | None = None
    code: str
    errors: list[FaultView] | None = None
    more_errors: int | None = None
    dependencies: DependenciesView | None = None
    not_ready: list[str] | None = None


class ProblemKindView(View):
    """The meaning of a code. `status` is null for a code that only a job's `error` or `warnings` carry."""

    type: str
    title: str
    status: int | None
