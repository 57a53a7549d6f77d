#!/usr/bin/env bash
# Starts dispatchers and workers of the tf.data service, which prepare batches for training on other machines.
#
#   scripts/cluster/data_service.sh [FLAGS]
#
# --help lists the flags. Training takes the printed --data_service. See docs/many_machines.md.
#
# Environment: PYTHON, the interpreter with the packages; default: in a checkout .venv, else python3.
set -euo pipefail
unset CDPATH
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
ROOT="$(cd "$HERE/../.." && pwd)"
if [ -f "$ROOT/pyproject.toml" ]; then # a checkout
  [ -n "${PYTHON:-}" ] || PYTHON="$ROOT/.venv/bin/python"
  cd "$ROOT"
  exec "$PYTHON" -m classifier.cluster.data_service "$@"
fi
exec "${PYTHON:-python3}" -P -m slim.classifier.cluster.data_service "$@"
