//! The engine in trouble: a store that is down, a disk that is full, broken or damaged, a machine that slept, a
//! thousand tenants.

use std::time::Duration;

use ironbark_storage::clock::{Clock, ManualClock, SeededEntropy};
use ironbark_storage::store::sim::{Fault, Operation, SimStore};
use object_store::ObjectStore;

use super::*;
use crate::OnDamage;
use crate::disk::sim::Faults;
use crate::disk::{Disk, DiskExt};

/// Objects of segments in the store.
async fn segment_objects(sim: &SimStore) -> usize {
    let objects: Vec<_> = sim.list(None).try_collect().await.unwrap();
    objects.iter().filter(|object| ironbark_storage::key::parse_segment(&object.location).is_some()).count()
}

#[tokio::test]
async fn a_store_that_is_down_costs_no_row_and_is_not_hammered() {
    let (disk, sim) = (disk(), SimStore::new(1));
    let store = sim.store();
    let engine = open(&disk, &store, config()).await;
    engine.append(&logs(), batch(&["a"], 1), None).await.unwrap();
    sim.chance(Operation::Put, Fault::Fail, 1_000);
    let refused = engine.flush().await.unwrap_err();
    assert_eq!(refused.kind(), ironbark_storage::ErrorKind::Retry);
    assert!(
        refused.to_string().starts_with("object store: default/default/default/logs/1970-01-02/"),
        "{refused}"
    );
    assert_eq!(messages(&visible(&engine, &store, &logs()).await), ["a"]);
    let tried = sim.count(Operation::Put);
    engine.inner.flush_frozen(Urgency::Background).await.unwrap();
    assert_eq!(sim.count(Operation::Put), tried, "the table pauses after a failure");
    engine.append(&logs(), batch(&["b"], 1), None).await.unwrap();
    sim.calm().await;
    assert_eq!(engine.flush().await.unwrap().rows, 2);
    assert_eq!(messages(&visible(&engine, &store, &logs()).await), ["a", "b"]);
    assert_eq!(engine.status().buffer_bytes, 0);
}

#[tokio::test]
async fn a_first_query_does_not_wait_for_manifests() {
    let (disk, sim) = (disk(), SimStore::new(1));
    let engine = open(&disk, &sim.store(), config()).await;
    engine.append(&logs(), batch(&["a"], 1), None).await.unwrap();
    engine.flush().await.unwrap();
    engine.shutdown().await.unwrap();
    drop(engine);
    let engine = open(&disk, &sim.store(), config()).await;
    let (gets, lists) = (sim.count(Operation::Get), sim.count(Operation::List));
    assert_eq!(engine.snapshot(&logs()).await.unwrap().manifest().version(), 1);
    assert_eq!(engine.tables(&logs().tenant).await.unwrap(), [logs().table]);
    assert_eq!((sim.count(Operation::Get), sim.count(Operation::List)), (gets, lists));
}

#[tokio::test]
async fn a_table_that_fails_does_not_hold_up_others() {
    let (disk, sim) = (disk(), SimStore::new(1));
    let engine = open(&disk, &sim.store(), config()).await;
    let other = TableRef::logs("acme/web/prod".parse().unwrap());
    engine.append(&logs(), batch(&["a"], 1), None).await.unwrap();
    engine.append(&other, batch(&["b"], 1), None).await.unwrap();
    sim.script(Operation::Put, 1, Fault::Fail);
    assert!(engine.flush().await.is_err());
    assert_eq!(engine.status().open_partitions, 1);
    assert_eq!(segment_objects(&sim).await, 1);
}

#[tokio::test]
async fn memory_is_given_back_by_a_flush() {
    let (disk, store) = (disk(), Store::memory());
    let engine = open(&disk, &store, config()).await;
    for day in 1..5 {
        engine.append(&logs(), batch(&["a", "b", "c"], day), None).await.unwrap();
        engine.append(&logs(), batch(&["d"], 1), None).await.unwrap();
    }
    let status = engine.status();
    assert_eq!(status.open_partitions, 4);
    // Eight batches with their overhead; stored rows have two more columns than given ones.
    assert!(status.buffer_bytes > 8 * 4_096 + 16 * 16, "{status:?}");
    engine.flush().await.unwrap();
    let status = engine.status();
    assert_eq!((status.buffer_bytes, status.open_partitions), (0, 0));
}

#[tokio::test]
async fn a_segment_put_long_ago_is_not_committed_but_written_anew() {
    let (disk, sim) = (disk(), SimStore::new(1));
    let clock = Arc::new(ManualClock::at(Timestamp::from_ns(400 * DAY_NS)));
    let ambient = Ambient { clock: Arc::clone(&clock) as _, entropy: Arc::new(SeededEntropy::new(1)) };
    let builder = EngineBuilder::on_disk(Arc::new(disk.clone()), Path::new("/data"), sim.store());
    let engine = builder.config(config()).ambient(ambient).by_hand().open().await.unwrap();
    engine.append(&logs(), batch(&["a"], 1), None).await.unwrap();
    let before = sim.count(Operation::Put);
    sim.script(Operation::Put, 1, Fault::Delay(Duration::from_millis(300)));
    let sleep = async {
        while sim.count(Operation::Put) == before {
            tokio::task::yield_now().await;
        }
        clock.advance_ns(7 * 3_600_000_000_000);
    };
    let (flushed, ()) = tokio::join!(engine.flush(), sleep);
    assert_eq!(flushed.unwrap().segments, 1);
    assert_eq!(segment_objects(&sim).await, 2, "the first is garbage");
    let snapshot = engine.snapshot(&logs()).await.unwrap();
    let named: Vec<Timestamp> = snapshot.manifest().segments().map(|segment| segment.created_at).collect();
    assert_eq!(named, [clock.now()]);
    assert_eq!(messages(&visible(&engine, &sim.store(), &logs()).await), ["a"]);
}

#[tokio::test]
async fn a_manifest_that_is_long_known_is_read_again_before_a_snapshot() {
    let (disk, store) = (disk(), Store::memory());
    let clock = Arc::new(ManualClock::at(Timestamp::from_ns(400 * DAY_NS)));
    let ambient = Ambient { clock: Arc::clone(&clock) as _, entropy: Arc::new(SeededEntropy::new(1)) };
    let builder = EngineBuilder::on_disk(Arc::new(disk.clone()), Path::new("/data"), store.clone());
    let engine = builder.config(config()).ambient(ambient.clone()).by_hand().open().await.unwrap();
    engine.append(&logs(), batch(&["a"], 1), None).await.unwrap();
    engine.flush().await.unwrap();
    let log = ManifestLog::new(&store, logs(), ambient);
    let manifest = log.load().await.unwrap();
    let segments = manifest.segments().map(|segment| segment.id).collect();
    log.commit(&manifest, ManifestEdit::Remove { segments, reason: "a test".to_owned() }).await.unwrap();
    assert_eq!(engine.snapshot(&logs()).await.unwrap().manifest().segments().count(), 1);
    clock.advance_ns(3_600_000_000_000);
    assert_eq!(engine.snapshot(&logs()).await.unwrap().manifest().segments().count(), 0);
}

#[tokio::test]
async fn a_full_disk_refuses_appends_keeps_reads_and_recovers_by_itself() {
    let (disk, store) = (disk(), Store::memory());
    let engine = open(&disk, &store, EngineConfig { wal_file_bytes: 8 * 1024, ..config() }).await;
    let used = (1 << 50) - disk.free_bytes(Path::new("/data")).unwrap();
    let full = Faults { capacity_bytes: Some(used + 9_000), ..Faults::default() };
    disk.set_faults(full);
    let long = "x".repeat(2_000);
    let mut acked = 0;
    let refused = loop {
        match engine.append(&logs(), batch(&[&long], 1), None).await {
            Ok(_) => acked += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, Error::WalDiskFull { .. }), "{refused}");
    assert!(refused.retry_after().is_some());
    assert_eq!(visible(&engine, &store, &logs()).await.len(), acked);
    assert!(engine.status().stopped.is_none());
    // The flush makes room: the rows are in segments, and the WAL lets go of a file.
    engine.flush().await.unwrap();
    engine.append(&logs(), batch(&[&long], 1), None).await.unwrap();
    assert_eq!(visible(&engine, &store, &logs()).await.len(), acked + 1);
}

#[tokio::test]
async fn a_failed_fsync_stops_appends_and_nothing_else() {
    let (disk, store) = (disk(), Store::memory());
    let engine = open(&disk, &store, config()).await;
    engine.append(&logs(), batch(&["a"], 1), None).await.unwrap();
    disk.set_faults(Faults { fail_sync: Some(1), ..Faults::default() });
    let doubtful = engine.append(&logs(), batch(&["b"], 1), None).await.unwrap_err();
    assert!(matches!(doubtful, Error::WalPoisoned { .. }), "{doubtful}");
    assert_eq!(doubtful.kind(), ironbark_storage::ErrorKind::Fatal);
    let stopped = engine.status().stopped.unwrap();
    assert!(stopped.contains("fsync") && stopped.contains("/data/wal/"), "{stopped}");
    assert!(engine.append(&logs(), batch(&["c"], 1), None).await.is_err());
    assert_eq!(messages(&visible(&engine, &store, &logs()).await), ["a"]);
    assert_eq!(engine.flush().await.unwrap().rows, 1);
    assert_eq!(messages(&visible(&engine, &store, &logs()).await), ["a"]);
    drop(engine);
    let engine = open(&disk.crash(1), &store, config()).await;
    engine.append(&logs(), batch(&["d"], 1), None).await.unwrap();
    let rows = visible(&engine, &store, &logs()).await;
    assert_eq!(rows.iter().filter(|(_, message)| message == "a" || message == "d").count(), 2);
}

#[tokio::test]
async fn a_damaged_wal_stops_the_start_and_quarantine_keeps_the_rest() {
    let (disk, store) = (disk(), Store::memory());
    let engine = open(&disk, &store, config()).await;
    for message in ["a", "b", "c"] {
        engine.append(&logs(), batch(&[message], 1), None).await.unwrap();
    }
    drop(engine);
    let disk = disk.kill();
    let file = Path::new("/data/wal/00000000000000000001.wal");
    // A byte of the second record.
    disk.rot(file, |bytes| {
        let records: Vec<usize> =
            bytes.windows(4).enumerate().filter(|(_, four)| four == b"IBWR").map(|(at, _)| at).collect();
        bytes[records[1] + 60] ^= 1;
    })
    .unwrap();
    let start = |on_damage| {
        let builder = EngineBuilder::on_disk(Arc::new(disk.clone()), Path::new("/data"), store.clone());
        builder.config(config()).on_damage(on_damage).by_hand().open()
    };
    let refused = start(OnDamage::Refuse).await.unwrap_err();
    assert!(matches!(refused, Error::WalDamaged { .. }), "{refused}");
    let engine = start(OnDamage::Quarantine).await.unwrap();
    assert_eq!(messages(&visible(&engine, &store, &logs()).await), ["a", "c"]);
    let losses = &engine.recovered().losses;
    assert_eq!((losses.len(), losses[0].rows), (1, Some(1)));
    engine.append(&logs(), batch(&["d"], 1), None).await.unwrap();
    drop(engine);
    let engine = start(OnDamage::Refuse).await.unwrap();
    assert_eq!(messages(&visible(&engine, &store, &logs()).await), ["a", "c", "d"]);
}

#[tokio::test]
async fn a_restart_after_a_shutdown_replays_nothing() {
    let (disk, store) = (disk(), Store::memory());
    let engine = open(&disk, &store, EngineConfig { wal_file_bytes: 8 * 1024, ..config() }).await;
    for _ in 0..24 {
        engine.append(&logs(), batch(&["a"], 1), None).await.unwrap();
    }
    assert!(disk.list(Path::new("/data/wal")).unwrap().len() > 2);
    engine.shutdown().await.unwrap();
    assert_eq!(disk.list(Path::new("/data/wal")).unwrap().len(), 1, "the closed WAL was truncated");
    drop(engine);
    let engine = open(&disk.crash(1), &store, config()).await;
    assert_eq!(engine.status().buffer_bytes, 0);
    assert_eq!(visible(&engine, &store, &logs()).await.len(), 24);
}

#[tokio::test]
async fn tables_are_flushed_side_by_side_within_bounds() {
    let (disk, sim) = (disk(), SimStore::new(1));
    let engine = open(&disk, &sim.store(), config()).await;
    for number in 0..20 {
        let table = TableRef::logs(format!("acme/web/t{number}").parse().unwrap());
        engine.append(&table, batch(&["a"], 1), None).await.unwrap();
    }
    let (before, there) = (sim.count(Operation::Put), sim.list(None).count().await as u64);
    sim.chance(Operation::Put, Fault::Delay(Duration::from_millis(50)), 1_000);
    let flushing = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { engine.flush().await }
    });
    let mut most = 0;
    while !flushing.is_finished() {
        let done = sim.list(None).count().await as u64 - there;
        most = most.max((sim.count(Operation::Put) - before).saturating_sub(done));
        tokio::task::yield_now().await;
    }
    flushing.await.unwrap().unwrap();
    assert_eq!(segment_objects(&sim).await, 20);
    assert!((2..=9).contains(&most), "{most} puts at once");
}

#[tokio::test]
async fn a_thousand_tenants_are_flushed_in_one_go() {
    let (disk, store) = (disk(), Store::memory());
    let engine = open(&disk, &store, EngineConfig { wal_file_bytes: 1 << 20, ..config() }).await;
    let tables: Vec<TableRef> =
        (0..1_000).map(|n| TableRef::logs(format!("acme/web/t{n}").parse().unwrap())).collect();
    for table in &tables {
        engine.append(table, batch(&["a"], 1), None).await.unwrap();
    }
    let report = engine.flush().await.unwrap();
    assert!(report.rows <= 1_000);
    let status = engine.status();
    assert_eq!((status.buffer_bytes, status.open_partitions), (0, 0));
    for table in tables.iter().step_by(100) {
        let snapshot = engine.snapshot(table).await.unwrap();
        assert_eq!((snapshot.buffers().len(), snapshot.manifest().segments().count()), (0, 1));
    }
}

/// A second disk with the same data directory.
fn copied(from: &SimDisk) -> SimDisk {
    let to = SimDisk::new("/data");
    for name in ["wal", "idempotency"] {
        to.create_dir(&Path::new("/data").join(name)).unwrap();
    }
    for dir in ["/data", "/data/wal", "/data/idempotency"].map(Path::new) {
        for file in from.list(dir).unwrap().iter().map(|entry| dir.join(&entry.name)) {
            if let Ok(bytes) = from.read(&file) {
                to.replace(&file, &bytes).unwrap();
            }
        }
    }
    to
}

/// A server that does nothing on its own, with random numbers of its own.
async fn start(disk: &SimDisk, store: &Store, seed: u64) -> Result<Arc<Engine>> {
    let builder = EngineBuilder::on_disk(Arc::new(disk.clone()), Path::new("/data"), store.clone());
    let ambient = Ambient::seeded(Timestamp::from_ns(400 * DAY_NS), seed);
    builder.config(config()).ambient(ambient).by_hand().open().await
}

#[tokio::test]
async fn a_server_whose_data_directory_was_copied_stops_and_loses_nothing() {
    let (disk, store) = (disk(), Store::memory());
    let first = start(&disk, &store, 1).await.unwrap();
    first.append(&logs(), batch(&["a"], 1), None).await.unwrap();
    let copy = copied(&disk);
    let second = start(&copy, &store, 2).await.unwrap();
    second.append(&logs(), batch(&["b"], 1), None).await.unwrap();
    assert_eq!(second.flush().await.unwrap().rows, 2, "the copy brings back what the log holds");
    // Nobody has told the first yet: these rows are acknowledged, and only its own disk has them.
    first.append(&logs(), batch(&["c"], 1), None).await.unwrap();
    first.append(&logs(), batch(&["d"], 2), None).await.unwrap();
    let refused = first.flush().await.unwrap_err();
    insta::assert_snapshot!(refused, @"manifest of default/default/default/logs: edit refused: the writer with epoch 1 was replaced by one with epoch 2");
    let refused = first.append(&logs(), batch(&["e"], 2), None).await.unwrap_err();
    insta::assert_snapshot!(refused, @"the write path has stopped: another server with a copy of this data directory has taken over; stop one of the two");
    assert_eq!(refused.kind(), ironbark_storage::ErrorKind::Fatal);
    assert!(refused.retry_after().is_none());
    insta::assert_snapshot!(first.status().stopped.unwrap(), @"the write path has stopped: another server with a copy of this data directory has taken over; stop one of the two");
    // Reads go on, and show each row once, whoever committed it. "c" lies in a buffer with "a", which is hidden now that
    // a segment has it, and waits in the log for the restart.
    first.refresh(&logs()).await.unwrap();
    assert_eq!(messages(&visible(&first, &store, &logs()).await), ["a", "d", "b"]);
    assert_eq!(messages(&visible(&second, &store, &logs()).await), ["a", "b"]);
    // The operator stops the second: a restart of the first brings back what only its disk has, and no row twice.
    drop((first, second));
    let first = start(&disk.crash(3), &store, 3).await.unwrap();
    assert_eq!(messages(&visible(&first, &store, &logs()).await), ["a", "c", "d", "b"]);
    assert_eq!(first.flush().await.unwrap().rows, 2);
    first.append(&logs(), batch(&["g"], 1), None).await.unwrap();
    assert_eq!(messages(&visible(&first, &store, &logs()).await), ["a", "c", "d", "b", "g"]);
}

#[tokio::test]
async fn an_old_copy_of_a_data_directory_is_refused_and_shows_no_row_twice() {
    let (disk, store) = (disk(), Store::memory());
    let first = start(&disk, &store, 1).await.unwrap();
    first.append(&logs(), batch(&["a"], 1), None).await.unwrap();
    drop(first);
    let old = copied(&disk);
    // The first flush lets the log go of the rows, the second lets the manifest forget them.
    let newer = start(&disk, &store, 2).await.unwrap();
    for message in ["b", "c"] {
        newer.append(&logs(), batch(&[message], 1), None).await.unwrap();
        newer.flush().await.unwrap();
    }
    newer.shutdown().await.unwrap();
    drop(newer);
    let refused = start(&old, &store, 3).await.unwrap_err();
    insta::assert_snapshot!(refused, @"/data is an old copy: its WAL holds rows of default/default/default/logs from epoch 1, but another copy of this data directory went on, stored such rows and has none left before epoch 2; replayed, rows could be visible twice. Start the server with the newer copy. If it is lost, or to go on with this one, move /data/wal away and keep it: rows that only this WAL holds are not replayed then");
    assert_eq!(refused.kind(), ironbark_storage::ErrorKind::Fatal);
    // The newer copy starts as ever, and after the advice so does the old one.
    let newer = start(&disk, &store, 4).await.unwrap();
    assert_eq!(messages(&visible(&newer, &store, &logs()).await), ["a", "b", "c"]);
    drop(newer);
    for file in old.list(Path::new("/data/wal")).unwrap() {
        old.remove(&Path::new("/data/wal").join(&file.name)).unwrap();
    }
    let moved = start(&old, &store, 5).await.unwrap();
    moved.append(&logs(), batch(&["d"], 1), None).await.unwrap();
    moved.flush().await.unwrap();
    assert_eq!(messages(&visible(&moved, &store, &logs()).await), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_copy_whose_shared_rows_another_flushed_keeps_its_own() {
    let (disk, store) = (disk(), Store::memory());
    let first = start(&disk, &store, 1).await.unwrap();
    first.append(&logs(), batch(&["a"], 1), None).await.unwrap();
    let copy = copied(&disk);
    let second = start(&copy, &store, 2).await.unwrap();
    second.append(&logs(), batch(&["b"], 1), None).await.unwrap();
    assert_eq!(first.flush().await.unwrap().rows, 1);
    let refused = second.flush().await.unwrap_err();
    insta::assert_snapshot!(refused, @"manifest of default/default/default/logs: edit refused: rows of 1970-01-02 from row id 8796093022208 are committed already");
    insta::assert_snapshot!(second.status().stopped.unwrap(), @"the write path has stopped: another server with a copy of this data directory has taken over; stop one of the two");
    drop((first, second));
    let second = start(&copy.crash(3), &store, 3).await.unwrap();
    assert_eq!(messages(&visible(&second, &store, &logs()).await), ["a", "b"]);
    assert_eq!(second.flush().await.unwrap().rows, 1);
    assert_eq!(messages(&visible(&second, &store, &logs()).await), ["a", "b"]);
}
