#!/bin/sh
# Installs the parts named on the command line into .venv:
#   runtime   the gateway, the worker and the model libraries: all that `just demo` runs
#   tools     the gateway, and all that tests, checks and benchmarks need; no model library
# Installs a part again only when the requirements changed: .venv/installed-PART keeps their checksum.
set -eu
cd "$(dirname "$0")/.."
export PYTHONSAFEPATH=1 # no module of this folder is taken for one of Python's
sh scripts/secrets.sh
wanted=$(cat pyproject.toml constraints.txt | cksum)
missing='' extras=api,otel group=''
for part in "$@"; do
    [ "$(cat ".venv/installed-$part" 2>/dev/null || true)" != "$wanted" ] || continue
    missing="$missing $part"
    case $part in
    runtime) extras=$extras,inference,speech ;;
    tools) group='--group dev' ;;
    *) echo "install.sh: no part $part; there are: runtime tools" >&2 && exit 2 ;;
    esac
done
[ "$missing" ] || exit 0
echo "installing$missing into .venv; the first time this takes a few minutes" >&2
[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
[ ! "$group" ] || pip install --quiet --upgrade "pip>=25.1" # the first that reads dependency groups
# shellcheck disable=SC2086  # two words or none
pip install --progress-bar on --constraint constraints.txt --editable ".[$extras]" $group >&2
for part in $missing; do echo "$wanted" >".venv/installed-$part"; done
