#!/usr/bin/env bash
# Updates requirements/*.txt from pyproject.toml: exact versions with hashes, for all supported Python versions.
# Requires uv. The result contains no index URL: pip uses its configured index.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
lock() {
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-annotate --no-header "${@:2}" pyproject.toml \
    --output-file "requirements/$1.txt"
  sed -i '1i # Written by scripts/lock.sh from pyproject.toml; not by hand.' "requirements/$1.txt"
}
lock base
lock serve --extra serve --constraints requirements/base.txt
lock dev --extra dev --extra onnx --extra openvino --extra litert --extra plots --extra serve \
  --constraints requirements/serve.txt
lock docs --extra docs --constraints requirements/dev.txt
