#!/bin/sh
# Installs Debian's container engine, Compose and buildx where they are missing, and starts the engine if none answers.
# Needs root. `engine.sh stop` stops an engine that it started. DEBIAN_MIRROR names a mirror of Debian.
set -eu
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
pid=/run/studio-dockerd.pid log=/var/log/studio-dockerd.log

if [ "${1:-}" = stop ]; then
    [ ! -e "$pid" ] || kill "$(cat "$pid")"
    exit 0
fi

if ! command -v dockerd >/dev/null || ! command -v debootstrap >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq docker.io debootstrap >/dev/null
fi

# Debian 12 has neither plugin; those of Debian 13 need no library that it lacks.
if ! docker compose version >/dev/null 2>&1 || ! docker buildx version >/dev/null 2>&1; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    mkdir -p "$folder/lists/partial" "$folder/packages"
    chmod 755 "$folder" # apt reads as a user of its own
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$folder/sources.list"
    apt() {
        apt-get -qq -o Dir::Etc::sourcelist="$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null \
            -o Dir::State::lists="$folder/lists" -o APT::Sandbox::User=root "$@"
    }
    apt update
    (cd "$folder/packages" && apt download docker-compose docker-buildx)
    for package in "$folder"/packages/*.deb; do dpkg -x "$package" "$folder/files"; done
    plugins=/usr/local/lib/docker/cli-plugins
    mkdir -p "$plugins"
    find "$folder/files" -type f -path '*/cli-plugins/docker-*' -exec install -m 755 {} "$plugins" \;
fi

if ! docker version >/dev/null 2>&1; then
    setsid dockerd --pidfile "$pid" >"$log" 2>&1 </dev/null &
    for _ in $(seq 60); do
        sleep 0.5
        docker version >/dev/null 2>&1 && break
    done
fi
docker version --format 'engine {{.Server.Version}}' || { tail -n 20 "$log" >&2 && exit 1; }
docker compose version
