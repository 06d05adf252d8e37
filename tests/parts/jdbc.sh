#!/usr/bin/env bash
# The stock Flight SQL JDBC driver, one jar, by Maven.
set -euo pipefail

VERSION=${IRONBARK_JDBC_VERSION:-18.3.0}
JAVA_MIN=17

parts=${IRONBARK_PARTS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/ironbark/parts}
home=$parts/jdbc-$VERSION
jar=$home/flight-sql-jdbc-driver-$VERSION.jar

fail() { echo "$1" >&2; exit 1; }

install() {
  local java major artifact=org.apache.arrow:flight-sql-jdbc-driver:$VERSION
  java=$(command -v java) || fail "java is not installed"
  major=$("$java" -XshowSettings:properties -version 2>&1 | sed -n 's/.*java.specification.version = //p')
  [ "${major%%.*}" -ge "$JAVA_MIN" ] || fail "java is version $major, the driver wants $JAVA_MIN or later"
  if [ ! -f "$jar" ]; then
    command -v mvn >/dev/null || fail "mvn is not installed, and the driver is not in $home"
    mkdir -p "$home.new"
    # Two steps, because the plain name of `dependency:get` cannot say where to put the jar.
    mvn --quiet --batch-mode dependency:get "-Dartifact=$artifact" -Dtransitive=false >&2 </dev/null ||
      fail "Maven could not get $artifact"
    mvn --quiet --batch-mode dependency:copy "-Dartifact=$artifact" "-DoutputDirectory=$home.new" >&2 </dev/null ||
      fail "Maven could not copy $artifact"
    rm -rf "$home" && mv "$home.new" "$home"
  fi
  echo "IRONBARK_TEST_JAVA=$java"
  echo "IRONBARK_TEST_JDBC_JAR=$jar"
}

case "${1:-}" in
  install) install ;;
  *) fail "usage: $0 install" ;;
esac
