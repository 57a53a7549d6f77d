#!/usr/bin/env bash
# All checks, the same here and in CI: lint, format, types, tests.
#
#   scripts/test.sh [--slow] [arguments of pytest]
#
# --slow also runs the tests that take more than five seconds each.
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
# A process for each core, at most four for the memory's sake; a file's tests stay in one, for what they share. In their
# own order: put first, the files with most tests would leave those with few long ones to the end, one after the other.
TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-3}" "$PYTHON" -m pytest -n auto --maxprocesses=4 --dist=loadfile \
  --no-loadscope-reorder ${marks[@]+"${marks[@]}"} "$@"
