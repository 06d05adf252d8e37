//! Tests of the scan: what it reads, what it leaves out, in which order, and that it shows each row once.

mod damage;
pub(super) mod equal;
mod latest;
mod substrings;
mod sure;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use ironbark_storage::{SegmentId, SegmentMeta};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::TailCache;
use super::tails::Origin;
use crate::fixture::{Fixture, Row, counter};
use crate::{Error, ErrorKind, SearchRequest};

/// Ten segments of 40 rows in 4 row groups, each an hour after the other, and a buffer after them.
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

/// A counter of a query that ran.
async fn metric(fixture: &Fixture, sql: &str, name: &str) -> usize {
    counter(&fixture.analyzed(sql).await, name)
}

/// How many segments a query opened.
async fn opened(fixture: &Fixture, sql: &str) -> usize {
    let plan = fixture.analyzed(sql).await;
    counter(&plan, "tails_read") + counter(&plan, "tails_cached")
}

#[tokio::test]
async fn counts_come_from_the_manifest() {
    let fixture = hours().await;
    insta::assert_snapshot!(fixture.text("SELECT count(*) AS n FROM logs").await, @r#"
    +-----+
    | n   |
    +-----+
    | 405 |
    +-----+
    "#);
    insta::assert_snapshot!(fixture.plan("SELECT count(*) AS n FROM logs").await, @r#"
    ProjectionExec: expr=[405 as n]
      PlaceholderRowExec
    "#);
    insta::assert_snapshot!(
        fixture.text("SELECT min(timestamp) AS a, max(timestamp) AS b FROM logs").await, @r#"
    +----------------------+----------------------+
    | a                    | b                    |
    +----------------------+----------------------+
    | 2026-11-23T00:00:00Z | 2026-11-23T11:06:44Z |
    +----------------------+----------------------+
    "#);
}

#[tokio::test]
async fn counts_are_not_taken_from_the_manifest_where_it_does_not_know() {
    let fixture = hours().await;
    insta::assert_snapshot!(fixture.text(
        "SELECT (SELECT count(*) FROM (SELECT * FROM logs LIMIT 7)) AS a, \
         (SELECT count(*) FROM logs WHERE message LIKE 'm3-%') AS b, \
         (SELECT count(*) FROM (SELECT * FROM logs LIMIT 7 OFFSET 402)) AS c, \
         (SELECT count(source) FROM logs WHERE level <> 'INFO') AS d, \
         (SELECT max(timestamp) FROM logs WHERE source = 'db') AS e").await, @r#"
    +---+----+---+----+----------------------+
    | a | b  | c | d  | e                    |
    +---+----+---+----+----------------------+
    | 7 | 40 | 3 | 45 | 2026-11-23T09:00:39Z |
    +---+----+---+----+----------------------+
    "#);
}

#[tokio::test]
async fn time_source_and_level_leave_segments_unopened() {
    let fixture = hours().await;
    let sql = "SELECT message FROM logs WHERE timestamp >= '2026-11-23T02:00:00Z' \
               AND timestamp < '2026-11-23T02:00:03Z' ORDER BY 1";
    insta::assert_snapshot!(fixture.text(sql).await, @r#"
    +---------+
    | message |
    +---------+
    | m2-0    |
    | m2-1    |
    | m2-2    |
    +---------+
    "#);
    insta::assert_snapshot!(fixture.plan(sql).await, @r#"
    SortExec: expr=[message@0 ASC NULLS LAST], preserve_partitioning=[false]
      DataSourceExec: file_groups={1 group: [[…03.parquet]]}, projection=[message], file_type=parquet, predicate=timestamp@0 >= 1795399200000000000 AND timestamp@0 < 1795399203000000000, sort_order_for_reorder=[message@0 ASC NULLS LAST], pruning_predicate=timestamp_null_count@1 != row_count@2 AND timestamp_max@0 >= 1795399200000000000 AND timestamp_null_count@1 != row_count@2 AND timestamp_min@3 < 1795399203000000000, required_guarantees=[]
    "#);
    insta::assert_snapshot!(
        fixture.plan("SELECT message FROM logs WHERE level = 'ERROR' AND source = 'db'").await, @r#"
    UnionExec
      FilterExec: level@1 = ERROR AND source@0 = db, projection=[message@2]
        DataSourceExec: buffers: partitions=1, batches=1/1, rows=5/5
      TokenIndexExec: templates: sure=20, undecided=0 rows; kept segments=1/1, row_groups=4/4, ranges=4/4, rows=20/40
        DataSourceExec: file_groups={1 group: [[…04.parquet]]}, projection=[message], file_type=parquet, predicate=level@3 = ERROR AND source@2 = db, pruning_predicate=level_null_count@2 != row_count@3 AND level_min@0 <= ERROR AND ERROR <= level_max@1 AND source_null_count@6 != row_count@3 AND source_min@4 <= db AND db <= source_max@5, required_guarantees=[level in (ERROR), source in (db)]
    "#);
    insta::assert_snapshot!(fixture.plan("SELECT message FROM logs WHERE source LIKE 'nobody%'").await, @r#"
    FilterExec: source@0 LIKE nobody%, projection=[message@1]
      DataSourceExec: buffers: partitions=1, batches=1/1, rows=5/5
    "#);
    insta::assert_snapshot!(
        fixture.plan("SELECT message FROM logs WHERE timestamp > '2030-01-01T00:00:00Z'").await, @r#"
    FilterExec: timestamp@0 > 1893456000000000000, projection=[message@1]
      EmptyExec
    "#);
    // The pair does not occur, though both of its values do.
    fixture.segment(&[Row::new(0, "a", "FATAL", "x"), Row::new(1, "b", "DEBUG", "y")], 10).await;
    let plan = fixture.plan("SELECT message FROM logs WHERE source = 'a' AND level = 'DEBUG'").await;
    assert!(!plan.contains("parquet"), "{plan}");
}

#[tokio::test]
async fn newest_first_stops_early() {
    let fixture = hours().await;
    let sql = "SELECT timestamp, message, tags['n'] AS n FROM logs ORDER BY timestamp DESC LIMIT 7";
    // Before the ends of segments are in memory these are read whole.
    insta::assert_snapshot!(fixture.plan(sql).await, @r#"
    SortPreservingMergeExec: [timestamp@0 DESC], fetch=7
      SortExec: TopK(fetch=7), expr=[timestamp@0 DESC], preserve_partitioning=[true]
        UnionExec
          ProjectionExec: expr=[timestamp@0 as timestamp, message@1 as message, tag(tags@2, n) as n]
            DataSourceExec: buffers: partitions=1, batches=1/1, rows=5/5
          DataSourceExec: file_groups={1 group: [[…0a.parquet]]}, projection=[timestamp, message, tag(tags@5, n) as n], file_type=parquet, predicate=DynamicFilter [ empty ], sort_order_for_reorder=[timestamp@0 DESC], reverse_row_groups=true, dynamic_rg_pruning=eligible
    "#);
    insta::assert_snapshot!(fixture.text(sql).await, @r#"
    +----------------------+---------+----+
    | timestamp            | message | n  |
    +----------------------+---------+----+
    | 2026-11-23T11:06:44Z | b4      |    |
    | 2026-11-23T11:06:43Z | b3      |    |
    | 2026-11-23T11:06:42Z | b2      |    |
    | 2026-11-23T11:06:41Z | b1      |    |
    | 2026-11-23T11:06:40Z | b0      |    |
    | 2026-11-23T09:00:39Z | m9-39   | 39 |
    | 2026-11-23T09:00:38Z | m9-38   | 38 |
    +----------------------+---------+----+
    "#);
    // The newest one has enough rows; the other nine stay closed.
    assert_eq!(opened(&fixture, sql).await, 1);
}

#[tokio::test]
async fn oldest_first_stops_early_under_a_filter() {
    let fixture = hours().await;
    let sql = "SELECT timestamp, message FROM logs WHERE tags['n'] <> '3' ORDER BY timestamp LIMIT 1";
    // Before the ends of segments are in memory these are read whole.
    insta::assert_snapshot!(fixture.plan(sql).await, @r#"
    SortPreservingMergeExec: [timestamp@0 ASC NULLS LAST], fetch=1
      SortExec: TopK(fetch=1), expr=[timestamp@0 ASC NULLS LAST], preserve_partitioning=[true]
        UnionExec
          FilterExec: __datafusion_extracted_1@0 != 3, projection=[timestamp@1, message@2]
            ProjectionExec: expr=[tag(tags@2, n) as __datafusion_extracted_1, timestamp@0 as timestamp, message@1 as message]
              DataSourceExec: buffers: partitions=1, batches=1/1, rows=5/5
          FilterExec: __datafusion_extracted_1@0 != 3, projection=[timestamp@1, message@2]
            DataSourceExec: file_groups={2 groups: [[…01.parquet, …03.parquet, …05.parquet, …07.parquet, …09.parquet], […02.parquet, …04.parquet, …06.parquet, …08.parquet, …0a.parquet]]}, projection=[tag(tags@5, n) as __datafusion_extracted_1, timestamp, message], file_type=parquet, predicate=promoted(tag(tags@5, n) != 3) AND DynamicFilter [ empty ], sort_order_for_reorder=[timestamp@0 ASC NULLS LAST], dynamic_rg_pruning=eligible
    "#);
    insta::assert_snapshot!(fixture.text(sql).await, @r#"
    +----------------------+---------+
    | timestamp            | message |
    +----------------------+---------+
    | 2026-11-23T00:00:00Z | m0-0    |
    +----------------------+---------+
    "#);
    let segments = opened(&fixture, sql).await;
    assert!(segments <= 4, "{segments} segments opened");
}

#[tokio::test]
async fn limit_stops_reading() {
    let fixture = hours().await;
    let sql = "SELECT message FROM logs LIMIT 3";
    assert_eq!(fixture.query(sql).await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
    assert!(metric(&fixture, sql, "tails_read").await <= 2);
}

#[tokio::test]
async fn a_second_query_finds_the_tails_in_memory() {
    let fixture = hours().await;
    let sql = "SELECT count(DISTINCT message) FROM logs";
    assert_eq!(metric(&fixture, sql, "tails_read").await, 10);
    assert_eq!(metric(&fixture, sql, "tails_read").await, 0);
    assert_eq!(metric(&fixture, sql, "tails_cached").await, 10);
    assert!(fixture.engine.tail_cache_bytes() > 0);
}

#[tokio::test]
async fn damage_and_loss_are_told_by_name() {
    let fixture = hours().await;
    let key = |n: u32| {
        let id = SegmentId::from_u128(u128::from(n));
        object_store::path::Path::from(format!("default/default/default/logs/2026-11-23/{id}.parquet"))
    };
    let bytes = fixture.store.get(&key(2)).await.unwrap().bytes().await.unwrap();
    let mut damaged = bytes.to_vec();
    let place = damaged.len() - 100;
    damaged[place] ^= 1;
    fixture.store.put(&key(2), PutPayload::from(damaged)).await.unwrap();
    let hour = |hour: u32| {
        format!(
            "SELECT * FROM logs WHERE timestamp BETWEEN '2026-11-23T0{hour}:00:00Z' AND '2026-11-23T0{hour}:10:00Z'"
        )
    };
    let error = fixture.error(&hour(1)).await;
    assert!(error.starts_with("Storage(Corrupt)") && error.contains("000002.parquet is damaged"), "{error}");
    fixture.store.delete(&key(1)).await.unwrap();
    let error = fixture.error(&hour(0)).await;
    assert!(error.starts_with("Storage(Corrupt)") && error.contains("000001.parquet"), "{error}");
}

#[tokio::test]
async fn the_cache_of_tails_is_bounded() {
    let fixture = hours().await;
    fixture.query("SELECT count(DISTINCT message) FROM logs").await.unwrap();
    let ten = fixture.engine.tail_cache_bytes();
    let metas: Vec<std::sync::Arc<SegmentMeta>> = {
        use ironbark_storage::Tables;
        fixture.tables.snapshot(&fixture.table).await.unwrap().manifest().segments().cloned().collect()
    };
    let cache = TailCache::new(ten / 2);
    let mut origins = Vec::new();
    for meta in metas.iter().chain(&metas[8..]).chain(&metas[..1]) {
        let partition = ironbark_storage::Partition { table: fixture.table.clone(), day: meta.day };
        let key = ironbark_storage::key::segment(&partition, meta.id);
        let read = ironbark_storage::read_tail(fixture.store.as_ref(), &key, meta);
        origins.push(cache.get(meta.id, read).await.unwrap().1);
        assert!(cache.bytes() <= ten / 2);
    }
    assert_eq!(origins[..10], [Origin::Store; 10]);
    assert_eq!(origins[10..], [Origin::Memory, Origin::Memory, Origin::Store]);
}

#[tokio::test]
async fn a_segment_that_was_deleted_behind_our_back_is_named() {
    let fixture = Fixture::new();
    fixture.segment(&[Row::new(1, "web", "INFO", "one")], 10).await;
    let objects: Vec<_> = fixture.store.list(None).try_collect().await.unwrap();
    for object in &objects {
        fixture.store.delete(&object.location).await.unwrap();
    }
    let error = fixture.query("SELECT * FROM logs").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage(ironbark_storage::ErrorKind::Corrupt), "{error:?}");
    let (said, key) = (error.to_string(), objects[0].location.to_string());
    assert!(said.contains(&key) && said.contains("`ironbark admin check`"), "{said}");
    let request = SearchRequest { limit: 1, ..SearchRequest::default() };
    let error = fixture.session().search(&request).await.unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error:?}");
}
