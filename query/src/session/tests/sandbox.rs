//! A table of statements that must not run.

use std::fmt::Write;

use super::few;
use crate::SQL_BYTES_MAX;
use crate::fixture::Row;

const REFUSED: &[&str] = &[
    "COPY logs TO '/tmp/x.csv'",
    "COPY logs TO '/tmp/x.parquet' STORED AS PARQUET",
    "COPY (SELECT * FROM logs) TO 's3://bucket/x'",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE UNBOUNDED EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "SET datafusion.execution.batch_size = 1",
    "SET TIME ZONE 'UTC'",
    "RESET datafusion.execution.batch_size",
    "SHOW ALL",
    "SHOW datafusion.execution.batch_size",
    "SHOW CREATE TABLE logs",
    "INSERT INTO logs VALUES (1)",
    "UPDATE logs SET message = 'x'",
    "DELETE FROM logs",
    "MERGE INTO logs USING logs b ON true WHEN MATCHED THEN DELETE",
    "TRUNCATE TABLE logs",
    "DROP TABLE logs",
    "DROP SCHEMA s",
    "ALTER TABLE logs ADD COLUMN x INT",
    "CREATE VIEW v AS SELECT 1",
    "CREATE TABLE t AS SELECT 1",
    "CREATE TABLE t (a INT)",
    "CREATE TABLE t WITH (x = 1)",
    "CREATE TEMPORARY TABLE t",
    "CREATE OR REPLACE TABLE t",
    "CREATE SCHEMA s",
    "CREATE DATABASE d",
    "CREATE FUNCTION f() RETURNS INT RETURN 1",
    "CREATE INDEX i ON logs (message)",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE logs",
    "SELECT * INTO t FROM logs",
    "SELECT * FROM (SELECT * INTO t FROM logs)",
    "SELECT * FROM logs FOR UPDATE",
    "WITH x AS (DELETE FROM logs RETURNING *) SELECT * FROM x",
    "WITH x AS (INSERT INTO logs VALUES (1) RETURNING *) SELECT * FROM x",
    "EXPLAIN DELETE FROM logs",
    "EXPLAIN ANALYZE INSERT INTO logs VALUES (1)",
    "EXPLAIN COPY logs TO '/tmp/x'",
    "EXPLAIN EXPLAIN COPY logs TO '/tmp/x'",
    "EXPLAIN CREATE TABLE t",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "BEGIN",
    "COMMIT",
    "USE other",
    "KILL 1",
    "GRANT SELECT ON logs TO x",
    "CALL f()",
    "ATTACH DATABASE 'x' AS y",
    "LOAD x",
    "INSTALL x",
    "VACUUM",
    "ANALYZE TABLE logs",
    "CREATE TABLE other.public.t",
];

#[tokio::test]
async fn nothing_but_reading_and_our_ddl_passes() {
    let fixture = few();
    let mut all = String::new();
    for sql in REFUSED {
        let Err(error) = fixture.session().prepare(sql).await else { panic!("{sql} was not refused") };
        let text = error.to_string();
        let short = text.split(" here; this server takes").next().unwrap();
        let _ = writeln!(all, "{sql} ► {:?}: {short}", error.kind());
    }
    insta::assert_snapshot!(all, @r#"
    COPY logs TO '/tmp/x.csv' ► Refused: COPY is not allowed
    COPY logs TO '/tmp/x.parquet' STORED AS PARQUET ► Refused: COPY is not allowed
    COPY (SELECT * FROM logs) TO 's3://bucket/x' ► Refused: COPY is not allowed
    CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd' ► Refused: CREATE EXTERNAL TABLE is not allowed
    CREATE UNBOUNDED EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd' ► Refused: CREATE EXTERNAL TABLE is not allowed
    SET datafusion.execution.batch_size = 1 ► Refused: SET is not allowed
    SET TIME ZONE 'UTC' ► Refused: SET is not allowed
    RESET datafusion.execution.batch_size ► Refused: RESET is not allowed
    SHOW ALL ► Refused: SHOW ALL is not allowed
    SHOW datafusion.execution.batch_size ► Refused: SHOW datafusion is not allowed
    SHOW CREATE TABLE logs ► Refused: SHOW CREATE is not allowed
    INSERT INTO logs VALUES (1) ► Refused: INSERT is not allowed
    UPDATE logs SET message = 'x' ► Refused: UPDATE is not allowed
    DELETE FROM logs ► Refused: DELETE is not allowed
    MERGE INTO logs USING logs b ON true WHEN MATCHED THEN DELETE ► Refused: MERGE is not allowed
    TRUNCATE TABLE logs ► Refused: TRUNCATE is not allowed
    DROP TABLE logs ► Refused: DROP TABLE is not allowed
    DROP SCHEMA s ► Refused: DROP SCHEMA is not allowed
    ALTER TABLE logs ADD COLUMN x INT ► Refused: ALTER TABLE is not allowed
    CREATE VIEW v AS SELECT 1 ► Refused: CREATE VIEW is not allowed
    CREATE TABLE t AS SELECT 1 ► Refused: CREATE TABLE with columns or options is not allowed here; every table of logs has the same columns: write just CREATE TABLE [IF NOT EXISTS] name
    CREATE TABLE t (a INT) ► Refused: CREATE TABLE with columns or options is not allowed here; every table of logs has the same columns: write just CREATE TABLE [IF NOT EXISTS] name
    CREATE TABLE t WITH (x = 1) ► Refused: CREATE TABLE with columns or options is not allowed here; every table of logs has the same columns: write just CREATE TABLE [IF NOT EXISTS] name
    CREATE TEMPORARY TABLE t ► Refused: CREATE TABLE with columns or options is not allowed here; every table of logs has the same columns: write just CREATE TABLE [IF NOT EXISTS] name
    CREATE OR REPLACE TABLE t ► Refused: CREATE TABLE with columns or options is not allowed here; every table of logs has the same columns: write just CREATE TABLE [IF NOT EXISTS] name
    CREATE SCHEMA s ► Refused: CREATE SCHEMA is not allowed
    CREATE DATABASE d ► Refused: CREATE DATABASE is not allowed
    CREATE FUNCTION f() RETURNS INT RETURN 1 ► Refused: CREATE FUNCTION is not allowed
    CREATE INDEX i ON logs (message) ► Refused: CREATE INDEX is not allowed
    SELECT 1; SELECT 2 ► Refused: more than one statement is not allowed here; send them one after the other
    SELECT 1; DROP TABLE logs ► Refused: more than one statement is not allowed here; send them one after the other
    SELECT * INTO t FROM logs ► Refused: SELECT … INTO is not allowed
    SELECT * FROM (SELECT * INTO t FROM logs) ► Refused: SELECT … INTO is not allowed
    SELECT * FROM logs FOR UPDATE ► Refused: SELECT … FOR UPDATE is not allowed
    WITH x AS (DELETE FROM logs RETURNING *) SELECT * FROM x ► Refused: DELETE is not allowed
    WITH x AS (INSERT INTO logs VALUES (1) RETURNING *) SELECT * FROM x ► Refused: INSERT is not allowed
    EXPLAIN DELETE FROM logs ► Refused: EXPLAIN DELETE is not allowed
    EXPLAIN ANALYZE INSERT INTO logs VALUES (1) ► Refused: EXPLAIN INSERT is not allowed
    EXPLAIN COPY logs TO '/tmp/x' ► Refused: EXPLAIN COPY is not allowed
    EXPLAIN EXPLAIN COPY logs TO '/tmp/x' ► Refused: EXPLAIN EXPLAIN is not allowed
    EXPLAIN CREATE TABLE t ► Refused: EXPLAIN CREATE TABLE is not allowed
    PREPARE p AS SELECT 1 ► Refused: PREPARE is not allowed
    EXECUTE p ► Refused: EXECUTE is not allowed
    DEALLOCATE p ► Refused: DEALLOCATE is not allowed
    BEGIN ► Refused: BEGIN is not allowed
    COMMIT ► Refused: COMMIT is not allowed
    USE other ► Refused: USE is not allowed
    KILL 1 ► Refused: KILL is not allowed
    GRANT SELECT ON logs TO x ► Refused: GRANT is not allowed
    CALL f() ► Refused: CALL is not allowed
    ATTACH DATABASE 'x' AS y ► Refused: ATTACH is not allowed
    LOAD x ► Refused: LOAD is not allowed
    INSTALL x ► Refused: INSTALL is not allowed
    VACUUM ► Refused: VACUUM is not allowed
    ANALYZE TABLE logs ► Refused: ANALYZE is not allowed
    CREATE TABLE other.public.t ► Request: other.public.t is outside of this session, whose tables are in default.default_default
    "#);
}

#[tokio::test]
async fn files_and_urls_are_no_tables() {
    let fixture = few();
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM 'https://example.com/x.parquet'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('/etc/passwd')",
        "SELECT * FROM parquet_metadata('/etc/passwd')",
        "SELECT * FROM glob('/*')",
    ] {
        assert!(fixture.session().prepare(sql).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn deep_and_large_statements_are_refused() {
    let fixture = few();
    let many = |item: &str, times: usize| vec![item; times].concat();
    let mut all = String::new();
    for (what, sql) in [
        ("text", format!("SELECT '{}'", many("x", SQL_BYTES_MAX))),
        ("list", format!("SELECT 1 IN (1{})", many(",1", 10_000))),
        ("parentheses", format!("SELECT {}1{}", many("(", 5_000), many(")", 5_000))),
        ("subqueries", format!("{}SELECT 1{}", many("SELECT * FROM (", 500), many(")", 500))),
        ("signs", format!("SELECT {}1", many("- ", 10_000))),
        ("sums", format!("SELECT 1{}", many("+1", 500_000))),
        ("shorter sums", format!("SELECT 1{}", many("+1", 19_000))),
        ("casts", format!("SELECT 1{}", many("::int", 1_000))),
        ("conditions", format!("SELECT true{}", many(" OR true", 2_000))),
        ("unions", format!("SELECT 1{}", many(" UNION SELECT 1", 1_000))),
        ("joins", format!("SELECT 1 FROM logs{}", many(" NATURAL JOIN logs", 1_000))),
    ] {
        let _ = writeln!(all, "{what} ► {}", fixture.session().prepare(&sql).await.unwrap_err());
    }
    insta::assert_snapshot!(all, @r#"
    text ► the statement is longer than 1048576 bytes; pass long lists as parameters or split it
    list ► the statement has more than 10000 values in one IN list; split it or write it shorter
    parentheses ► SQL syntax error: the statement is nested too deeply
    subqueries ► SQL syntax error: the statement is nested too deeply
    signs ► SQL syntax error: the statement is nested too deeply
    sums ► the statement has more than 20000 operators; split it or write it shorter
    shorter sums ► the statement has more than 128 levels of nested expressions; split it or write it shorter
    casts ► the statement has more than 128 levels of nested expressions; split it or write it shorter
    conditions ► the statement has more than 1000 conditions in one chain of AND or OR; split it or write it shorter
    unions ► the statement has more than 64 queries in one UNION, INTERSECT or EXCEPT; split it or write it shorter
    joins ► the statement has more than 64 joined tables; split it or write it shorter
    "#);
}

#[tokio::test]
async fn long_chains_of_conditions_pass() {
    let fixture = few();
    fixture.segment(&[Row::new(5, "web", "INFO", "x")], 10).await;
    for (item, chain) in [
        ("message = 'y'", " OR "),
        ("message <> source", " AND "),
        ("source NOT LIKE 'a' || message", " AND "),
    ] {
        let sql = format!("SELECT * FROM logs WHERE {}", vec![item; 1_000].join(chain));
        assert!(fixture.query(&sql).await.is_ok(), "{item}");
    }
    let sum = vec!["_row_id"; 100].join(" + ");
    assert!(fixture.query(&format!("SELECT {sum} FROM logs WHERE {sum} > 1")).await.is_ok());
}

#[tokio::test]
async fn functions_are_filtered_by_a_plain_pattern_only() {
    let fixture = few();
    assert!(fixture.query("SHOW FUNCTIONS LIKE 'array_%'").await.is_ok());
    for filter in ["LIKE 'a''; SELECT 1; --'", "LIKE 'x'') OR (''a'' = ''a'", "ILIKE 'a'", "WHERE true"] {
        let error = fixture.error(&format!("SHOW FUNCTIONS {filter}")).await;
        assert!(error.starts_with("Refused: SHOW FUNCTIONS with this filter is not allowed"), "{error}");
    }
}
