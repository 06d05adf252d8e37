#!/usr/bin/env bash
# curl, which comes with the machine.
set -euo pipefail

case "${1:-}" in
  install) echo "IRONBARK_TEST_CURL=$(command -v curl)" || { echo "curl is not installed" >&2; exit 1; } ;;
  *) echo "usage: $0 install" >&2; exit 1 ;;
esac
