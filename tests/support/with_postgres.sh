#!/bin/sh
# Run a command with a throw-away PostgreSQL cluster behind GUARD_TEST_POSTGRES_URL.
#
#   tests/support/with_postgres.sh COMMAND [ARGUMENT…]
#
# The cluster lives in a temporary folder, listens on a Unix socket in it and on no network, and
# is removed afterwards. PostgreSQL refuses to run as root: then the `postgres` account (or
# `nobody`) runs the server. It does not sync to disk: tests kill clients, never the server.
# Exit status: the command's, or 69 when there is no PostgreSQL to start.
set -eu

if [ $# -eq 0 ]; then
    echo "usage: $0 COMMAND [ARGUMENT…]" >&2
    exit 64
fi

bin=${GUARD_POSTGRES_BIN:-}
if [ -z "$bin" ]; then
    for candidate in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -Vr) \
        /opt/homebrew/bin /usr/local/bin /usr/pgsql-*/bin /usr/bin; do
        if [ -x "$candidate/initdb" ] && [ -x "$candidate/pg_ctl" ]; then
            bin=$candidate
            break
        fi
    done
fi
if [ -z "$bin" ]; then
    echo "with_postgres: no initdb and pg_ctl found; install PostgreSQL or set GUARD_POSTGRES_BIN" >&2
    exit 69
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/guard-postgres.XXXXXX")
owner=
if [ "$(id -u)" -eq 0 ]; then
    owner=postgres
    id "$owner" >/dev/null 2>&1 || owner=nobody
    chown "$owner" "$folder"
fi

as_owner() {
    if [ -z "$owner" ]; then
        "$@"
    elif command -v runuser >/dev/null 2>&1; then
        (cd "$folder" && runuser -u "$owner" -- "$@")
    else
        # `su` wants one string; none of our arguments holds a quote.
        (cd "$folder" && su -s /bin/sh "$owner" -c "$(printf "'%s' " "$@")")
    fi
}

stop() {
    status=$?
    trap - EXIT INT TERM HUP
    as_owner "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1 || true
    rm -rf "$folder"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

as_owner "$bin/initdb" -D "$folder/data" -U guard -A trust -E UTF8 --locale=C --no-sync \
    >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; exit 69; }
# The socket's path must stay below 108 bytes, which a temporary folder does.
as_owner "$bin/pg_ctl" -D "$folder/data" -l "$folder/data/server.log" -w -t 60 \
    -o "-k $folder -c listen_addresses= -c max_connections=100 -c fsync=off" start >/dev/null ||
    { cat "$folder/data/server.log" >&2; exit 69; }

chmod 755 "$folder"
GUARD_TEST_POSTGRES_URL="postgresql://guard@/postgres?host=$folder"
export GUARD_TEST_POSTGRES_URL
"$@"
