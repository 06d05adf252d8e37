//! Tests of table functions: their rows are those of the query that they stand for, and they stay in the tenant.

use std::fmt::Write;

use ironbark_storage::TenantId;

use crate::fixture::{Fixture, Row};

/// Two sources on two hosts, a row every ten seconds in a segment, and two more in memory.
async fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let row = |i: i64| {
        let level = if i % 4 == 0 { "ERROR" } else { "INFO" };
        let row = Row::new(i * 10, if i % 2 == 0 { "web" } else { "db" }, level, &format!("row {i}"));
        if i % 3 == 0 { row } else { row.tag("host", if i < 20 { "a" } else { "b" }).tag("env", "prod") }
    };
    let rows: Vec<Row> = (0..40).map(row).collect();
    fixture.segment(&rows, 16).await;
    fixture.buffer(&[
        Row::new(400, "", "", "no source"),
        Row::new(400, "web", "ERROR", "last").tag("env", "dev"),
    ]);
    fixture
}

async fn same(fixture: &Fixture, call: &str, sql: &str) -> String {
    let text = fixture.text(call).await;
    assert_eq!(text, fixture.text(sql).await, "{call}");
    text
}

#[tokio::test]
async fn a_histogram_counts_by_time_and_level() {
    let fixture = fixture().await;
    let text = same(
        &fixture,
        "SELECT * FROM histogram('logs', '5m') ORDER BY 1, 2",
        "SELECT date_bin(INTERVAL '5 minutes', timestamp) AS bucket, level, count(*) AS count FROM logs \
         GROUP BY 1, 2 ORDER BY 1, 2",
    )
    .await;
    insta::assert_snapshot!(text, @r#"
    +----------------------+-------+-------+
    | bucket               | level | count |
    +----------------------+-------+-------+
    | 2026-11-23T00:00:00Z | ERROR | 8     |
    | 2026-11-23T00:00:00Z | INFO  | 22    |
    | 2026-11-23T00:05:00Z | ERROR | 3     |
    | 2026-11-23T00:05:00Z | INFO  | 8     |
    | 2026-11-23T00:05:00Z |       | 1     |
    +----------------------+-------+-------+
    "#);
    same(
        &fixture,
        "SELECT bucket, sum(count) AS n FROM histogram('LOGS', INTERVAL '1 minute', 'level:error') \
         WHERE level = 'ERROR' GROUP BY 1 ORDER BY 1",
        "SELECT date_bin(INTERVAL '1 minute', timestamp) AS bucket, count(*) AS n FROM logs WHERE level = 'ERROR' \
         GROUP BY 1 ORDER BY 1",
    )
    .await;
    same(
        &fixture,
        "SELECT sum(count) AS n FROM histogram('default.default_default.logs', '1 month', '  ')",
        "SELECT count(*) AS n FROM logs",
    )
    .await;
}

#[tokio::test]
async fn counts_come_from_statistics() {
    let fixture = fixture().await;
    for call in [
        "histogram('logs', '5m')",
        "histogram('logs', '1h', 'level:error')",
        "rate('logs', '1m')",
        "facets('logs', 'level', 3)",
    ] {
        let plan = fixture.plan(&format!("SELECT * FROM {call}")).await;
        assert!(plan.contains("StatisticsExec"), "{call}: {plan}");
    }
    let plan = fixture.plan("SELECT * FROM histogram('logs', '5m', 'last')").await;
    assert!(plan.contains("TokenIndexExec"), "{plan}");
}

#[tokio::test]
async fn a_rate_is_rows_per_second() {
    let fixture = fixture().await;
    insta::assert_snapshot!(fixture.text("SELECT * FROM rate(logs, '100s') ORDER BY 1").await, @r#"
    +----------------------+-----------------+
    | bucket               | rows_per_second |
    +----------------------+-----------------+
    | 2026-11-23T00:00:00Z | 0.1             |
    | 2026-11-23T00:01:40Z | 0.1             |
    | 2026-11-23T00:03:20Z | 0.1             |
    | 2026-11-23T00:05:00Z | 0.1             |
    | 2026-11-23T00:06:40Z | 0.02            |
    +----------------------+-----------------+
    "#);
    insta::assert_snapshot!(fixture.text("SELECT * FROM rate('logs', '500ms', 'last OR source:web level:error') ORDER BY 1 DESC LIMIT 2").await, @r#"
    +----------------------+-----------------+
    | bucket               | rows_per_second |
    +----------------------+-----------------+
    | 2026-11-23T00:06:40Z | 2.0             |
    | 2026-11-23T00:06:00Z | 2.0             |
    +----------------------+-----------------+
    "#);
}

#[tokio::test]
async fn facets_are_the_most_frequent_values() {
    let fixture = fixture().await;
    let mut all = String::new();
    for call in [
        "facets('logs', 'source', 10)",
        "facets('logs', 'level', 1)",
        "facets('logs', 'env', 10)",
        "facets('logs', 'tags.host', 10, 'level:error')",
        "facets('logs', '_row_id', 1, 'last')",
        "facets('logs', 'none', 5)",
        "field_values('logs', 'env')",
        "field_values('logs', 'env', 'pr')",
    ] {
        let _ = writeln!(all, "{call}\n{}", fixture.text(&format!("SELECT * FROM {call}")).await);
    }
    insta::assert_snapshot!(all, @r#"
    facets('logs', 'source', 10)
    +-------+-------+
    | value | count |
    +-------+-------+
    | web   | 21    |
    | db    | 20    |
    +-------+-------+
    facets('logs', 'level', 1)
    +-------+-------+
    | value | count |
    +-------+-------+
    | INFO  | 30    |
    +-------+-------+
    facets('logs', 'env', 10)
    +-------+-------+
    | value | count |
    +-------+-------+
    | prod  | 26    |
    | dev   | 1     |
    +-------+-------+
    facets('logs', 'tags.host', 10, 'level:error')
    +-------+-------+
    | value | count |
    +-------+-------+
    | a     | 3     |
    | b     | 3     |
    +-------+-------+
    facets('logs', '_row_id', 1, 'last')
    +---------------+-------+
    | value         | count |
    +---------------+-------+
    | 8796093022250 | 1     |
    +---------------+-------+
    facets('logs', 'none', 5)
    ++
    ++
    field_values('logs', 'env')
    +-------+-------+
    | value | count |
    +-------+-------+
    | prod  | 26    |
    | dev   | 1     |
    +-------+-------+
    field_values('logs', 'env', 'pr')
    +-------+-------+
    | value | count |
    +-------+-------+
    | prod  | 26    |
    +-------+-------+
    "#);
}

#[tokio::test]
async fn field_names_are_columns_and_tags() {
    let fixture = fixture().await;
    insta::assert_snapshot!(fixture.text("SELECT * FROM field_names('logs') ORDER BY 2, 1").await, @r#"
    +-------------+--------+------+
    | field       | kind   | rows |
    +-------------+--------+------+
    | _row_id     | column | 42   |
    | ingested_at | column | 42   |
    | level       | column | 41   |
    | message     | column | 42   |
    | source      | column | 41   |
    | span_id     | column | 0    |
    | timestamp   | column | 42   |
    | trace_id    | column | 0    |
    | env         | tag    | 27   |
    | host        | tag    | 26   |
    +-------------+--------+------+
    "#);
    insta::assert_snapshot!(
        fixture.text("SELECT * FROM field_names('logs', 'last') WHERE rows > 0 ORDER BY 2, 1").await, @r#"
    +-------------+--------+------+
    | field       | kind   | rows |
    +-------------+--------+------+
    | _row_id     | column | 1    |
    | ingested_at | column | 1    |
    | level       | column | 1    |
    | message     | column | 1    |
    | source      | column | 1    |
    | timestamp   | column | 1    |
    | env         | tag    | 1    |
    +-------------+--------+------+
    "#);
}

/// The number of the row that was written as number `n`, from 0.
fn id(n: i64) -> i64 {
    (1 << 43) + 1 + n
}

#[tokio::test]
async fn a_context_is_of_the_same_source_and_host() {
    let fixture = fixture().await;
    let around = |n: i64, before: i64, after: i64| {
        format!(
            "SELECT position, message, source, tags['host'] AS host FROM context('logs', '{}', {before}, {after})",
            id(n)
        )
    };
    let mut all = String::new();
    for sql in [around(10, 2, 3), around(12, 2, 2), around(38, 1, 5), around(40, 9, 9), around(0, 3, 0)] {
        let _ = writeln!(all, "{}\n{}", sql.split("FROM ").last().unwrap(), fixture.text(&sql).await);
    }
    insta::assert_snapshot!(all, @r#"
    context('logs', '8796093022219', 2, 3)
    +----------+---------+--------+------+
    | position | message | source | host |
    +----------+---------+--------+------+
    | -2       | row 4   | web    | a    |
    | -1       | row 8   | web    | a    |
    | 0        | row 10  | web    | a    |
    | 1        | row 14  | web    | a    |
    | 2        | row 16  | web    | a    |
    +----------+---------+--------+------+
    context('logs', '8796093022221', 2, 2)
    +----------+---------+--------+------+
    | position | message | source | host |
    +----------+---------+--------+------+
    | -2       | row 8   | web    | a    |
    | -1       | row 10  | web    | a    |
    | 0        | row 12  | web    |      |
    | 1        | row 14  | web    | a    |
    | 2        | row 16  | web    | a    |
    +----------+---------+--------+------+
    context('logs', '8796093022247', 1, 5)
    +----------+---------+--------+------+
    | position | message | source | host |
    +----------+---------+--------+------+
    | -1       | row 34  | web    | b    |
    | 0        | row 38  | web    | b    |
    +----------+---------+--------+------+
    context('logs', '8796093022249', 9, 9)
    +----------+-----------+--------+------+
    | position | message   | source | host |
    +----------+-----------+--------+------+
    | 0        | no source |        |      |
    +----------+-----------+--------+------+
    context('logs', '8796093022209', 3, 0)
    +----------+---------+--------+------+
    | position | message | source | host |
    +----------+---------+--------+------+
    | 0        | row 0   | web    |      |
    +----------+---------+--------+------+
    "#);
}

#[tokio::test]
async fn a_context_is_a_table_like_others() {
    let fixture = fixture().await;
    insta::assert_snapshot!(fixture.text(&format!("SELECT * FROM context('logs', {}, 0, 1)", id(38))).await, @r#"
    +----------------------+----------------------+--------+-------+---------+----------------------+----------+---------+---------------+----------+
    | timestamp            | ingested_at          | source | level | message | tags                 | trace_id | span_id | _row_id       | position |
    +----------------------+----------------------+--------+-------+---------+----------------------+----------+---------+---------------+----------+
    | 2026-11-23T00:06:20Z | 2026-11-23T00:00:00Z | web    | INFO  | row 38  | {env: prod, host: b} |          |         | 8796093022247 | 0        |
    +----------------------+----------------------+--------+-------+---------+----------------------+----------+---------+---------------+----------+
    "#);
    insta::assert_snapshot!(fixture.text(&format!(
        "SELECT c.level, count(*) AS rows, min(position) AS first FROM context('logs', '{}', 100, 100) AS c \
         WHERE search('row') GROUP BY 1 ORDER BY 1", id(20))).await, @r#"
    +-------+------+-------+
    | level | rows | first |
    +-------+------+-------+
    | ERROR | 3    | 0     |
    | INFO  | 4    | 1     |
    +-------+------+-------+
    "#);
    for row in [id(1_000), 0, i64::MAX] {
        let text = fixture
            .text(&format!("SELECT count(*) AS n, max(position) AS p FROM context('logs', {row}, 5, 5)"))
            .await;
        assert!(text.contains("| 0 |   |"), "{text}");
        assert_eq!(
            fixture.query(&format!("SELECT * FROM context('logs', {row}, 5, 5)")).await.unwrap().len(),
            0
        );
    }
    let statement = format!("SELECT message FROM context('logs', '{}', 0, 0) WHERE level = ?", id(0));
    let statement = fixture.session().prepare(&statement).await.unwrap();
    let level = datafusion::scalar::ScalarValue::from("ERROR");
    let batches: Vec<_> =
        futures::TryStreamExt::try_collect(statement.run(vec![level]).await.unwrap()).await.unwrap();
    assert_eq!(batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 1);
}

#[tokio::test]
async fn a_context_opens_only_what_it_needs() {
    let fixture = Fixture::new();
    for day in 0..3 {
        let rows: Vec<Row> = (0..9).map(|i| Row::new(day * 86_400 + i, "web", "INFO", "x")).collect();
        fixture.segment(&rows, 9).await;
    }
    // The last row of all: the older days are there for the rows before it only, and nothing is there for those after it.
    let plan = fixture.plan(&format!("SELECT message FROM context('logs', {}, 3, 3)", id(26))).await;
    let mentions = |text: &str| plan.matches(text).count();
    assert_eq!((mentions("logs/2026-11-25/"), mentions("logs/2026-11-24/")), (2, 1), "{plan}");
    assert_eq!((mentions("EmptyExec"), mentions("TopK(fetch=3)")), (1, 2), "{plan}");
}

#[tokio::test]
async fn names_of_fields_weigh_as_many_tables_as_they_scan() {
    let fixture = fixture().await;
    let unions = |call: &str, n: usize| vec![format!("SELECT 1 FROM {call}"); n].join(" UNION ALL ");
    let twice = |call: &str| {
        format!("WITH a AS ({}), b AS ({}) {}", unions(call, 30), unions("a", 10), "SELECT count(*) FROM b")
    };
    assert!(fixture.session().prepare(&twice("logs")).await.is_ok());
    let error = fixture.session().prepare(&twice("field_names('logs')")).await.unwrap_err();
    assert!(error.to_string().contains("more than 2000 tables"), "{error}");
}

#[tokio::test]
async fn rows_at_one_time_are_in_the_order_of_their_ids() {
    let fixture = Fixture::new();
    let rows: Vec<Row> = (0..9).map(|i| Row::new(7, "web", "INFO", &format!("row {i}"))).collect();
    fixture.segment(&rows, 4).await;
    let sql = format!("SELECT position, message FROM context('logs', {}, 2, 3)", id(4));
    insta::assert_snapshot!(fixture.text(&sql).await, @r#"
    +----------+---------+
    | position | message |
    +----------+---------+
    | -2       | row 2   |
    | -1       | row 3   |
    | 0        | row 4   |
    | 1        | row 5   |
    | 2        | row 6   |
    | 3        | row 7   |
    +----------+---------+
    "#);
}

#[tokio::test]
async fn other_tenants_are_out_of_reach() {
    let fixture = fixture().await;
    let other = fixture.engine.session(&"acme/shop/prod".parse::<TenantId>().unwrap());
    for call in [
        "histogram('default.default_default.logs', '5m')",
        "facets('default_default.logs', 'source', 5)",
        "context('\"default\".default_default.logs', 8796093022209, 1, 1)",
        "field_names('default/default/default/logs')",
        "rate('../../default/default/default/logs', '1s')",
    ] {
        let error = other.prepare(&format!("SELECT * FROM {call}")).await.unwrap_err();
        assert!(error.to_string().contains("there is no table"), "{call}: {error}");
    }
    for (call, column) in [
        ("histogram('logs', '5m')", "count"),
        ("facets('acme.shop_prod.logs', 'source', 5)", "count"),
        ("context('logs', 8796093022209, 1, 1)", "message"),
        ("field_names('logs') WHERE rows > 0", "rows"),
    ] {
        let stream = other.sql(&format!("SELECT {column} FROM {call}")).await.unwrap();
        let batches: Vec<_> = futures::TryStreamExt::try_collect(stream).await.unwrap();
        assert_eq!(batches.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 0, "{call}");
    }
}

#[tokio::test]
async fn mistakes_say_what_to_write() {
    let fixture = fixture().await;
    let mut all = String::new();
    for call in [
        "histogram('logs')",
        "histogram('log', '5m')",
        "histogram('information_schema.tables', '5m')",
        "histogram('', '5m')",
        "histogram(7, '5m')",
        "histogram('logs', '5')",
        "histogram('logs', INTERVAL '0 seconds')",
        "histogram('logs', 5)",
        "histogram('logs', '5m', 'level:')",
        "histogram('logs', ?)",
        "histogram('logs', NULL)",
        "rate('logs', '1 month')",
        "facets('logs', 'tags', 5)",
        "facets('logs', '', 5)",
        "facets('logs', 'source', 0)",
        "facets('logs', 'source', 10001)",
        "facets('logs', 'source', 'many')",
        "context('logs', 'x', 1, 1)",
        "context('logs', 1, -1, 1)",
        "context('logs', 1, 1, 10001)",
        "nothing('logs')",
    ] {
        let sql = format!("SELECT * FROM {call}");
        let error = match fixture.session().prepare(&sql).await {
            Ok(_) => fixture.error(&sql).await,
            Err(error) => format!("{:?}: {error}", error.kind()),
        };
        let _ = writeln!(all, "{call} ► {error}");
    }
    insta::assert_snapshot!(all, @r#"
    histogram('logs') ► Request: histogram() was given 1 argument; write it as in histogram('logs', '5m', 'timeout')
    histogram('log', '5m') ► Request: histogram(): there is no table log; did you mean logs?
    histogram('information_schema.tables', '5m') ► Request: histogram(): there is no table information_schema.tables
    histogram('', '5m') ► Request: histogram(): there is no table 
    histogram(7, '5m') ► Request: the table of histogram() has to be a literal, as in histogram('logs', '5m', 'timeout'); parameters and columns cannot stand here
    histogram('logs', '5') ► Request: histogram(): 5 is no length of time; write a number and one of ns, us, ms, s, m, h, d, w, as in '5m' or '1h30m'
    histogram('logs', INTERVAL '0 seconds') ► Request: histogram(): an INTERVAL that does not lead forward is no length of time; write a number and one of ns, us, ms, s, m, h, d, w, as in '5m' or '1h30m'
    histogram('logs', 5) ► Request: histogram(): 5 is no length of time; write a number and one of ns, us, ms, s, m, h, d, w, as in '5m' or '1h30m'
    histogram('logs', '5m', 'level:') ► Request: search: column 7: expected a value after `level:`, found the end of the query
    histogram('logs', ?) ► Request: the step of histogram() has to be a literal, as in histogram('logs', '5m', 'timeout'); parameters and columns cannot stand here
    histogram('logs', NULL) ► Request: the step of histogram() has to be a literal, as in histogram('logs', '5m', 'timeout'); parameters and columns cannot stand here
    rate('logs', '1 month') ► Request: rate(): the step has to have one length in seconds: write it in days or less
    facets('logs', 'tags', 5) ► Request: facets(): name a column, as in 'source', or a tag, as in 'env' or 'tags.env'
    facets('logs', '', 5) ► Request: facets(): name a column, as in 'source', or a tag, as in 'env' or 'tags.env'
    facets('logs', 'source', 0) ► Request: facets(): the number of values has to be a whole number from 1 to 10000, not 0
    facets('logs', 'source', 10001) ► Request: facets(): the number of values has to be a whole number from 1 to 10000, not 10001
    facets('logs', 'source', 'many') ► Request: facets(): the number of values has to be a whole number from 1 to 10000, not many
    context('logs', 'x', 1, 1) ► Request: context(): the row id has to be a whole number from 0 to 9223372036854775807, not x
    context('logs', 1, -1, 1) ► Request: context(): the number of rows before has to be a whole number from 0 to 10000, not -1
    context('logs', 1, 1, 10001) ► Request: context(): the number of rows after has to be a whole number from 0 to 10000, not 10001
    nothing('logs') ► Request: table function 'nothing' not found
    "#);
}
