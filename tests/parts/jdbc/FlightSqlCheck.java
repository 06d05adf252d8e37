// Checks Ironbark through the stock Flight SQL JDBC driver, as a tool on a JVM would use it.
//
//   java --add-opens=java.base/java.nio=ALL-UNNAMED -cp DRIVER.jar FlightSqlCheck.java HOST:PORT
//
// The server holds the 1,000 rows that tests/clients.rs loads: source shop-0 … shop-9, message "request N took …",
// tags number, ratio and env, one second apart from 2024-05-01T00:00:00.123456789Z on. Prints each check that holds;
// the first that does not ends the program with 1.

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Calendar;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.TimeZone;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

public class FlightSqlCheck {
    static final int ROWS = 1000;
    static final int LARGE_ROWS = 200_000;
    static final Instant FIRST = Instant.parse("2024-05-01T00:00:00.123456789Z");
    static final List<String> COLUMNS = List.of("timestamp", "ingested_at", "source", "level", "message", "tags",
            "trace_id", "span_id", "_row_id");
    static final Calendar UTC = Calendar.getInstance(TimeZone.getTimeZone("UTC"));
    static int checks = 0;

    public static void main(String[] arguments) throws Exception {
        String url = "jdbc:arrow-flight-sql://" + arguments[0] + "/?useEncryption=false";
        try (Connection connection = DriverManager.getConnection(url, new Properties())) {
            everyMetadataCall(connection.getMetaData());
            metadata(connection.getMetaData());
            statement(connection);
            columnTypes(connection);
            literalTypes(connection);
            parameters(connection);
            parameterTwice(connection);
            largeResult(connection);
            show(connection);
            definition(connection);
            errors(connection);
            cancel(connection);
        } catch (Throwable failure) {
            System.out.println("FAILED after " + checks + " checks: " + failure);
            failure.printStackTrace(System.out);
            // The driver's threads would keep the machine alive.
            System.exit(1);
        }
        System.out.println("jdbc: " + checks + " checks hold");
        System.exit(0);
    }

    /** Tools ask for everything once; a gap in SqlInfo makes drivers up to 18.3 throw. */
    static void everyMetadataCall(DatabaseMetaData metadata) throws Exception {
        List<String> failed = new ArrayList<>();
        for (Method method : DatabaseMetaData.class.getMethods()) {
            if (method.getParameterCount() > 0 || method.getDeclaringClass() == Object.class) {
                continue;
            }
            try {
                Object value = method.invoke(metadata);
                if (value instanceof ResultSet result) {
                    result.close();
                }
            } catch (InvocationTargetException e) {
                failed.add(method.getName() + ": " + e.getCause());
            }
        }
        check("every metadata call without arguments answers", List.of(), failed);
    }

    static void metadata(DatabaseMetaData metadata) throws SQLException {
        check("product name", "Ironbark", metadata.getDatabaseProductName());
        check("product version has dots", true, metadata.getDatabaseProductVersion().matches("\\d+\\.\\d+\\.\\d+.*"));
        check("identifier quote", "\"", metadata.getIdentifierQuoteString());
        check("transactions are not claimed", false, metadata.supportsTransactions());
        check("catalogs", true, column(metadata.getCatalogs(), "TABLE_CAT").contains("default"));
        check("schemas", true, column(metadata.getSchemas(), "TABLE_SCHEM").contains("default_default"));
        check("schemas by pattern", true,
                column(metadata.getSchemas("default", "default\\_%"), "TABLE_SCHEM").contains("default_default"));
        check("table types", true, column(metadata.getTableTypes(), "TABLE_TYPE").contains("TABLE"));
        check("tables", true, column(metadata.getTables(null, null, "%", null), "TABLE_NAME").contains("logs"));
        check("tables by name and type", List.of("logs"), column(
                metadata.getTables("default", "default_default", "logs", new String[] {"TABLE"}), "TABLE_NAME"));
        check("no tables of another catalog", List.of(),
                column(metadata.getTables("nobody", null, "%", null), "TABLE_NAME"));
        check("columns in their order", COLUMNS,
                column(metadata.getColumns(null, "default_default", "logs", "%"), "COLUMN_NAME"));
        check("columns by name", List.of("message"),
                column(metadata.getColumns(null, null, "logs", "mess%"), "COLUMN_NAME"));
        check("type of message", List.of(Integer.toString(Types.VARCHAR)),
                column(metadata.getColumns(null, null, "logs", "message"), "DATA_TYPE"));
        check("type of _row_id", List.of(Integer.toString(Types.BIGINT)),
                column(metadata.getColumns(null, null, "logs", "_row_id"), "DATA_TYPE"));
        check("no primary keys", List.of(), column(metadata.getPrimaryKeys(null, null, "logs"), "COLUMN_NAME"));
        check("no imported keys", List.of(), column(metadata.getImportedKeys(null, null, "logs"), "FKCOLUMN_NAME"));
        check("no exported keys", List.of(), column(metadata.getExportedKeys(null, null, "logs"), "FKCOLUMN_NAME"));
    }

    static void statement(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            check("count", List.of(Integer.toString(ROWS)), query(statement, "SELECT count(*) FROM logs"));
            check("group by", 10, query(statement,
                    "SELECT source, count(*) FROM logs GROUP BY source ORDER BY source").size());
            check("an empty result keeps its columns", List.of(),
                    query(statement, "SELECT message FROM logs WHERE source = 'nobody'"));
            check("qualified name", List.of(Integer.toString(ROWS)),
                    query(statement, "SELECT count(*) FROM \"default\".default_default.logs"));
            check("latest message", List.of("request 999 took 12 ms"),
                    query(statement, "SELECT message FROM logs ORDER BY timestamp DESC LIMIT 1"));
            check("search", List.of("100"),
                    query(statement, "SELECT count(*) FROM logs WHERE search('source:\"shop-3\"')"));
            statement.setMaxRows(7);
            check("maximum of rows", 7, query(statement, "SELECT message FROM logs").size());
        }
    }

    /** Every column of the table, by the getter that fits and by getObject and getString, which tools use. */
    static void columnTypes(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("SELECT * FROM logs WHERE message LIKE 'request 4 %'")) {
            ResultSetMetaData metadata = row.getMetaData();
            List<String> names = new ArrayList<>();
            for (int at = 1; at <= metadata.getColumnCount(); at++) {
                names.add(metadata.getColumnName(at));
            }
            check("columns of SELECT *", COLUMNS, names);
            check("there is the row", true, row.next());
            for (int at = 1; at <= metadata.getColumnCount(); at++) {
                row.getString(at);
                // By name: by number the driver 18.3 has no object for a time with a zone, whoever sends it.
                row.getObject(metadata.getColumnName(at));
            }
            Timestamp timestamp = row.getTimestamp("timestamp", UTC);
            check("timestamp in seconds", FIRST.plusSeconds(4).getEpochSecond(), timestamp.toInstant().getEpochSecond());
            check("timestamp has its milliseconds", 123, timestamp.getNanos() / 1_000_000);
            check("arrival is later", true, row.getTimestamp("ingested_at", UTC).after(timestamp));
            check("source", "shop-4", row.getString("source"));
            check("level", "INFO", row.getString("level"));
            check("message", "request 4 took 5 ms", row.getString("message"));
            check("trace id", String.format("%032x", 4), row.getString("trace_id"));
            check("span id is null", null, row.getString("span_id"));
            check("null is told", true, row.wasNull());
            check("row id is positive", true, row.getLong("_row_id") > 0);
            Map<String, String> tags = new TreeMap<>();
            ((Map<?, ?>) row.getObject("tags")).forEach((key, value) -> tags.put(key.toString(), value.toString()));
            check("tags", Map.of("env", "prod", "number", "4", "ratio", "0.004"), tags);
            check("there is one row", false, row.next());
        }
    }

    static void literalTypes(Connection connection) throws SQLException {
        String sql = "SELECT CAST(1 AS TINYINT), CAST(2 AS SMALLINT), CAST(3 AS INT), CAST(4 AS BIGINT), "
                + "CAST(1.5 AS REAL), CAST(2.25 AS DOUBLE), CAST(3.75 AS DECIMAL(10, 2)), 'text', TRUE, "
                + "DATE '2024-05-01', TIMESTAMP '2024-05-01T01:02:03', NULL, tags['env'], "
                + "CAST(5 AS INT UNSIGNED), X'00ff' FROM logs LIMIT 1";
        try (Statement statement = connection.createStatement(); ResultSet row = statement.executeQuery(sql)) {
            check("there is a row of literals", true, row.next());
            check("tinyint", (byte) 1, row.getByte(1));
            check("smallint", (short) 2, row.getShort(2));
            check("int", 3, row.getInt(3));
            check("bigint", 4L, row.getLong(4));
            check("real", 1.5f, row.getFloat(5));
            check("double", 2.25, row.getDouble(6));
            check("decimal", "3.75", row.getBigDecimal(7).toPlainString());
            check("text", "text", row.getString(8));
            check("boolean", true, row.getBoolean(9));
            check("date", "2024-05-01", row.getDate(10, UTC).toLocalDate().toString());
            check("timestamp", Instant.parse("2024-05-01T01:02:03Z"), row.getTimestamp(11, UTC).toInstant());
            check("null", null, row.getObject(12));
            check("tag", "prod", row.getString(13));
            check("unsigned int", 5L, row.getLong(14));
            check("binary", "[0, -1]", Arrays.toString(row.getBytes(15)));
        }
    }

    static void parameters(Connection connection) throws SQLException {
        try (PreparedStatement p = connection.prepareStatement(
                "SELECT count(*) FROM logs WHERE CAST(tags['number'] AS INT) < ?")) {
            check("a prepared statement knows its columns", 1, p.getMetaData().getColumnCount());
            check("and its parameters", 1, p.getParameterMetaData().getParameterCount());
            p.setInt(1, 10);
            check("int parameter", List.of("10"), rows(p.executeQuery()));
        }
        try (PreparedStatement p = connection.prepareStatement("SELECT count(*) FROM logs WHERE _row_id > ?")) {
            p.setLong(1, 0L);
            check("bigint parameter", List.of(Integer.toString(ROWS)), rows(p.executeQuery()));
        }
        try (PreparedStatement p = connection.prepareStatement(
                "SELECT count(*) FROM logs WHERE CAST(tags['ratio'] AS DOUBLE) < ?")) {
            p.setDouble(1, 0.0095);
            check("double parameter", List.of("10"), rows(p.executeQuery()));
        }
        try (PreparedStatement p = connection.prepareStatement("SELECT count(*) FROM logs WHERE source = ?")) {
            p.setString(1, "shop-7");
            check("string parameter", List.of("100"), rows(p.executeQuery()));
            p.setString(1, "shop-7' OR '1' = '1");
            check("a parameter is never SQL", List.of("0"), rows(p.executeQuery()));
        }
        try (PreparedStatement p = connection.prepareStatement("SELECT count(*) FROM logs WHERE timestamp >= ?")) {
            p.setTimestamp(1, Timestamp.from(FIRST.plusSeconds(ROWS - 10).minusMillis(500)), UTC);
            check("timestamp parameter", List.of("10"), rows(p.executeQuery()));
        }
    }

    static void parameterTwice(Connection connection) throws SQLException {
        try (PreparedStatement p = connection.prepareStatement(
                "SELECT message FROM logs WHERE source = ? AND CAST(tags['number'] AS BIGINT) BETWEEN ? AND ? "
                        + "ORDER BY timestamp")) {
            p.setString(1, "shop-2");
            p.setLong(2, 10);
            p.setLong(3, 40);
            check("three parameters", List.of("request 12 took 13 ms", "request 22 took 4 ms", "request 32 took 14 ms"),
                    rows(p.executeQuery()));
            p.setString(1, "shop-5");
            p.setLong(2, 0);
            p.setLong(3, 9);
            check("and again with others", List.of("request 5 took 6 ms"), rows(p.executeQuery()));
        }
    }

    static void largeResult(Connection connection) throws SQLException {
        String sql = "SELECT a.message, b._row_id FROM logs a CROSS JOIN logs b LIMIT " + LARGE_ROWS;
        try (Statement statement = connection.createStatement(); ResultSet row = statement.executeQuery(sql)) {
            int rows = 0;
            TreeSet<Long> ids = new TreeSet<>();
            while (row.next()) {
                if (!row.getString(1).startsWith("request ")) {
                    throw new IllegalStateException("row " + rows + " is " + row.getString(1));
                }
                ids.add(row.getLong(2));
                rows++;
            }
            check("large result", LARGE_ROWS, rows);
            check("large result is not one row over and over", true, ids.size() >= LARGE_ROWS / ROWS);
        }
    }

    static void show(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            check("SHOW TABLES", true, everything(statement, "SHOW TABLES").contains("logs"));
            check("SHOW SEGMENTS", true, String.join(" ", everything(statement, "SHOW SEGMENTS")).contains("file:///"));
            check("DESCRIBE", COLUMNS.size(), query(statement, "DESCRIBE logs").size());
            check("EXPLAIN", false, query(statement, "EXPLAIN SELECT count(*) FROM logs").isEmpty());
        }
    }

    static void definition(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            check("CREATE TABLE changes no rows", 0, statement.executeUpdate("CREATE TABLE jdbc_events"));
            check("the table is there", List.of("jdbc_events"), column(
                    connection.getMetaData().getTables(null, null, "jdbc\\_events", null), "TABLE_NAME"));
            check("and is empty", List.of("0"), query(statement, "SELECT count(*) FROM jdbc_events"));
            fails("a second CREATE TABLE", "(?i)jdbc_events.*exist",
                    () -> statement.executeUpdate("CREATE TABLE jdbc_events"));
        }
    }

    static void errors(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            fails("a typing error", "(?is)(line 1|column \\d|position \\d).*",
                    () -> query(statement, "SELECT message FORM logs"));
            fails("an unknown column", "(?i)messag\\b", () -> query(statement, "SELECT messag FROM logs"));
            fails("an unknown table", "(?i)nothing", () -> query(statement, "SELECT 1 FROM nothing"));
            fails("a division by zero", "(?i)divi", () -> query(statement,
                    "SELECT 1 / (CAST(tags['number'] AS INT) - CAST(tags['number'] AS INT)) FROM logs"));
            fails("a file read as a table", "(?i)passwd|not|allow",
                    () -> query(statement, "SELECT * FROM '/etc/passwd'"));
            fails("COPY", "(?i)copy|allow", () -> query(statement, "COPY logs TO '/tmp/x.csv'"));
            fails("DROP TABLE", "(?i)drop|allow", () -> statement.executeUpdate("DROP TABLE logs"));
            check("the connection goes on after errors", List.of("1"), query(statement, "SELECT 1"));
        }
    }

    /** A join of 10^9 rows that cannot finish; whoever cancels it is rid of it within a second. */
    static void cancel(Connection connection) throws Exception {
        String sql = "SELECT count(*) FROM logs a CROSS JOIN logs b CROSS JOIN logs c "
                + "WHERE a.message || b.message || c.message LIKE '%no such text%'";
        try (Statement statement = connection.createStatement()) {
            CompletableFuture<Throwable> ended = CompletableFuture.supplyAsync(() -> {
                try {
                    query(statement, sql);
                    return null;
                } catch (Throwable failure) {
                    return failure;
                }
            });
            Thread.sleep(1500);
            check("the long query still runs", false, ended.isDone());
            long begun = System.nanoTime();
            statement.cancel();
            Throwable failure = ended.get(20, TimeUnit.SECONDS);
            long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun);
            check("a cancelled query fails", true, failure instanceof SQLException);
            check("within a second (" + millis + " ms)", true, millis < 1000);
        }
        try (Statement statement = connection.createStatement()) {
            check("the connection goes on after cancel", List.of(Integer.toString(ROWS)),
                    query(statement, "SELECT count(*) FROM logs"));
        }
    }

    interface Action {
        Object run() throws SQLException;
    }

    static void fails(String what, String pattern, Action action) {
        try {
            action.run();
        } catch (SQLException e) {
            String message = String.valueOf(e.getMessage());
            check(what + " is refused: " + message.lines().findFirst().orElse(""), true,
                    Pattern.compile(pattern).matcher(message).find());
            return;
        }
        check(what + " is refused", "an SQLException", "no exception");
    }

    static List<String> query(Statement statement, String sql) throws SQLException {
        return rows(statement.executeQuery(sql));
    }

    /** Every value of every column. */
    static List<String> everything(Statement statement, String sql) throws SQLException {
        try (ResultSet result = statement.executeQuery(sql)) {
            List<String> values = new ArrayList<>();
            while (result.next()) {
                for (int at = 1; at <= result.getMetaData().getColumnCount(); at++) {
                    values.add(String.valueOf(result.getString(at)));
                }
            }
            return values;
        }
    }

    /** The first column. */
    static List<String> rows(ResultSet result) throws SQLException {
        try (result) {
            List<String> values = new ArrayList<>();
            while (result.next()) {
                values.add(result.getString(1));
            }
            return values;
        }
    }

    static List<String> column(ResultSet result, String name) throws SQLException {
        try (result) {
            List<String> values = new ArrayList<>();
            while (result.next()) {
                values.add(result.getString(name));
            }
            return values;
        }
    }

    static void check(String what, Object expected, Object found) {
        if (!Objects.equals(expected, found)) {
            throw new IllegalStateException(what + ": expected " + expected + ", found " + found);
        }
        checks++;
        System.out.println("  ok  " + what);
    }
}
