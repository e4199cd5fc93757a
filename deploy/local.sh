#!/usr/bin/env bash
# The whole of Caseframe as services on this machine, without containers:
#   deploy/local.sh up | down | status | url | logs [NAME] | restart NAME | kill NAME
# SOURCES=/folder says where the pictures are (else the demo's), CASEFRAME_LOCAL where the state is.
# PostgreSQL, RabbitMQ and Redis must be installed; they need not run.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
SOURCES=${SOURCES:+$(realpath "$SOURCES")}
if [ -n "$SOURCES" ]; then export SOURCES; else unset SOURCES; fi
if [ "${1:-}" = up ]; then
    make --no-print-directory -C "$root" .venv/.ready ui >&2
fi
cd "$root"
exec .venv/bin/python -m deploy.local "$@"
