//! Tests of sessions: names, the sandbox, parameters, limits.

use crate::fixture::{Fixture, Row};

fn few() -> Fixture {
    let fixture = Fixture::new();
    fixture.buffer(&[
        Row::new(1, "web", "info", "started").tag("env", "prod").tag("http.status", "200"),
        Row::new(2, "web", "err", "failed: timeout").tag("env", "dev"),
        Row::new(3, "", "", "no source"),
    ]);
    fixture
}

#[tokio::test]
async fn rows_and_tags() {
    let fixture = few();
    insta::assert_snapshot!(fixture.text("SELECT * FROM logs").await, @"");
    insta::assert_snapshot!(fixture.text(
        "SELECT tags['env'] AS a, tags['http']['status'] AS b, tags.env AS c, l.tags.http.status AS d, \
         tags['http.status'] AS e, tags['none'] AS f FROM logs AS l").await, @"");
}

#[tokio::test]
async fn names() {
    let fixture = few();
    for sql in [
        "SHOW TABLES",
        "SHOW COLUMNS FROM logs",
        "DESCRIBE logs",
        "SELECT count(*) AS n FROM default.default_default.logs",
        "SELECT table_catalog, table_schema, table_name FROM information_schema.tables ORDER BY 1, 2, 3",
        "SELECT * FROM information_schema.schemata",
        "SELECT count(*) AS n FROM information_schema.df_settings",
        "CREATE TABLE audit_events",
        "CREATE TABLE audit_events",
        "CREATE TABLE IF NOT EXISTS audit_events",
        "SELECT count(*) AS n FROM audit_events",
        "SHOW SEGMENTS",
        "SHOW SEGMENTS FROM nothing",
    ] {
        println!("{sql}\n{}\n", fixture.text(sql).await);
    }
}

#[tokio::test]
async fn refused() {
    let fixture = few();
    for sql in [
        "COPY logs TO '/tmp/x.csv'",
        "COPY logs TO '/tmp/x.parquet' STORED AS PARQUET",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "SHOW ALL",
        "SHOW datafusion.execution.batch_size",
        "INSERT INTO logs VALUES (1)",
        "UPDATE logs SET message = 'x'",
        "DELETE FROM logs",
        "DROP TABLE logs",
        "ALTER TABLE logs ADD COLUMN x INT",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE t AS SELECT 1",
        "CREATE TABLE t (a INT)",
        "CREATE OR REPLACE TABLE t",
        "CREATE SCHEMA s",
        "CREATE DATABASE d",
        "CREATE FUNCTION f() RETURNS INT RETURN 1",
        "SELECT 1; SELECT 2",
        "SELECT * INTO t FROM logs",
        "SELECT * FROM logs FOR UPDATE",
        "WITH x AS (DELETE FROM logs RETURNING *) SELECT * FROM x",
        "EXPLAIN DELETE FROM logs",
        "EXPLAIN ANALYZE INSERT INTO logs VALUES (1)",
        "EXPLAIN COPY logs TO '/tmp/x'",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "BEGIN",
        "TRUNCATE TABLE logs",
        "USE other",
        "CREATE TABLE other.public.t",
        "SELECT * FROM other.public.logs",
        "SELECT * FROM acme.web_prod.logs",
        "",
        ";",
    ] {
        println!("{sql}\n    {}\n", fixture.error(sql).await);
    }
}

#[tokio::test]
async fn mistakes() {
    let fixture = few();
    for sql in [
        "SELECT mesage FROM logs",
        "SELECT * FROM log",
        "SELECT count(*)\n  FROM logs\n WHER level = 'x'",
        "SELECT lenght(message) FROM logs",
        "SELECT * FROM logs WHERE",
        "SELECT message + 1 FROM logs",
        "SELECT source, count(*) FROM logs",
        "SELECT CAST(message AS INT) FROM logs",
        "SELECT 1/0",
        "SELECT l.x FROM logs l",
    ] {
        println!("{sql}\n    {}\n", fixture.error(sql).await);
    }
}

#[tokio::test]
async fn parameters() {
    let fixture = few();
    for sql in [
        "SELECT message FROM logs WHERE level = ? AND timestamp > ? LIMIT ?",
        "SELECT ?",
        "SELECT ?, ? + 1, message FROM logs",
        "SELECT message FROM logs WHERE tags[?] = ?",
        "SELECT message FROM logs WHERE level = $2 OR source = $1",
        "SELECT message FROM logs WHERE level IN (?, ?) OR message LIKE ?",
    ] {
        let statement = fixture.session().prepare(sql).await;
        match statement {
            Ok(statement) => println!("{sql}\n  {:?} {:?}", statement.parameters(), statement.schema()),
            Err(error) => println!("{sql}\n  {error}"),
        }
    }
}
