//! The log under faults and races, against a naive model; the bytes of its objects.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use proptest::prelude::*;

use super::log::Spacing;
use super::*;
use crate::error::Conflict;
use crate::store::sim::{Fault, Operation, SimStore};
use crate::{
    Ambient, Day, Epoch, Error, ErrorKind, IndexMeta, Result, RowId, RowIdRange, SegmentId, SegmentMeta,
    SourceLevelCount, Store, TableRef, TimeRange, Timestamp, key,
};

/// Small enough that a short test crosses many boundaries.
const CLOSE: Spacing = Spacing { checkpoint: 4, boundary: 8 };

fn table() -> TableRef {
    TableRef::logs("acme/web/prod".parse().unwrap())
}

fn log(store: &Store, seed: u64) -> ManifestLog {
    ManifestLog::new(store, table(), Ambient::seeded(Timestamp::from_ns(1_000), seed))
}

fn close_log(store: &Store, seed: u64) -> ManifestLog {
    ManifestLog { spacing: CLOSE, ..log(store, seed) }
}

fn segment(id: u128) -> SegmentMeta {
    let row = |sequence| RowId::new(Epoch::new(1).unwrap(), sequence).unwrap();
    SegmentMeta {
        id: SegmentId::from_u128(id),
        day: Day::from_days(20_000),
        compaction_level: 1,
        rows: 3,
        bytes: 1_000,
        tail_bytes: 100,
        tail_crc32c: 7,
        time: TimeRange::new(Timestamp::from_ns(5), Timestamp::from_ns(9)),
        row_id_min: row(4),
        row_id_max: row(6),
        created_at: Timestamp::from_ns(11),
        format_version: 1,
        counts: Some(vec![SourceLevelCount { source: Some("web".into()), level: None, rows: 3 }]),
        index: Some(IndexMeta { offset: 800, bytes: 50, version: 1 }),
    }
}

fn writer(id: u128) -> WriterId {
    WriterId(uuid::Uuid::from_u128(id))
}

fn add(id: u128) -> ManifestEdit {
    let epoch = Epoch::new(1).unwrap();
    let segments = vec![segment(id)];
    ManifestEdit::Add(AddSegments { writer: writer(9), epoch, segments, flushed: vec![], epoch_floor: epoch })
}

fn ids(manifest: &Manifest) -> BTreeSet<u128> {
    manifest.segments().map(|segment| segment.id.to_u128()).collect()
}

async fn commit_many(log: &ManifestLog, ids: std::ops::Range<u128>) -> Arc<Manifest> {
    let mut manifest = log.load().await.unwrap();
    for id in ids {
        manifest = log.commit(&manifest, add(id)).await.unwrap();
    }
    manifest
}

#[tokio::test]
async fn commits_add_up() {
    let store = Store::memory();
    let (a, b) = (log(&store, 1), log(&store, 2));
    let empty = a.load().await.unwrap();
    assert_eq!((empty.version(), ids(&empty)), (0, BTreeSet::new()));
    assert!(Arc::ptr_eq(&a.refresh(&empty).await.unwrap(), &empty));
    let first = a.commit(&empty, ManifestEdit::Create).await.unwrap();
    let second = a.commit(&first, add(1)).await.unwrap();
    // From the empty manifest: the newest one is found on the way.
    let third = b.commit(&empty, add(2)).await.unwrap();
    assert_eq!((second.version(), third.version()), (2, 3));
    assert_eq!(a.refresh(&second).await.unwrap(), third);
    assert_eq!(b.load().await.unwrap(), third);
    let removal = ManifestEdit::Replace { remove: vec![SegmentId::from_u128(1)], add: vec![segment(3)] };
    let fourth = b.commit(&third, removal.clone()).await.unwrap();
    assert_eq!(ids(&fourth), [2, 3].into());
    assert_eq!(fourth.removed().len(), 1);
    assert_eq!(a.commit(&second, removal).await.unwrap(), fourth, "the same edit is committed once");
    let stale = ManifestEdit::Replace { remove: vec![SegmentId::from_u128(1)], add: vec![segment(4)] };
    let refused = a.commit(&second, stale).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict { conflict: Conflict::SegmentGone(_), .. }), "{refused}");
    let refused = a.commit(&second, ManifestEdit::Create).await.unwrap_err();
    assert!(matches!(refused, Error::TableExists { .. }), "{refused}");
    assert_eq!(list_tables(&store).await.unwrap(), vec![table()]);
    assert_eq!(list_tenant_tables(&store, &table().tenant).await.unwrap(), vec![table().table]);
    assert!(list_tenant_tables(&store, &"acme/web/pro".parse().unwrap()).await.unwrap().is_empty());
}

#[tokio::test]
async fn recovery_from_a_checkpoint_equals_the_replay_of_all_commits() {
    let store = Store::memory();
    let log = log(&store, 1);
    let known = commit_many(&log, 0..130).await;
    let gone = [0, 1, 2].map(SegmentId::from_u128).to_vec();
    let removed =
        log.commit(&known, ManifestEdit::Remove { segments: gone, reason: "old".into() }).await.unwrap();
    let objects = store.object_store();
    assert!(objects.head(&key::checkpoint(&table(), 128)).await.is_ok());
    let recovered = log.load().await.unwrap();
    for number in [64, 128] {
        objects.delete(&key::checkpoint(&table(), number)).await.unwrap();
    }
    assert_eq!(log.load().await.unwrap(), recovered);
    assert_eq!(recovered, removed);
}

#[tokio::test]
async fn a_put_that_timed_out_after_its_effect_is_one_commit() {
    let sim = SimStore::new(1);
    let log = log(&sim.store(), 1);
    let mut known = log.load().await.unwrap();
    for (version, fault) in (1..).zip([Fault::Ambiguous, Fault::Fail, Fault::Late(1), Fault::Late(2)]) {
        sim.script(Operation::Put, 1, fault);
        known = log.commit(&known, add(u128::from(version))).await.unwrap();
        assert_eq!(known.version(), version, "{fault:?}");
    }
    sim.calm().await;
    assert_eq!(ids(&log.load().await.unwrap()), [1, 2, 3, 4].into());
}

#[tokio::test]
async fn a_commit_of_unknown_outcome_is_not_committed_twice() {
    let sim = SimStore::new(1);
    let log = log(&sim.store(), 1);
    let empty = log.load().await.unwrap();
    sim.chance(Operation::Put, Fault::Ambiguous, 1000);
    sim.chance(Operation::Get, Fault::Fail, 1000);
    let unknown = log.commit(&empty, add(7)).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Retry);
    sim.calm().await;
    assert_eq!(log.commit(&empty, add(7)).await.unwrap().version(), 1);
    assert_eq!(log.load().await.unwrap().version(), 1);
}

#[tokio::test]
async fn a_writer_that_slept_through_a_trim_finds_out_that_it_lost() {
    let store = Store::memory();
    let (sleeper, other) = (close_log(&store, 1), close_log(&store, 2));
    let old = commit_many(&sleeper, 0..3).await;
    commit_many(&other, 3..30).await;
    let trimmed = other.trim(Duration::ZERO).await.unwrap();
    // Commits 1 to 24, and the checkpoints 4 to 24: the newest, 28, is the only one left.
    assert_eq!(trimmed, TrimReport { boundary: 24, deleted: 24 + 6 });
    assert_eq!(other.trim(Duration::ZERO).await.unwrap(), TrimReport { boundary: 24, deleted: 0 });
    assert_eq!(sleeper.refresh(&old).await.unwrap().version(), 30);

    // Commit 4 is gone, so the sleeper can create it once more.
    let committed = sleeper.commit(&old, add(30)).await.unwrap();
    assert_eq!((committed.version(), ids(&committed)), (31, (0..31).collect()));
    assert!(store.object_store().head(&key::commit(&table(), 4)).await.is_ok(), "a ghost");
    let reader = close_log(&store, 3);
    assert_eq!(reader.load().await.unwrap(), committed);
    assert_eq!(reader.refresh(&old).await.unwrap(), committed, "the ghost is not read");
    assert_eq!(other.trim(Duration::ZERO).await.unwrap().deleted, 1, "the ghost goes");
}

#[tokio::test]
async fn the_grace_keeps_young_commits() {
    let store = Store::memory();
    let log = close_log(&store, 1);
    commit_many(&log, 0..30).await;
    let kept = log.trim(Duration::from_nanos(1)).await.unwrap();
    assert_eq!(kept, TrimReport { boundary: 0, deleted: 0 });
}

#[tokio::test]
async fn damage_and_gaps_name_the_object() {
    let store = Store::memory();
    let (log, objects) = (log(&store, 1), store.object_store());
    commit_many(&log, 0..70).await;
    let damage = async |key: object_store::path::Path, at: usize| {
        let whole = objects.get(&key).await.unwrap().bytes().await.unwrap();
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1;
        objects.put(&key, bytes.into()).await.unwrap();
        let error = log.load().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(key.as_ref()), "{error}");
        objects.put(&key, whole.into()).await.unwrap();
    };
    damage(key::commit(&table(), 66), 40).await;
    damage(key::checkpoint(&table(), 64), 400).await;
    log.load().await.unwrap();
    let missing = key::commit(&table(), 66);
    objects.delete(&missing).await.unwrap();
    let error = log.load().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(missing.as_ref()), "{error}");
}

#[tokio::test]
async fn newer_formats_are_refused() {
    let store = Store::memory();
    let (log, objects) = (log(&store, 1), store.object_store());
    let future = "{\"format_version\":2,\"what\":\"ever\"}\n";
    objects.put(&key::commit(&table(), 1), future.into()).await.unwrap();
    assert_eq!(log.load().await.unwrap_err().kind(), ErrorKind::TooNew);
    let mut bytes = checkpoint::encode(&Manifest::empty(table())).unwrap().to_vec();
    let at = bytes.len() - 16;
    bytes[at] = 2;
    objects.put(&key::checkpoint(&table(), 64), bytes.into()).await.unwrap();
    assert_eq!(log.load().await.unwrap_err().kind(), ErrorKind::TooNew);
}

#[test]
fn the_bytes_of_a_commit_stay() {
    let commit = commit::Commit {
        format_version: commit::COMMIT_FORMAT_VERSION,
        version: 42,
        uuid: uuid::Uuid::from_u128(1),
        writer: uuid::Uuid::from_u128(2),
        made_at: Timestamp::from_ns(1_700_000_000_000_000_000),
        edit: add(3),
    };
    let key = key::commit(&table(), 42);
    assert_eq!(key.as_ref(), "acme/web/prod/logs/_manifest/commit/00000000000000000042.json");
    let bytes = commit.encode(&key).unwrap();
    let expected = concat!(
        r#"{"format_version":1,"version":42,"uuid":"00000000-0000-0000-0000-000000000001","#,
        r#""writer":"00000000-0000-0000-0000-000000000002","made_at":1700000000000000000,"#,
        r#""edit":{"kind":"add","writer":"00000000-0000-0000-0000-000000000009","epoch":1,"#,
        r#""segments":[{"id":"00000000-0000-0000-0000-000000000003","day":20000,"compaction_level":1,"#,
        r#""rows":3,"bytes":1000,"tail_bytes":100,"tail_crc32c":7,"time":{"min":5,"max":9},"#,
        r#""row_id_min":8796093022212,"row_id_max":8796093022214,"created_at":11,"format_version":1,"#,
        r#""counts":[{"source":"web","level":null,"rows":3}],"#,
        r#""index":{"offset":800,"bytes":50,"version":1}}],"flushed":[],"epoch_floor":1}}"#,
        "\n",
        r#"{"crc32c":"6e9d2af3"}"#,
        "\n",
    );
    assert_eq!(std::str::from_utf8(&bytes).unwrap(), expected);
    assert_eq!(commit::Commit::decode(&key, 42, &bytes).unwrap(), commit);
    assert!(commit::Commit::decode(&key, 43, &bytes).is_err());
}

#[test]
fn unknown_fields_are_refused_wherever_they_stand() {
    let row = RowId::new(Epoch::new(1).unwrap(), 1).unwrap();
    let range = RowIdRange { first: row, last: row };
    let mut edit = add(3);
    if let ManifestEdit::Add(add) = &mut edit {
        add.flushed.push(FlushedRange { day: Day::from_days(20_000), range });
    }
    let commit = commit::Commit {
        format_version: commit::COMMIT_FORMAT_VERSION,
        version: 42,
        uuid: uuid::Uuid::from_u128(1),
        writer: uuid::Uuid::from_u128(2),
        made_at: Timestamp::from_ns(1),
        edit,
    };
    let key = key::commit(&table(), 42);
    let bytes = commit.encode(&key).unwrap();
    let line = std::str::from_utf8(&bytes).unwrap().lines().next().unwrap();
    let decode = |line: &str| {
        let bytes = format!("{line}\n{{\"crc32c\":\"{:08x}\"}}\n", crc32c::crc32c(line.as_bytes()));
        commit::Commit::decode(&key, 42, bytes.as_bytes())
    };
    assert_eq!(decode(line).unwrap(), commit);
    let places = ["{", "edit", "segments", "time", "counts", "index", "flushed", "range"];
    for place in places {
        let (start, rest) = match place {
            "{" => line.split_at(1),
            field => {
                let named = line.find(&format!("\"{field}\":")).unwrap();
                line.split_at(named + line[named..].find('{').unwrap() + 1)
            }
        };
        let error = decode(&format!("{start}\"hidden\":true,{rest}")).unwrap_err().to_string();
        assert!(error.contains("unknown field `hidden`"), "{place}: {error}");
    }
    let gone = ManifestEdit::Forget { segments: Vec::new() };
    let forget = serde_json::to_string(&gone).unwrap().replacen('{', "{\"hidden\":true,", 1);
    assert!(serde_json::from_str::<ManifestEdit>(&forget).unwrap_err().to_string().contains("`hidden`"));
}

#[test]
fn rows_of_epochs_that_were_forgotten_are_refused() {
    let flush = |id, epoch, rows_of, floor| {
        let [epoch, rows_of, epoch_floor] = [epoch, rows_of, floor].map(|number| Epoch::new(number).unwrap());
        let row = RowId::new(rows_of, 1).unwrap();
        let flushed =
            vec![FlushedRange { day: Day::from_days(1), range: RowIdRange { first: row, last: row } }];
        let segments = vec![segment(id)];
        ManifestEdit::Add(AddSegments { writer: writer(9), epoch, segments, flushed, epoch_floor })
    };
    let at = Timestamp::from_ns(1);
    let first = Manifest::empty(table()).apply(&flush(1, 1, 1, 1), at).unwrap();
    let second = first.apply(&flush(2, 2, 2, 2), at).unwrap();
    assert_eq!(second.epoch_floor(writer(9)), Some(Epoch::new(2).unwrap()));
    assert_eq!(second.epoch_floor(writer(8)), None);
    // A copy that was made during the first epoch, and started after the second.
    let refused = second.apply(&flush(3, 3, 1, 1), at).unwrap_err();
    let says = "manifest of acme/web/prod/logs: edit refused: rows of epoch 1 may be committed already: this writer \
                has none before epoch 2";
    assert_eq!(refused.to_string(), says);
    let third = second.apply(&flush(4, 3, 3, 1), at).unwrap();
    assert_eq!(third.epoch_floor(writer(9)), Some(Epoch::new(2).unwrap()), "it never goes back");
    let recovered =
        checkpoint::decode(&key::checkpoint(&table(), 3), &table(), 3, &checkpoint::encode(&third).unwrap());
    assert_eq!(recovered.unwrap(), third);
}

#[test]
fn a_checkpoint_holds_the_whole_state() {
    let row = |sequence| RowId::new(Epoch::new(1).unwrap(), sequence).unwrap();
    let flushed =
        vec![FlushedRange { day: Day::from_days(1), range: RowIdRange { first: row(1), last: row(8) } }];
    let ManifestEdit::Add(mut rich) = add(1) else { unreachable!() };
    rich.segments.push(SegmentMeta { counts: None, index: None, ..segment(2) });
    rich.segments.push(SegmentMeta { counts: Some(vec![]), ..segment(3) });
    let edits = [
        ManifestEdit::Create,
        ManifestEdit::Add(AddSegments { flushed, ..rich }),
        ManifestEdit::Remove { segments: vec![SegmentId::from_u128(1)], reason: "test".into() },
    ];
    let mut manifest = Manifest::empty(table());
    let key = key::checkpoint(&table(), 3);
    for (version, edit) in (0..).zip(&edits) {
        let bytes = checkpoint::encode(&manifest).unwrap();
        let read = checkpoint::decode(&key, &table(), version, &bytes).unwrap();
        assert_eq!(read, manifest);
        manifest = manifest.apply(edit, Timestamp::from_ns(5)).unwrap();
    }
    let bytes = checkpoint::encode(&manifest).unwrap();
    assert_eq!(checkpoint::decode(&key, &table(), 3, &bytes).unwrap(), manifest);
    assert!(checkpoint::decode(&key, &table(), 4, &bytes).is_err(), "another commit's");
    for end in [0, 10, bytes.len() - 1] {
        let error = checkpoint::decode(&key, &table(), 3, &bytes[..end]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

/// Several writers on one store with faults. Every writer commits its segments one after the other and repeats an
/// edit whose outcome it does not know, as an engine does.
async fn race(seed: u64, late: u64, trims: bool) {
    const WRITERS: u128 = 4;
    const COMMITS: u128 = 12;
    let sim = SimStore::new(seed);
    sim.shuffle(6);
    sim.list_lag(late);
    sim.chance(Operation::Put, Fault::Ambiguous, 60);
    sim.chance(Operation::Put, Fault::Fail, 30);
    sim.chance(Operation::Put, Fault::Late(late), 60);
    sim.chance(Operation::Get, Fault::Fail, 20);
    sim.chance(Operation::List, Fault::Fail, 20);
    let writers = (0..WRITERS).map(|writer| {
        let log = close_log(&sim.store(), seed.wrapping_mul(31) + u64::try_from(writer).unwrap() + 1);
        async move {
            let mut known = Arc::new(Manifest::empty(table()));
            for id in (0..COMMITS).map(|n| n * WRITERS + writer) {
                commit_until_known(&log, &mut known, id).await;
                if trims && id % 5 == 0 {
                    drop(log.trim(Duration::ZERO).await);
                }
            }
        }
    });
    futures::future::join_all(writers).await;
    sim.calm().await;
    let log = close_log(&sim.store(), 0);
    let last = log.load().await.unwrap();
    assert_eq!(ids(&last), (0..WRITERS * COMMITS).collect(), "every acked edit is there");
    assert_eq!(last.version(), u64::try_from(WRITERS * COMMITS).unwrap(), "exactly once");
    if !trims {
        let objects = sim.store().object_store();
        for number in (0..=last.version()).step_by(4) {
            drop(objects.delete(&key::checkpoint(&table(), number)).await);
        }
        assert_eq!(log.load().await.unwrap(), last, "checkpoints equal the replay of all commits");
    }
}

async fn commit_until_known(log: &ManifestLog, known: &mut Arc<Manifest>, id: u128) {
    loop {
        match log.commit(known, add(id)).await {
            Ok(next) => {
                assert!(next.knows(&add(id)) && next.version() >= known.version());
                *known = next;
                return;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Retry, "{error}"),
        }
    }
}

fn run(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn acked_edits_survive_faults_and_races(seed in any::<u64>(), late in 0_u64..40) {
        run(race(seed, late, false));
    }

    #[test]
    fn acked_edits_survive_faults_races_and_trims(seed in any::<u64>(), late in 0_u64..40) {
        run(race(seed, late, true));
    }
}

#[tokio::test]
async fn an_epoch_is_claimed_once() {
    let sim = SimStore::new(3);
    sim.shuffle(5);
    sim.list_lag(20);
    sim.chance(Operation::Put, Fault::Ambiguous, 300);
    let store = sim.store();
    let claims = (0..16_u64).map(|seed| {
        let (store, ambient) = (store.clone(), Ambient::seeded(Timestamp::from_ns(0), seed + 1));
        async move { crate::claim_epoch(&store, writer(u128::from(seed)), &ambient).await.unwrap().get() }
    });
    let mut epochs = futures::future::join_all(claims).await;
    epochs.sort_unstable();
    assert_eq!(epochs, (1..=16).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_written_is_not_a_failure() -> Result<()> {
    let sim = SimStore::new(1);
    let log = close_log(&sim.store(), 1);
    let known = commit_many(&log, 0..3).await;
    sim.script(Operation::Put, 2, Fault::Fail);
    assert_eq!(log.commit(&known, add(3)).await?.version(), 4);
    let objects = sim.store().object_store();
    assert!(objects.head(&key::checkpoint(&table(), 4)).await.is_err());
    assert_eq!(log.load().await?.version(), 4);
    // A ghost of a checkpoint does no harm either: it says what the commits say.
    let loaded = log.load().await?;
    let late = checkpoint::encode(&loaded)?;
    objects.put_opts(&key::checkpoint(&table(), 4), late.into(), PutMode::Create.into()).await.unwrap();
    assert_eq!(log.load().await?.version(), 4);
    Ok(())
}
