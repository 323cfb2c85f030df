"""One trace leads from the client's request to the stored image, through real processes and either queue."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.system import ROOT, System
from tests.support.trace_collector import Collector, Span, collecting

pytest_plugins = ["tests.support.system_fixtures"]

TRACE, CLIENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{CLIENT}-01"}
WORKER = ("process studio.jobs", "generate", "denoise", "decode", "encode", "upload")


@pytest.fixture
def collector(system: System) -> Iterator[Collector]:
    with collecting() as collector:
        system.environment |= collector.environment()
        yield collector


def test_one_trace(system: System, collector: Collector) -> None:
    """The client's trace continues in the gateway, in the message's headers, and in the worker up to the upload."""
    job = _made(system, "red mug")
    spans = collector.of_trace(TRACE, ["POST /v1/jobs", *WORKER])
    names = {CLIENT: "client", **{span.span_id: span.name for span in spans}}
    assert {(span.service, span.name, names[span.parent]) for span in spans} == {
        ("studio-gateway", "POST /v1/jobs", "client"),
        ("studio-gateway", "send studio.jobs", "POST /v1/jobs"),
        ("studio-worker", "process studio.jobs", "send studio.jobs"),
        ("studio-worker", "generate", "process studio.jobs"),
        ("studio-worker", "denoise", "generate"),
        ("studio-worker", "decode", "generate"),
        ("studio-worker", "encode", "process studio.jobs"),
        ("studio-worker", "upload", "process studio.jobs"),
    }
    told = {span.name: span.attributes for span in spans}
    assert told["POST /v1/jobs"]["http.response.status_code"] == 202
    for name in ("send studio.jobs", "process studio.jobs"):
        assert told[name]["messaging.message.conversation_id"] == job["id"]
    assert told["process studio.jobs"]["studio.outcome"] == "succeeded"
    assert "red mug" not in str(spans)

    events = {line["event"] for line in _logged(system) if line.get("trace_id") == TRACE}
    assert events == {"request finished", "job begun", "job finished"}


def test_each_its_own(system: System, collector: Collector) -> None:
    """Jobs that share a model call keep their own traces, and health probes have none."""
    system.start_gateway()
    jobs = [system.submit("red mug", seed=seed)["id"] for seed in (1, 2)]
    system.start_worker()
    for job in jobs:
        system.wait(job)
    processed = _processed(collector, 2)
    assert len({span.trace_id for span in processed}) == 2
    for span in processed:
        assert len(collector.of_trace(span.trace_id, ["POST /v1/jobs", *WORKER])) == 8
    assert not [span for span in collector.received if "livez" in span.name or "readyz" in span.name]


def test_failures(system: System, collector: Collector) -> None:
    """A failed job marks its trace as failed, and a refused request names its trace in the problem."""
    _made(system, "FAIL please")
    (process,) = [span for span in collector.of_trace(TRACE, WORKER[:1]) if span.name == WORKER[0]]
    assert (process.failed, process.attributes["error.type"]) == (True, "generation-failed")
    refused = system.client.post("/v1/jobs", json={"prompt": ""}, headers=TRACEPARENT)
    assert (refused.status_code, refused.json()["trace_id"]) == (422, TRACE)


def test_not_wanted(system: System) -> None:
    """Without an exporter's address no spans are made, and OpenTelemetry is not imported."""
    _without_opentelemetry(system.folder)
    system.environment["PYTHONPATH"] = f"{system.folder}:{ROOT}"
    _made(system, "red mug")
    refused = system.client.post("/v1/jobs", json={"prompt": ""}, headers=TRACEPARENT)
    assert "trace_id" not in refused.json()
    assert "trace" not in system.log()


def test_not_installed(system: System, collector: Collector) -> None:
    """If the extra for traces is missing, the log says so and jobs succeed all the same."""
    _without_opentelemetry(system.folder)
    system.environment["PYTHONPATH"] = f"{system.folder}:{ROOT}"
    _made(system, "red mug")
    told = [line for line in _logged(system) if line["event"] == "no traces are sent: install the extra `otel`"]
    assert len(told) == 2
    assert collector.received == []


def _made(system: System, prompt: str) -> dict[str, Any]:
    system.start_gateway()
    system.start_worker()
    job: dict[str, Any] = system.client.post("/v1/jobs", json={"prompt": prompt}, headers=TRACEPARENT).json()
    return system.wait(job["id"])


def _logged(system: System) -> list[dict[str, Any]]:
    return [json.loads(line) for line in system.log().splitlines() if line.startswith("{")]


def _processed(collector: Collector, count: int) -> list[Span]:
    while len(found := [span for span in collector.received if span.name == WORKER[0]]) < count:
        collector.of_trace("", [])
    return found


def _without_opentelemetry(folder: Path) -> None:
    """Write a package `opentelemetry` that cannot be imported and is found before the real one."""
    (folder / "opentelemetry").mkdir()
    (folder / "opentelemetry" / "__init__.py").write_text("raise ImportError('not here')\n")
