# Sourced by the other scripts, from any working directory: . "$(dirname "$0")/environment.sh" [base|dev]
# Creates .venv with Python 3.11 to 3.13 and installs the locked packages, unless they are installed already.
# Sets ROOT to the checkout and PYTHON to the interpreter. SLIM_PYTHON selects the Python that creates .venv.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PYTHON="$ROOT/.venv/bin/python"

slim_python_fits() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

slim_find_python() {
  local candidate
  for candidate in ${SLIM_PYTHON:+"$SLIM_PYTHON"} python3.11 python3.12 python3.13 python3 python; do
    if slim_python_fits "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  echo "Python 3.11, 3.12 or 3.13 with venv not found. Install one, or set SLIM_PYTHON=/path/to/python" >&2
  return 2
}

slim_install() {
  local lock="$ROOT/requirements/$1.txt" stamp="$ROOT/.venv/installed-$1" sum python
  sum="$(cksum <"$lock")"
  if [ -x "$PYTHON" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && slim_python_fits "$PYTHON"; then
    echo "Environment: $ROOT/.venv (up to date)"
    return
  fi
  if ! { [ -x "$PYTHON" ] && slim_python_fits "$PYTHON"; }; then
    python="$(slim_find_python)" || return
    if [ -L "$ROOT/.venv" ] || { [ -e "$ROOT/.venv" ] && ! ls "$ROOT"/.venv/installed-* >/dev/null 2>&1; }; then
      echo "$ROOT/.venv was not created by this script and has no Python 3.11 to 3.13. Move it away" >&2
      return 2
    fi
    echo "Environment: creating $ROOT/.venv"
    "$python" -m venv --clear "$ROOT/.venv" || return
  fi
  echo "Environment: installing requirements/$1.txt"
  rm -f "$ROOT"/.venv/installed-{base,dev}
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" || return
  echo "$sum" >"$stamp"
  # The development lock includes the packages of the base lock, at the same versions.
  [ "$1" != dev ] || cksum <"$ROOT/requirements/base.txt" >"$ROOT/.venv/installed-base"
}

slim_install "${1:-base}"
