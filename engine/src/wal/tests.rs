//! Tests of the log over the disk double, by what goes wrong: power, bits, space, threads.

mod crash;
mod damage;
mod group;
mod layout;
mod space;

use std::path::PathBuf;
use std::sync::Arc;

use super::files::file_path;
use super::writer::LogWriter;
use super::*;
use crate::disk::Disk;
use crate::disk::sim::{Faults, SimDisk, SimRandom};
use crate::{Error, Result};

const SALT: u64 = 0x1234_5678_9abc_def0;

fn dir() -> PathBuf {
    PathBuf::from("/d/wal")
}

fn path(number: u64) -> PathBuf {
    file_path(&dir(), number)
}

fn new_disk() -> SimDisk {
    SimDisk::new("/d")
}

/// Small files, so that a few records rotate.
fn options() -> WalOptions {
    WalOptions { file_bytes: FILE_BYTES_MIN, reserve_bytes: 0, ..WalOptions::new(dir()) }
}

/// A record whose payload is derived from its tag, in several pieces.
fn record(tag: u64, bytes: usize) -> NewRecord {
    let name = tag.to_le_bytes();
    let mut payload = vec![name[0].wrapping_mul(31); bytes];
    let named = bytes.min(name.len());
    payload[..named].copy_from_slice(&name[..named]);
    let pieces = payload.chunks(700).map(Bytes::copy_from_slice).collect();
    let rows = u32::try_from(tag % 5).unwrap() + 1;
    NewRecord { kind: name[0] % 7, rows, payload: pieces }
}

fn joined(record: &NewRecord) -> Vec<u8> {
    record.payload.concat()
}

fn read(disk: &SimDisk, on_damage: OnDamage) -> Result<(Vec<RecoveredRecord>, Recovery)> {
    let mut records = Vec::new();
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let recovery = recover(disk, options(), on_damage, &mut |record| {
        records.push(record);
        Ok(())
    })?;
    Ok((records, recovery))
}

fn start(disk: &SimDisk, epoch: u32) -> Result<LogWriter> {
    let (_, recovery) = read(disk, OnDamage::Refuse)?;
    recovery.into_writer(StartAt { epoch, salt: SALT })
}

fn lsns(records: &[RecoveredRecord]) -> Vec<u64> {
    records.iter().map(|record| record.lsn.get()).collect()
}

/// A log of three files: records 1 to 4, 5 to 8, and 9 to 11, the last two of them in one commit.
fn three_files() -> SimDisk {
    let disk = new_disk();
    let mut writer = start(&disk, 1).unwrap();
    for tag in 1..=9 {
        writer.commit(&[record(tag, 900)]).unwrap();
    }
    writer.commit(&[record(10, 900), record(11, 900)]).unwrap();
    assert!(disk.list(&dir()).unwrap().len() == 3, "{:?}", disk.list(&dir()));
    disk
}
