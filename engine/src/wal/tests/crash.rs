//! Loss of power at every operation and at random ones: what was acknowledged is there once, in order, and nothing is
//! invented. The same check must fail on a disk that lies about a sync, or it would prove nothing.

use std::collections::BTreeMap;

use super::*;
use crate::wal::truncation;

/// What the outside world knows about the log.
#[derive(Default)]
struct Ledger {
    /// Records that must be there: (epoch, first row, tag).
    acked: BTreeMap<u64, (u32, u64, u64)>,
    /// Everything that was ever handed over under an LSN: (epoch, first row, tag).
    tried: BTreeMap<u64, Vec<(u32, u64, u64)>>,
    /// Records before this LSN may be gone.
    truncated: u64,
    tag: u64,
}

impl Ledger {
    fn check(&self, records: &[RecoveredRecord]) -> Result<(), String> {
        let mut next = None;
        for found in records {
            let lsn = found.lsn.get();
            if next.is_some_and(|next| next != lsn) {
                return Err(format!("record {lsn} follows the one before {next:?}"));
            }
            next = Some(lsn + 1);
            let matches = |(epoch, first_seq, tag): &(u32, u64, u64)| {
                let sent = record(*tag, size_of_tag(*tag));
                let same_place = (found.epoch, found.first_seq) == (*epoch, *first_seq);
                same_place
                    && (found.kind, found.rows) == (sent.kind, sent.rows)
                    && found.payload == joined(&sent)
            };
            if !self.tried.get(&lsn).into_iter().flatten().any(matches) {
                return Err(format!("record {lsn} was never appended like this"));
            }
            if self.acked.get(&lsn).is_some_and(|acked| !matches(acked)) {
                return Err(format!("record {lsn} is not the acknowledged one"));
            }
        }
        let delivered = lsns(records);
        match self.acked.keys().find(|lsn| **lsn >= self.truncated && delivered.binary_search(lsn).is_err()) {
            Some(lost) => Err(format!("the acknowledged record {lost} is lost")),
            None => Ok(()),
        }
    }

    /// After a completed start, whatever was delivered must stay.
    fn adopt(&mut self, records: &[RecoveredRecord]) {
        for found in records {
            let tried = self.tried.get(&found.lsn.get()).unwrap();
            let sent = tried.iter().rfind(|(epoch, seq, tag)| {
                (*epoch, *seq) == (found.epoch, found.first_seq)
                    && found.payload == joined(&record(*tag, size_of_tag(*tag)))
            });
            self.acked.insert(found.lsn.get(), *sent.unwrap());
        }
    }

    fn commit(
        &mut self,
        writer: &mut LogWriter,
        at: &mut Position,
        epoch: u32,
        count: u64,
    ) -> Result<(), Error> {
        let tags: Vec<u64> = (0..count).map(|i| self.tag + i).collect();
        self.tag += count;
        let records: Vec<NewRecord> = tags.iter().map(|tag| record(*tag, size_of_tag(*tag))).collect();
        let mut next = *at;
        for (record, tag) in records.iter().zip(&tags) {
            self.tried.entry(next.lsn.get()).or_default().push((epoch, next.seq, *tag));
            next = next.after(1, u64::from(record.rows));
        }
        let committed = writer.commit(&records)?;
        for (committed, tag) in committed.iter().zip(&tags) {
            self.acked.insert(committed.lsn.get(), (epoch, committed.first_seq, *tag));
        }
        *at = next;
        Ok(())
    }
}

/// From nothing to more than fits a file of the test's size.
fn size_of_tag(tag: u64) -> usize {
    [0, 1, 40, 300, 513, 1500, 3000, 9000][(tag % 8) as usize]
}

/// One life of the log: read, start, `steps` of work. Ends early when the disk does.
fn live(
    disk: &SimDisk,
    epoch: u32,
    ledger: &mut Ledger,
    mut step: impl FnMut(u64, &mut LogWriter, &mut Position, &mut Ledger) -> Result<(), Error>,
) -> Result<(), String> {
    let (records, recovery) = match read(disk, OnDamage::Refuse) {
        Ok(read) => read,
        Err(Error::WalIo { .. }) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    ledger.check(&records)?;
    let mut at = Position { lsn: recovery.next_lsn(), seq: 0 };
    let Ok(mut writer) = recovery.into_writer(StartAt { epoch, salt: SALT + u64::from(epoch) }) else {
        return Ok(());
    };
    ledger.adopt(&records);
    let mut number = 0;
    while step(number, &mut writer, &mut at, ledger).is_ok() && number < 40 {
        number += 1;
    }
    Ok(())
}

/// A fixed workload with every kind of step.
fn scripted(
    number: u64,
    writer: &mut LogWriter,
    at: &mut Position,
    epoch: u32,
    ledger: &mut Ledger,
) -> Result<()> {
    match number {
        0..=4 | 6 | 8 => ledger.commit(writer, at, epoch, 1),
        5 => ledger.commit(writer, at, epoch, 4),
        7 => truncate(writer, at.lsn, ledger),
        _ => Err(Error::WalClosed),
    }
}

fn truncate(writer: &LogWriter, lsn: Lsn, ledger: &mut Ledger) -> Result<()> {
    ledger.truncated = ledger.truncated.max(lsn.get());
    truncation::remove_before(&**writer.disk(), writer.options(), writer.files(), lsn)?;
    Ok(())
}

#[test]
fn acked_means_durable_at_every_operation() {
    let mut operations = 1;
    for crash_at in 1.. {
        for seed in 0..12 {
            let disk = new_disk();
            let mut ledger = Ledger::default();
            disk.set_faults(Faults { crash_at_operation: Some(crash_at), ..Faults::default() });
            live(&disk, 1, &mut ledger, |n, w, at, l| scripted(n, w, at, 1, l)).unwrap();
            operations = disk.operations();
            let disk = disk.crash(seed);
            // The next life also ends by a crash, the one after it must see both.
            disk.set_faults(Faults { crash_at_operation: Some(4 + seed), ..Faults::default() });
            live(&disk, 2, &mut ledger, |n, w, at, l| scripted(n, w, at, 2, l))
                .unwrap_or_else(|error| panic!("operation {crash_at}, seed {seed}: {error}"));
            let disk = disk.crash(seed + 100);
            live(&disk, 3, &mut ledger, |n, w, at, l| scripted(n, w, at, 3, l))
                .unwrap_or_else(|error| panic!("operation {crash_at}, seed {seed}, third life: {error}"));
        }
        if operations < crash_at {
            break;
        }
    }
    assert!(operations > 30, "the workload must do something: {operations}");
}

/// Random lives of one log: appends, group commits, truncations, crashes and kills.
fn random_lives(seed: u64, lie: Faults) -> Result<(), String> {
    let mut random = SimRandom::new(seed);
    let mut disk = new_disk();
    let mut ledger = Ledger::default();
    for epoch in 1..=8 {
        let crash_at = if random.one_in(4) { None } else { Some(1 + random.below(60)) };
        disk.set_faults(Faults { crash_at_operation: crash_at, ..lie });
        let mut choices = random.clone();
        live(&disk, epoch, &mut ledger, |_, writer, at, ledger| match choices.below(10) {
            0 => {
                let back = choices.below(6);
                truncate(writer, Lsn::new(at.lsn.get().saturating_sub(back)), ledger)
            }
            1..=3 => {
                let count = 2 + choices.below(5);
                ledger.commit(writer, at, epoch, count)
            }
            4 => Err(Error::WalClosed),
            _ => ledger.commit(writer, at, epoch, 1),
        })?;
        disk = if random.one_in(5) { disk.kill() } else { disk.crash(random.next_u64()) };
    }
    live(&disk, 9, &mut ledger, |_, _, _, _| Err(Error::WalClosed))
}

#[test]
fn acked_means_durable_over_random_lives() {
    for seed in 0..150 {
        random_lives(seed, Faults::default()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn the_crash_test_fails_without_the_fsync_of_files() {
    let lie = Faults { lying_file_sync: true, ..Faults::default() };
    let failures = (0..20).filter_map(|seed| random_lives(seed, lie).err()).collect::<Vec<_>>();
    assert!(failures.iter().any(|error| error.contains("is lost")), "{failures:?}");
}

#[test]
fn the_crash_test_fails_without_the_fsync_of_directories() {
    let lie = Faults { lying_dir_sync: true, ..Faults::default() };
    let failures = (0..20).filter_map(|seed| random_lives(seed, lie).err()).collect::<Vec<_>>();
    assert!(failures.iter().any(|error| error.contains("is lost")), "{failures:?}");
}

#[test]
fn without_fsync_acked_records_are_lost() {
    let lost = |seed| {
        let disk = new_disk();
        let recovery = recover(
            Arc::new(disk.clone()),
            WalOptions { fsync: Fsync::DangerouslyNever, ..options() },
            OnDamage::Refuse,
            &mut |_| Ok(()),
        );
        let mut writer = recovery.unwrap().into_writer(StartAt { epoch: 1, salt: SALT }).unwrap();
        writer.commit(&[record(1, 100)]).unwrap();
        read(&disk.crash(seed), OnDamage::Refuse).unwrap().0.is_empty()
    };
    assert!((0..20).any(lost));
}

#[test]
fn a_record_of_a_torn_commit_may_lie_intact_behind_a_torn_one() {
    // The second sector of the commit reached the disk and the first did not: no acknowledged record is affected.
    let disk = three_files();
    let before = read(&disk, OnDamage::Refuse).unwrap().0;
    disk.rot(&path(3), |bytes| {
        let start = format::DATA_START_BYTES;
        let last_commit = start + 952;
        bytes[last_commit..last_commit + 100].fill(0);
    })
    .unwrap();
    let (records, recovery) = read(&disk, OnDamage::Refuse).unwrap();
    assert_eq!(lsns(&records), lsns(&before[..9]));
    assert!(recovery.report().torn_tail.is_some());
}

#[test]
fn a_message_that_looks_like_a_record_does_not_make_a_torn_tail_look_like_damage() {
    let disk = new_disk();
    let mut writer = start(&disk, 1).unwrap();
    writer.commit(&[record(1, 100)]).unwrap();
    // A record as another log writes it, with a later LSN, sent as a message and torn in front.
    let mut forged = vec![b'x'; 512];
    format::encode_gap(
        &mut forged,
        Position { lsn: Lsn::new(9), seq: 9 },
        Position { lsn: Lsn::new(10), seq: 9 },
        SALT + 9,
    );
    writer.commit(&[NewRecord { payload: vec![Bytes::from(forged)], ..record(2, 0) }]).unwrap();
    disk.rot(&path(1), |bytes| bytes[format::DATA_START_BYTES + 152 + 48..][..8].fill(0)).unwrap();
    let (records, recovery) = read(&disk, OnDamage::Refuse).unwrap();
    assert_eq!(lsns(&records), [1]);
    assert!(recovery.report().torn_tail.is_some());
}
