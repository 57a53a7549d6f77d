#!/usr/bin/env bash
# Builds the site from docs/. A warning, such as a broken link, is an error.
#
#   scripts/site.sh [DIR]        (default: build/site)
set -euo pipefail
DIR="$(realpath -m "${1:-$(dirname "${BASH_SOURCE[0]}")/../build/site}")"
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh" docs
cd "$ROOT"
NO_MKDOCS_2_WARNING=1 TF_CPP_MIN_LOG_LEVEL=3 "$PYTHON" -m mkdocs build --strict --quiet --site-dir "$DIR"
echo "Site: $DIR/index.html"
