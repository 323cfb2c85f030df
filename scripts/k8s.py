"""Renders the overlays in k8s/ and checks every object against its schema, without a cluster: `just k8s-validate`.

Kubernetes' own objects are checked against the schemas of the oldest and the newest supported version, with unknown
fields refused; other objects against k8s/schemas.yaml.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

FOLDER = Path(__file__).resolve().parents[1] / "k8s"
OVERLAYS = sorted(path.parent.name for path in (FOLDER / "overlays").glob("*/kustomization.yaml"))
VERSIONS = ("1.30", "1.37")  # 1.30: the first whose pods may sleep before they stop, without a feature gate
KUBECTL = Path(sys.executable).with_name("kubectl")

Manifest = dict[str, Any]


def render(overlay: str) -> list[Manifest]:
    """Return the objects of an overlay. Raises CalledProcessError; kubectl says why on standard error."""
    command = [str(KUBECTL), "kustomize", str(FOLDER / "overlays" / overlay)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return list(yaml.safe_load_all(done.stdout))


def faults_of(manifest: Manifest, schemas: dict[str, Any]) -> list[str]:
    """Return the faults of the object, an empty list for a valid one."""
    try:
        if manifest["kind"] in schemas:
            jsonschema.validate(manifest, schemas[manifest["kind"]])
        else:
            for version in VERSIONS:
                kubernetes_validate.validate(manifest, version, strict=True)
    except jsonschema.ValidationError as exc:
        return [f"{'.'.join(map(str, exc.absolute_path))}: {exc.message}"]
    except kubernetes_validate.SchemaNotFoundError as exc:
        return [exc.message]
    return []


def load_schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = yaml.safe_load((FOLDER / "schemas.yaml").read_text())
    return schemas


def main() -> int:
    schemas, wrong = load_schemas(), 0
    for overlay in OVERLAYS:
        manifests = render(overlay)
        for manifest in manifests:
            for fault in faults_of(manifest, schemas):
                wrong += 1
                print(f"{overlay}: {manifest['kind']} {manifest['metadata']['name']}: {fault}", file=sys.stderr)
        print(f"{overlay}: {len(manifests)} objects checked")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
