"""Measured backends: each method of a port is measured, and passes on all it is given."""

import inspect
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from services.common.backends import Backends
from services.common.cache import Cache
from services.common.errors import BackendUnavailable
from services.common.ports import Broker, ObjectStore, StatusStore
from services.common.telemetry.measured import measured
from services.common.telemetry.process_metrics import ProcessMetrics
from services.common.telemetry.tracing import Tracer

pytestmark = pytest.mark.anyio

PORTS = {"broker": Broker, "statuses": StatusStore, "objects": ObjectStore, "cache": Cache}
METHODS = [
    (name, method)
    for name, port in PORTS.items()
    for method, _ in inspect.getmembers(port, inspect.isfunction)
    if not method.startswith("_")
]
UNMEASURED = [("broker", "consume")]


class Recorder:
    """A backend that keeps what its methods are called with, by the names of the port's parameters."""

    def __init__(self, port: type, reason: Exception | None = None) -> None:
        self.given: dict[str, Any] = {}
        self._port = port
        self._reason = reason

    def __getattr__(self, method: str) -> Any:
        asynchronous = inspect.iscoroutinefunction(getattr(self._port, method))

        def called(*args: Any, **options: Any) -> Any:
            given = inspect.signature(getattr(self._port, method)).bind(self, *args, **options)
            self.given = {name: value for name, value in given.arguments.items() if name != "self"}
            return self._answer(method) if asynchronous else self._chunks(method)

        return called

    async def _answer(self, method: str) -> str:
        if self._reason:
            raise self._reason
        return f"what {method} returns"

    async def _chunks(self, method: str) -> AsyncIterator[str]:
        for chunk in (await self._answer(method), "another"):
            yield chunk


class Headers(Tracer):
    def headers(self) -> dict[str, str]:
        return {"traceparent": "00-1-2-01"}


def _measured(reason: Exception | None = None) -> tuple[Mapping[str, Recorder], Backends, ProcessMetrics]:
    metrics = ProcessMetrics()
    recorders = {name: Recorder(port, reason) for name, port in PORTS.items()}
    opened: Any = recorders
    return recorders, measured(Backends(**opened), metrics, Headers()), metrics


async def _call(backend: object, port: type, method: str, given: Mapping[str, Any]) -> list[Any]:
    """Call the method with everything the port lets it be given; return the answer, or the chunks of it."""
    parameters = inspect.signature(getattr(port, method)).parameters
    args = [given[name] for name, each in parameters.items() if name in given and each.kind is not each.KEYWORD_ONLY]
    options = {name: given[name] for name, each in parameters.items() if each.kind is each.KEYWORD_ONLY}
    answer = getattr(backend, method)(*args, **options)
    return [await answer] if inspect.isawaitable(answer) else [chunk async for chunk in answer]


def _given(port: type, method: str) -> dict[str, Any]:
    return {
        name: {"name": "value"} if name == "headers" else 0 if name == "wait" else object()
        for name in inspect.signature(getattr(port, method)).parameters
        if name != "self"
    }


@pytest.mark.parametrize(("name", "method"), METHODS)
async def test_every_method_is_measured(name: str, method: str) -> None:
    """A call is timed under its backend and method, and reaches the backend with every parameter of the port."""
    recorders, backends, metrics = _measured()
    given = _given(PORTS[name], method)

    answer = await _call(getattr(backends, name), PORTS[name], method, given)

    silent = inspect.signature(getattr(PORTS[name], method)).return_annotation is None
    assert answer[0] == (None if silent else f"what {method} returns")
    expected = {**given, **({"headers": {"name": "value", "traceparent": "00-1-2-01"}} if "headers" in given else {})}
    assert {"wait": 0, **recorders[name].given} == {"wait": 0, **expected}
    labels = {"backend": name, "operation": method}
    counted = metrics.registry.get_sample_value("studio_backend_seconds_count", labels)
    assert counted == (None if (name, method) in UNMEASURED else 1)


@pytest.mark.parametrize(("name", "method"), [each for each in METHODS if each not in UNMEASURED])
async def test_every_failure_is_counted(name: str, method: str) -> None:
    """A backend that does not answer is counted under its name and method, and its error is raised."""
    _, backends, metrics = _measured(BackendUnavailable(name, "down"))

    with pytest.raises(BackendUnavailable):
        await _call(getattr(backends, name), PORTS[name], method, _given(PORTS[name], method))

    labels = {"backend": name, "operation": method}
    assert metrics.registry.get_sample_value("studio_backend_errors_total", labels) == 1


async def test_waiting_is_not_measured() -> None:
    """A wait for the end of a job is not measured: it says nothing of the status store."""
    recorders, backends, metrics = _measured()

    await backends.statuses.get("job", wait=5)

    assert recorders["statuses"].given == {"job_id": "job", "wait": 5}
    labels = {"backend": "statuses", "operation": "get"}
    assert metrics.registry.get_sample_value("studio_backend_seconds_count", labels) is None
