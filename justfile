# Commands of the project. `just` alone lists them; `./justw` works without just installed.
# Recipes that end in one program `exec` it: just passes SIGTERM to its child, and a shell would not pass it on.

set dotenv-load := false

# `python -m` would else import modules of the current folder first, whatever they are.
export PYTHONSAFEPATH := "1"

python := ".venv/bin/python"
side_by_side := "--numprocesses=logical --maxprocesses=4 --dist=worksteal"

_default:
    @just --list --unsorted

# Install everything into .venv, again only after a change of the requirements; write the secrets that .env lacks
[group("setup")]
setup: (_install "runtime tools")

# The parts are those of scripts/install.sh
_install PARTS:
    @exec sh scripts/install.sh {{ PARTS }}

# Start gateway, worker and page on this machine; no server is needed
[group("dev")]
demo *ARGS: (_install "runtime")
    @exec {{ python }} -m services {{ ARGS }}

# Make one photo without a browser
[group("dev")]
[positional-arguments]
generate *ARGS: (_install "runtime")
    @exec {{ python }} -m services generate "$@"

# List the models on offer; `just models --check FILE` names all that is wrong with a models.toml or styles.toml
[group("model")]
[positional-arguments]
models *ARGS: (_install "runtime")
    @exec {{ python }} -m services models "$@"

# Train the model that ships, from nothing; a training that was stopped goes on (about two hours on two cores)
[group("model")]
train-studio-tiny *ARGS: (_install "runtime")
    {{ python }} -m pip install --quiet --constraint constraints.txt --editable ".[training]"
    exec {{ python }} -m training {{ ARGS }}

# Measure how often studio-tiny draws the product, colour and background of a prompt, and how fast
[group("model")]
eval-studio-tiny *ARGS: (_install "runtime")
    @exec {{ python }} -m training.evaluate {{ ARGS }}

# Draw the example image of every studio look with the model that ships
[group("model")]
style-cards: setup
    @exec {{ python }} -m scripts.style_cards

# Check format, lint, types, architecture, English and what deploys; writes nothing
[group("check")]
check: setup
    .venv/bin/ruff format --check . && .venv/bin/ruff check .
    .venv/bin/mypy && .venv/bin/lint-imports && .venv/bin/typos && {{ python }} -m scripts.prose && sh scripts/check_deploy.sh
    .venv/bin/bandit --quiet --configfile pyproject.toml --recursive services scripts training && {{ python }} -m scripts.audit

# Ask PyPI which of the pinned versions have known vulnerabilities; unlike `check`, fails where PyPI does not answer
[group("check")]
audit: (_install "tools")
    @exec {{ python }} -m scripts.audit --strict

# Format, and correct the findings that ruff can correct
[group("check")]
fix: (_install "tools")
    .venv/bin/ruff check --fix . && .venv/bin/ruff format .

# Write .env.example from the settings
[group("check")]
env-example: (_install "tools")
    {{ python }} -m scripts.env_example > .env.example

# Write docs/cli.md from the commands
[group("check")]
cli-docs: (_install "tools")
    exec {{ python }} -m typer services.__main__ utils docs --name studio --output docs/cli.md

# Run the tests that start no process and import no torch (a minute and a half on two cores)
[group("test")]
test-fast *ARGS: (_install "tools")
    exec {{ python }} -m pytest --fast {{ side_by_side }} {{ ARGS }}

# Run the tests that need no server and no browser
[group("test")]
test *ARGS: setup
    exec {{ python }} -m pytest {{ side_by_side }} {{ ARGS }}

# Send generated requests to a gateway of its own: 100,000, or `--count N`; `--seed N` for others
[group("test")]
fuzz *ARGS: setup
    exec {{ python }} -m tests.fuzz {{ ARGS }}

# Run the tests that need RabbitMQ, Redis and S3, which they start themselves on free ports
[group("test")]
test-services *ARGS: setup
    exec {{ python }} -m pytest -m services {{ side_by_side }} {{ ARGS }}

# Run the tests of the pages in a real browser (needs Debian's chromium)
[group("test")]
test-web *ARGS: setup
    exec {{ python }} -m pytest -m browser {{ side_by_side }} {{ ARGS }}

# Run the tests that need a CUDA device
[group("test")]
test-gpu *ARGS: setup
    exec {{ python }} -m pytest -m gpu {{ ARGS }}

# Build the images, bring compose.yaml up as a project of its own, and break and stop it under load (about five minutes, with the first build)
[group("test")]
test-containers *ARGS: setup
    @exec {{ python }} -m pytest -m containers --capture=no tests/containers {{ ARGS }}

# Take screenshots of the pages into docs/img (needs Debian's chromium)
[group("dev")]
screenshots: setup
    exec {{ python }} -m scripts.screenshots

# Write the secrets that .env lacks
_secrets:
    @exec sh scripts/secrets.sh

# Send hostile files to a gateway, and write their answers into docs/security.md
[group("test")]
hostile *ARGS: setup
    @exec {{ python }} -m tests.intake {{ ARGS }}

# Start the system in containers, with the profiles that .env names
[group("stack")]
up *ARGS: _secrets
    @exec sh scripts/up.sh {{ ARGS }}

# Start the system in containers, with the worker on a GPU
[group("stack")]
up-gpu *ARGS: _secrets
    @exec sh scripts/up.sh --gpu {{ ARGS }}

# Stop the containers; workers finish the jobs they have begun, and no job is lost
[group("stack")]
down:
    exec docker compose --profile "*" down

# Follow the logs of all services, or of those named
[group("stack")]
logs *SERVICES:
    exec docker compose --profile "*" logs --follow --tail 100 {{ SERVICES }}

# List the containers and their states
[group("stack")]
ps:
    exec docker compose --profile "*" ps --all

# Stop the containers and delete every job, photo and downloaded weight
[group("stack")]
[confirm("Delete every job, photo and downloaded weight of the containers?")]
nuke:
    exec docker compose --profile "*" down --volumes

# Check that this machine is ready for `just up`; each FAIL comes with the command that mends it
[group("stack")]
doctor:
    @exec python3 scripts/doctor.py

# Print the objects of an overlay: cpu, gpu, keda or observability
[group("deploy")]
k8s-render OVERLAY: (_install "tools")
    @exec .venv/bin/kubectl kustomize k8s/overlays/{{ OVERLAY }}

# Check every object of every overlay against its schema, without a cluster
[group("deploy")]
k8s-validate: (_install "tools")
    @exec {{ python }} -m scripts.k8s

# Measure: `just bench`, `just bench overhead --json`
[group("bench")]
bench *ARGS: setup
    @exec {{ python }} -m benchmarks {{ ARGS }}

# Inject faults while jobs run, and count the jobs that are lost: `just chaos`, `just chaos broker-killed --json`
[group("test")]
chaos *ARGS: setup
    @exec {{ python }} -m tests.faults {{ ARGS }}
