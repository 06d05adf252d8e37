//! The engine as its callers see it: durable, visible once, unrepeatable, bounded.

use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use ironbark_storage::{LogBatchBuilder, RowRef, Store, TagSet, TimeWindow, Timestamp, column, read_segment};

use futures::TryStreamExt;

use super::*;
use crate::EngineBuilder;
use crate::disk::sim::SimDisk;

mod trouble;

const DAY_NS: i64 = ironbark_storage::DAY_NS;

fn logs() -> TableRef {
    TableRef::logs(TenantId::default())
}

fn batch(messages: &[&str], day: i64) -> LogBatch {
    let mut builder = LogBatchBuilder::new(Timestamp::from_ns(400 * DAY_NS), TimeWindow::default());
    for message in messages {
        let row =
            RowRef { timestamp: Some(Timestamp::from_ns(day * DAY_NS + 7)), message, ..RowRef::default() };
        builder.push(row, &mut TagSet::new()).unwrap();
    }
    builder.finish().unwrap()
}

fn config() -> EngineConfig {
    EngineConfig {
        wal_file_bytes: 64 * 1024,
        disk_reserve_bytes: 0,
        flush_age_ms: 3_600_000,
        append_wait_ms: 0,
        ..EngineConfig::default()
    }
}

async fn open(disk: &SimDisk, store: &Store, config: EngineConfig) -> Arc<Engine> {
    let builder = EngineBuilder::on_disk(Arc::new(disk.clone()), Path::new("/data"), store.clone());
    builder.config(config).ambient(Ambient::seeded(Timestamp::from_ns(400 * DAY_NS), 7)).open().await.unwrap()
}

fn disk() -> SimDisk {
    SimDisk::new("/data")
}

/// Every message that a query would see, with its row id, in order of the ids.
async fn visible(engine: &Engine, store: &Store, table: &TableRef) -> Vec<(i64, String)> {
    let snapshot = engine.snapshot(table).await.unwrap();
    let mut batches = Vec::new();
    for buffer in snapshot.buffers() {
        batches.extend(buffer.batches().cloned());
    }
    for segment in snapshot.manifest().segments() {
        let rows: Vec<_> =
            read_segment(store.tenant(&table.tenant), table, segment).try_collect().await.unwrap();
        batches.extend(rows);
    }
    let mut rows = Vec::new();
    for batch in &batches {
        let ids = batch.column_by_name(column::ROW_ID).unwrap().as_primitive::<Int64Type>();
        let messages = batch.column_by_name(column::MESSAGE).unwrap().as_string::<i32>();
        rows.extend(ids.values().iter().copied().zip(messages.iter().map(|m| m.unwrap().to_owned())));
    }
    rows.sort();
    rows
}

fn messages(rows: &[(i64, String)]) -> Vec<&str> {
    rows.iter().map(|(_, message)| message.as_str()).collect()
}

#[tokio::test]
async fn acked_means_durable() {
    let (disk, store) = (disk(), Store::memory());
    let engine = open(&disk, &store, config()).await;
    engine.append(&logs(), batch(&["a", "b"], 1), None).await.unwrap();
    engine.append(&logs(), batch(&["c"], 2), None).await.unwrap();
    let before = visible(&engine, &store, &logs()).await;
    assert_eq!(messages(&before), ["a", "b", "c"]);
    drop(engine);
    let disk = disk.crash(3);
    let engine = open(&disk, &store, config()).await;
    assert_eq!(visible(&engine, &store, &logs()).await, before, "row ids survive the restart");
    engine.append(&logs(), batch(&["d"], 1), None).await.unwrap();
    assert_eq!(messages(&visible(&engine, &store, &logs()).await), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_row_is_visible_exactly_once() {
    let (disk, store) = (disk(), Store::memory());
    let engine = open(&disk, &store, config()).await;
    engine.append(&logs(), batch(&["a"], 1), None).await.unwrap();
    engine.append(&logs(), batch(&["b"], 2), None).await.unwrap();
    let report = engine.flush().await.unwrap();
    assert_eq!((report.segments, report.rows), (2, 2));
    engine.append(&logs(), batch(&["c"], 1), None).await.unwrap();
    let before = visible(&engine, &store, &logs()).await;
    assert_eq!(messages(&before), ["a", "b", "c"]);
    assert_eq!(engine.snapshot(&logs()).await.unwrap().buffers().len(), 1);
    drop(engine);
    let engine = open(&disk.crash(5), &store, config()).await;
    assert_eq!(visible(&engine, &store, &logs()).await, before);
    assert_eq!(engine.flush().await.unwrap().rows, 1);
    assert_eq!(visible(&engine, &store, &logs()).await, before);
}

#[tokio::test]
async fn a_key_is_unrepeatable_over_restarts_and_truncations() {
    let (disk, store) = (disk(), Store::memory());
    let once = |body_hash| Once {
        key: "order-7".parse().unwrap(),
        body_hash,
        answer: Bytes::from_static(b"{\"accepted\":1}"),
    };
    let engine = open(&disk, &store, config()).await;
    engine.append(&logs(), batch(&["a"], 1), Some(once(1))).await.unwrap();
    let again = engine.append(&logs(), batch(&["a"], 1), Some(once(1))).await.unwrap();
    assert_eq!(again, Appended::Repeated { answer: Bytes::from_static(b"{\"accepted\":1}") });
    drop(engine);
    let disk = disk.crash(1);
    let engine = open(&disk, &store, config()).await;
    let other = engine.append(&logs(), batch(&["b"], 1), Some(once(2))).await;
    assert!(matches!(other, Err(Error::KeyReused { .. })));
    // Fill several WAL files, so that the record with the key is truncated.
    let long = "x".repeat(8_000);
    for _ in 0..30 {
        engine.append(&logs(), batch(&[&long], 1), None).await.unwrap();
        engine.flush().await.unwrap();
    }
    assert!(engine.inner.wal.live_range().start > Lsn::new(1), "the WAL was truncated");
    drop(engine);
    let engine = open(&disk.crash(2), &store, config()).await;
    let again = engine.append(&logs(), batch(&["a"], 1), Some(once(1))).await.unwrap();
    assert!(matches!(again, Appended::Repeated { .. }));
    let rows = visible(&engine, &store, &logs()).await;
    assert_eq!(rows.iter().filter(|(_, message)| message == "a").count(), 1);
}

#[tokio::test]
async fn memory_is_bounded_by_refusing_before_anything_is_stored() {
    let (disk, store) = (disk(), Store::memory());
    let small = EngineConfig { buffer_bytes_max: 40_000, flush_bytes: u64::MAX, ..config() };
    let engine = open(&disk, &store, small).await;
    let long = "x".repeat(10_000);
    let mut acked = 0;
    let refused = loop {
        match engine.append(&logs(), batch(&[&long], 1), None).await {
            Ok(_) => acked += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::MemoryFull { .. }), "{refused}");
    assert!(refused.retry_after().is_some());
    assert_eq!(visible(&engine, &store, &logs()).await.len(), acked);
    engine.flush().await.unwrap();
    engine.append(&logs(), batch(&[&long], 1), None).await.unwrap();
}

#[tokio::test]
async fn an_unknown_table_is_refused_until_it_is_created() {
    let (disk, store) = (disk(), Store::memory());
    let engine = open(&disk, &store, config()).await;
    let audit = TableRef { table: "audit".parse().unwrap(), ..logs() };
    let refused = engine.append(&audit, batch(&["a"], 1), None).await.unwrap_err();
    insta::assert_snapshot!(refused, @"table audit of tenant default/default/default does not exist; create it with CREATE TABLE audit");
    engine.create_table(&audit).await.unwrap();
    assert!(matches!(engine.create_table(&audit).await, Err(ironbark_storage::Error::TableExists { .. })));
    engine.append(&audit, batch(&["a"], 1), None).await.unwrap();
    let names: Vec<String> =
        engine.tables(&TenantId::default()).await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["audit", "logs"]);
}

#[tokio::test]
async fn scattered_timestamps_are_refused_beyond_the_limit_and_kept_below_it() {
    let (disk, store) = (disk(), Store::memory());
    let engine = open(&disk, &store, EngineConfig { open_partitions_max: 4, ..config() }).await;
    let scattered = |days: i64| {
        let mut builder = LogBatchBuilder::new(Timestamp::from_ns(40_000 * DAY_NS), TimeWindow::default());
        for day in 0..days {
            let row = RowRef {
                timestamp: Some(Timestamp::from_ns(day * DAY_NS)),
                message: "m",
                ..RowRef::default()
            };
            builder.push(row, &mut TagSet::new()).unwrap();
        }
        builder.finish().unwrap()
    };
    let refused = engine.append(&logs(), scattered(5_000), None).await.unwrap_err();
    assert!(matches!(refused, Error::TooManyDays { days: 5_000, .. }));
    engine.append(&logs(), scattered(30), None).await.unwrap();
    engine.inner.freeze_due();
    engine.inner.flush_frozen(Urgency::Now).await.unwrap();
    assert!(engine.status().open_partitions <= 4);
    assert_eq!(visible(&engine, &store, &logs()).await.len(), 30);
}

#[tokio::test]
async fn shutdown_drains_and_later_appends_are_refused() {
    let (disk, store) = (disk(), Store::memory());
    let engine = open(&disk, &store, config()).await;
    engine.append(&logs(), batch(&["a"], 1), None).await.unwrap();
    engine.shutdown().await.unwrap();
    assert!(engine.snapshot(&logs()).await.unwrap().buffers().is_empty());
    assert!(matches!(engine.append(&logs(), batch(&["b"], 1), None).await, Err(Error::WalClosed)));
    assert_eq!(messages(&visible(&engine, &store, &logs()).await), ["a"]);
}

#[tokio::test]
async fn large_batches_are_encoded_off_the_runtimes_threads() {
    let polled = |message: String| async move {
        let (table, batch) = (logs(), batch(&[&message], 1));
        let mut encoding = Box::pin(encode(&table, &batch, None));
        let first = futures::poll!(&mut encoding);
        (first.is_pending(), if first.is_pending() { encoding.await } else { Ok(Vec::new()) })
    };
    assert!(!polled("short".to_owned()).await.0);
    let (elsewhere, payload) = polled("x".repeat(8 << 20)).await;
    assert!(elsewhere && !payload.unwrap().is_empty());
}
