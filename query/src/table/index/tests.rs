//! Tests of scans that token indexes narrow: the same rows as without, of less that is read, whatever is broken.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use ironbark_storage::{Piece, SegmentId, SegmentMeta, TableRef, Tables, key};
use object_store::{ObjectStoreExt, PutPayload};

use super::PieceCache;
use super::pieces::PIECES_BYTES_MAX;
use crate::fixture::{Fixture, Row, counter};

/// Rows of the large segment: two full ranges and a part of a third.
const LARGE_ROWS: i64 = 20_000;

/// Ten segments of 40 rows in 4 row groups, each an hour after the other, and a buffer after them.
async fn hours() -> Fixture {
    let fixture = Fixture::new();
    for hour in 0..10 {
        let row = |n: i64| {
            let message = format!("request {hour}x{n} took {}ms", n * 31);
            Row::new(hour * 3600 + n, "web", "INFO", &message).trace(&format!("Trace-{hour}-{}", n / 20))
        };
        fixture.segment(&(0..40).map(row).collect::<Vec<_>>(), 10).await;
    }
    let live = |n: i64| Row::new(40_000 + n, "live", "WARN", &format!("request live{n} took 1ms"));
    fixture.buffer(&(0..5).map(live).collect::<Vec<_>>());
    fixture
}

/// One segment of three ranges: two in a row group, and the newest in one of its own.
async fn large() -> Fixture {
    let fixture = Fixture::new();
    let row = |n: i64| {
        let rest = if n < 100 { "early bird" } else { "" };
        Row::new(n, "web", "INFO", &format!("id{n} {rest}")).tag("n", &n.to_string())
    };
    fixture.segment(&(0..LARGE_ROWS).map(row).collect::<Vec<_>>(), 1 << 20).await;
    fixture
}

/// The line of the plan about indexes.
async fn shown(fixture: &Fixture, sql: &str) -> String {
    let plan = fixture.plan(sql).await;
    plan.lines().find(|line| line.contains("TokenIndexExec")).unwrap_or("none").trim().to_owned()
}

async fn count(fixture: &Fixture, condition: &str) -> i64 {
    let batches = fixture.query(&format!("SELECT count(*) FROM logs WHERE {condition}")).await.unwrap();
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

async fn metas(fixture: &Fixture) -> Vec<Arc<SegmentMeta>> {
    fixture.tables.snapshot(&fixture.table).await.unwrap().manifest().segments().cloned().collect()
}

fn key_of(table: &TableRef, meta: &SegmentMeta) -> object_store::path::Path {
    key::segment(&ironbark_storage::Partition { table: table.clone(), day: meta.day }, meta.id)
}

#[tokio::test]
async fn a_needle_opens_one_row_group() {
    let fixture = hours().await;
    let sql = "SELECT message, trace_id FROM logs WHERE search('7x33')";
    insta::assert_snapshot!(fixture.text(sql).await, @r#"
    +--------------------------+-----------+
    | message                  | trace_id  |
    +--------------------------+-----------+
    | request 7x33 took 1023ms | Trace-7-1 |
    +--------------------------+-----------+
    "#);
    insta::assert_snapshot!(fixture.plan(sql).await, @r#"
    UnionExec
      FilterExec: matches(message@0, 7x33)
        DataSourceExec: buffers: partitions=1, batches=1/1, rows=5/5, words: message:7x33 1/1, unindexed=1
      TokenIndexExec: message:7x33 1/40; kept segments=1/10, row_groups=1/40, ranges=1/40, rows=10/400
        DataSourceExec: file_groups={1 group: [[…08.parquet]]}, projection=[message, trace_id], file_type=parquet, predicate=matches(message@4, 7x33)
    "#);
    let plan = fixture.analyzed(sql).await;
    assert_eq!(counter(&plan, "tails_cached"), 1, "{plan}");
}

#[tokio::test]
async fn explain_tells_what_each_clause_kept() {
    let fixture = hours().await;
    let mut lines = Vec::new();
    for condition in [
        "search('7x33 took')",
        "search('7x33 OR 3x5')",
        "search('request')",
        "search('-request')",
        "search('trace_id:trace-3-1')",
        "trace_id = 'Trace-3-1' AND timestamp < '2026-11-23T04:00:00Z'",
        "search('nowhere')",
        "search('7x*')",
        "message LIKE '% 2x9 %'",
        "level = 'INFO'",
    ] {
        let line = shown(&fixture, &format!("SELECT * FROM logs WHERE {condition}")).await;
        lines.push(format!("{condition}: {} rows\n    {line}", count(&fixture, condition).await));
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    search('7x33 took'): 1 rows
        TokenIndexExec: message:7x33 1/40; message:took 40/40; kept segments=1/10, row_groups=1/40, ranges=1/40, rows=10/400
    search('7x33 OR 3x5'): 2 rows
        TokenIndexExec: (message:7x33 OR message:3x5) 2/40; kept segments=2/10, row_groups=2/40, ranges=2/40, rows=20/400
    search('request'): 405 rows
        TokenIndexExec: message:request 40/40; templates: sure=400, undecided=0 rows; kept segments=10/10, row_groups=40/40, ranges=40/40, rows=400/400
    search('-request'): 0 rows
        TokenIndexExec: templates: sure=0, undecided=0 rows; kept segments=0/10, row_groups=0/40, ranges=40/40, rows=0/400
    search('trace_id:trace-3-1'): 20 rows
        TokenIndexExec: trace_id:trace-3-1 2/40; kept segments=1/10, row_groups=2/40, ranges=2/40, rows=20/400
    trace_id = 'Trace-3-1' AND timestamp < '2026-11-23T04:00:00Z': 20 rows
        TokenIndexExec: trace_id:trace-3-1 2/16; kept segments=1/4, row_groups=2/16, ranges=2/16, rows=20/160
    search('nowhere'): 0 rows
        TokenIndexExec: message:nowhere 0/40; kept segments=0/10, row_groups=0/40, ranges=0/40, rows=0/400
    search('7x*'): 40 rows
        TokenIndexExec: templates: sure=0, undecided=400 rows; kept segments=10/10, row_groups=40/40, ranges=40/40, rows=400/400
    message LIKE '% 2x9 %': 1 rows
        TokenIndexExec: message:2x9 1/40; kept segments=1/10, row_groups=1/40, ranges=1/40, rows=10/400
    level = 'INFO': 400 rows
        TokenIndexExec: templates: sure=400, undecided=0 rows; kept segments=10/10, row_groups=40/40, ranges=40/40, rows=400/400
    "#);
}

#[tokio::test]
async fn grams_rule_out_ranges_of_undecided_rows() {
    let fixture = large().await;
    let mut lines = Vec::new();
    for condition in [
        "message LIKE '%d500%'",
        "message LIKE '%id50%'",
        "message LIKE '%zid50%'",
        "message LIKE '%id50% early%'",
        "message NOT LIKE '%id50%'",
        "message ~ 'id50[0-9]'",
        "search('*id50*')",
    ] {
        let line = shown(&fixture, &format!("SELECT * FROM logs WHERE {condition}")).await;
        lines.push(format!("{condition}: {} rows\n    {line}", count(&fixture, condition).await));
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    message LIKE '%d500%': 11 rows
        TokenIndexExec: templates: sure=0, undecided=20000 rows; kept segments=1/1, row_groups=2/2, ranges=3/3, rows=20000/20000
    message LIKE '%id50%': 111 rows
        TokenIndexExec: templates: sure=0, undecided=11808 rows; kept segments=1/1, row_groups=1/2, ranges=3/3, rows=11808/20000
    message LIKE '%zid50%': 0 rows
        TokenIndexExec: templates: sure=0, undecided=0 rows; kept segments=0/1, row_groups=0/2, ranges=3/3, rows=0/20000
    message LIKE '%id50% early%': 1 rows
        TokenIndexExec: templates: sure=0, undecided=100 rows; kept segments=1/1, row_groups=1/2, ranges=3/3, rows=100/20000
    message NOT LIKE '%id50%': 19889 rows
        TokenIndexExec: templates: sure=8192, undecided=11808 rows; kept segments=1/1, row_groups=2/2, ranges=3/3, rows=20000/20000
    message ~ 'id50[0-9]': 110 rows
        TokenIndexExec: templates: sure=0, undecided=11708 rows; kept segments=1/1, row_groups=1/2, ranges=3/3, rows=11808/20000
    search('*id50*'): 111 rows
        TokenIndexExec: templates: sure=0, undecided=20000 rows; kept segments=1/1, row_groups=2/2, ranges=3/3, rows=20000/20000
    "#);
}

#[tokio::test]
async fn a_row_group_is_read_in_part() {
    let fixture = large().await;
    let needle = "SELECT count(*) FROM logs WHERE search('id50')";
    let plan = fixture.analyzed(needle).await;
    let all = fixture.analyzed("SELECT count(*) FROM logs WHERE message LIKE '%id50%'").await;
    assert!(plan.contains("row_groups=1/2, ranges=1/3"), "{plan}");
    let (read, of) = (counter(&plan, "data_bytes"), counter(&all, "data_bytes"));
    assert!(read * 2 < of, "{read} of {of} bytes");
    assert_eq!(count(&fixture, "search('id50')").await, 1);
    assert_eq!(count(&fixture, "search('early bird')").await, 100);
    let newest = "SELECT message FROM logs WHERE search('early OR id9000') ORDER BY timestamp DESC LIMIT 2";
    insta::assert_snapshot!(fixture.text(newest).await, @r#"
    +-----------------+
    | message         |
    +-----------------+
    | id9000          |
    | id99 early bird |
    +-----------------+
    "#);
}

/// Where an index leaves few rows, the pages of all columns that hold them come with one request.
#[tokio::test]
async fn few_rows_cost_one_request() {
    let fixture = large().await;
    let nothing = fixture.analyzed("SELECT * FROM logs WHERE search('early nowhere7')").await;
    assert_eq!(counter(&nothing, "data_requests"), 0, "{nothing}");
    let found = fixture.analyzed("SELECT * FROM logs WHERE search('\"early bird\"')").await;
    assert!(found.contains("ranges=1/3") && found.contains("output_rows=100"), "{found}");
    assert_eq!(counter(&found, "data_requests"), 1, "{found}");
    let scanned =
        fixture.analyzed("SELECT * FROM logs WHERE message > 'id99 e' AND message < 'id99 f'").await;
    assert!(counter(&scanned, "data_requests") > 2, "{scanned}");
    assert!(counter(&found, "data_bytes") < counter(&scanned, "data_bytes"), "{found}");
}

#[tokio::test]
async fn pieces_are_read_once() {
    let fixture = hours().await;
    let sql = "SELECT message FROM logs WHERE search('7x33')";
    let (cold, warm) = (fixture.analyzed(sql).await, fixture.analyzed(sql).await);
    assert_eq!(counter(&cold, "index_requests"), 10, "{cold}");
    assert!(counter(&cold, "index_pieces_read") >= 10 && counter(&cold, "index_bytes") > 0, "{cold}");
    assert_eq!(counter(&warm, "index_requests"), 0, "{warm}");
    assert_eq!(counter(&warm, "index_pieces_cached"), 10, "{warm}");
}

#[test]
fn the_cache_of_pieces_is_bounded() {
    let cache = PieceCache::default();
    let quarter = Bytes::from(vec![7; PIECES_BYTES_MAX / 4]);
    let id = SegmentId::from_u128;
    for n in 0..4 {
        cache.put(id(n), Piece::Rare(1), &quarter);
        assert!(cache.get(id(0), Piece::Rare(1)).is_some(), "used last, kept");
    }
    assert!(cache.bytes() <= PIECES_BYTES_MAX);
    assert!(cache.get(id(1), Piece::Rare(1)).is_none(), "not used, gone");
    assert!(cache.get(id(0), Piece::Rare(2)).is_none());
    cache.put(id(0), Piece::Rare(1), b"again");
    assert_eq!(cache.get(id(0), Piece::Rare(1)).unwrap(), &b"again"[..]);
}

#[tokio::test]
async fn segments_without_an_index_are_read_whole() {
    let fixture = hours().await;
    let old = |n: i64| Row::new(36_000 + n, "old", "INFO", &format!("request old{n} 7x33"));
    fixture.segment_unindexed(&(0..20).map(old).collect::<Vec<_>>(), 10).await;
    assert_eq!(count(&fixture, "search('7x33')").await, 21);
    insta::assert_snapshot!(shown(&fixture, "SELECT * FROM logs WHERE search('7x33')").await, @"TokenIndexExec: message:7x33 1/40; kept segments=2/11, row_groups=1/40, ranges=1/40, rows=10/400, unindexed=1");
}

#[tokio::test]
async fn nothing_of_segments_without_an_index_is_read_while_planning() {
    let fixture = Fixture::new();
    fixture.segment_unindexed(&[Row::new(0, "old", "INFO", "one")], 10).await;
    insta::assert_snapshot!(shown(&fixture, "SELECT * FROM logs WHERE search('one')").await, @"TokenIndexExec: message:one 0/0; kept segments=1/1, row_groups=0/0, ranges=0/0, rows=0/0, unindexed=1");
    fixture.plan("SELECT count(*) FROM logs WHERE search('one')").await;
    assert_eq!(fixture.engine.tail_cache_bytes(), 0);
    assert_eq!(count(&fixture, "search('one')").await, 1);
    assert!(fixture.engine.tail_cache_bytes() > 0);
}

/// A term in more than eight ranges is counted by its index, if the rest of the filter holds for all of the segment.
#[tokio::test]
async fn a_term_is_counted_by_its_index() {
    let fixture = hours().await;
    let many = |n: i64| Row::new(36_000 + n, "many", "ERROR", &format!("request {n} TOOK long"));
    fixture.segment(&(0..100).map(many).collect::<Vec<_>>(), 10).await;
    let mut lines = Vec::new();
    for condition in [
        "search('took')",
        "search('took') AND timestamp >= '2026-11-23T10:00:00Z'",
        "search('took') AND timestamp >= '2026-11-23T10:00:50Z'",
        "search('took') AND level = 'ERROR'",
        "search('took') AND level IN ('ERROR', 'WARN') AND source <> 'x'",
        "search('took') AND message LIKE '%7%'",
        "search('nowhere')",
        "lower(trace_id) = 'trace-3-1'",
    ] {
        let rows = count(&fixture, condition).await;
        let plan = fixture.plan(&format!("SELECT count(*) FROM logs WHERE {condition}")).await;
        let counted = plan.lines().find(|line| line.contains("StatisticsExec")).unwrap_or("none").trim();
        let same = fixture.query(&format!("SELECT _row_id FROM logs WHERE {condition}")).await.unwrap();
        assert_eq!(
            same.iter().map(RecordBatch::num_rows).sum::<usize>(),
            usize::try_from(rows).unwrap(),
            "{condition}"
        );
        lines.push(format!("{condition}: {rows}\n    {counted}"));
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    search('took'): 505
        StatisticsExec: counted: 500 rows of 11 segments in 11 cells, 0 segments in part; read: 5 rows of 0 segments, 1 batches
    search('took') AND timestamp >= '2026-11-23T10:00:00Z': 105
        StatisticsExec: counted: 100 rows of 1 segments in 1 cells, 0 segments in part; read: 5 rows of 0 segments, 1 batches
    search('took') AND timestamp >= '2026-11-23T10:00:50Z': 55
        StatisticsExec: counted: 50 rows of 1 segments in 1 cells, 0 segments in part; read: 5 rows of 0 segments, 1 batches
    search('took') AND level = 'ERROR': 100
        StatisticsExec: counted: 100 rows of 1 segments in 1 cells, 0 segments in part; read: 0 rows of 0 segments, 0 batches
    search('took') AND level IN ('ERROR', 'WARN') AND source <> 'x': 105
        StatisticsExec: counted: 100 rows of 1 segments in 1 cells, 0 segments in part; read: 5 rows of 0 segments, 1 batches
    search('took') AND message LIKE '%7%': 149
        StatisticsExec: counted: 0 rows of 0 segments in 0 cells, 11 segments in part; read: 505 rows of 0 segments, 1 batches
    search('nowhere'): 0
        StatisticsExec: counted: 0 rows of 11 segments in 11 cells, 0 segments in part; read: 5 rows of 0 segments, 1 batches
    lower(trace_id) = 'trace-3-1': 20
        StatisticsExec: counted: 0 rows of 10 segments in 10 cells, 0 segments in part; read: 45 rows of 1 segments, 1 batches
    "#);
}

#[tokio::test]
async fn a_damaged_index_costs_time_and_no_row() {
    let fixture = hours().await;
    for meta in metas(&fixture).await {
        let key = key_of(&fixture.table, &meta);
        let index = meta.index.unwrap();
        let mut bytes = fixture.store.get(&key).await.unwrap().bytes().await.unwrap().to_vec();
        // All of the index that is not in the tail.
        let start = usize::try_from(index.offset).unwrap();
        let end = bytes.len() - usize::try_from(meta.tail_bytes).unwrap();
        assert!(start < end);
        bytes[start..end].iter_mut().for_each(|byte| *byte ^= 0x55);
        fixture.store.put(&key, PutPayload::from(bytes)).await.unwrap();
    }
    assert_eq!(count(&fixture, "search('7x33')").await, 1);
    assert_eq!(count(&fixture, "search('request')").await, 405);
    assert_eq!(count(&fixture, "trace_id = 'Trace-3-1'").await, 20);
    insta::assert_snapshot!(shown(&fixture, "SELECT * FROM logs WHERE search('7x33')").await, @"TokenIndexExec: message:7x33 0/0; kept segments=10/10, row_groups=0/0, ranges=0/0, rows=0/0, failed=10");
}

#[tokio::test]
async fn tags_are_found_by_the_tokens_of_their_values() {
    let fixture = Fixture::new();
    let row = |n: i64| {
        let user = if n == 15_000 { "1e3".to_owned() } else { (7 * n).to_string() };
        let row = Row::new(n, "web", "INFO", "served").tag("env", if n < 100 { "dev" } else { "prod" });
        row.tag("Request.Id", &format!("{n:04x}-Ab{n}")).typed("user", &user, 'n')
    };
    fixture.segment(&(0..LARGE_ROWS).map(row).collect::<Vec<_>>(), 1 << 20).await;
    let mut lines = Vec::new();
    for condition in [
        "tags['Request.Id'] = '0bb8-Ab3000'",
        "search('request.id:ab3000')",
        "search('Request.Id:ab3000')",
        "search('user:21000')",
        "search('user:1000')",
        "tags['user'] IN ('7', '139993')",
        "tags['nobody'] = 'x'",
        "NOT tags['Request.Id'] = '0bb8-Ab3000'",
        // It has a column of its own.
        "tags['env'] = 'dev'",
        "tags['env'] = 'dev' AND tags['user'] = '70'",
    ] {
        let line = shown(&fixture, &format!("SELECT message FROM logs WHERE {condition}")).await;
        let line =
            line.split_once("TokenIndexExec: ").map_or("-", |(_, kept)| kept.split_once("; kept").unwrap().0);
        lines.push(format!("{condition}: {} rows, {line}", count(&fixture, condition).await));
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    tags['Request.Id'] = '0bb8-Ab3000': 1 rows, tags.request.id:0bb8 1/3; tags.request.id:ab3000 1/3
    search('request.id:ab3000'): 0 rows, tags.request.id:ab3000 1/3
    search('Request.Id:ab3000'): 1 rows, tags.request.id:ab3000 1/3
    search('user:21000'): 1 rows, (tags.user:21000 OR tags.user:<odd number>) 2/3
    search('user:1000'): 1 rows, (tags.user:1000 OR tags.user:<odd number>) 1/3
    tags['user'] IN ('7', '139993'): 2 rows, (tags.user:7 OR tags.user:139993) 2/3
    tags['nobody'] = 'x': 0 rows, tags.nobody:x 0/3
    NOT tags['Request.Id'] = '0bb8-Ab3000': 19999 rows, -
    tags['env'] = 'dev': 100 rows, tags.env:dev 3/3
    tags['env'] = 'dev' AND tags['user'] = '70': 1 rows, tags.env:dev 3/3; tags.user:70 1/3
    "#);
}
