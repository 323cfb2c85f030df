#!/bin/sh
# `just up` and `just up-gpu`: starts the profiles that .env names, the latter with the worker on a GPU.
set -eu
cd "$(dirname "$0")/.."
COMPOSE_PROFILES=$(sed -n 's/^COMPOSE_PROFILES=//p' .env)
if [ "${1:-}" = --gpu ]; then
    shift
    # Compose does not do without a GPU that is not there: it fails half-way.
    docker info --format '{{json .Runtimes}}' | grep -q nvidia || {
        echo "Docker cannot give a GPU to a container: COMPOSE_PROFILES=gpu just doctor" >&2
        exit 1
    }
    COMPOSE_PROFILES=$(echo "$COMPOSE_PROFILES" | sed 's/cpu/gpu/')
fi
export COMPOSE_PROFILES
build=--build
grep -q '^IMAGE_PREFIX=.' .env && build=--no-build # published images are pulled
# Both S3 servers answer to the name s3, and photos would go to either.
case $COMPOSE_PROFILES in
*seaweedfs*) docker compose --profile "*" rm --stop --force minio ;;
*) docker compose --profile "*" rm --stop --force seaweedfs ;;
esac
docker compose up --detach --wait "$build" "$@"
# The other worker of an earlier start would go on consuming.
case $COMPOSE_PROFILES in
*gpu*) docker compose --profile "*" rm --stop --force worker ;;
*) docker compose --profile "*" rm --stop --force worker-gpu ;;
esac
echo "Studio is ready: http://$(docker compose port gateway 8000)"
