#!/usr/bin/env bash
# Runs all checks, as CI does: lint, format, types, tests.
#
#   scripts/test.sh [--slow] [pytest arguments]
#
# --slow also runs the tests that take seconds, or show more cases of what a fast test shows.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" dev
cd "$ROOT"
marks=(-m "not slow")
if [ "${1:-}" = --slow ]; then
  marks=()
  shift
fi
"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
"$PYTHON" -m mypy
# One process more than cores, because tests also wait for processes and disks; at most four to limit memory. The tests
# of a file run in one process, because they share fixtures. Files keep their order: xdist would start those with the
# most tests first, and leave a few long tests to the end.
workers=$(($(getconf _NPROCESSORS_ONLN) + 1))
TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-3}" "$PYTHON" -m pytest -n "$workers" --maxprocesses=4 --dist=loadfile \
  --no-loadscope-reorder ${marks[@]+"${marks[@]}"} "$@"
