//! Limits: time, rows and memory, and that a query nobody waits for stops.

use std::time::Duration;

use arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use tokio::time::Instant;

use super::few;
use crate::fixture::{Fixture, Row};
use crate::{Limits, QueryConfig, QueryStream};

/// Billions of rows out of four thousand, without an operator that waits for anything.
const ENDLESS: &str = "SELECT count(*) FROM range(0, 4000) a, range(0, 4000) b, range(0, 4000) c \
                       WHERE a.value + b.value + c.value = -1";

async fn error(stream: QueryStream) -> String {
    let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
    format!("{:?}: {error}", error.kind())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_ends_at_its_time_limit() {
    let fixture = few();
    let limits = Limits { timeout: Duration::from_millis(1_500), ..fixture.session().limits() };
    let session = fixture.session().with_limits(limits);
    let began = Instant::now();
    let stream = session.sql(ENDLESS).await.unwrap();
    insta::assert_snapshot!(error(stream).await, @"Deadline: the query ran longer than its time limit of 1.5s; narrow it (a shorter time range, fewer columns) or raise query.timeout");
    assert!(began.elapsed() < Duration::from_millis(3_500), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_query_stops_within_a_second() {
    let fixture = few();
    let mut stream = fixture.session().sql(ENDLESS).await.unwrap();
    let next = tokio::time::timeout(Duration::from_millis(300), stream.next()).await;
    assert!(next.is_err(), "the query must still run");
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(tasks() > 0);
    drop(stream);
    let dropped = Instant::now();
    while tasks() > 0 {
        assert!(dropped.elapsed() < Duration::from_secs(1), "{} tasks go on", tasks());
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.engine.memory_reserved_bytes(), 0);
}

#[tokio::test]
async fn a_result_ends_at_its_row_limit() {
    let fixture = few();
    let limits = Limits { rows_max: 2, ..fixture.session().limits() };
    let session = fixture.session().with_limits(limits);
    insta::assert_snapshot!(error(session.sql("SELECT * FROM logs").await.unwrap()).await, @"Exhausted: the result has more than 2 rows, the limit of a query; add a LIMIT or raise query.rows_max");
    assert!(session.sql("SELECT * FROM logs LIMIT 2").await.unwrap().try_collect::<Vec<_>>().await.is_ok());
    let more = session.with_limits(Limits { rows_max: u64::MAX, timeout: Duration::MAX });
    assert_eq!(more.limits(), fixture.session().limits(), "a request cannot raise the configured limits");
}

#[tokio::test]
async fn memory_is_bounded() {
    let config = QueryConfig { memory_bytes: 1 << 20, partitions: 2, ..QueryConfig::default() };
    let fixture = Fixture::with_config(config);
    let sql = "SELECT array_agg(repeat('x', 1000) || value) FROM range(0, 100000)";
    let error = fixture.error(sql).await;
    assert!(error.starts_with("Exhausted: the query ran out of memory:"), "{error}");
    assert!(error.ends_with("narrow it or raise query.memory"), "{error}");
    assert_eq!(fixture.engine.memory_reserved_bytes(), 0);
}

#[tokio::test]
async fn sorts_spill_to_disk() {
    let config =
        QueryConfig { memory_bytes: 24 << 20, batch_rows: 1_024, partitions: 2, ..QueryConfig::default() };
    let fixture = Fixture::with_config(config);
    let sql = "SELECT max(n) AS n FROM (SELECT row_number() OVER (ORDER BY t) AS n FROM \
               (SELECT repeat('x', 100) || value AS t FROM range(0, 400000)))";
    insta::assert_snapshot!(fixture.text(sql).await, @r#"
    +--------+
    | n      |
    +--------+
    | 400000 |
    +--------+
    "#);
}

#[tokio::test]
async fn rows_are_sent_in_bounded_batches() {
    let fixture = Fixture::new();
    let rows: Vec<_> = (0..20_000).map(|n| Row::new(n, "web", "INFO", "x")).collect();
    fixture.buffer(&rows);
    let batches = fixture.query("SELECT message FROM logs").await.unwrap();
    assert!(batches.iter().all(|batch| batch.num_rows() <= 8_192));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 20_000);
}

/// A join of many rows whose filter matches nothing works for minutes between two batches, on every thread there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_in_the_middle_of_its_work_neither_blocks_nor_outlives_its_query() {
    let fixture = Fixture::new();
    let rows: Vec<Row> = (0..1_000).map(|i| Row::new(i, "web", "INFO", &format!("row {i}"))).collect();
    fixture.segment(&rows[..500], 100).await;
    fixture.buffer(&rows[500..]);
    for join in ["", " AND a.source = b.source AND b.source = c.source"] {
        let sql = format!(
            "SELECT count(*) FROM logs a CROSS JOIN logs b CROSS JOIN logs c \
             WHERE a.message || b.message || c.message LIKE '%nothing%'{join}"
        );
        let mut running = fixture.session().sql(&sql).await.unwrap();
        let next = tokio::time::timeout(Duration::from_millis(500), running.next()).await;
        assert!(next.is_err(), "the query should still be running: {next:?}");
        let mut other = fixture.session().sql("SELECT count(*) FROM logs").await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(20), other.next()).await;
        assert!(answer.is_ok(), "another query is held up");
        drop(other);
        drop(running);
        let dropped = Instant::now();
        while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
            assert!(
                dropped.elapsed() < Duration::from_secs(2),
                "the joins go on although nobody waits for them"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_stands_still_ends_the_query_at_its_time_limit() {
    let fixture = few();
    let limits = Limits { timeout: Duration::from_millis(700), ..fixture.session().limits() };
    let session = fixture.session().with_limits(limits);
    let mut stream = session.sql("SELECT value FROM range(0, 1000000)").await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let began = Instant::now();
    while tasks() > 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "the query outlives its time limit");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(error(stream).await.starts_with("Deadline: "));
}

#[tokio::test]
async fn with_queries_are_multiplied_out_before_they_are_planned() {
    use std::fmt::Write;
    let doubled = |times: usize| {
        let mut sql = "WITH a0 AS (SELECT 1)".to_owned();
        for n in 1..=times {
            let _ = write!(sql, ", a{n} AS (SELECT * FROM a{0} UNION ALL SELECT * FROM A{0})", n - 1);
        }
        sql + &format!(" SELECT count(*) FROM a{times}")
    };
    let fixture = few();
    insta::assert_snapshot!(fixture.error(&doubled(40)).await, @"Request: the statement has more than 2000 tables and queries, each WITH query counted wherever it is named; split it or write it shorter");
    assert!(fixture.query(&doubled(4)).await.is_ok());
    let within = "SELECT (WITH a AS (SELECT 1), b AS (SELECT * FROM a, a x) SELECT count(*) FROM b, b y)";
    assert!(fixture.query(within).await.is_ok());
}

#[tokio::test]
async fn functions_do_not_make_much_text_of_little() {
    let fixture = few();
    for sql in
        ["SELECT repeat('x', 2147483647)", "SELECT lpad('x', 2147483647)", "SELECT rpad('x', 300000, 'y')"]
    {
        let error = fixture.error(sql).await;
        assert!(error.contains("would make a value longer by more than"), "{sql}: {error}");
    }
    let replaced = "SELECT replace(repeat('x', 100000), 'x', repeat('y', 1000))";
    assert!(fixture.error(replaced).await.contains("would make a value longer"));
    for sql in ["SELECT range(0, 3000000000)", "SELECT array_repeat(1, 3000000000)"] {
        assert!(fixture.session().prepare(sql).await.is_err(), "{sql}");
    }
    assert!(
        fixture
            .query("SELECT repeat('x', 1000), lpad(message, 20), replace(message, 'e', 'ee') FROM logs")
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_regular_expressions_of_all_searches_in_a_statement_are_bounded_together() {
    let call = "matches(message, '/(?:[a-z]{1,30}[0-9]{1,30}x){30}/')";
    let all = |count: usize| format!("SELECT 1 FROM logs WHERE {}", vec![call; count].join(" OR "));
    let error = few().error(&all(200)).await;
    insta::assert_snapshot!(error, @"Request: search: column 1: with this one, the regular expressions and patterns of the query take more than 16777216 bytes compiled; search with fewer or simpler ones");
    few().query(&all(2)).await.unwrap();
}
