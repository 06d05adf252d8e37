//! Tests of the scan: what it reads, what it leaves out, and in which order.

use crate::fixture::{Fixture, Row};

/// Ten segments of 40 rows each, an hour after the other, and a buffer after them.
async fn hours() -> Fixture {
    let fixture = Fixture::new();
    for hour in 0..10 {
        let rows: Vec<_> = (0..40)
            .map(|n| {
                let source = if n % 2 == 0 { "web" } else { "db" };
                let level = if hour == 3 { "ERROR" } else { "INFO" };
                Row::new(hour * 3600 + n, source, level, &format!("m{hour}-{n}")).tag("n", &n.to_string())
            })
            .collect();
        fixture.segment(&rows, 10).await;
    }
    let rows: Vec<_> = (0..5).map(|n| Row::new(40_000 + n, "live", "WARN", &format!("b{n}"))).collect();
    fixture.buffer(&rows);
    fixture
}

#[tokio::test]
async fn counts_come_from_the_manifest() {
    let fixture = hours().await;
    insta::assert_snapshot!(fixture.text("SELECT count(*) AS n FROM logs").await, @"");
    insta::assert_snapshot!(fixture.plan("SELECT count(*) AS n FROM logs").await, @"");
    insta::assert_snapshot!(fixture.text("SELECT min(timestamp) AS a, max(timestamp) AS b FROM logs").await, @"");
}

#[tokio::test]
async fn time_and_level_leave_segments_unopened() {
    let fixture = hours().await;
    let sql = "SELECT message FROM logs WHERE timestamp >= '2026-11-23T02:00:00Z' \
               AND timestamp < '2026-11-23T02:00:03Z' ORDER BY 1";
    insta::assert_snapshot!(fixture.text(sql).await, @"");
    insta::assert_snapshot!(fixture.plan(sql).await, @"");
    insta::assert_snapshot!(fixture.plan("SELECT message FROM logs WHERE level = 'ERROR' AND source = 'db'").await, @"");
    insta::assert_snapshot!(fixture.plan("SELECT message FROM logs WHERE source = 'nobody'").await, @"");
}

#[tokio::test]
async fn newest_first() {
    let fixture = hours().await;
    let sql = "SELECT timestamp, message, tags['n'] AS n FROM logs ORDER BY timestamp DESC LIMIT 7";
    insta::assert_snapshot!(fixture.text(sql).await, @"");
    insta::assert_snapshot!(fixture.plan(sql).await, @"");
    insta::assert_snapshot!(fixture.text(&format!("EXPLAIN ANALYZE {sql}")).await, @"");
    let sql = "SELECT timestamp, message FROM logs WHERE tags['n'] = '3' ORDER BY timestamp ASC LIMIT 2";
    insta::assert_snapshot!(fixture.text(sql).await, @"");
    insta::assert_snapshot!(fixture.plan(sql).await, @"");
}
