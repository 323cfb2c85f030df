#!/bin/sh
# `just up` and `just up-gpu` start the profiles that .env names, the latter with the worker on a GPU.
set -eu
cd "$(dirname "$0")/.."
COMPOSE_PROFILES=$(sed -n 's/^COMPOSE_PROFILES=//p' .env | tail -n 1 | tr -d "\r\"'")
if [ "${1:-}" = --gpu ]; then
    shift
    # Without a GPU Compose would fail half-way.
    docker info --format '{{json .Runtimes}}' | grep -q nvidia || {
        echo "Docker cannot give a GPU to a container: COMPOSE_PROFILES=gpu just doctor" >&2
        exit 1
    }
    COMPOSE_PROFILES=$(echo "$COMPOSE_PROFILES" | sed 's/cpu/gpu/')
fi
export COMPOSE_PROFILES
build=--build
grep -q "^IMAGE_PREFIX=[\"']*[^\"'[:space:]]" .env && build=--no-build # published images are pulled
# Both S3 servers have the name s3: with both running, a photo would go to either.
case $COMPOSE_PROFILES in
*seaweedfs*) docker compose --profile "*" rm --stop --force minio ;;
*) docker compose --profile "*" rm --stop --force seaweedfs ;;
esac
docker compose up --detach --wait "$build" "$@"
# The other worker, from an earlier start, would go on consuming.
case $COMPOSE_PROFILES in
*gpu*) docker compose --profile "*" rm --stop --force worker ;;
*) docker compose --profile "*" rm --stop --force worker-gpu ;;
esac
echo "Studio is ready: http://$(docker compose port gateway 8000)"
