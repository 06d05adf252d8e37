//! A full disk refuses and recovers; a failed write or fsync poisons for good.

use super::*;
use crate::disk::DiskExt;
use crate::wal::writer::CommitFailure;

fn full(disk: &SimDisk, capacity_bytes: u64) {
    disk.set_faults(Faults { capacity_bytes: Some(capacity_bytes), ..Faults::default() });
}

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    let disk = new_disk();
    let mut writer = start(&disk, 1).unwrap();
    full(&disk, FILE_BYTES_MIN + 5000);
    let mut stored = 0;
    let refused = loop {
        match writer.commit(&[record(stored + 1, 900)]) {
            Ok(_) => stored += 1,
            Err(failure) => break Error::from(failure),
        }
    };
    assert_eq!(stored, 4, "the preallocated file still takes records");
    let expected = "the disk is full: the WAL in /d/wal needs 8192 bytes (reserve included) and 5000 are free. Free or \
        add disk space; reads go on and appends resume by themselves";
    assert_eq!(refused.to_string(), expected);
    assert_eq!(lsns(&read(&disk, OnDamage::Refuse).unwrap().0), [1, 2, 3, 4]);
    assert!(writer.commit(&[record(9, 10)]).is_ok(), "a small record still fits the file");
    full(&disk, 2 * FILE_BYTES_MIN);
    assert_eq!(writer.commit(&[record(6, 900)]).unwrap()[0].lsn, Lsn::new(6));
    assert_eq!(read(&disk.crash(0), OnDamage::Refuse).unwrap().0.len(), 6);
}

#[test]
fn a_reserve_is_kept_free() {
    let disk = new_disk();
    full(&disk, FILE_BYTES_MIN + 100);
    let options = WalOptions { reserve_bytes: 101, ..options() };
    let recovery = recover(Arc::new(disk.clone()), options, OnDamage::Refuse, &mut |_| Ok(())).unwrap();
    let refused = recovery.into_writer(StartAt { epoch: 1, salt: SALT }).unwrap_err();
    assert!(matches!(refused, Error::WalDiskFull { free_bytes: 8292, needed_bytes: 8293, .. }), "{refused}");
}

#[test]
fn a_server_with_a_log_starts_on_a_full_disk() {
    let disk = three_files().kill();
    full(&disk, 0);
    let mut writer = start(&disk, 2).unwrap();
    assert!(matches!(writer.commit(&[record(1, 1)]), Err(CommitFailure::DiskFull { .. })));
    full(&disk, 1 << 20);
    assert_eq!(writer.commit(&[record(1, 1)]).unwrap()[0].lsn, Lsn::new(12));
}

#[test]
fn a_disk_that_fills_up_inside_reserved_space_loses_nothing() {
    for seed in 0..30 {
        let disk = new_disk();
        let mut writer = start(&disk, 1).unwrap();
        writer.commit(&[record(1, 600)]).unwrap();
        disk.set_faults(Faults { full_write: Some(1), ..Faults::default() });
        let refused = writer.commit(&[record(2, 600), record(3, 600)]).unwrap_err();
        assert!(matches!(refused, CommitFailure::DiskFull { .. }), "{refused:?}");
        let committed = writer.commit(&[record(4, 600)]).unwrap();
        assert_eq!(committed[0].lsn, Lsn::new(2), "the refused records took no LSN");
        let (records, _) = read(&disk.crash(seed), OnDamage::Refuse).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(records[1].payload, joined(&record(4, 600)));
    }
}

#[test]
fn no_space_for_the_header_of_a_new_file_leaves_no_file() {
    let disk = new_disk();
    let mut writer = start(&disk, 1).unwrap();
    writer.commit(&[record(1, 3000)]).unwrap();
    disk.set_faults(Faults { full_write: Some(1), ..Faults::default() });
    assert!(matches!(writer.commit(&[record(2, 3000)]), Err(CommitFailure::DiskFull { .. })));
    assert!(disk.read(&path(2)).is_err());
    writer.commit(&[record(3, 500)]).unwrap();
    writer.commit(&[record(4, 3000)]).unwrap();
    assert_eq!(lsns(&read(&disk.crash(1), OnDamage::Refuse).unwrap().0), [1, 2, 3]);
}

#[test]
fn a_file_that_found_no_space_does_not_reappear_behind_a_torn_commit() {
    for operation in 1..8 {
        for seed in 0..40 {
            let disk = new_disk();
            let mut writer = start(&disk, 1).unwrap();
            writer.commit(&[record(1, 3000)]).unwrap();
            disk.set_faults(Faults { full_write: Some(1), ..Faults::default() });
            assert!(matches!(writer.commit(&[record(2, 3000)]), Err(CommitFailure::DiskFull { .. })));
            disk.set_faults(Faults { crash_at_operation: Some(operation), ..Faults::default() });
            let _ = writer.commit(&[record(3, 500)]);
            let (records, _) = read(&disk.crash(seed), OnDamage::Refuse).unwrap();
            assert_eq!(records[0].lsn, Lsn::FIRST);
        }
    }
}

#[test]
fn a_failed_sync_while_a_file_is_created_leaves_a_log_that_goes_on() {
    // In an empty directory the first two syncs are those of the directories.
    for (records_before, sync) in [(0, 2), (0, 3), (0, 4), (1, 1), (1, 2)] {
        for seed in 0..10 {
            let disk = new_disk();
            let mut tag = 0;
            let mut expected = Vec::new();
            if records_before > 0 {
                expected.push(start(&disk, 1).unwrap().commit(&[record(0, 3000)]).unwrap()[0].lsn.get());
            }
            let disk = disk.kill();
            disk.set_faults(Faults { fail_sync: Some(sync + 3 * records_before), ..Faults::default() });
            if let Ok(mut writer) = start(&disk, 1) {
                let outcome = writer.commit(&[record(1, 3000)]);
                assert!(matches!(outcome, Err(CommitFailure::Poisoned(_))), "{records_before} {sync}");
            }
            let mut disk = disk.kill();
            for epoch in 2..4 {
                tag += 1;
                let mut writer = start(&disk, epoch).unwrap();
                expected.push(writer.commit(&[record(tag, 100)]).unwrap()[0].lsn.get());
                disk = disk.kill();
            }
            let (records, _) = read(&disk.crash(seed), OnDamage::Refuse).unwrap();
            assert_eq!(lsns(&records), expected, "{records_before} {sync}");
        }
    }
}

#[test]
fn a_failed_fsync_poisons_and_is_never_repeated() {
    let disk = new_disk();
    let mut writer = start(&disk, 1).unwrap();
    writer.commit(&[record(1, 100)]).unwrap();
    disk.set_faults(Faults { fail_sync: Some(1), ..Faults::default() });
    let failure = Error::from(writer.commit(&[record(2, 100)]).unwrap_err());
    let expected = "the WAL stopped taking writes: it could not fsync /d/wal/00000000000000000001.wal: simulated I/O \
        failure; records in flight then may or may not be stored. Check the disk and restart: recovery keeps every \
        acknowledged record";
    assert_eq!(failure.to_string(), expected);
    let operations = disk.operations();
    for _ in 0..3 {
        assert!(matches!(writer.commit(&[record(3, 100)]), Err(CommitFailure::Poisoned(_))));
    }
    assert_eq!(disk.operations(), operations, "a poisoned log does not touch the disk");
}

#[test]
fn records_that_only_the_cache_holds_after_a_failed_fsync_become_durable_by_the_restart() {
    let disk = new_disk();
    let mut writer = start(&disk, 1).unwrap();
    writer.commit(&[record(1, 100)]).unwrap();
    disk.set_faults(Faults { fail_sync: Some(1), ..Faults::default() });
    assert!(writer.commit(&[record(2, 100), record(3, 800)]).is_err());
    let disk = disk.kill();
    let mut writer = start(&disk, 2).unwrap();
    writer.commit(&[record(4, 100)]).unwrap();
    for seed in 0..10 {
        assert_eq!(lsns(&read(&disk.crash(seed), OnDamage::Refuse).unwrap().0), [1, 2, 3, 4]);
    }
}

#[test]
fn a_failed_write_poisons() {
    let disk = new_disk();
    let mut writer = start(&disk, 1).unwrap();
    disk.set_faults(Faults { fail_write: Some(1), ..Faults::default() });
    assert!(matches!(writer.commit(&[record(1, 100)]), Err(CommitFailure::Poisoned(_))));
    assert!(matches!(writer.commit(&[record(1, 100)]), Err(CommitFailure::Poisoned(_))));
    assert!(read(&disk.kill(), OnDamage::Refuse).unwrap().0.is_empty());
}

#[test]
fn every_failing_write_and_sync_keeps_what_was_acked() {
    for nth in 1..25 {
        for fault in [
            Faults { fail_write: Some(nth), ..Faults::default() },
            Faults { fail_sync: Some(nth), ..Faults::default() },
            Faults { full_write: Some(nth), ..Faults::default() },
        ] {
            let disk = new_disk();
            let mut writer = start(&disk, 1).unwrap();
            disk.set_faults(fault);
            let mut acked = Vec::new();
            for tag in 1..20 {
                if let Ok(committed) = writer.commit(&[record(tag, 900)]) {
                    acked.push((committed[0].lsn, joined(&record(tag, 900))));
                }
            }
            let (records, _) = read(&disk.crash(nth), OnDamage::Refuse).unwrap();
            let found: Vec<_> = records.into_iter().map(|r| (r.lsn, r.payload.to_vec())).collect();
            assert_eq!(found[..acked.len()], acked, "{fault:?}");
        }
    }
}

#[test]
fn a_file_whose_removal_was_lost_does_not_stand_in_the_way() {
    let disk = three_files();
    let (_, recovery) = read(&disk, OnDamage::Refuse).unwrap();
    let wal =
        recovery.start(StartAt { epoch: 2, salt: SALT }, Box::new(|_: Vec<CommittedRecord<()>>| {})).unwrap();
    // The cut of the first file is synced, the removal is not.
    disk.set_faults(Faults { fail_sync: Some(2), ..Faults::default() });
    assert!(matches!(wal.truncate_before(Lsn::new(9)), Err(Error::WalPoisoned { .. })));
    drop(wal);
    let disk = disk.kill();
    let (records, recovery) = read(&disk, OnDamage::Refuse).unwrap();
    assert_eq!(lsns(&records), [5, 6, 7, 8, 9, 10, 11]);
    let wal =
        recovery.start(StartAt { epoch: 3, salt: SALT }, Box::new(|_: Vec<CommittedRecord<()>>| {})).unwrap();
    wal.truncate_before(Lsn::new(9)).unwrap();
    drop(wal);
    // The power takes the first removal, not the second: files 1 and 3 are there.
    let (records, recovery) = read(&disk.crash(0), OnDamage::Refuse).unwrap();
    assert_eq!(lsns(&records), [9, 10, 11]);
    recovery.into_writer(StartAt { epoch: 4, salt: SALT }).unwrap();
    assert_eq!(disk.crash(0).list(&dir()).unwrap().len(), 1);
}
