"""Compares queries with the metrics of the services, to find a panel or an alert that would always be empty."""

import json
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final

import yaml
from prometheus_client import CollectorRegistry

from services.api.core.metrics import Metrics as GatewayMetrics
from services.inference.job.metrics import Metrics as WorkerMetrics
from tests.support.compose_files import ROOT

RULES: Final = ROOT / "deploy" / "prometheus" / "rules" / "studio.yaml"
DASHBOARD: Final = ROOT / "deploy" / "grafana" / "studio.json"
FROM_PROMETHEUS: Final = {"job", "instance"}

_STRING = re.compile(r'"[^"]*"')
_NAME = re.compile(r"\b((?:studio|process)_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")


def alerts() -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panel_queries() -> Iterator[tuple[str, str]]:
    """Yield the title and the query of every panel, with its variables filled in."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m").replace("$model", ".*")


def nvml() -> Any:
    """Return a stand-in for NVIDIA's library on a machine with one GPU."""
    return SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetMemoryInfo=lambda _handle: SimpleNamespace(used=3e9, total=80e9),
    )


def exposed() -> dict[str, set[str]]:
    """Return the labels of every sample of both services, by name. The test must have replaced pynvml by `nvml()`."""
    found: dict[str, set[str]] = {}
    worker = WorkerMetrics()
    worker.of("any")
    for registry in (GatewayMetrics().registry, worker.registry):
        found |= dict(_samples(registry))
    return found


def faults(query: str, known: dict[str, set[str]]) -> list[str]:
    """Return the metrics and labels of the query that the services do not have."""
    plain = _STRING.sub('""', query)
    asked = _NAME.findall(plain)
    unknown = [f"no metric {name}" for name, _ in asked if name not in known]
    labels = {label for name, _ in asked for label in known.get(name, ())} | FROM_PROMETHEUS
    grouped = [label.strip() for group in _GROUPING.findall(plain) for label in group.split(",")]
    unknown += [f"nothing has the label {label}" for label in grouped if label not in labels]
    for name, matchers in asked:
        has = known.get(name, set()) | FROM_PROMETHEUS
        unknown += [f"{name} has no label {label}" for label in _MATCHER.findall(matchers) if label not in has]
    return unknown if asked else ["it queries no metric of the services"]


def _samples(registry: CollectorRegistry) -> Iterator[tuple[str, set[str]]]:
    for family in registry.collect():
        # A metric with labels has no samples before its first event, so its labels are read from the collector.
        kept = registry._names_to_collectors.get(family.name)
        labels = set(getattr(kept, "_labelnames", ())) | {label for each in family.samples for label in each.labels}
        labels.discard("le")
        match family.type:
            case "counter":
                yield f"{family.name}_total", labels
            case "histogram":
                yield f"{family.name}_bucket", labels | {"le"}
                yield from ((f"{family.name}_{part}", labels) for part in ("sum", "count"))
            case _:
                yield family.name, labels
