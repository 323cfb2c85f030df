#!/bin/sh
# Checks the files that a container engine, a cluster or the forge reads, without any of them.
set -eu
cd "$(dirname "$0")/.."
export PYTHONSAFEPATH=1 # no module of this folder is taken for one of Python's
PATH="$PWD/.venv/bin:$PATH"
for program in hadolint zizmor; do
    command -v "$program" >/dev/null || {
        echo "$program is missing: there is no wheel for this machine, install it with your package manager" >&2
        exit 1
    }
done
hadolint services/api/Dockerfile services/inference/Dockerfile
check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yaml
check-jsonschema --quiet --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/feature.yml
check-jsonschema --quiet --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
check-jsonschema --quiet --builtin-schema vendor.renovate .github/renovate.json
python -m scripts.k8s >/dev/null
zizmor --offline --quiet .github
