"""Dashboard, alerts and scrape configuration, compared with the metrics of the services."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.k8s import render
from tests.support.compose_files import ROOT, of_ours, services
from tests.support.metric_queries import RULES, alerts, exposed, faults, nvml, panel_queries

PROMETHEUS = ROOT / "deploy" / "prometheus" / "prometheus.yaml"
QUERIES = [*panel_queries(), *((rule["alert"], rule["expr"]) for rule in alerts())]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    monkeypatch.setitem(sys.modules, "pynvml", nvml())
    return exposed()


def test_queries(known: dict[str, set[str]]) -> None:
    """Every panel and every alert queries metrics and labels that the services have."""
    assert len(QUERIES) > 30
    assert {title: found for title, query in QUERIES if (found := faults(query, known))} == {}


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("sum(rate(studio_jobs_made_total[5m]))", "no metric studio_jobs_made_total"),
        ("sum(rate(studio_jobs_finished[5m]))", "no metric studio_jobs_finished"),
        ('sum(studio_workers{state="busy"})', "studio_workers has no label state"),
        ("sum by (route) (studio_workers)", "nothing has the label route"),
        ("sum by (le) (studio_job_run_seconds_sum)", "nothing has the label le"),
        ("up == 0", "it queries no metric of the services"),
    ],
)
def test_wrong_queries_are_found(known: dict[str, set[str]], query: str, fault: str) -> None:
    """A metric or a label that the services do not have is named."""
    assert faults(query, known) == [fault]


def test_every_metric_is_documented(known: dict[str, set[str]]) -> None:
    """The tables of docs/operations.md have every metric of ours, and no other."""
    section = _section("Metrics")
    documented = set(re.findall(r"`(studio_\w+)`", section))
    ours = {name.removesuffix("_bucket") for name in known if name.startswith("studio_")}
    assert documented == {name for name in ours if not re.search(r"_seconds_(sum|count)$|_size_(sum|count)$", name)}


def test_runbooks() -> None:
    """There are six alerts, and each names a section of docs/operations.md, its runbook."""
    rules = alerts()
    assert len(rules) == 6
    for rule in rules:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert len(_section(rule["alert"])) > 200
        assert rule["labels"]["severity"] in {"warning", "critical"}


def test_kubernetes_has_the_same_alerts_and_dashboard() -> None:
    """The overlay has the rules of deploy/prometheus, and the dashboard as a ConfigMap."""
    manifests = {(one["kind"], one["metadata"]["name"]): one for one in render("observability")}
    assert manifests["PrometheusRule", "studio"]["spec"] == yaml.safe_load(RULES.read_text())
    dashboard = manifests["ConfigMap", "studio-dashboard"]["data"]["studio.json"]
    assert dashboard == (ROOT / "deploy" / "grafana" / "studio.json").read_text()


def test_prometheus_finds_the_services() -> None:
    """Prometheus scrapes every service of ours on the metrics port of its image, and reads the mounted rules."""
    config = yaml.safe_load(PROMETHEUS.read_text())
    asked: dict[str, Any] = {
        name: names["port"]
        for job in config["scrape_configs"]
        for names in job.get("dns_sd_configs", ())
        for name in names["names"]
    }
    served = {name: of_ours(name)["environment"] for name in ("gateway", "worker", "worker-gpu")}
    assert asked == {
        name: int(environment["STUDIO_METRICS_PORT" if name == "gateway" else "STUDIO_WORKER_PORT"])
        for name, environment in served.items()
    }
    put = {each["target"] for each in services()["prometheus"]["configs"]}
    assert put == {"/etc/prometheus/prometheus.yml", "/etc/prometheus/rules/studio.yaml"}
    assert config["rule_files"] == ["/etc/prometheus/rules/*.yaml"]


@pytest.mark.services
def test_alerts_fire(tmp_path: Path) -> None:
    """promtool accepts rules, panels and configuration, and each alert fires only when it should."""
    rules = [{"record": f"panel:{index}", "expr": query} for index, (_, query) in enumerate(panel_queries())]
    panels = tmp_path / "panels.yaml"
    panels.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    _promtool("check", "rules", str(RULES), str(panels))
    _promtool("check", "config", "--syntax-only", str(PROMETHEUS))
    _promtool("test", "rules", "tests/deploy/alerts.yaml")
    tested = yaml.safe_load((ROOT / "tests" / "deploy" / "alerts.yaml").read_text())["tests"]
    fired = {case["alertname"] for test in tested for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert fired == {rule["alert"] for rule in alerts()}


def _promtool(*arguments: str) -> None:
    program = shutil.which("promtool")
    assert program is not None, "promtool is missing: apt-get install prometheus"
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def _section(title: str) -> str:
    text = (ROOT / "docs" / "operations.md").read_text()
    found = re.search(rf"^(#+) {title}\n(.*?)(?=^#{{1,3}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[2]
