//! Damage that no crash explains: every flipped bit is found or harmless, the start is refused with file and offset,
//! and quarantine keeps all that is intact and says what is not.

use super::*;
use crate::disk::DiskExt;

fn refusal(disk: &SimDisk) -> String {
    read(disk, OnDamage::Refuse).unwrap_err().to_string()
}

/// Quarantines, restarts, appends, and reads again without complaint. Returns the first report.
fn quarantine(disk: &SimDisk) -> (Vec<RecoveredRecord>, RecoveryReport) {
    let (records, recovery) = read(disk, OnDamage::Quarantine).unwrap();
    let report = recovery.report().clone();
    let next = recovery.next_lsn();
    let mut writer = recovery.into_writer(StartAt { epoch: 2, salt: SALT }).unwrap();
    let added = writer.commit(&[record(77, 30)]).unwrap();
    assert_eq!(added[0], Committed { lsn: next, first_seq: 0 });
    let (again, recovery) = read(&disk.crash(0), OnDamage::Refuse).unwrap();
    assert_eq!(again[..again.len() - 1], records, "a second reading delivers the same and the new record");
    assert_eq!(again.last().unwrap().payload, joined(&record(77, 30)));
    let gaps: u64 = recovery.report().known_gaps.iter().map(|gap| gap.end.since(gap.start)).sum();
    let known = report.losses.iter().filter_map(|loss| Some(loss.until?.since(loss.first?))).sum::<u64>();
    assert_eq!(gaps, known);
    (records, report)
}

#[test]
fn every_flipped_bit_is_found_or_harmless() {
    let original = read(&three_files(), OnDamage::Refuse).unwrap().0;
    let (mut refused, mut torn) = (0, 0);
    for number in 1..=3 {
        let len = three_files().read(&path(number)).unwrap().len();
        for offset in (0..len).step_by(13) {
            let disk = three_files();
            disk.rot(&path(number), |bytes| bytes[offset] ^= 1 << (offset % 8)).unwrap();
            match read(&disk, OnDamage::Refuse) {
                Ok((records, recovery)) if recovery.report().torn_tail.is_some() => {
                    assert!(number == 3 && records.len() >= 9, "{number} {offset}");
                    assert_eq!(records, original[..records.len()]);
                    torn += 1;
                }
                Ok((records, _)) => assert_eq!(records, original, "{number} {offset}"),
                Err(Error::WalDamaged { path: found, offset: at, .. }) => {
                    assert_eq!(found, path(number));
                    assert!(at <= offset as u64 && offset as u64 - at < 1000, "{at} for {offset}");
                    refused += 1;
                    if offset % 5 == 0 {
                        let (records, report) = quarantine(&disk);
                        assert!(records.iter().all(|record| original.contains(record)));
                        let lost =
                            report.losses.iter().map(|loss| loss.until.unwrap().since(loss.first.unwrap()));
                        assert_eq!(lost.sum::<u64>() + records.len() as u64, original.len() as u64);
                    }
                }
                Err(other) => panic!("{number} {offset}: {other}"),
            }
        }
    }
    assert!(refused > 600 && torn > 50, "{refused} refused, {torn} torn");
}

#[test]
fn damage_in_the_middle_names_file_offset_and_the_way_out() {
    let disk = three_files();
    disk.rot(&path(1), |bytes| bytes[4096 + 952 + 60] ^= 1).unwrap();
    let expected = "the WAL is damaged: /d/wal/00000000000000000001.wal at byte 5048: a record does not match its \
        checksum, and intact records follow; expected record 2. Restore the file from a copy, or start with \
        --quarantine-wal, which sets damaged files aside in /d/wal/quarantine, keeps every intact record and reports \
        what is lost";
    assert_eq!(refusal(&disk), expected);
    let (records, report) = quarantine(&disk);
    assert_eq!(lsns(&records), [1, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    let loss = Loss {
        path: path(1),
        damage: Damage::Payload,
        offset: 5048,
        bytes: 952,
        first: Some(Lsn::new(2)),
        until: Some(Lsn::new(3)),
        rows: Some(u64::from(record(2, 0).rows)),
    };
    assert_eq!(report.losses, [loss]);
    let aside = disk.kill().list(&dir().join("quarantine"));
    assert_eq!(aside.unwrap()[0].name, "00000000000000000001.wal");
}

#[test]
fn damage_in_the_last_file_is_no_torn_tail_if_a_later_commit_follows() {
    let disk = three_files();
    disk.rot(&path(3), |bytes| bytes[4096 + 20] ^= 1).unwrap();
    assert!(refusal(&disk).contains("0003.wal at byte 4096: no record header, and intact records follow"));
    let (records, _) = quarantine(&disk);
    assert_eq!(lsns(&records), [1, 2, 3, 4, 5, 6, 7, 8, 10, 11]);
}

#[test]
fn a_lost_end_of_a_file_shows_at_its_successor() {
    let disk = three_files();
    disk.rot(&path(2), |bytes| bytes[4096 + 952..].fill(0)).unwrap();
    assert!(
        refusal(&disk).contains("0002.wal at byte 5048: the file ends, and the next one starts with record")
    );
    let (_, report) = quarantine(&disk);
    assert!(matches!(report.losses[0].damage, Damage::Ends { .. }));
    assert!(report.losses[0].rows.unwrap() > 0);
}

#[test]
fn missing_files_are_damage_and_can_be_bridged() {
    let disk = three_files();
    disk.rot_away(&path(2));
    assert!(refusal(&disk).contains("0002.wal at byte 0: the file is missing; expected record"));
    let (records, report) = quarantine(&disk);
    let lost =
        (report.losses[0].first.unwrap().get()..report.losses[0].until.unwrap().get()).collect::<Vec<_>>();
    assert_eq!([lsns(&records), lost].concat().len(), 11);
}

#[test]
fn a_missing_oldest_file_is_the_callers_business() {
    let disk = three_files();
    disk.rot_away(&path(1));
    let (records, _) = read(&disk, OnDamage::Refuse).unwrap();
    assert!(!records.is_empty() && records[0].lsn > Lsn::FIRST);
}

#[test]
fn one_damaged_copy_of_the_header_is_harmless_two_are_damage() {
    for number in 1..=3 {
        let disk = three_files();
        disk.rot(&path(number), |bytes| bytes[..64].fill(0xff)).unwrap();
        assert_eq!(read(&disk, OnDamage::Refuse).unwrap().0.len(), 11);
        disk.rot(&path(number), |bytes| bytes[2048..2112].fill(0xff)).unwrap();
        assert!(refusal(&disk).contains("both copies of the file header are damaged"));
        let (records, recovery) = read(&disk, OnDamage::Quarantine).unwrap();
        assert!(records.len() < 11);
        assert_eq!(recovery.report().losses.len(), 1);
        assert_eq!(recovery.report().losses[0].until.is_none(), number == 3, "the end of the log is unknown");
        assert_eq!(recovery.report().losses[0].first.is_none(), number == 1);
        quarantine_reads_back(&disk, &records);
    }
}

fn quarantine_reads_back(disk: &SimDisk, records: &[RecoveredRecord]) {
    let (_, recovery) = read(disk, OnDamage::Quarantine).unwrap();
    recovery.into_writer(StartAt { epoch: 1, salt: 1 }).unwrap();
    let mut disk = disk.clone();
    for seed in 0..10 {
        disk = disk.crash(seed);
        assert_eq!(read(&disk, OnDamage::Refuse).unwrap().0, records);
    }
}

#[test]
fn a_file_whose_creation_was_interrupted_proves_the_one_before_it_complete() {
    let disk = three_files();
    disk.rot(&path(3), |bytes| bytes.fill(0)).unwrap();
    let (records, recovery) = read(&disk, OnDamage::Refuse).unwrap();
    assert_eq!((records.len(), recovery.next_lsn()), (8, Lsn::new(9)));
    disk.rot(&path(2), |bytes| bytes[4096 + 3 * 952 + 60] ^= 1).unwrap();
    assert!(refusal(&disk).contains("0002.wal at byte 6952"));
    quarantine(&disk);
}

#[test]
fn swapped_files_are_damage() {
    let disk = three_files();
    let other = disk.read(&path(1)).unwrap();
    disk.rot(&path(2), |bytes| *bytes = other).unwrap();
    assert!(refusal(&disk).contains("the header is that of file number 1"));
}

#[test]
fn a_log_of_an_older_epoch_in_the_middle_is_damage() {
    let disk = new_disk();
    start(&disk, 5).unwrap().commit(&[record(1, 10)]).unwrap();
    let disk = disk.kill();
    start(&disk, 6).unwrap().commit(&[record(2, 10)]).unwrap();
    disk.rot(&path(2), |bytes| {
        let header = format::decode_file_header(bytes).unwrap();
        let older = format::encode_file_header(&format::FileHeader { epoch: 4, ..header });
        bytes[..older.len()].copy_from_slice(&older);
    })
    .unwrap();
    assert!(refusal(&disk).contains("the file is of epoch 4, the one before it of a later one"));
}

#[test]
fn a_newer_format_is_refused_with_both_versions_even_with_quarantine() {
    let disk = three_files();
    disk.rot(&path(2), |bytes| {
        bytes[8] = 9;
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    })
    .unwrap();
    let expected = "WAL file /d/wal/00000000000000000002.wal has format version 9, this release reads versions up to 1: \
        run the release that wrote it, or a newer one";
    assert_eq!(refusal(&disk), expected);
    assert_eq!(read(&disk, OnDamage::Quarantine).unwrap_err().to_string(), expected);
}

#[test]
fn an_older_epoch_than_the_logs_is_refused() {
    let disk = new_disk();
    start(&disk, 5).unwrap().commit(&[record(1, 10)]).unwrap();
    let refused = start(&disk.kill(), 4).unwrap_err();
    assert!(
        refused.to_string().contains("written under epoch 5, and this start claimed epoch 4"),
        "{refused}"
    );
}

#[test]
fn rows_restart_with_the_epoch_and_continue_within_it() {
    let disk = new_disk();
    let first = start(&disk, 5).unwrap().commit(&[record(4, 10), record(4, 10)]).unwrap();
    assert_eq!(first[1], Committed { lsn: Lsn::new(2), first_seq: 5 });
    let disk = disk.kill();
    let same = start(&disk, 5).unwrap().commit(&[record(4, 10)]).unwrap();
    assert_eq!(same[0], Committed { lsn: Lsn::new(3), first_seq: 10 });
    let disk = disk.kill();
    let next = start(&disk, 6).unwrap().commit(&[record(4, 10)]).unwrap();
    assert_eq!(next[0], Committed { lsn: Lsn::new(4), first_seq: 0 });
    let (records, _) = read(&disk.kill(), OnDamage::Refuse).unwrap();
    let seen: Vec<_> = records.iter().map(|record| (record.epoch, record.first_seq)).collect();
    assert_eq!(seen, [(5, 0), (5, 5), (5, 10), (6, 0)]);
}

#[test]
fn foreign_names_in_the_directory_are_left_alone() {
    let disk = three_files();
    for name in ["notes.txt", "1.wal", "0000000000000000000x.wal", "00000000000000000009.replacement"] {
        disk.create(&dir().join(name)).unwrap().write_at(0, b"?").unwrap();
    }
    assert_eq!(read(&disk, OnDamage::Refuse).unwrap().0.len(), 11);
    start(&disk, 1).unwrap();
    let names: Vec<_> = disk.list(&dir()).unwrap().into_iter().map(|entry| entry.name).collect();
    assert!(
        names.contains(&"notes.txt".to_owned()) && !names.iter().any(|name| name.ends_with("replacement"))
    );
}

#[test]
fn a_quarantine_that_a_crash_interrupts_can_be_repeated() {
    let broken = || {
        let disk = three_files();
        disk.rot(&path(1), |bytes| bytes[4096 + 952 + 60] ^= 1).unwrap();
        disk.rot_away(&path(2));
        disk
    };
    let expected = read(&broken(), OnDamage::Quarantine).unwrap().0;
    let damaged = broken().read(&path(1)).unwrap();
    for operation in 1..25 {
        for seed in 0..6 {
            let disk = broken();
            let (_, recovery) = read(&disk, OnDamage::Quarantine).unwrap();
            disk.set_faults(Faults { crash_at_operation: Some(operation), ..Faults::default() });
            let _ = recovery.into_writer(StartAt { epoch: 2, salt: SALT });
            let disk = disk.crash(seed);
            let (records, recovery) = read(&disk, OnDamage::Quarantine).unwrap();
            assert_eq!(records, expected, "operation {operation} seed {seed}");
            recovery.into_writer(StartAt { epoch: 2, salt: SALT }).unwrap();
            let disk = disk.crash(seed + 50);
            assert_eq!(read(&disk, OnDamage::Refuse).unwrap().0, expected);
            let aside = disk.list(&dir().join("quarantine")).unwrap();
            let intact_copy = |entry: &crate::disk::DirEntry| {
                disk.read(&dir().join("quarantine").join(&entry.name)).unwrap() == damaged
            };
            assert!(
                aside.iter().any(intact_copy),
                "operation {operation} seed {seed}: no copy of the damaged file"
            );
        }
    }
}
