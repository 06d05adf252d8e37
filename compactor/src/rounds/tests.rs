//! Whole rounds over a store in memory: rows are kept, garbage goes, races are harmless.

mod versions;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use ironbark_storage::clock::{ManualClock, SeededEntropy};
use ironbark_storage::store::sim::{Fault, Operation, SimStore};
use ironbark_storage::{
    AddSegments, DAY_NS, Epoch, FlushedRange, LogBatchBuilder, RowId, RowIdRange, RowRef, SegmentId,
    SegmentOptions, TagKind, TagSet, TimeWindow, WriterId, column, encode_segment, key, put_segment,
    read_segment,
};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use proptest::prelude::*;

use super::*;
use crate::Reason;

const DAY: Day = Day::from_days(20_000);

/// A row by its id: its time after midnight, source and message.
type Rows = BTreeMap<i64, (i64, String, String)>;

struct World {
    store: Store,
    clock: Arc<ManualClock>,
    ambient: Ambient,
    table: TableRef,
    log: ManifestLog,
    next_row: u64,
    rows: Rows,
}

impl World {
    fn new(seed: u64) -> Self {
        Self::on(Store::memory(), seed)
    }

    fn on(store: Store, seed: u64) -> Self {
        // The memory store stamps objects with the real time: a clock that stands there makes them new.
        let clock = Arc::new(ManualClock::at(Ambient::system().clock.now()));
        let ambient = Ambient { clock: Arc::clone(&clock) as _, entropy: Arc::new(SeededEntropy::new(seed)) };
        let table = TableRef::logs("acme/web/prod".parse().unwrap());
        let log = ManifestLog::new(&store, table.clone(), ambient.clone());
        Self { store, clock, ambient, table, log, next_row: 1, rows: Rows::new() }
    }

    fn compactor(&self, config: CompactorConfig) -> Compactor {
        Compactor::new(config, self.store.clone(), self.ambient.clone())
    }

    fn objects(&self) -> Arc<dyn ObjectStore> {
        self.store.object_store()
    }

    /// Flushes rows at these times after midnight as one segment.
    async fn flush(&mut self, times: &[i64]) -> SegmentId {
        let mut builder = LogBatchBuilder::new(self.ambient.clock.now(), TimeWindow::default());
        let mut tags = TagSet::new();
        let epoch = Epoch::new(1).unwrap();
        let first = RowId::new(epoch, self.next_row).unwrap();
        for (at, time) in times.iter().enumerate() {
            let id = first.get() + i64::try_from(at).unwrap();
            let (source, message) = (format!("s{}", id % 3), format!("message {id}"));
            tags.push("id", Some(&id.to_string()), TagKind::Number);
            let timestamp = Some(Timestamp::from_ns(20_000 * DAY_NS + time));
            let row = RowRef { timestamp, source: Some(&source), message: &message, ..RowRef::default() };
            builder.push(row, &mut tags).unwrap();
            self.rows.insert(id, (*time, source, message));
        }
        let rows = builder.finish().unwrap().into_stored(first).unwrap().remove(0).1;
        let last = RowId::new(epoch, self.next_row + times.len() as u64 - 1).unwrap();
        self.next_row = last.sequence() + 1;
        let id = SegmentId::from_u128(self.ambient.entropy.next_u128());
        let partition = Partition { table: self.table.clone(), day: DAY };
        let options = SegmentOptions { row_group_rows: 7, promote_rows_min: 1, ..SegmentOptions::default() };
        let segment = encode_segment(id, &partition, &[rows], &options, self.ambient.clock.now()).unwrap();
        put_segment(self.objects().as_ref(), &self.table, &segment).await.unwrap();
        let range = RowIdRange { first, last };
        let edit = ManifestEdit::Add(AddSegments {
            writer: WriterId(uuid::Uuid::from_u128(1)),
            epoch,
            segments: vec![segment.meta],
            flushed: vec![FlushedRange { day: DAY, range }],
            epoch_floor: epoch,
        });
        let manifest = self.log.load().await.unwrap();
        self.log.commit(&manifest, edit).await.unwrap();
        id
    }

    async fn segments(&self) -> Vec<Arc<SegmentMeta>> {
        self.log.load().await.unwrap().segments().cloned().collect()
    }

    /// Every row that the manifest shows; a row seen twice fails the test.
    async fn read(&self) -> Rows {
        let mut rows = Rows::new();
        for meta in self.segments().await {
            let batches: Vec<RecordBatch> =
                read_segment(self.objects(), &self.table, &meta).try_collect().await.unwrap();
            for batch in batches {
                add(&mut rows, &batch);
            }
        }
        rows
    }

    /// Keys of all segments' objects.
    async fn keys(&self) -> Vec<Path> {
        let all: Vec<_> = self.objects().list(None).try_collect().await.unwrap();
        let keys = all.into_iter().map(|object| object.location);
        keys.filter(|key| key::parse_segment(key).is_some()).collect()
    }
}

fn add(rows: &mut Rows, batch: &RecordBatch) {
    let times = batch.column_by_name(column::TIMESTAMP).unwrap();
    let times = times.as_primitive::<arrow::datatypes::TimestampNanosecondType>();
    let ids = batch.column_by_name(column::ROW_ID).unwrap().as_primitive::<Int64Type>();
    let sources = batch.column_by_name(column::SOURCE).unwrap().as_string::<i32>();
    let messages = batch.column_by_name(column::MESSAGE).unwrap().as_string::<i32>();
    let tags = batch.column_by_name(column::TAGS).unwrap().as_map();
    for row in 0..batch.num_rows() {
        let id = ids.value(row);
        assert_eq!(tags.value(row).column(1).as_string::<i32>().value(0), id.to_string());
        let found = (
            times.value(row) - 20_000 * DAY_NS,
            sources.value(row).to_owned(),
            messages.value(row).to_owned(),
        );
        assert_eq!(rows.insert(id, found), None, "row {id} is there twice");
    }
}

/// Everything is quiet and due at once.
fn eager() -> CompactorConfig {
    CompactorConfig { grace_ms: 0, orphan_grace_ms: 0, quiet_ms: 0, ..CompactorConfig::default() }
}

#[tokio::test]
async fn a_round_merges_and_collects_what_it_replaced() {
    let mut world = World::new(1);
    for at in 0..5 {
        world.flush(&[at, at + 100, at + 50]).await;
    }
    let compactor = world.compactor(CompactorConfig { quiet_ms: u64::MAX, ..CompactorConfig::default() });
    let report = compactor.run_once().await.unwrap();
    assert_eq!((report.tables, report.merges, report.rows, report.conflicts), (1, 1, 15, 0));
    assert_eq!((report.segments_in, report.segments_out), (5, 1));
    assert_eq!(world.read().await, world.rows);
    assert_eq!(world.keys().await.len(), 6, "the replaced are kept for the grace");
    assert!(compactor.run_once().await.unwrap().is_idle());

    world.clock.advance_ns(ns(CompactorConfig::default().grace_ms) + 1);
    let report = compactor.run_once().await.unwrap();
    assert_eq!((report.removed_deleted, report.orphans_deleted), (5, 0));
    let manifest = world.log.load().await.unwrap();
    assert!(manifest.removed().is_empty());
    assert_eq!(world.keys().await.len(), 1);
    assert_eq!(world.read().await, world.rows);
}

#[tokio::test]
async fn settling_leaves_one_segment() {
    let mut world = World::new(2);
    for at in 0..3 {
        world.flush(&[at, 1_000 - at]).await;
    }
    let report = world.compactor(CompactorConfig::default()).settle(&world.table).await.unwrap();
    assert_eq!((report.merges, report.segments_in), (1, 3));
    let segments = world.segments().await;
    assert_eq!((segments.len(), segments[0].compaction_level), (1, 2));
    assert_eq!(world.read().await, world.rows);
    let nothing = TableRef::logs("no/such/tenant".parse().unwrap());
    assert!(world.compactor(eager()).settle(&nothing).await.unwrap().is_idle());
}

#[tokio::test]
async fn a_quiet_partition_ends_small() {
    let mut world = World::new(3);
    world.flush(&[1]).await;
    world.flush(&[2]).await;
    let compactor = world.compactor(CompactorConfig::default());
    assert!(compactor.run_once().await.unwrap().is_idle());
    world.clock.advance_ns(ns(CompactorConfig::default().quiet_ms) + 1);
    let report = compactor.run_once().await.unwrap();
    assert_eq!((report.merges, report.segments_in), (1, 2));
}

#[tokio::test]
async fn a_crash_between_put_and_commit_leaves_only_garbage() {
    let mut world = World::new(4);
    let inputs = [world.flush(&[1, 2]).await, world.flush(&[3]).await];
    let spec = CompactionSpec {
        partition: Partition { table: world.table.clone(), day: DAY },
        inputs: world.segments().await,
        compaction_level: 1,
        reason: Reason::Ended,
    };
    // The crash: the job has put its segment, and nobody commits it.
    let orphan = MergeJob::new(world.objects(), &spec, &world.ambient).run().await.unwrap();
    assert_eq!(world.keys().await.len(), 3);
    assert_eq!(world.read().await, world.rows);

    let young = CompactorConfig { grace_ms: 0, quiet_ms: u64::MAX / 2, ..CompactorConfig::default() };
    let compactor = world.compactor(young.clone());
    assert_eq!(compactor.run_once().await.unwrap().orphans_deleted, 0, "it is too young");
    world.clock.advance_ns(ns(young.orphan_grace_ms) + DAY_NS);
    assert_eq!(compactor.run_once().await.unwrap().orphans_deleted, 1);
    let keys = world.keys().await;
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|key| inputs.contains(&key::parse_segment(key).unwrap().1)));
    assert!(!keys.iter().any(|key| key::parse_segment(key).unwrap().1 == orphan.meta.id));
    assert_eq!(world.read().await, world.rows);
}

#[tokio::test]
async fn garbage_collection_deletes_only_garbage() {
    let mut world = World::new(5);
    world.flush(&[1]).await;
    world.flush(&[2]).await;
    let id = "00000000-0000-0000-0000-00000000abcd";
    let strange = [
        "acme/web/prod/logs/2024-10-04/notes.txt".to_owned(),
        "acme/web/prod/logs/2024-10-04/x.parquet".to_owned(),
        format!("acme/web/prod/logs/2024-10-04/deeper/2024-10-04/{id}.parquet"),
        format!("acme/web/prod/logs/backup/2024-10-04/{id}.parquet"),
        format!("acme/web/prod/other/2024-10-04/{id}.parquet"),
        format!("acme/web/dev/logs/2024-10-04/{id}.parquet"),
    ];
    for key in &strange {
        world.objects().put(&Path::from(key.as_str()), PutPayload::from_static(b"x")).await.unwrap();
    }
    let orphan = Path::from(format!("acme/web/prod/logs/2024-10-04/{id}.parquet"));
    world.objects().put(&orphan, PutPayload::from_static(b"x")).await.unwrap();
    world.clock.advance_ns(10 * DAY_NS);
    let quiet = CompactorConfig { quiet_ms: u64::MAX / 2, ..eager() };
    let report = world.compactor(quiet).run_once().await.unwrap();
    assert_eq!((report.removed_deleted, report.orphans_deleted), (0, 1));
    for key in &strange {
        world.objects().head(&Path::from(key.as_str())).await.unwrap();
    }
    assert!(world.objects().head(&orphan).await.is_err());
    assert_eq!(world.read().await, world.rows);
}

#[tokio::test]
async fn two_compactors_merge_once() {
    let mut world = World::new(6);
    for at in 0..6 {
        world.flush(&[at, at + 10, at + 20]).await;
    }
    let entropy = Arc::new(SeededEntropy::new(99));
    let other = Ambient { clock: Arc::clone(&world.clock) as _, entropy };
    let first = world.compactor(CompactorConfig::default());
    let second = Compactor::new(CompactorConfig::default(), world.store.clone(), other);
    let (first, second) = tokio::join!(first.run_once(), second.run_once());
    let (first, second) = (first.unwrap(), second.unwrap());
    // Both had chosen before either committed: the manifest let one win.
    assert_eq!((first.merges + second.merges, first.conflicts + second.conflicts), (1, 1));
    assert_eq!((&first.failures, &second.failures), (&vec![], &vec![]));
    assert_eq!(world.read().await, world.rows);
    assert_eq!(world.segments().await.len(), 1);
}

#[tokio::test]
async fn who_settles_beside_a_round_merges_nothing_twice() {
    let mut world = World::new(11);
    for at in 0..6 {
        world.flush(&[at, at + 10, at + 20]).await;
    }
    let compactor = world.compactor(eager());
    let (round, settled) = tokio::join!(compactor.run_once(), compactor.settle(&world.table));
    let (round, settled) = (round.unwrap(), settled.unwrap());
    let both = (round.merges + settled.merges, round.conflicts + settled.conflicts);
    // To level 1, and then to level 2.
    assert_eq!((both, round.rows + settled.rows), ((2, 0), 36));
    assert_eq!(world.read().await, world.rows);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let mut world = World::new(7);
    for at in 0..4 {
        world.flush(&[at]).await;
    }
    let before = (world.keys().await, world.log.load().await.unwrap().version());
    let dry = CompactorConfig { dry_run: true, ..eager() };
    let report = world.compactor(dry).run_once().await.unwrap();
    assert_eq!((report.planned.len(), report.merges), (1, 0));
    let text = report.to_string();
    assert!(text.contains("acme/web/prod/logs/2024-10-04: 4 segments, 4 rows"), "{text}");
    assert_eq!((world.keys().await, world.log.load().await.unwrap().version()), before);
}

#[tokio::test]
async fn a_damaged_segment_is_reported_and_kept() {
    let mut world = World::new(8);
    let damaged = world.flush(&[1, 2]).await;
    world.flush(&[3]).await;
    let key = key::segment(&Partition { table: world.table.clone(), day: DAY }, damaged);
    let mut bytes = world.objects().get(&key).await.unwrap().bytes().await.unwrap().to_vec();
    bytes[100] ^= 1;
    world.objects().put(&key, PutPayload::from(bytes)).await.unwrap();
    world.clock.advance_ns(1);
    let report = world.compactor(eager()).run_once().await.unwrap();
    assert_eq!((report.merges, report.failures.len()), (0, 1));
    assert!(report.failures[0].reason.contains("wrong checksum"), "{report}");
    assert_eq!(world.segments().await.len(), 2);
    assert_eq!(world.keys().await.len(), 2);
}

#[tokio::test]
async fn rounds_go_on_until_stopped_and_give_the_lease_back() {
    let mut world = World::new(9);
    for at in 0..4 {
        world.flush(&[at]).await;
    }
    let compactor = world.compactor(CompactorConfig { interval_ms: 1, ..CompactorConfig::default() });
    let merged = async {
        while world.segments().await.len() > 1 {
            tokio::task::yield_now().await;
        }
    };
    compactor.run(merged).await.unwrap();
    assert_eq!(world.read().await, world.rows);
    let leases = Leases::new(&world.store, LEASE_NAME, LeaseTerms::default(), world.ambient.clone()).unwrap();
    let lease = leases.acquire().await.unwrap().expect("the lease was given back");

    // While somebody else has it, a running compactor waits.
    let versions = world.log.load().await.unwrap().version();
    for at in 0..4 {
        world.flush(&[at]).await;
    }
    let passed = async {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    };
    compactor.run(passed).await.unwrap();
    assert_eq!(world.log.load().await.unwrap().version(), versions + 4);
    leases.release(lease).await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_fault_of_the_store_loses_or_doubles_a_row(
        flushes in prop::collection::vec(prop::collection::vec(0i64..200, 1..20), 1..8),
        per_mille in 1u32..40,
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let sim = SimStore::new(seed);
            let mut world = World::on(sim.store(), seed);
            let config = CompactorConfig { quiet_ms: 60_000, grace_ms: 0, ..CompactorConfig::default() };
            let compactor = world.compactor(config.clone());
            for times in flushes {
                world.flush(&times).await;
                world.clock.advance_ns(2 * ns(60_000));
                for operation in [Operation::Put, Operation::Get, Operation::List, Operation::Delete] {
                    for fault in [Fault::Fail, Fault::Ambiguous, Fault::Late(7)] {
                        sim.chance(operation, fault, per_mille);
                    }
                }
                sim.list_lag(5);
                for _ in 0..2 {
                    // What it reports is of no interest: it may have failed at any point.
                    let _ = compactor.run_once().await;
                }
                sim.calm().await;
                assert_eq!(world.read().await, world.rows);
            }
            world.clock.advance_ns(ns(config.orphan_grace_ms) + DAY_NS);
            for _ in 0..2 {
                assert_eq!(compactor.run_once().await.unwrap().failures, []);
                world.clock.advance_ns(1);
            }
            assert_eq!(world.read().await, world.rows);
            assert_eq!(world.keys().await.len(), world.segments().await.len());
        });
    }

    #[test]
    fn every_row_survives_any_rounds(
        flushes in prop::collection::vec((prop::collection::vec(0i64..200, 1..40), any::<bool>()), 1..12),
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new(seed);
            let compactor = world.compactor(CompactorConfig { quiet_ms: 60_000, ..eager() });
            for (times, round) in flushes {
                world.flush(&times).await;
                world.clock.advance_ns(1);
                if round {
                    assert_eq!(compactor.run_once().await.unwrap().failures, []);
                    assert_eq!(world.read().await, world.rows);
                }
            }
            world.clock.advance_ns(2 * ns(60_000));
            compactor.run_once().await.unwrap();
            world.clock.advance_ns(1);
            compactor.run_once().await.unwrap();
            assert_eq!(world.read().await, world.rows);
            let live = world.segments().await;
            assert!(live.len() <= 3, "{} segments", live.len());
            assert_eq!(world.keys().await.len(), live.len());
        });
    }
}
