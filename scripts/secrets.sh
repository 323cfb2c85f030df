#!/bin/sh
# Adds to .env the variables of compose.yaml that it lacks: random secrets, and the profiles to run.
# Secrets have letters and digits only, since they are parts of URLs.
set -eu
cd "$(dirname "$0")/.."
umask 077
touch .env
[ -z "$(tail -c 1 .env)" ] || echo >>.env
random() { od -An -N10 -tx1 /dev/urandom | tr -d ' \n'; }
# An empty value is none: it is filled in.
add() {
    if grep -Eq "^(export )? *$1 *=[ '\"]*[^ '\"[:space:]]" .env; then return; fi
    { sed -E "/^(export )? *$1 *=/d" .env && echo "$1=$2"; } >.env.new
    cat .env.new >.env && rm .env.new
}
add COMPOSE_PROFILES cpu,minio
add S3_ACCESS_KEY "$(random)" # 20 characters, the most that every S3 server takes
for name in RABBITMQ_PASSWORD REDIS_PASSWORD S3_SECRET_KEY GATEWAY_SECRET GRAFANA_PASSWORD; do add "$name" "$(random)$(random)"; done
chmod 600 .env
