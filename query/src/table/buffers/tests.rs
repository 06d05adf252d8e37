//! Rows in memory answer like the segment that they become, and like a plain scan; what is left out is told.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use ironbark_storage::{Day, LogSchema};
use proptest::prelude::*;

use crate::fixture::{Fixture, Row, counter};
use crate::table::tests::equal::{predicate, queries, row};

/// Batches of 8,192 rows, a second apart: every thousandth row is of a source of its own, and holds a word of its own.
fn fixture(batches: i64) -> Fixture {
    let fixture = Fixture::new();
    for batch in 0..batches {
        fixture.buffer(&rows(batch * 8_192..(batch + 1) * 8_192));
    }
    fixture
}

fn rows(numbers: std::ops::Range<i64>) -> Vec<Row> {
    let row = |n: i64| match n % 1_000 {
        0 => Row::new(n, "rare", "ERROR", &format!("needle needle{n}")),
        _ => Row::new(n, "web", "INFO", &format!("message {n}")),
    };
    numbers.map(row).collect()
}

/// The lines of a plan that ran which tell of buffers.
async fn told(fixture: &Fixture, sql: &str) -> String {
    let plan = fixture.analyzed(sql).await;
    let lines =
        plan.lines().map(str::trim).filter(|line| line.contains("buffers:") || line.contains("counted:"));
    let lines = lines.map(|line| line.split(", metrics=").next().unwrap_or(line).to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// How many batches a search for one word looks at, and the rest of what is told of them.
async fn looked_at(fixture: &Fixture, needle: i64) -> (usize, String) {
    let told = told(fixture, &format!("SELECT message FROM logs WHERE search('needle{needle}')")).await;
    let (_, batches) = told.split_once("batches=").unwrap();
    let (batches, rest) = batches.split_once('/').unwrap();
    (batches.parse().unwrap(), rest.to_owned())
}

/// Words of a batch are told apart by bits whose places differ from process to process: one in 200 that is not there
/// seems to be, so no single search says how many batches are looked at.
#[tokio::test]
async fn words_are_made_by_the_queries_that_ask_and_leave_batches_out() {
    let fixture = fixture(6);
    // One query makes words of four batches.
    let (first, told) = looked_at(&fixture, 20_000).await;
    assert!(first >= 3 && told.ends_with(", unindexed=2"), "{first} of {told}");
    let (mut sum, needles) = (0, (17_000..=24_000).step_by(1_000));
    for needle in needles.clone() {
        let (batches, told) = looked_at(&fixture, needle).await;
        assert!(batches >= 1 && !told.contains("unindexed"), "{batches} of {told}");
        sum += batches;
    }
    assert!(sum < 14, "{sum} batches were looked at for 8 needles in 6 batches");
    let rows = async |needle: i64| {
        let sql = format!("SELECT message FROM logs WHERE search('needle{needle}')");
        fixture.query(&sql).await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>()
    };
    for needle in needles {
        assert_eq!(rows(needle).await, 1);
    }
    // Rows that came a moment ago are found as well, though their words are not known.
    fixture.buffer(&[Row::new(90_000, "web", "INFO", "a second needle20000")]);
    let (batches, told) = looked_at(&fixture, 20_000).await;
    assert!(
        batches >= 2 && told.starts_with("7, ") && told.ends_with(", unindexed=1"),
        "{batches} of {told}"
    );
    assert_eq!(rows(20_000).await, 2);
}

#[tokio::test]
async fn a_word_is_counted_without_its_rows() {
    let fixture = fixture(4);
    let sql = "SELECT count(*) AS n FROM logs WHERE search('needle')";
    let first = fixture.text(sql).await;
    insta::assert_snapshot!(told(&fixture, sql).await, @"StatisticsExec: counted: 33 rows of 0 segments, 4 batches in 4 cells, 0 segments in part; read: 0 rows of 0 segments, 0 batches");
    assert_eq!(fixture.text(sql).await, first);
    insta::assert_snapshot!(first, @r#"
    +----+
    | n  |
    +----+
    | 33 |
    +----+
    "#);
}

#[tokio::test]
async fn groups_are_counted_without_rows() {
    let fixture = fixture(2);
    for sql in [
        "SELECT level, count(*) FROM logs WHERE timestamp >= '2026-11-23T01:00:00Z' GROUP BY 1",
        "SELECT source, count(*) FROM logs WHERE level = 'ERROR' GROUP BY 1",
    ] {
        let told = told(&fixture, sql).await;
        assert!(told.contains("2 batches in") && told.contains("read: 0 rows"), "{sql}: {told}");
    }
}

#[tokio::test]
async fn time_leaves_batches_out() {
    let fixture = fixture(6);
    let sql = "SELECT message FROM logs WHERE timestamp < '2026-11-23T01:00:00Z' AND source = 'rare'";
    insta::assert_snapshot!(told(&fixture, sql).await, @"DataSourceExec: buffers: partitions=1, batches=1/6, rows=8192/49152");
}

#[tokio::test]
async fn the_latest_rows_are_the_only_ones_that_are_looked_at() {
    let fixture = fixture(6);
    for (sql, most) in [
        ("SELECT * FROM logs ORDER BY timestamp DESC LIMIT 10", 4_000),
        ("SELECT * FROM logs ORDER BY timestamp LIMIT 10", 4_000),
        ("SELECT * FROM logs WHERE message LIKE '%00' ORDER BY timestamp DESC LIMIT 5", 20_000),
    ] {
        let plan = fixture.analyzed(sql).await;
        let left_out = counter(&plan, "rows_left_out_by_bound");
        assert!(left_out > 48_000 - most, "{left_out} rows left out\n{plan}");
    }
    insta::assert_snapshot!(
        fixture.text("SELECT message FROM logs WHERE source = 'rare' ORDER BY timestamp DESC LIMIT 2").await, @r#"
    +--------------------+
    | message            |
    +--------------------+
    | needle needle49000 |
    | needle needle48000 |
    +--------------------+
    "#);
}

/// The answers to all queries, as text.
async fn answers(fixture: &Fixture, predicate: &str) -> Vec<String> {
    let mut answers = Vec::new();
    for sql in queries(predicate) {
        let found = async { fixture.session().sql(&sql).await?.try_collect::<Vec<_>>().await };
        let found = found.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let found: Vec<_> = found.into_iter().filter(|batch| batch.num_rows() > 0).collect();
        answers.push(format!("{sql}\n{}", pretty_format_batches(&found).unwrap()));
    }
    answers
}

/// The same rows once in memory as they came, once as the segments that they become.
async fn same(pieces: Vec<Vec<Row>>, predicate: &str) {
    let memory = Fixture::new();
    let mut stored: Vec<(Day, RecordBatch)> = Vec::new();
    for piece in pieces {
        // A query in between makes counts of what is there.
        memory
            .query(&format!("SELECT level, count(*) FROM logs WHERE {predicate} GROUP BY 1"))
            .await
            .unwrap();
        let batches = memory.stored(&piece);
        memory.buffer_with_words(batches.clone());
        stored.extend(batches);
    }
    let flushed = Fixture::new();
    stored.sort_by_key(|(day, _)| *day);
    for day in stored.chunk_by(|(one, _), (other, _)| one == other) {
        let batches = day.iter().map(|(_, batch)| batch);
        let rows = concat_batches(&LogSchema::stored(), batches).unwrap();
        flushed.segment_stored(vec![(day[0].0, rows)], 7).await;
    }
    let expected = answers(&flushed, predicate).await;
    for (found, expected) in answers(&memory, predicate).await.into_iter().zip(&expected) {
        assert_eq!(&found, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn a_buffer_answers_like_its_segment(
        pieces in prop::collection::vec(prop::collection::vec(row(), 1..12), 1..4),
        predicate in predicate(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(same(pieces, &predicate));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_and_appends_do_not_hinder_each_other() {
    let fixture = Arc::new(fixture(2));
    let append = |from: i64| {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move {
            for batch in from..from + 3 {
                fixture.buffer(&rows(batch * 8_192..(batch + 1) * 8_192));
                tokio::task::yield_now().await;
            }
        })
    };
    let ask = || {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move {
            let mut before = 0;
            for _ in 0..4 {
                let found = fixture.query("SELECT message FROM logs WHERE search('needle')").await.unwrap();
                let found: usize = found.iter().map(RecordBatch::num_rows).sum();
                assert!(found >= before, "{found} rows after {before}");
                before = found;
            }
        })
    };
    let tasks = [append(2), append(5), ask(), ask()];
    for task in tasks {
        task.await.unwrap();
    }
    // The first time some rows are read; when all words are made, none is.
    let sql = "SELECT count(*) AS n FROM logs WHERE search('needle')";
    let mut counts = Vec::new();
    for _ in 0..4 {
        counts.push(fixture.text(sql).await);
    }
    assert!(counts.iter().all(|count| count.contains("| 66 |")), "{counts:?}");
    assert!(told(&fixture, sql).await.contains("8 batches in 8 cells"), "all are counted");
}
