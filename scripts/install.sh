#!/bin/sh
# Installs the project and its tools into .venv, once per state of the files that say what is needed.
# Writes the secrets that are missing from .env.
set -eu
cd "$(dirname "$0")/.."
sh scripts/secrets.sh
[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
wanted=$(cat pyproject.toml constraints.txt | cksum)
[ "$(cat .venv/installed 2>/dev/null || true)" = "$wanted" ] && exit 0
echo "installing into .venv; the first time this takes a few minutes" >&2
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
pip install --quiet --upgrade "pip>=25.1" # the first that reads dependency groups
pip install --progress-bar on --constraint constraints.txt --editable ".[api,inference,otel]" --group dev >&2
echo "$wanted" >.venv/installed
