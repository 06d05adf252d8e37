//! Tests of sessions: names, the sandbox, parameters, limits, pages.

mod limits;
mod pages;
mod sandbox;

use std::fmt::Write;

use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use crate::fixture::{Fixture, Row};
use crate::{Result, StatementKind};

pub(super) fn few() -> Fixture {
    let fixture = Fixture::new();
    fixture.buffer(&[
        Row::new(1, "web", "INFO", "started").tag("env", "prod").tag("http.status", "200"),
        Row::new(2, "web", "ERROR", "failed: timeout").tag("env", "dev"),
        Row::new(3, "", "", "no source"),
    ]);
    fixture
}

#[tokio::test]
async fn every_column_is_shown_but_the_internal_one() {
    let fixture = few();
    insta::assert_snapshot!(fixture.text("SELECT * FROM logs").await, @r#"
    +----------------------+----------------------+--------+-------+-----------------+-------------------------------+----------+---------+---------------+
    | timestamp            | ingested_at          | source | level | message         | tags                          | trace_id | span_id | _row_id       |
    +----------------------+----------------------+--------+-------+-----------------+-------------------------------+----------+---------+---------------+
    | 2026-11-23T00:00:01Z | 2026-11-23T00:00:00Z | web    | INFO  | started         | {env: prod, http.status: 200} |          |         | 8796093022209 |
    | 2026-11-23T00:00:02Z | 2026-11-23T00:00:00Z | web    | ERROR | failed: timeout | {env: dev}                    |          |         | 8796093022210 |
    | 2026-11-23T00:00:03Z | 2026-11-23T00:00:00Z |        |       | no source       | {}                            |          |         | 8796093022211 |
    +----------------------+----------------------+--------+-------+-----------------+-------------------------------+----------+---------+---------------+
    "#);
    let error = fixture.error("SELECT _tag_types FROM logs").await;
    assert!(error.contains("there is no column _tag_types"), "{error}");
}

#[tokio::test]
async fn tags_are_looked_up_by_path() {
    let fixture = few();
    insta::assert_snapshot!(fixture.text(
        "SELECT tags['env'] AS a, tags['http']['status'] AS b, tags.env AS c, l.tags.http.status AS d, \
         tags['http.status'] AS e, tags['none'] AS f, tags['e' || 'nv'] AS g, tags['ENV'] AS h FROM logs AS l")
        .await, @r#"
    +------+-----+------+-----+-----+---+------+---+
    | a    | b   | c    | d   | e   | f | g    | h |
    +------+-----+------+-----+-----+---+------+---+
    | prod | 200 | prod | 200 | 200 |   | prod |   |
    | dev  |     | dev  |     |     |   | dev  |   |
    |      |     |      |     |     |   |      |   |
    +------+-----+------+-----+-----+---+------+---+
    "#);
    assert!(fixture.query("SELECT tags[1] FROM logs").await.is_ok(), "a number is a key like any text");
}

#[tokio::test]
async fn names_fold_to_lower_case() {
    let fixture = few();
    insta::assert_snapshot!(
        fixture.text("SELECT Message FROM DEFAULT.Default_Default.LOGS WHERE LEVEL = 'ERROR'").await, @r#"
    +-----------------+
    | message         |
    +-----------------+
    | failed: timeout |
    +-----------------+
    "#);
    let error = fixture.error("SELECT \"Message\" FROM logs").await;
    insta::assert_snapshot!(error, @"Request: there is no column Message (line 1, column 8); did you mean message?");
}

/// Each statement with its answer.
async fn answers(fixture: &Fixture, statements: &[&str]) -> String {
    let mut all = String::new();
    for sql in statements {
        let _ = writeln!(all, "{sql}\n{}\n", fixture.text(sql).await);
    }
    all
}

#[tokio::test]
async fn statements_about_names() {
    let statements = [
        "SHOW TABLES",
        "SHOW COLUMNS FROM logs",
        "SELECT count(*) AS n FROM default.default_default.logs",
        "SELECT table_catalog, table_schema, table_name FROM information_schema.tables ORDER BY 1, 2, 3",
        "SELECT catalog_name, schema_name FROM information_schema.schemata",
    ];
    insta::assert_snapshot!(answers(&few(), &statements).await, @r#"
    SHOW TABLES
    +---------------+-----------------+------------+------------+
    | table_catalog | table_schema    | table_name | table_type |
    +---------------+-----------------+------------+------------+
    | default       | default_default | logs       | BASE TABLE |
    +---------------+-----------------+------------+------------+

    SHOW COLUMNS FROM logs
    +---------------+-----------------+------------+-------------+----------------------------------------------------------------------------------+-------------+
    | table_catalog | table_schema    | table_name | column_name | data_type                                                                        | is_nullable |
    +---------------+-----------------+------------+-------------+----------------------------------------------------------------------------------+-------------+
    | default       | default_default | logs       | timestamp   | Timestamp(ns, "UTC")                                                             | NO          |
    | default       | default_default | logs       | ingested_at | Timestamp(ns, "UTC")                                                             | NO          |
    | default       | default_default | logs       | source      | Utf8                                                                             | YES         |
    | default       | default_default | logs       | level       | Utf8                                                                             | YES         |
    | default       | default_default | logs       | message     | Utf8                                                                             | NO          |
    | default       | default_default | logs       | tags        | Map("key_value": non-null Struct("key": non-null Utf8, "value": Utf8), unsorted) | NO          |
    | default       | default_default | logs       | trace_id    | Utf8                                                                             | YES         |
    | default       | default_default | logs       | span_id     | Utf8                                                                             | YES         |
    | default       | default_default | logs       | _row_id     | Int64                                                                            | NO          |
    +---------------+-----------------+------------+-------------+----------------------------------------------------------------------------------+-------------+

    SELECT count(*) AS n FROM default.default_default.logs
    +---+
    | n |
    +---+
    | 3 |
    +---+

    SELECT table_catalog, table_schema, table_name FROM information_schema.tables ORDER BY 1, 2, 3
    +---------------+--------------------+------------+
    | table_catalog | table_schema       | table_name |
    +---------------+--------------------+------------+
    | default       | default_default    | logs       |
    | default       | information_schema | columns    |
    | default       | information_schema | parameters |
    | default       | information_schema | routines   |
    | default       | information_schema | schemata   |
    | default       | information_schema | tables     |
    | default       | information_schema | views      |
    +---------------+--------------------+------------+

    SELECT catalog_name, schema_name FROM information_schema.schemata
    +--------------+-----------------+
    | catalog_name | schema_name     |
    +--------------+-----------------+
    | default      | default_default |
    +--------------+-----------------+
    "#);
}

#[tokio::test]
async fn tables_are_created() {
    let statements = [
        "CREATE TABLE audit_events",
        "CREATE TABLE audit_events",
        "CREATE TABLE IF NOT EXISTS default.default_default.audit_events",
        "CREATE TABLE \"Upper\"",
        "SELECT count(*) AS n FROM audit_events",
        "SHOW TABLES",
        "SHOW SEGMENTS",
        "SHOW SEGMENTS FROM nothing",
        "SHOW SEGMENTS FROM logs x",
    ];
    insta::assert_snapshot!(answers(&few(), &statements).await, @r#"
    CREATE TABLE audit_events
    ++
    ++

    CREATE TABLE audit_events
    Exists: table audit_events of tenant default/default/default exists already

    CREATE TABLE IF NOT EXISTS default.default_default.audit_events
    ++
    ++

    CREATE TABLE "Upper"
    Request: invalid table "Upper": a table name has 1 to 63 of a-z, 0-9 and _ and begins with a letter, as in audit_events

    SELECT count(*) AS n FROM audit_events
    +---+
    | n |
    +---+
    | 0 |
    +---+

    SHOW TABLES
    +---------------+-----------------+--------------+------------+
    | table_catalog | table_schema    | table_name   | table_type |
    +---------------+-----------------+--------------+------------+
    | default       | default_default | audit_events | BASE TABLE |
    | default       | default_default | logs         | BASE TABLE |
    +---------------+-----------------+--------------+------------+

    SHOW SEGMENTS
    +-----+-----+------------------+------+-------+----------+----------+------------+------------+
    | url | day | compaction_level | rows | bytes | time_min | time_max | segment_id | table_name |
    +-----+-----+------------------+------+-------+----------+----------+------------+------------+
    +-----+-----+------------------+------+-------+----------+----------+------------+------------+

    SHOW SEGMENTS FROM nothing
    NotFound: table nothing of tenant default/default/default does not exist; create it with CREATE TABLE nothing

    SHOW SEGMENTS FROM logs x
    Request: SQL syntax error at line 1, column 25: expected FROM and a table, found x
    "#);
}

#[tokio::test]
async fn tables_are_described() {
    insta::assert_snapshot!(answers(&few(), &["DESCRIBE logs"]).await, @r#"
    DESCRIBE logs
    +-------------+----------------------------------------------------------------------------------+-------------+
    | column_name | data_type                                                                        | is_nullable |
    +-------------+----------------------------------------------------------------------------------+-------------+
    | timestamp   | Timestamp(ns, "UTC")                                                             | NO          |
    | ingested_at | Timestamp(ns, "UTC")                                                             | NO          |
    | source      | Utf8                                                                             | YES         |
    | level       | Utf8                                                                             | YES         |
    | message     | Utf8                                                                             | NO          |
    | tags        | Map("key_value": non-null Struct("key": non-null Utf8, "value": Utf8), unsorted) | NO          |
    | trace_id    | Utf8                                                                             | YES         |
    | span_id     | Utf8                                                                             | YES         |
    | _row_id     | Int64                                                                            | NO          |
    +-------------+----------------------------------------------------------------------------------+-------------+
    "#);
}

#[tokio::test]
async fn functions_are_listed() {
    let fixture = few();
    let text = fixture.text("SHOW FUNCTIONS LIKE 'tag'").await;
    assert!(text.contains("tag"), "{text}");
}

#[tokio::test]
async fn segments_are_shown() {
    let fixture = few();
    fixture.segment(&[Row::new(5, "web", "INFO", "x"), Row::new(9, "web", "INFO", "y")], 10).await;
    insta::assert_snapshot!(fixture.text(
        "SHOW SEGMENTS FROM logs").await, @r#"
    +----------------------------------------------------------------------------------------------+------------+------------------+------+-------+----------------------+----------------------+--------------------------------------+------------+
    | url                                                                                          | day        | compaction_level | rows | bytes | time_min             | time_max             | segment_id                           | table_name |
    +----------------------------------------------------------------------------------------------+------------+------------------+------+-------+----------------------+----------------------+--------------------------------------+------------+
    | memory:/default/default/default/logs/2026-11-23/00000000-0000-0000-0000-000000000001.parquet | 2026-11-23 | 0                | 2    | 3665  | 2026-11-23T00:00:05Z | 2026-11-23T00:00:09Z | 00000000-0000-0000-0000-000000000001 | logs       |
    +----------------------------------------------------------------------------------------------+------------+------------------+------+-------+----------------------+----------------------+--------------------------------------+------------+
    "#);
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let fixture = few();
    let other = fixture.engine.session(&"acme/web/prod".parse().unwrap());
    let count = |sql: &'static str| {
        let other = other.clone();
        async move {
            let batches: Result<Vec<_>> = async { other.sql(sql).await?.try_collect().await }.await;
            batches.map(|batches| arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string())
        }
    };
    insta::assert_snapshot!(count("SELECT count(*) AS n FROM logs").await.unwrap(), @r#"
    +---+
    | n |
    +---+
    | 0 |
    +---+
    "#);
    let error = count("SELECT * FROM default.default_default.logs").await.unwrap_err();
    insta::assert_snapshot!(error, @"there is no table default.default_default.logs; the tables of this session are in acme.web_prod.* (line 1, column 15)");
    insta::assert_snapshot!(count("SHOW TABLES").await.unwrap(), @r#"
    +---------------+--------------+------------+------------+
    | table_catalog | table_schema | table_name | table_type |
    +---------------+--------------+------------+------------+
    | acme          | web_prod     | logs       | BASE TABLE |
    +---------------+--------------+------------+------------+
    "#);
}

#[tokio::test]
async fn mistakes_are_told_with_their_place() {
    let fixture = few();
    let mut all = String::new();
    for sql in [
        "SELECT mesage FROM logs",
        "SELECT * FROM log",
        "SELECT count(*)\n  FROM logs\n WHER level = 'x'",
        "SELECT lenght(message) FROM logs",
        "SELECT * FROM logs WHERE",
        "SELECT 'open FROM logs",
        "SELECT message + 1 FROM logs",
        "SELECT source, count(*) FROM logs",
        "SELECT CAST(message AS INT) FROM logs",
        "SELECT 1/0",
        "SELECT l.x FROM logs l",
        "SELECT message FROM logs a JOIN logs b ON a._row_id = b._row_id",
        "SELECT * FROM acme.web_prod.logs",
        "SELECT * FROM information_schema.df_settings",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "",
        ";;",
    ] {
        let _ = writeln!(all, "{sql}\n  ► {}", fixture.error(sql).await);
    }
    insta::assert_snapshot!(all, @r#"
    SELECT mesage FROM logs
      ► Request: there is no column mesage (line 1, column 8); did you mean message?
    SELECT * FROM log
      ► Request: there is no table log (line 1, column 15); did you mean logs?
    SELECT count(*)
      FROM logs
     WHER level = 'x'
      ► Request: SQL syntax error at line 3, column 7: Expected: end of statement, found: level
    SELECT lenght(message) FROM logs
      ► Request: Invalid function 'lenght'; Did you mean 'length'? (line 1, column 8)
    SELECT * FROM logs WHERE
      ► Request: SQL syntax error: Expected: an expression, found: EOF
    SELECT 'open FROM logs
      ► Request: SQL syntax error at line 1, column 8: Unterminated string literal
    SELECT message + 1 FROM logs
      ► Request: Cannot coerce arithmetic expression Utf8 + Int64 to valid types (line 1, column 8)
    SELECT source, count(*) FROM logs
      ► Request: Column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column "logs.source" must appear in the GROUP BY clause or must be part of an aggregate function, currently only "count(Int64(1))" appears in the SELECT clause satisfies this requirement (line 1, column 8)
    SELECT CAST(message AS INT) FROM logs
      ► Request: Cast error: Cannot cast string 'started' to value of Int32 type
    SELECT 1/0
      ► Request: Divide by zero error
    SELECT l.x FROM logs l
      ► Request: there is no column l.x (line 1, column 8)
    SELECT message FROM logs a JOIN logs b ON a._row_id = b._row_id
      ► Request: column message is in more than one table: write the table before it (line 1, column 8)
    SELECT * FROM acme.web_prod.logs
      ► Request: there is no table acme.web_prod.logs; the tables of this session are in default.default_default.* (line 1, column 15)
    SELECT * FROM information_schema.df_settings
      ► Request: there is no table default.information_schema.df_settings; the tables of this session are in default.default_default.* (line 1, column 15)
    SELECT * FROM '/etc/passwd'
      ► Request: there is no table /etc/passwd
    SELECT * FROM read_csv('/etc/passwd')
      ► Request: table function 'read_csv' not found

      ► Request: SQL syntax error: the statement is empty
    ;;
      ► Request: SQL syntax error: the statement is empty
    "#);
}

#[tokio::test]
async fn parameters_have_types() {
    let fixture = few();
    let mut all = String::new();
    for sql in [
        "SELECT message FROM logs WHERE level = ? AND timestamp > ? LIMIT ?",
        "SELECT ?",
        "SELECT ?, ? + 1, message FROM logs",
        "SELECT message FROM logs WHERE tags[?] = ?",
        "SELECT message FROM logs WHERE level = $2 OR source = $1",
        "SELECT message FROM logs WHERE level IN (?, ?) OR message LIKE ? OR _row_id BETWEEN ? AND ?",
        "SELECT '?' AS \"?\", count(*) FROM logs -- ?",
        "SELECT ?, $1",
        "SELECT $x",
        "SELECT $0",
        "EXPLAIN SELECT * FROM logs WHERE level = ?",
    ] {
        let _ = match fixture.session().prepare(sql).await {
            Ok(statement) => {
                let fields = statement.schema();
                let fields =
                    fields.fields().iter().map(|field| format!("{}: {}", field.name(), field.data_type()));
                let fields: Vec<_> = fields.collect();
                writeln!(all, "{sql}\n  ► {:?} → {fields:?}", statement.parameters())
            }
            Err(error) => writeln!(all, "{sql}\n  ► {error}"),
        };
    }
    insta::assert_snapshot!(all, @r#"
    SELECT message FROM logs WHERE level = ? AND timestamp > ? LIMIT ?
      ► [("$1", Utf8), ("$2", Timestamp(Nanosecond, Some("UTC"))), ("$3", Int64)] → ["message: Utf8"]
    SELECT ?
      ► [("$1", Utf8)] → ["$1: Utf8"]
    SELECT ?, ? + 1, message FROM logs
      ► [("$1", Utf8), ("$2", Int64)] → ["$1: Utf8", "$2 + Int64(1): Int64", "message: Utf8"]
    SELECT message FROM logs WHERE tags[?] = ?
      ► [("$1", Utf8), ("$2", Utf8)] → ["message: Utf8"]
    SELECT message FROM logs WHERE level = $2 OR source = $1
      ► [("$1", Utf8), ("$2", Utf8)] → ["message: Utf8"]
    SELECT message FROM logs WHERE level IN (?, ?) OR message LIKE ? OR _row_id BETWEEN ? AND ?
      ► [("$1", Utf8), ("$2", Utf8), ("$3", Utf8), ("$4", Int64), ("$5", Int64)] → ["message: Utf8"]
    SELECT '?' AS "?", count(*) FROM logs -- ?
      ► [] → ["?: Utf8", "count(*): Int64"]
    SELECT ?, $1
      ► parameters: use either ? or $1, $2 …, not both
    SELECT $x
      ► parameters: $x is no parameter; use ? or $1, $2 …
    SELECT $0
      ► Invalid placeholder, zero is not a valid index: $0
    EXPLAIN SELECT * FROM logs WHERE level = ?
      ► [("$1", Utf8)] → ["plan_type: Utf8", "plan: Utf8"]
    "#);
}

#[tokio::test]
async fn parameters_are_bound_in_the_order_of_the_text() {
    let fixture = few();
    let sql = "SELECT ? AS a, message, CASE WHEN level = ? THEN ? ELSE ? END AS b FROM logs \
               WHERE message LIKE ? ORDER BY timestamp DESC LIMIT ? OFFSET ?";
    let statement = fixture.session().prepare(sql).await.unwrap();
    let text = |text: &str| ScalarValue::from(text);
    let values = vec![
        text("first"),
        text("ERROR"),
        text("bad"),
        text("good"),
        text("%t%"),
        text("2"),
        ScalarValue::Int32(Some(0)),
    ];
    let stream = statement.run(values).await.unwrap();
    assert_eq!(stream.schema(), statement.schema());
    let batches: Vec<_> = stream.try_collect().await.unwrap();
    insta::assert_snapshot!(arrow::util::pretty::pretty_format_batches(&batches).unwrap(), @r#"
    +-------+-----------------+------+
    | a     | message         | b    |
    +-------+-----------------+------+
    | first | failed: timeout | bad  |
    | first | started         | good |
    +-------+-----------------+------+
    "#);
    let error = statement.run(vec![]).await.unwrap_err().to_string();
    insta::assert_snapshot!(error, @"parameters: the statement has 7, 0 were given");
    let statement = fixture.session().prepare("SELECT * FROM logs WHERE timestamp > ?").await.unwrap();
    let error = statement.run(vec![text("yesterday")]).await.unwrap_err().to_string();
    insta::assert_snapshot!(error, @r#"parameters: $1 must be Timestamp(ns, "UTC"): Arrow error: Parser error: Error parsing timestamp from 'yesterday': timestamp must contain at least 10 characters"#);
}

#[tokio::test]
async fn a_statement_sees_rows_that_came_after_it() {
    let fixture = few();
    let statement = fixture.session().prepare("SELECT count(*) AS n FROM logs").await.unwrap();
    assert_eq!(statement.kind(), StatementKind::Query);
    fixture.buffer(&[Row::new(4, "web", "INFO", "late")]);
    let batches: Vec<_> = statement.run(vec![]).await.unwrap().try_collect().await.unwrap();
    insta::assert_snapshot!(arrow::util::pretty::pretty_format_batches(&batches).unwrap(), @r#"
    +---+
    | n |
    +---+
    | 4 |
    +---+
    "#);
}

#[tokio::test]
async fn updates_have_no_columns() {
    let fixture = few();
    let statement = fixture.session().prepare("CREATE TABLE IF NOT EXISTS audit").await.unwrap();
    assert_eq!(statement.kind(), StatementKind::Update);
    assert!(statement.schema().fields().is_empty());
    assert_eq!(fixture.session().tables().await.unwrap().len(), 1, "preparing creates nothing");
    let rows: Vec<_> = statement.run(vec![]).await.unwrap().try_collect().await.unwrap();
    assert!(rows.is_empty());
    let tables = fixture.session().tables().await.unwrap();
    assert_eq!(tables.iter().map(|table| table.table.as_str()).collect::<Vec<_>>(), ["audit", "logs"]);
}

#[tokio::test]
async fn now_is_the_injected_clock() {
    let fixture = few();
    insta::assert_snapshot!(fixture.text("SELECT now() AS a, current_date AS b").await, @r#"
    +----------------------+------------+
    | a                    | b          |
    +----------------------+------------+
    | 2026-11-24T00:00:00Z | 2026-11-24 |
    +----------------------+------------+
    "#);
}
