#!/bin/sh
# What a container engine, a cluster or the forge would read, checked without any of them.
set -eu
cd "$(dirname "$0")/.."
bin=.venv/bin
"$bin/hadolint" services/api/Dockerfile services/inference/Dockerfile
"$bin/check-jsonschema" --quiet --builtin-schema vendor.compose-spec compose.yaml
"$bin/check-jsonschema" --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yaml
"$bin/zizmor" --offline --quiet .github
