#!/bin/sh
# Builds images of Debian's packages that take the places of those in compose.yaml and the Dockerfiles, for a machine
# that reaches a mirror of Debian and of PyPI but no registry of images. stand-ins.yaml names them. Needs root.
#   python   this machine's Debian release, with pip's certificates of this machine and the folder PIP_FIND_LINKS names
#   servers  Debian 13's RabbitMQ and Redis, and the rclone of .venv, which serves S3
# An image that exists stays. The roots of both file systems are in build/stand-ins.
set -eu
cd "$(dirname "$0")/../.."
roots=$PWD/build/stand-ins
links=${PIP_FIND_LINKS:-} certificates=/etc/ssl/certs/ca-certificates.crt

missing() { ! docker image inspect "studio-stand-in/$1" >/dev/null 2>&1; }

import() { # NAME ROOT [OPTION ...]
    name=$1 root=$2
    shift 2
    tar -C "$root" --numeric-owner -c . | docker import "$@" - "studio-stand-in/$name" >/dev/null
}

if missing python; then
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    root=$roots/$release
    sh tests/containers/debian_root.sh "$release" "$root" python3 python3-venv python-is-python3 ca-certificates
    cp "$certificates" "$root$certificates"
    if [ -d "$links" ]; then mkdir -p "$root$links" && cp -ru "$links/." "$root$links"; fi
    import python "$root" --change "ENV PIP_CERT=$certificates" --change "ENV PIP_FIND_LINKS=$links"
fi

if missing servers; then
    root=$roots/trixie
    sh tests/containers/debian_root.sh trixie "$root" rabbitmq-server redis-server ca-certificates
    cp -u .venv/bin/rclone "$root/usr/local/bin/rclone"
    mkdir -p "$root/data/buckets"
    echo '[rabbitmq_management].' >"$root/etc/rabbitmq/enabled_plugins"
    # RabbitMQ's own programs come first on PATH: Debian's of the same names change to the user rabbitmq, which the
    # container's user is already.
    import servers "$root" --change 'WORKDIR /data' \
        --change 'ENV PATH=/usr/lib/rabbitmq/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
fi
