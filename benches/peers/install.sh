#!/usr/bin/env bash
# The peers, all from Python wheels in one virtual environment: DuckDB (which also computes the reference answers) and
# pyarrow must install, each of the others is left out where it does not.
set -euo pipefail

DUCKDB=1.5.6
PYARROW=26.0.1
CHDB=4.4.0
DATAFUSION=55.0.0
TANTIVY=0.27.0

parts=${IRONBARK_PARTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/ironbark/parts}
home=$parts/peers-duckdb$DUCKDB-pyarrow$PYARROW-chdb$CHDB-datafusion$DATAFUSION-tantivy$TANTIVY
python=${IRONBARK_PYTHON:-python3}

fail() { echo "$1" >&2; exit 1; }

get() { "$home/bin/pip" install --quiet --disable-pip-version-check "$@" >&2; }

install() {
  if [ ! -f "$home/complete" ]; then
    command -v "$python" >/dev/null || fail "$python is not installed"
    rm -rf "$home" && mkdir -p "$parts"
    "$python" -m venv "$home" >&2 || fail "$python cannot make a virtual environment"
    get "duckdb==$DUCKDB" "pyarrow==$PYARROW" || fail "pip could not install DuckDB $DUCKDB and pyarrow $PYARROW"
    : >"$home/installed"
    echo duckdb >>"$home/installed"
    get "chdb==$CHDB" && echo chdb >>"$home/installed" || echo "without chdb $CHDB" >&2
    get "datafusion==$DATAFUSION" && echo datafusion >>"$home/installed" || echo "without datafusion $DATAFUSION" >&2
    get "tantivy==$TANTIVY" && echo tantivy >>"$home/installed" || echo "without tantivy $TANTIVY" >&2
    touch "$home/complete"
  fi
  echo "PYTHON=$home/bin/python"
  echo "PEERS=$(paste -sd, "$home/installed")"
}

case "${1:-}" in
  install) install ;;
  *) fail "usage: $0 install" ;;
esac
