"""Checks that DuckDB and pyarrow, reading the live segments as plain Parquet, agree with what Ironbark answers.

    python compare.py FILE.json

FILE.json holds {"segments": [path or file URL, …], "answers": {…}, "nanoseconds": […], "lines": {…}}: the segments that
SHOW SEGMENTS names; for each key of QUERIES the rows that Ironbark answered (as lists of strings or null); the first and
last time; and by source the lines that were loaded, each of which must come back in `message` as often as it was loaded.
Prints each check that holds; the first that does not ends the program with 1.
"""

import collections
import json
import sys
import urllib.parse

import duckdb
import pyarrow
import pyarrow.compute
import pyarrow.parquet

# The same questions are put to Ironbark by tests/loghub.rs, in its SQL.
QUERIES = {
    "count": "SELECT count(*) FROM s",
    "sources": "SELECT source, count(*) FROM s GROUP BY 1 ORDER BY 1",
    "levels": "SELECT source, level, count(*) FROM s GROUP BY 1, 2 ORDER BY 1, 2 NULLS FIRST",
    # pyarrow compares all nine digits below.
    "microseconds": "SELECT epoch_us(min(timestamp)), epoch_us(max(timestamp)) FROM s",
    "lengths": "SELECT sum(length(message)), max(length(message)) FROM s",
    "ids": "SELECT count(DISTINCT _row_id), min(_row_id), max(_row_id) FROM s",
}

checks = 0


def check(what, expected, found):
    global checks
    if expected != found:
        sys.exit(f"FAILED after {checks} checks: {what}: expected {expected!r}, found {found!r}")
    checks += 1
    print(f"  ok  {what}", flush=True)


def local_path(segment):
    url = urllib.parse.urlparse(segment)
    return urllib.parse.unquote(url.path) if url.scheme == "file" else segment


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        given = json.load(file)
    paths = [local_path(segment) for segment in given["segments"]]
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    database.execute("CREATE VIEW s AS SELECT * FROM read_parquet($paths, union_by_name = true)".replace(
        "$paths", "[" + ", ".join("'" + path.replace("'", "''") + "'" for path in paths) + "]"))
    for name, answer in given["answers"].items():
        found = [[None if value is None else str(value) for value in row]
                 for row in database.execute(QUERIES[name]).fetchall()]
        check(f"DuckDB agrees on {name}", answer, found)
    # Which tags have columns of their own differs from segment to segment.
    table = pyarrow.concat_tables(
        (pyarrow.parquet.ParquetFile(path).read() for path in paths), promote_options="default")
    check("pyarrow reads every row and column", int(given["answers"]["count"][0][0]), table.num_rows)
    check("times are in microseconds", "timestamp[us, tz=UTC]", str(table.schema.field("timestamp").type))
    nanoseconds = pyarrow.compute.multiply(table["timestamp"].cast(pyarrow.int64()), 1000)
    if "_timestamp_ns" in table.column_names:
        # Only segments with digits below microseconds have them.
        digits = pyarrow.compute.coalesce(table["_timestamp_ns"].cast(pyarrow.int64()), 0)
        nanoseconds = pyarrow.compute.add(nanoseconds, digits)
    times = pyarrow.compute.min_max(nanoseconds).as_py()
    check("pyarrow agrees on times to the nanosecond", given["nanoseconds"],
          [[str(times["min"]), str(times["max"])]])
    for source, lines in given["lines"].items():
        messages = database.execute("SELECT message FROM s WHERE source = ?", [source]).fetchall()
        expected = collections.Counter(line.encode() for line in lines)
        found = collections.Counter(message.encode() for (message,) in messages)
        check(f"every line of {source} comes back byte for byte",
              [], sorted((expected - found).items())[:3] + sorted((found - expected).items())[:3])
    print(f"duckdb: {checks} checks hold")


main()
