#!/bin/sh
# Makes the root file system of a Debian release, with these packages and none of their services started:
#   debian_root.sh SUITE FOLDER [PACKAGE ...]
# Needs root, debootstrap and a mirror of Debian. A folder that is complete already is left as it is.
set -eu
suite=$1 root=$2
shift 2
[ ! -e "$root/.complete" ] || exit 0
rm -rf "$root" && mkdir -p "$root"
debootstrap --variant=minbase "$suite" "$root" >"$root.log"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" && chmod +x "$root/usr/sbin/policy-rc.d"
[ $# -eq 0 ] || DEBIAN_FRONTEND=noninteractive chroot "$root" \
    apt-get install --yes --quiet --quiet --no-install-recommends "$@" >>"$root.log" 2>&1
chroot "$root" apt-get clean
rm -rf "$root"/var/lib/apt/lists/*
touch "$root/.complete"
