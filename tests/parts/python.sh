#!/usr/bin/env bash
# A Python with the ADBC Flight SQL driver, and with DuckDB and pyarrow, which read our Parquet files themselves.
set -euo pipefail

ADBC=1.13.0
PYARROW=26.0.1
DUCKDB=1.5.6

parts=${IRONBARK_PARTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/ironbark/parts}
home=$parts/python-adbc$ADBC-pyarrow$PYARROW-duckdb$DUCKDB
python=${IRONBARK_PYTHON:-python3}

fail() { echo "$1" >&2; exit 1; }

install() {
  if [ ! -f "$home/complete" ]; then
    command -v "$python" >/dev/null || fail "$python is not installed"
    rm -rf "$home" && mkdir -p "$parts"
    "$python" -m venv "$home" >&2 || fail "$python cannot make a virtual environment"
    "$home/bin/pip" install --quiet --disable-pip-version-check "adbc-driver-flightsql==$ADBC" \
      "adbc-driver-manager==$ADBC" "pyarrow==$PYARROW" "duckdb==$DUCKDB" >&2 ||
      fail "pip could not install the ADBC driver $ADBC, pyarrow $PYARROW and DuckDB $DUCKDB"
    touch "$home/complete"
  fi
  echo "IRONBARK_TEST_PYTHON=$home/bin/python"
}

case "${1:-}" in
  install) install ;;
  *) fail "usage: $0 install" ;;
esac
