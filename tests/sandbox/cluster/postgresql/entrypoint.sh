#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Make the cluster in $PGDATA if there is none, and serve it: what the official image does, as far as tests need it.
# POSTGRES_PASSWORD is the superuser's.
set -eu
if ! [ -s "$PGDATA/PG_VERSION" ]; then
  password=$(mktemp)
  echo "$POSTGRES_PASSWORD" > "$password"
  initdb --username=postgres --pwfile="$password" --auth-local=trust --auth-host=scram-sha-256 \
    --locale=en_US.UTF-8 --data-checksums --no-sync
  rm "$password"
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
fi
exec postgres -c listen_addresses='*' -c fsync=off "$@"
