//! The latest rows are read from the small row groups at a segment's newest end, and nothing else of it.

use arrow::array::RecordBatch;

use super::metric;
use crate::fixture::{Fixture, Row, counter};

/// Segments of 40,000 rows, one after the other, whose row groups hold 15,424, 16,384 and 8,192 rows, a second apart;
/// every hundredth is of a source of its own, and holds a word of its own.
async fn segments(count: i64) -> Fixture {
    let fixture = Fixture::new();
    let row = |n: i64| match n % 100 {
        0 => Row::new(n, "rare", "INFO", &format!("needle {n}")),
        _ => Row::new(n, "web", "INFO", &format!("message {n}")),
    };
    for segment in 0..count {
        let rows: Vec<_> = (segment * 40_000..(segment + 1) * 40_000).map(row).collect();
        fixture.segment(&rows, 262_144).await;
    }
    fixture
}

async fn fixture() -> Fixture {
    segments(1).await
}

/// The plan of a query that ran in a session that cuts segments into ranges of bytes, and found their ends in memory.
async fn split(fixture: &Fixture, sql: &str) -> String {
    fixture.query("SELECT count(DISTINCT message) FROM logs").await.unwrap();
    Fixture::analyzed_in(&fixture.splitting_session(), sql).await
}

/// Rows whose time was compared with the bound, in thousands.
fn rows_looked_at(plan: &str) -> usize {
    (counter(plan, "pushdown_rows_matched") + counter(plan, "pushdown_rows_pruned")) / 1_000
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
    +--------------+
    | message      |
    +--------------+
    | needle 39900 |
    | needle 39800 |
    +--------------+
    "#);
    // The newest row group has 82 such rows: they suffice, or they do not.
    let few = metric(&fixture, &sql(50), "pushdown_rows_matched").await;
    let many = metric(&fixture, &sql(100), "pushdown_rows_matched").await;
    assert!(few < 100 && many > 200, "{few} and {many} rows of the source read");
}

#[tokio::test]
async fn a_segment_that_was_cut_is_read_from_its_newest_row_group_too() {
    let fixture = segments(2).await;
    let plan = split(&fixture, "SELECT * FROM logs ORDER BY timestamp DESC LIMIT 100").await;
    assert!(plan.contains("file_groups={1 group: ["), "{plan}");
    assert_eq!(rows_looked_at(&plan), 8, "{plan}");
    let plan = split(&fixture, "SELECT * FROM logs ORDER BY timestamp LIMIT 100").await;
    assert_eq!(rows_looked_at(&plan), 15, "{plan}");
    // More rows than the newest row group has are worth the work of all partitions.
    let plan = split(&fixture, "SELECT message FROM logs ORDER BY timestamp DESC LIMIT 10000").await;
    assert!(plan.contains("file_groups={2 groups: ["), "{plan}");
    assert!((24..=39).contains(&rows_looked_at(&plan)), "{plan}");
}

#[tokio::test]
async fn a_bound_rules_out_row_groups_with_selected_pages() {
    let fixture = segments(2).await;
    let sql = |limit| {
        format!("SELECT message FROM logs WHERE search('needle') ORDER BY timestamp DESC LIMIT {limit}")
    };
    let plan = split(&fixture, &sql(50)).await;
    assert!(plan.contains("row_groups=6/6, ranges=6/10"), "the index selects pages\n{plan}");
    // Of the newest row groups of each partition the first page has the word.
    assert!(rows_looked_at(&plan) <= 16, "{plan}");
    let all = split(&fixture, &sql(1_000)).await;
    assert!(rows_looked_at(&all) > 45, "{all}");
}

#[tokio::test]
async fn few_selected_rows_are_read_one_row_group_after_the_other() {
    let fixture = fixture().await;
    // Templates know of the source, but not on which side of the hour its rows are.
    let sql = |limit| {
        let of_rare = "source = 'rare' AND timestamp < '2026-11-23T11:05:00Z'";
        format!("SELECT message FROM logs WHERE {of_rare} ORDER BY timestamp DESC LIMIT {limit}")
    };
    let plan = split(&fixture, &sql(50)).await;
    assert!(plan.contains("undecided=81 rows; kept segments=1/1, row_groups=2/3"), "{plan}");
    assert!(plan.contains("file_groups={1 group: ["), "{plan}");
    assert_eq!(counter(&plan, "pushdown_rows_matched"), 80, "rows of the newest row group alone\n{plan}");
    // The newest row group has 81 of them: more are looked for by all partitions at once.
    let plan = split(&fixture, &sql(100)).await;
    assert!(plan.contains("file_groups={2 groups: ["), "{plan}");
    assert_eq!(counter(&plan, "pushdown_rows_matched"), 244, "{plan}");
}

#[tokio::test]
async fn other_orders_are_left_to_all_partitions() {
    let fixture = fixture().await;
    let plan = split(&fixture, "SELECT * FROM logs ORDER BY message LIMIT 1").await;
    assert!(plan.contains("file_groups={2 groups: ["), "{plan}");
    assert_eq!(rows_looked_at(&plan), 39, "{plan}");
}

#[tokio::test]
async fn what_lies_behind_the_wanted_rows_is_not_asked() {
    let fixture = segments(3).await;
    let of_rare = async |rest: &str| {
        let plan = fixture.plan(&format!("SELECT message FROM logs WHERE source = 'rare' {rest}")).await;
        let line = plan.lines().find(|line| line.contains("TokenIndexExec"));
        line.and_then(|line| line.split_once("kept ")).unwrap().1.to_owned()
    };
    // A new day begins within the last 40,000 rows. Its newest row group has 81 rows of this source, the next one 164.
    let asked = [
        of_rare("ORDER BY timestamp DESC LIMIT 81").await,
        of_rare("ORDER BY timestamp DESC LIMIT 82").await,
        // The oldest segment has 400 of them.
        of_rare("ORDER BY timestamp LIMIT 401").await,
        // No row is known to pass.
        of_rare("AND tags['a'] IS NULL ORDER BY timestamp LIMIT 1").await,
        of_rare("ORDER BY message, timestamp LIMIT 1").await,
        // Rows may get lost above the table.
        of_rare("AND random() < 0.5 ORDER BY timestamp LIMIT 1").await,
    ];
    insta::assert_snapshot!(asked.join("\n"), @r#"
    segments=1/4, row_groups=1/3, ranges=5/5, rows=81/33600, behind=3
    segments=1/4, row_groups=2/3, ranges=5/5, rows=245/33600, behind=3
    segments=2/4, row_groups=4/6, ranges=10/10, rows=555/80000, behind=2
    segments=4/4, row_groups=10/10, ranges=16/16, rows=1200/120000
    segments=4/4, row_groups=10/10, ranges=16/16, rows=1200/120000
    segments=4/4, row_groups=10/10, ranges=16/16, rows=1200/120000
    "#);
    let all =
        fixture.query("SELECT message FROM logs WHERE source = 'rare' ORDER BY timestamp DESC LIMIT 250");
    assert_eq!(all.await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 250);
}
