//! Rows that surely pass are read without the columns that the filter asks for.

use arrow::array::RecordBatch;

use super::metric;
use crate::fixture::{Fixture, Row, counter};

/// Two segments of 40,000 rows, a second apart, in row groups of 15,424, 16,384 and 8,192; a third of them are errors, and every other
/// one of two sources.
async fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let row = |n: i64| {
        let (source, level) =
            (if n % 2 == 0 { "web" } else { "db" }, if n % 3 == 0 { "ERROR" } else { "INFO" });
        Row::new(n, source, level, &format!("message {n}")).tag("host", &format!("h{}", n % 7))
    };
    for segment in 0..2 {
        let rows: Vec<_> = (segment * 40_000..(segment + 1) * 40_000).map(row).collect();
        fixture.segment(&rows, 262_144).await;
    }
    fixture
}

async fn bytes(fixture: &Fixture, columns: &str, filter: &str) -> usize {
    metric(fixture, &format!("SELECT {columns} FROM logs WHERE {filter}"), "data_bytes").await
}

#[tokio::test]
async fn columns_of_a_filter_that_surely_holds_are_not_read() {
    let fixture = fixture().await;
    let ids = "count(DISTINCT _row_id)";
    let all = bytes(&fixture, ids, "true").await;
    let since = |time: &str| format!("level <> 'WARN' AND timestamp >= '2026-11-23T00:00:{time}Z'");
    assert_eq!(bytes(&fixture, ids, &since("00")).await, all, "neither levels nor times are read");
    let cut = bytes(&fixture, ids, &since("01")).await;
    assert!(all < cut, "of the row group that the filter cuts they are");
    let whole = bytes(&fixture, ids, &format!("{} AND span_id IS NULL", since("00"))).await;
    assert!(all < whole, "nothing is sure of other columns");
}

#[tokio::test]
async fn a_source_and_level_that_all_rows_share_are_not_read() {
    let fixture = fixture().await;
    let filter = "source = 'web' AND level = 'ERROR' AND _row_id >= 0";
    let bare = bytes(&fixture, "count(DISTINCT message)", filter).await;
    let with = bytes(&fixture, "count(DISTINCT message), min(source), max(level)", filter).await;
    assert_eq!(bare, with);
    insta::assert_snapshot!(
        fixture.text(&format!("SELECT source, level, count(DISTINCT message) AS n, max(_row_id) AS last \
        FROM logs WHERE {filter} GROUP BY source, level")).await, @r#"
    +--------+-------+-------+---------------+
    | source | level | n     | last          |
    +--------+-------+-------+---------------+
    | web    | ERROR | 13334 | 8796093102207 |
    +--------+-------+-------+---------------+
    "#);
}

#[tokio::test]
async fn the_answer_is_that_of_all_rows() {
    let fixture = fixture().await;
    for (filter, rows) in [
        ("timestamp >= '2026-11-23T00:00:10Z'", 80_000 - 10),
        ("timestamp > '2026-11-23T00:00:10Z' AND timestamp <= '2026-11-23T20:00:00Z'", 72_000 - 10),
        ("level = 'ERROR' AND timestamp >= '2026-11-23T00:00:10Z'", 26_667 - 4),
        ("level = 'ERROR' AND source = 'db' AND timestamp < '2026-11-23T20:00:00Z'", 12_000),
        ("level <> 'ERROR' AND (source = 'db' OR timestamp < '2026-11-23T00:00:10Z')", 26_667 + 3),
    ] {
        let sql = format!("SELECT message FROM logs WHERE {filter}");
        let read = fixture.query(&sql).await.unwrap();
        assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), rows, "{filter}");
    }
}

#[tokio::test]
async fn a_bound_is_tried_on_rows_that_surely_pass() {
    let fixture = fixture().await;
    fixture.query("SELECT count(DISTINCT message) FROM logs").await.unwrap();
    let sql = "SELECT message FROM logs WHERE level = 'ERROR' AND timestamp >= '2026-11-23T00:00:00Z' \
               ORDER BY timestamp DESC LIMIT 3";
    let plan = Fixture::analyzed_in(&fixture.splitting_session(), sql).await;
    assert!(
        counter(&plan, "pushdown_rows_matched") + counter(&plan, "pushdown_rows_pruned") < 4_000,
        "{plan}"
    );
    insta::assert_snapshot!(fixture.text(sql).await, @r#"
    +---------------+
    | message       |
    +---------------+
    | message 79998 |
    | message 79995 |
    | message 79992 |
    +---------------+
    "#);
}
