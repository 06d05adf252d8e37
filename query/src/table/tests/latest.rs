//! The latest rows are read from the small row groups at a segment's newest end, and nothing else of it.

use super::metric;
use crate::fixture::{Fixture, Row};

/// A segment whose row groups hold 15,424, 16,384 and 8,192 rows, a second apart; every hundredth is of a source of
/// its own.
async fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let source = |n: i64| if n % 100 == 0 { "rare" } else { "web" };
    let rows: Vec<_> = (0..40_000).map(|n| Row::new(n, source(n), "INFO", &format!("message {n}"))).collect();
    fixture.segment(&rows, 262_144).await;
    fixture
}

#[tokio::test]
async fn only_the_newest_row_group_is_read() {
    let fixture = fixture().await;
    let sql = "SELECT * FROM logs ORDER BY timestamp DESC LIMIT 100";
    assert_eq!(metric(&fixture, sql, "row_groups_pruned_dynamic_filter").await, 2);
    let (latest, all) = (
        metric(&fixture, sql, "data_bytes").await,
        metric(&fixture, "SELECT * FROM logs ORDER BY message", "data_bytes").await,
    );
    assert!(latest * 3 < all, "{latest} of {all} bytes read");
}

#[tokio::test]
async fn a_source_that_the_newest_row_group_holds_is_read_there() {
    let fixture = fixture().await;
    let sql = |limit| {
        format!("SELECT message FROM logs WHERE source = 'rare' ORDER BY timestamp DESC LIMIT {limit}")
    };
    insta::assert_snapshot!(fixture.text(&sql(2)).await, @r#"
    +---------------+
    | message       |
    +---------------+
    | message 39900 |
    | message 39800 |
    +---------------+
    "#);
    // The newest row group has 82 such rows: they suffice, or they do not.
    let few = metric(&fixture, &sql(50), "pushdown_rows_matched").await;
    let many = metric(&fixture, &sql(100), "pushdown_rows_matched").await;
    assert!(few < 100 && many > 200, "{few} and {many} rows of the source read");
}
