# Commands of the project. `just` alone lists them; `./justw` works without just installed.

set dotenv-load := false

python := ".venv/bin/python"
side_by_side := "--numprocesses=logical --maxprocesses=4 --dist=worksteal"

_default:
    @just --list --unsorted

# Make .venv and install everything into it (again only when a requirement changed); write the secrets that .env lacks
[group("setup")]
setup:
    @sh scripts/install.sh

# Gateway, worker and page on this machine, no server needed
[group("dev")]
demo *ARGS: setup
    @{{ python }} -m services {{ ARGS }}

# Make one photo without a browser
[group("dev")]
[positional-arguments]
generate *ARGS: setup
    @{{ python }} -m services generate "$@"

# List the models on offer
[group("model")]
models: setup
    @{{ python }} -m services models

# Train the model that ships, from nothing; started again, it goes on (about two hours on two cores)
[group("model")]
train-studio-tiny *ARGS: setup
    {{ python }} -m pip install --quiet --constraint constraints.txt --editable ".[training]"
    {{ python }} -m training {{ ARGS }}

# How often studio-tiny draws what it is asked for, and how fast
[group("model")]
eval-studio-tiny *ARGS: setup
    @{{ python }} -m training.evaluate {{ ARGS }}

# Example pictures of the studio looks, drawn by the model that ships
[group("model")]
style-cards: setup
    @{{ python }} -m scripts.style_cards

# Format, lint, type-check and check the architecture; writes nothing
[group("check")]
check: setup
    .venv/bin/ruff format --check . && .venv/bin/ruff check .
    .venv/bin/mypy && .venv/bin/lint-imports && .venv/bin/typos && sh scripts/check_deploy.sh
    .venv/bin/bandit --quiet --configfile pyproject.toml --recursive services scripts training && {{ python }} -m scripts.audit

# Ask PyPI which of the pinned versions have known holes; unlike in `check`, no answer is a failure
[group("check")]
audit: setup
    @{{ python }} -m scripts.audit --strict

# Mend what can be mended by itself
[group("check")]
fix: setup
    .venv/bin/ruff check --fix . && .venv/bin/ruff format .

# Write .env.example from the settings
[group("check")]
env-example: setup
    {{ python }} -c 'from services.common.settings import env_example; print(env_example(), end="")' > .env.example

# Write docs/cli.md from the commands
[group("check")]
cli-docs: setup
    {{ python }} -m typer services.__main__ utils docs --name studio --output docs/cli.md

# Everything that needs no server and no browser
[group("test")]
test *ARGS: setup
    {{ python }} -m pytest {{ side_by_side }} {{ ARGS }}

# Send made-up requests to a gateway of its own: 100,000, or `--count N`; `--seed N` for others
[group("test")]
fuzz *ARGS: setup
    {{ python }} -m tests.fuzz {{ ARGS }}

# What needs RabbitMQ, Redis and S3: starts its own, on free ports
[group("test")]
test-services *ARGS: setup
    {{ python }} -m pytest -m services {{ side_by_side }} {{ ARGS }}

# The pages in a real browser (needs Debian's chromium)
[group("test")]
test-web *ARGS: setup
    {{ python }} -m pytest -m browser {{ ARGS }}

# What needs a CUDA device
[group("test")]
test-gpu *ARGS: setup
    {{ python }} -m pytest -m gpu {{ ARGS }}

# Pictures of the pages into docs/img (needs Debian's chromium)
[group("dev")]
screenshots: setup
    {{ python }} -m scripts.screenshots

# Start the system in containers, with the profiles that .env names
[group("stack")]
up *ARGS: setup
    @sh scripts/up.sh {{ ARGS }}

# The same with the worker on a GPU
[group("stack")]
up-gpu *ARGS: setup
    @sh scripts/up.sh --gpu {{ ARGS }}

# Stop it; workers finish what they have begun, and nothing is lost
[group("stack")]
down:
    docker compose --profile "*" down

# Follow the logs, of all or of the services named
[group("stack")]
logs *SERVICES:
    docker compose --profile "*" logs --follow --tail 100 {{ SERVICES }}

# What runs, and how it is
[group("stack")]
ps:
    docker compose --profile "*" ps --all

# Stop it and delete every job, photo and downloaded weight
[group("stack")]
[confirm("Delete every job, photo and downloaded weight of the containers?")]
nuke:
    docker compose --profile "*" down --volumes

# Is this machine ready for `just up`? Each FAIL comes with the command that mends it
[group("stack")]
doctor:
    @python3 scripts/doctor.py

# The objects of an overlay: cpu, gpu, keda or observability
[group("deploy")]
k8s-render OVERLAY: setup
    @.venv/bin/kubectl kustomize k8s/overlays/{{ OVERLAY }}

# Check every object of every overlay by its schema, without a cluster
[group("deploy")]
k8s-validate: setup
    @{{ python }} -m scripts.k8s

# Measure: `just bench`, `just bench overhead --json`
[group("bench")]
bench *ARGS: setup
    @{{ python }} -m benchmarks {{ ARGS }}

# Break things while jobs run, and count what is lost: `just chaos`, `just chaos broker-killed --json`
[group("test")]
chaos *ARGS: setup
    @{{ python }} -m tests.faults {{ ARGS }}
