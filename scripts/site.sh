#!/usr/bin/env bash
# Builds the site from docs/. A warning, such as a broken link, is an error.
#
#   scripts/site.sh [DIR]        (default: build/site)
#   scripts/site.sh --check      tests its links, and runs the notebook with each cell twice
set -euo pipefail
CHECK=false
[ "${1:-}" != --check ] || { CHECK=true; shift; }
DIR="$(realpath -m "${1:-$(dirname "${BASH_SOURCE[0]}")/../build/site}")"
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" docs
cd "$ROOT"
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-3}"
if $CHECK; then
  slim_install dev # for pytest
  exec "$PYTHON" -m pytest tests/test_site.py tests/test_walkthrough.py
fi
NO_MKDOCS_2_WARNING=1 "$PYTHON" -m mkdocs build --strict --quiet --site-dir "$DIR"
echo "Site: $DIR/index.html"
