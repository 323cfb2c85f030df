"""The manifests in k8s/, as far as they can be checked without a cluster. Each overlay is rendered once."""

import copy
import re
from functools import cache
from typing import Any

import pytest

from scripts.k8s import OVERLAYS, Manifest, faults_of, load_schemas, render
from services.cli.serve.served_models import served_models
from services.common.brokers.amqp.topology import queue_name
from services.common.brokers.lanes import lane_of
from services.common.catalogue.files import load_catalogue
from services.common.load_settings import load_settings
from services.common.settings import Settings
from services.inference.runtime.registry import resolve_adapter
from tests.support.compose_files import ROOT, studio

CATALOGUE = load_catalogue(Settings().catalogue, Settings().styles)
every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


@cache
def _rendered(overlay: str) -> list[Manifest]:
    return render(overlay)


def _of_kind(overlay: str, kind: str) -> dict[str, Manifest]:
    found = {one["metadata"]["name"]: one for one in _rendered(overlay) if one["kind"] == kind}
    assert found, f"no {kind} in {overlay}"
    return found


def _pod(deployment: Manifest) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Return the pod, its one container, and the labels."""
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    return template["spec"], container, template["metadata"]["labels"]


def _environment(overlay: str, container: dict[str, Any]) -> dict[str, str]:
    """Return the environment of the container without that of the Secrets."""
    configuration = _of_kind(overlay, "ConfigMap")
    maps = [source["configMapRef"]["name"] for source in container["envFrom"] if "configMapRef" in source]
    merged = {key: value for name in maps for key, value in configuration[name]["data"].items()}
    return merged | {pair["name"]: pair["value"] for pair in container["env"]}


@every_overlay
def test_schemas(overlay: str) -> None:
    """Every object of every overlay is valid, unknown fields refused."""
    schemas = load_schemas()
    assert {one["metadata"]["name"]: faults for one in _rendered(overlay) if (faults := faults_of(one, schemas))} == {}


def test_schemas_refuse() -> None:
    """A misspelt field of a Deployment and a number where KEDA wants a string are found."""
    schemas = load_schemas()
    deployment = copy.deepcopy(_of_kind("keda", "Deployment")["gateway"])
    deployment["spec"]["template"]["spec"]["enableServiceLink"] = False
    scaling = copy.deepcopy(_of_kind("keda", "ScaledObject")["worker-sd15"])
    scaling["spec"]["triggers"][0]["metadata"]["value"] = 8
    assert "enableServiceLink" in faults_of(deployment, schemas)[0]
    assert faults_of(scaling, schemas) == ["spec.triggers.0.metadata.value: 8 is not of type 'string'"]


def _served(overlay: str) -> dict[str, list[str]]:
    """Return the models of each worker by the name of its Deployment, the one that it loads first before the others."""
    served = {}
    for name, deployment in _of_kind(overlay, "Deployment").items():
        if name != "gateway":
            environment = _environment(overlay, _pod(deployment)[1])
            settings = Settings(model=environment["STUDIO_MODEL"], models=environment.get("STUDIO_MODELS", ""))
            served[name] = [model.name for model in served_models(settings, CATALOGUE, None)]
    return served


@every_overlay
def test_every_model_has_a_worker(overlay: str) -> None:
    """Each model of the catalogue is served by one Deployment, which is named after the first of its models."""
    served = _served(overlay)
    assert sorted(model for models in served.values() for model in models) == sorted(CATALOGUE.models)
    for name, models in served.items():
        assert name == f"worker-{models[0]}"


@every_overlay
def test_settings(overlay: str) -> None:
    """Variables, also those of the Secrets in docs/operations.md, are settings; workers limit busy waiting."""
    documented = re.findall(r"--from-literal=(STUDIO_\w+)=", (ROOT / "docs" / "operations.md").read_text())
    secrets = {"STUDIO_BROKER_URL", "STUDIO_STATUSES_URL", "STUDIO_S3_ACCESS_KEY", "STUDIO_S3_SECRET_KEY"}
    assert set(documented) == secrets | {"STUDIO_SECRET_KEY", "STUDIO_KEYS"}
    for name, deployment in _of_kind(overlay, "Deployment").items():
        environment = _environment(overlay, _pod(deployment)[1])
        others = {} if name == "gateway" else {"GOMP_SPINCOUNT": "1000"}  # pods share a node's cores
        assert environment == studio(environment) | others
        load_settings({**environment, **dict.fromkeys(documented, "")}, ROOT / "none")


@every_overlay
def test_pods_are_restricted(overlay: str) -> None:
    """Pods meet the restricted standard, cannot write to their image, and get no token and no variables of Services."""
    for deployment in _of_kind(overlay, "Deployment").values():
        pod, container, _ = _pod(deployment)
        assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert re.search(r":\d+\.\d+\.\d+$", container["image"])


@every_overlay
def test_time_to_stop(overlay: str) -> None:
    """A worker has time for the longest job; the gateway has time to leave its endpoints and end its requests."""
    for name, deployment in _of_kind(overlay, "Deployment").items():
        pod, container, _ = _pod(deployment)
        environment, grace = _environment(overlay, container), pod["terminationGracePeriodSeconds"]
        if name == "gateway":
            pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            assert pause + int(environment["STUDIO_GRACEFUL_TIMEOUT_SECONDS"]) < grace
        else:
            deadline = int(environment["STUDIO_JOB_DEADLINE_SECONDS"])
            assert deadline < int(environment["STUDIO_GRACE_SECONDS"]) < grace


@every_overlay
def test_probes(overlay: str) -> None:
    """Liveness checks the event loop, readiness checks the backends too; a start has time to load the model."""
    for name, deployment in _of_kind(overlay, "Deployment").items():
        _, container, _ = _pod(deployment)
        ports = {port["name"] for port in container["ports"]}
        probes = {kind: container[kind]["httpGet"] for kind in ("startupProbe", "readinessProbe", "livenessProbe")}
        assert {probe["port"] for probe in probes.values()} <= ports
        assert (probes["readinessProbe"]["path"], probes["livenessProbe"]["path"]) == ("/readyz", "/livez")
        start = container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"]
        assert start >= {"gateway": 60, "worker-studio-tiny": 300, "worker-sd15": 1800}[name]


@every_overlay
def test_selectors(overlay: str) -> None:
    """Services, disruption budgets and Deployments select their own pods and no others."""
    labels = {name: _pod(deployment)[2] for name, deployment in _of_kind(overlay, "Deployment").items()}

    def selected(selector: dict[str, str]) -> list[str]:
        return [name for name, given in labels.items() if selector.items() <= given.items()]

    assert selected(_of_kind(overlay, "Service")["gateway"]["spec"]["selector"]) == ["gateway"]
    for kind in ("Deployment", "PodDisruptionBudget"):
        for name, manifest in _of_kind(overlay, kind).items():
            assert selected(manifest["spec"]["selector"]["matchLabels"]) == [name]
    policies = _of_kind(overlay, "NetworkPolicy")
    assert policies["default-deny"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert selected(policies["backends"]["spec"]["podSelector"]["matchLabels"]) == list(labels)
    fetched = {name for name, model in CATALOGUE.models.items() if model.source.startswith(("hub:", "pypi:"))}
    hub = [name for name, models in _served(overlay).items() if fetched & {*models}]
    assert selected(policies["hub"]["spec"]["podSelector"]["matchLabels"]) == hub


@every_overlay
def test_gpus(overlay: str) -> None:
    """Workers of the overlays for GPUs have one GPU each; workers of other overlays and gateways have no GPU."""
    for name, deployment in _of_kind(overlay, "Deployment").items():
        wanted = 1 if overlay in {"gpu", "keda"} and name != "gateway" else None
        assert _pod(deployment)[1]["resources"]["limits"].get("nvidia.com/gpu") == wanted


def test_scaling() -> None:
    """Each worker scales on the queues of its models, by no fewer messages than it holds, and scales down slowly."""
    scaled = _of_kind("keda", "ScaledObject")
    for worker, models in _served("keda").items():
        spec = scaled[worker]["spec"]
        deployment = _of_kind("keda", "Deployment")[spec["scaleTargetRef"]["name"]]
        assert "replicas" not in deployment["spec"]
        (trigger,) = spec["triggers"]
        asked = trigger["metadata"]
        assert (asked["protocol"], asked["excludeUnacknowledged"]) == ("http", "false")
        assert (asked["useRegex"], asked["operation"]) == ("true", "sum")
        lanes = [queue_name(lane_of(each, bulk=bulk)) for each in CATALOGUE.models for bulk in (False, True)]
        assert [each for each in lanes if re.search(asked["queueName"], each)] == [
            queue_name(lane_of(name, bulk=bulk)) for name in models for bulk in (False, True)
        ]
        offered = [CATALOGUE.models[name] for name in models]
        max_batch = max(model.max_batch or resolve_adapter(model.adapter).max_batch for model in offered)
        assert int(asked["value"]) >= 2 * max_batch
        down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
        assert down["stabilizationWindowSeconds"] >= 300
        assert spec["minReplicaCount"] >= 1


@pytest.mark.parametrize("service", ["gateway", "worker"])
def test_scraping(service: str) -> None:
    """Prometheus scrapes a port that the pods have, and the network allows it from Prometheus' namespace only."""
    monitor = _of_kind("observability", "PodMonitor")[service]["spec"]
    policy = _of_kind("observability", "NetworkPolicy")[f"scraping-{service}"]["spec"]
    deployment = {"worker": "worker-studio-tiny"}.get(service, service)
    _, container, labels = _pod(_of_kind("observability", "Deployment")[deployment])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    (endpoint,) = monitor["podMetricsEndpoints"]
    (allowed,) = policy["ingress"]
    assert allowed["ports"] == [{"protocol": "TCP", "port": ports[endpoint["port"]]}]
    assert len(allowed["from"]) == 1
    for selector in (monitor["selector"], policy["podSelector"]):
        assert selector["matchLabels"].items() <= labels.items()
