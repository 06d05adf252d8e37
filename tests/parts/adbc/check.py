"""Checks Ironbark through the stock ADBC Flight SQL driver, as a Python user would use it.

    python check.py grpc://HOST:PORT

The server holds the 1,000 rows that tests/clients.rs loads (see FlightSqlCheck.java). Prints each check that holds; the
first that does not ends the program with 1.
"""

import datetime
import re
import sys
import threading
import time

import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import pyarrow as pa

ROWS = 1000
LARGE_ROWS = 200_000
COLUMNS = ["timestamp", "ingested_at", "source", "level", "message", "tags", "trace_id", "span_id", "_row_id"]
FIRST = datetime.datetime(2024, 5, 1, 0, 0, 0, 123456, tzinfo=datetime.timezone.utc)
FIRST_NS = 1714521600_123456789
NANOSECONDS = pa.timestamp("ns", tz="UTC")

checks = 0


def check(what, expected, found):
    global checks
    if expected != found:
        sys.exit(f"FAILED after {checks} checks: {what}: expected {expected!r}, found {found!r}")
    checks += 1
    print(f"  ok  {what}", flush=True)


def fails(what, pattern, action):
    try:
        action()
    except (adbc_driver_manager.Error, pa.ArrowInvalid) as error:
        text = str(error)
        check(f"{what} is refused: {text.splitlines()[0]}", True, re.search(pattern, text, re.I | re.S) is not None)
        return
    check(f"{what} is refused", "an error", "no error")


def rows(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def queries(connection):
    check("count", [(ROWS,)], rows(connection, "SELECT count(*) FROM logs"))
    check("group by", 10, len(rows(connection, "SELECT source, count(*) FROM logs GROUP BY source")))
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM logs ORDER BY timestamp LIMIT 3")
        table = cursor.fetch_arrow_table()
    check("columns of SELECT *", COLUMNS, table.column_names)
    check("type of timestamp", NANOSECONDS, table.schema.field("timestamp").type)
    check("type of message", pa.string(), table.schema.field("message").type)
    check("type of tags", pa.map_(pa.string(), pa.string()), table.schema.field("tags").type)
    check("nanoseconds are kept", FIRST_NS, table["timestamp"][0].value)
    check("tags", [("env", "prod"), ("number", "0"), ("ratio", "0")], table["tags"][0].as_py())
    with connection.cursor() as cursor:
        cursor.execute("SELECT message FROM logs WHERE false")
        empty = cursor.fetch_arrow_table()
    check("an empty result keeps its columns", (["message"], 0), (empty.column_names, empty.num_rows))


def metadata(connection):
    info = connection.adbc_get_info()
    check("vendor", "Ironbark", info["vendor_name"])
    objects = connection.adbc_get_objects(depth="columns", table_name_filter="logs").read_all().to_pylist()
    found = [
        (catalog["catalog_name"], schema["db_schema_name"], table["table_name"], table["table_type"],
         [column["column_name"] for column in table["table_columns"]])
        for catalog in objects
        for schema in catalog["catalog_db_schemas"]
        for table in schema["db_schema_tables"]
    ]
    check("objects", [("default", "default_default", "logs", "TABLE", COLUMNS)], found)
    for depth in ("catalogs", "db_schemas", "tables"):
        check(f"objects by {depth}", True, connection.adbc_get_objects(depth=depth).read_all().num_rows > 0)
    check("table types", True, "TABLE" in connection.adbc_get_table_types())
    check("table schema", COLUMNS, connection.adbc_get_table_schema("logs").names)
    with connection.cursor() as cursor:
        schema = cursor.adbc_execute_schema("SELECT message, _row_id FROM logs")
    check("schema before execution", [("message", pa.string()), ("_row_id", pa.int64())],
          [(field.name, field.type) for field in schema])


def parameters(connection):
    def count(condition, *values):
        return rows(connection, f"SELECT count(*) FROM logs WHERE {condition}", values)[0][0]

    check("int parameter", 10, count("CAST(tags['number'] AS BIGINT) < ?", 10))
    check("double parameter", 10, count("CAST(tags['ratio'] AS DOUBLE) < ?", 0.0095))
    check("string parameter", 100, count("source = ?", "shop-7"))
    check("a parameter is never SQL", 0, count("source = ?", "shop-7' OR '1' = '1"))
    after = FIRST + datetime.timedelta(seconds=ROWS - 10, milliseconds=-500)
    check("timestamp parameter", 10, count("timestamp >= ?", after))
    check("two parameters", 1, count("source = ? AND CAST(tags['number'] AS BIGINT) < ?", "shop-7", 10))


def ingest(connection):
    when = [1714600000_000000000 + i for i in range(5000)]
    table = pa.table({
        "timestamp": pa.array(when, NANOSECONDS),
        "source": pa.array(["adbc"] * 5000),
        "level": pa.array(["warning"] * 5000),
        "message": pa.array([f"ingested {i} ü" for i in range(5000)]),
        "tags": pa.array([[("i", str(i))] for i in range(5000)], pa.map_(pa.string(), pa.string())),
    })
    with connection.cursor() as cursor:
        check("rows ingested", 5000, cursor.adbc_ingest("logs", table, mode="append"))
    check("ingested rows are there at once", [(5000, 5000)],
          rows(connection, "SELECT count(*), count(DISTINCT message) FROM logs WHERE source = 'adbc'"))
    check("as they were sent", [("ingested 4321 ü", "4321", "WARN")], rows(
        connection, "SELECT message, tags['i'], level FROM logs WHERE source = 'adbc' AND tags['i'] = '4321'"))
    with connection.cursor() as cursor:
        stored = cursor.execute("SELECT timestamp FROM logs WHERE source = 'adbc' ORDER BY timestamp").fetch_arrow_table()
    check("to the nanosecond", when, stored["timestamp"].cast(pa.int64()).to_pylist())

    batches = pa.RecordBatchReader.from_batches(table.schema, (b for _ in range(4) for b in table.to_batches(1000)))
    with connection.cursor() as cursor:
        check("rows ingested from a stream", 20000, cursor.adbc_ingest("logs", batches, mode="append"))
    few = table.select(["message"]).slice(0, 3)
    with connection.cursor() as cursor:
        check("message alone is enough", 3, cursor.adbc_ingest("logs", few, mode="append"))

    def ingest_as(mode, name="logs", **more):
        with connection.cursor() as cursor:
            cursor.adbc_ingest(name, few, mode=mode, **more)

    before = rows(connection, "SELECT count(*) FROM logs")
    fails("create on a table that exists", "append", lambda: ingest_as("create"))
    fails("replace", "replace", lambda: ingest_as("replace"))
    fails("a temporary table", "temporary", lambda: ingest_as("append", temporary=True))
    fails("append to no table", "adbc_nothing", lambda: ingest_as("append", "adbc_nothing"))
    check("what is refused leaves no row", before, rows(connection, "SELECT count(*) FROM logs"))
    ingest_as("create", "adbc_events")
    check("create makes the table", [(3,)], rows(connection, "SELECT count(*) FROM adbc_events"))
    ingest_as("create_append", "adbc_events")
    check("create_append adds to it", [(6,)], rows(connection, "SELECT count(*) FROM adbc_events"))
    wrong = pa.table({"timestamp": pa.array([1, 2], NANOSECONDS)})

    def ingest_wrong():
        with connection.cursor() as cursor:
            cursor.adbc_ingest("logs", wrong, mode="append")

    fails("rows without a message", "message", ingest_wrong)


def wide_ingest(connection):
    """One batch of 12 MiB: above tonic's default limit, below the driver's own."""
    table = pa.table({"source": ["wide"] * 12, "message": ["x" * 1024 * 1024] * 12})
    with connection.cursor() as cursor:
        check("a batch of 12 MiB", 12, cursor.adbc_ingest("logs", table, mode="append"))
    check("comes back whole", [(12, 1024 * 1024)], rows(
        connection, "SELECT count(*), min(character_length(message)) FROM logs WHERE source = 'wide'"))
    with connection.cursor() as cursor:
        texts = cursor.execute("SELECT message FROM logs WHERE source = 'wide'").fetch_arrow_table()["message"]
    check("and is read in batches that the driver takes", {"x" * 1024 * 1024}, set(texts.to_pylist()))


def large_result(connection):
    sql = f"SELECT a.message, b._row_id FROM logs a CROSS JOIN logs b LIMIT {LARGE_ROWS}"
    with connection.cursor() as cursor:
        count = sum(batch.num_rows for batch in cursor.execute(sql).fetch_record_batch())
    check("large result", LARGE_ROWS, count)


def errors(connection):
    fails("a typing error", r"line 1|column \d|position \d", lambda: rows(connection, "SELECT message FORM logs"))
    fails("an unknown column", r"messag\b", lambda: rows(connection, "SELECT messag FROM logs"))
    fails("an unknown table", "nothing", lambda: rows(connection, "SELECT 1 FROM nothing"))
    fails("COPY", "copy|allow", lambda: rows(connection, "COPY logs TO '/tmp/x.csv'"))
    check("the connection goes on after errors", [(1,)], rows(connection, "SELECT 1"))


def cancel(connection):
    sql = ("SELECT count(*) FROM logs a CROSS JOIN logs b CROSS JOIN logs c "
           "WHERE a.message || b.message || c.message LIKE '%no such text%'")
    ended = []

    def run(cursor):
        try:
            cursor.execute(sql)
            cursor.fetchall()
            ended.append(None)
        except Exception as error:
            ended.append(error)

    with connection.cursor() as cursor:
        thread = threading.Thread(target=run, args=(cursor,))
        thread.start()
        time.sleep(1.5)
        check("the long query still runs", [], ended)
        begun = time.monotonic()
        cursor.adbc_cancel()
        thread.join(20)
        seconds = time.monotonic() - begun
    check("a cancelled query ends", 1, len(ended))
    check("with an error", True, isinstance(ended[0], Exception))
    check(f"within a second ({seconds:.3f} s)", True, seconds < 1)
    check("the connection goes on after cancel", [(1,)], rows(connection, "SELECT 1"))


def main():
    with adbc_driver_flightsql.dbapi.connect(sys.argv[1], autocommit=True) as connection:
        queries(connection)
        metadata(connection)
        parameters(connection)
        large_result(connection)
        cancel(connection)
        ingest(connection)
        wide_ingest(connection)
        errors(connection)
    print(f"adbc: {checks} checks hold")


main()
