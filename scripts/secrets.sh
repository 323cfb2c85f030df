#!/bin/sh
# Writes what compose.yaml needs and .env does not have yet: random secrets, and which profiles run.
# Letters and digits only, since they stand inside URLs.
set -eu
cd "$(dirname "$0")/.."
umask 077
touch .env
[ -z "$(tail -c 1 .env)" ] || echo >>.env
random() { od -An -N10 -tx1 /dev/urandom | tr -d ' \n'; }
add() { grep -q "^$1=" .env || echo "$1=$2" >>.env; }
add COMPOSE_PROFILES cpu,minio
add S3_ACCESS_KEY "$(random)" # 20 characters, the most that every S3 server takes
for name in RABBITMQ_PASSWORD REDIS_PASSWORD S3_SECRET_KEY GATEWAY_SECRET GRAFANA_PASSWORD; do add "$name" "$(random)$(random)"; done
chmod 600 .env
