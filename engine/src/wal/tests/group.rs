//! The queue and the thread: order, grouping, bounds, and the end.

use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;

use super::*;

/// Far longer than any step takes: only a hang reaches it.
const PATIENCE: Duration = Duration::from_mins(1);

type Seen = Arc<Mutex<Vec<(u64, u64, u64)>>>;

fn wal(disk: &SimDisk, options: WalOptions, sink: impl CommitSink<u64> + 'static) -> Wal<u64> {
    let recovery = recover(Arc::new(disk.clone()), options, OnDamage::Refuse, &mut |_| Ok(())).unwrap();
    recovery.start(StartAt { epoch: 1, salt: SALT }, Box::new(sink)).unwrap()
}

fn collect(seen: &Seen) -> impl CommitSink<u64> + use<> {
    let seen = Arc::clone(seen);
    move |records: Vec<CommittedRecord<u64>>| {
        seen.lock().extend(records.iter().map(|r| (r.lsn.get(), r.first_seq, r.attachment)));
    }
}

/// A sink that waits for a word before it takes each commit, and says how many records it has.
fn gate() -> (mpsc::Sender<()>, mpsc::Receiver<usize>, impl CommitSink<u64> + 'static) {
    let (go, wait) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let wait = Mutex::new(wait);
    let sink = move |records: Vec<CommittedRecord<u64>>| {
        tell.send(records.len()).unwrap();
        wait.lock().recv_timeout(PATIENCE).unwrap();
    };
    (go, told, sink)
}

#[test]
fn the_sink_sees_records_in_order_before_they_are_acked() {
    let disk = new_disk();
    let seen = Seen::default();
    let wal = Arc::new(wal(&disk, options(), collect(&seen)));
    let threads: Vec<_> = (0..4_u64)
        .map(|thread| {
            let (wal, seen) = (Arc::clone(&wal), Arc::clone(&seen));
            std::thread::spawn(move || {
                for i in 0..50 {
                    let tag = thread * 1000 + i;
                    let committed = wal.append(record(tag, 200), tag).unwrap().wait().unwrap();
                    let expected = (committed.lsn.get(), committed.first_seq, tag);
                    assert!(seen.lock().contains(&expected), "acked before the sink had it");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let seen = seen.lock();
    let mut next = (1, 0);
    for (lsn, first_seq, tag) in &*seen {
        assert_eq!((*lsn, *first_seq), next);
        next = (lsn + 1, first_seq + u64::from(record(*tag, 0).rows));
    }
    assert_eq!(seen.len(), 200);
    assert_eq!(wal.live_range(), Lsn::FIRST..Lsn::new(201));
    drop(wal);
    let (records, _) = read(&disk, OnDamage::Refuse).unwrap();
    assert!(
        records.iter().zip(&*seen).all(|(found, (_, _, tag))| found.payload == joined(&record(*tag, 200)))
    );
}

#[test]
fn what_arrives_during_a_commit_is_the_next_commit() {
    let (go, told, sink) = gate();
    let wal = wal(&new_disk(), options(), sink);
    let mut acks = vec![wal.append(record(1, 10), 1).unwrap()];
    assert_eq!(told.recv_timeout(PATIENCE), Ok(1), "an idle log commits at once");
    acks.extend((2..=6).map(|tag| wal.append(record(tag, 10), tag).unwrap()));
    go.send(()).unwrap();
    assert_eq!(told.recv_timeout(PATIENCE), Ok(5));
    go.send(()).unwrap();
    let lsns: Vec<u64> = acks.into_iter().map(|ack| ack.wait().unwrap().lsn.get()).collect();
    assert_eq!(lsns, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_commit_stops_at_its_size_but_takes_one_large_record() {
    let (go, told, sink) = gate();
    let wal = wal(&new_disk(), options(), sink);
    let large = usize::try_from(COMMIT_BYTES_MAX).unwrap() + 1;
    let sizes = [10, 10, large, large / 2, large / 3, 10, large];
    let acks: Vec<_> = sizes.iter().map(|size| wal.append(record(1, *size), 0).unwrap()).collect();
    let mut groups = Vec::new();
    while groups.iter().sum::<usize>() < sizes.len() {
        groups.push(told.recv_timeout(PATIENCE).unwrap());
        go.send(()).unwrap();
    }
    // The thread may have taken the first record alone, or the first two.
    assert!(groups.ends_with(&[1, 3, 1]), "{groups:?}");
    assert!(acks.into_iter().all(|ack| ack.wait().is_ok()));
    assert!(wal.bytes_on_disk() > 2 * COMMIT_BYTES_MAX);
}

#[test]
fn a_full_queue_refuses_but_one_record_always_passes() {
    let (go, told, sink) = gate();
    let wal = wal(&new_disk(), WalOptions { queue_bytes_max: 1000, ..options() }, sink);
    let first = wal.append(record(1, 2000), 1).unwrap();
    told.recv_timeout(PATIENCE).unwrap();
    let refused = wal.append(record(2, 1), 2).unwrap_err();
    let expected = "the WAL queue is full: 2048 of 1000 bytes wait for the disk; retry in 200 ms";
    assert_eq!(refused.to_string(), expected);
    go.send(()).unwrap();
    first.wait().unwrap();
    drop(go);
}

#[test]
fn a_record_over_the_limit_is_refused_at_once() {
    let wal = wal(&new_disk(), options(), |_: Vec<_>| {});
    let piece = Bytes::from(vec![0; 1 << 20]);
    let payload = vec![piece; 257];
    let refused = wal.append(NewRecord { payload, ..NewRecord::default() }, 0).unwrap_err();
    assert!(matches!(refused, Error::WalRecordTooLarge { .. }), "{refused}");
}

#[test]
fn closing_commits_what_waits_and_refuses_the_rest() {
    let seen = Seen::default();
    let disk = new_disk();
    let wal = wal(&disk, options(), collect(&seen));
    let acks: Vec<_> = (0..20).map(|tag| wal.append(record(tag, 100), tag).unwrap()).collect();
    wal.close();
    assert!(acks.into_iter().all(|ack| ack.wait().is_ok()));
    assert!(matches!(wal.append(record(1, 1), 1), Err(Error::WalClosed)));
    assert!(matches!(wal.stopped(), Some(Error::WalClosed)));
    assert_eq!(read(&disk, OnDamage::Refuse).unwrap().0.len(), 20);
}

#[test]
fn a_panic_in_the_sink_closes_the_log_and_answers_everybody() {
    let wal = wal(&new_disk(), options(), |_: Vec<CommittedRecord<u64>>| panic!("a planted panic"));
    let acks: Vec<_> = (0..5).filter_map(|tag| wal.append(record(tag, 1), tag).ok()).collect();
    assert!(!acks.is_empty() && acks.into_iter().all(|ack| matches!(ack.wait(), Err(Error::WalClosed))));
    wal.close();
    assert!(matches!(wal.append(record(9, 1), 9), Err(Error::WalClosed)));
}

#[test]
fn truncation_removes_whole_files_below_and_never_the_active_one() {
    let disk = new_disk();
    let wal = wal(&disk, options(), |_: Vec<_>| {});
    for tag in 1..=12 {
        wal.append(record(tag, 900), 0).unwrap().wait().unwrap();
    }
    let (bytes, range) = (wal.bytes_on_disk(), wal.live_range());
    assert_eq!((bytes, range), (3 * FILE_BYTES_MIN, Lsn::FIRST..Lsn::new(13)));
    assert_eq!(wal.truncate_before(Lsn::new(4)).unwrap(), 0, "record 4 is in the first file");
    assert_eq!(wal.truncate_before(Lsn::new(5)).unwrap(), FILE_BYTES_MIN);
    assert_eq!(wal.live_range(), Lsn::new(5)..Lsn::new(13));
    assert_eq!(wal.truncate_before(Lsn::new(13)).unwrap(), FILE_BYTES_MIN);
    assert_eq!(wal.live_range(), Lsn::new(9)..Lsn::new(13));
    drop(wal);
    let (records, recovery) = read(&disk.crash(0), OnDamage::Refuse).unwrap();
    assert_eq!(lsns(&records), [9, 10, 11, 12]);
    assert_eq!(recovery.next_lsn(), Lsn::new(13));
}

#[test]
fn a_failed_directory_sync_poisons_from_the_truncation() {
    let disk = new_disk();
    let wal = wal(&disk, options(), |_: Vec<_>| {});
    for tag in 1..=9 {
        wal.append(record(tag, 900), 0).unwrap().wait().unwrap();
    }
    disk.set_faults(Faults { fail_sync: Some(1), ..Faults::default() });
    assert!(matches!(wal.truncate_before(Lsn::new(9)), Err(Error::WalPoisoned { .. })));
    assert!(matches!(wal.append(record(1, 1), 1), Err(Error::WalPoisoned { .. })));
    assert!(matches!(wal.truncate_before(Lsn::new(9)), Err(Error::WalPoisoned { .. })));
}

#[test]
fn acked_means_durable_with_many_threads() {
    for seed in 0..60 {
        let disk = new_disk();
        let wal = Arc::new(wal(&disk, options(), |_: Vec<_>| {}));
        disk.set_faults(Faults { crash_at_operation: Some(1 + seed), ..Faults::default() });
        let threads: Vec<_> = (0..3_u64)
            .map(|thread| {
                let wal = Arc::clone(&wal);
                std::thread::spawn(move || {
                    let mut acked = Vec::new();
                    for i in 0..30 {
                        let tag = thread * 100 + i;
                        let Ok(ack) = wal.append(record(tag, 300), tag) else { break };
                        let Ok(committed) = ack.wait() else { break };
                        acked.push((committed.lsn, tag));
                    }
                    acked
                })
            })
            .collect();
        let acked: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        drop(wal);
        let (records, _) = read(&disk.crash(seed), OnDamage::Refuse).unwrap();
        for (lsn, tag) in acked {
            let found = records.iter().find(|found| found.lsn == lsn).unwrap();
            assert_eq!(found.payload, joined(&record(tag, 300)));
        }
    }
}

#[tokio::test]
async fn the_acknowledgement_is_a_future() {
    let wal = wal(&new_disk(), options(), |_: Vec<_>| {});
    let (first, second) = (wal.append(record(1, 1), 1).unwrap(), wal.append(record(2, 1), 2).unwrap());
    assert_eq!(second.await.unwrap().lsn, Lsn::new(2));
    assert_eq!(first.await.unwrap().lsn, Lsn::FIRST);
}
