//! What the double promises to those who test with it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;
use crate::disk::DiskExt;

fn root() -> PathBuf {
    PathBuf::from("/d")
}

fn path(name: &str) -> PathBuf {
    root().join(name)
}

/// A file with `synced` durable and `unsynced` written behind it.
fn disk_with(synced: &[u8], unsynced: &[u8]) -> SimDisk {
    let disk = SimDisk::new(root());
    let file = disk.create(&path("f")).unwrap();
    file.write_at(0, synced).unwrap();
    file.sync().unwrap();
    disk.sync_dir(&root()).unwrap();
    file.write_at(synced.len() as u64, unsynced).unwrap();
    disk
}

#[test]
fn synced_bytes_survive_every_crash_and_unsynced_ones_may_go() {
    let mut lengths = BTreeSet::new();
    for seed in 0..200 {
        let disk = disk_with(b"synced", &[7; 2000]).crash(seed);
        let bytes = disk.read(&path("f")).unwrap();
        assert!(bytes.starts_with(b"synced"), "seed {seed}");
        lengths.insert(bytes.len());
    }
    assert!(lengths.contains(&6) && lengths.contains(&2006) && lengths.len() > 20, "{lengths:?}");
}

#[test]
fn sectors_of_one_write_reach_the_disk_in_any_order() {
    let reordered = |seed| {
        let bytes = disk_with(&[0; 512], &[7; 1024]).crash(seed).read(&path("f")).unwrap();
        bytes.len() == 1536 && bytes[512..1024].iter().all(|byte| *byte == 0) && bytes[1535] == 7
    };
    assert!((0..200).any(reordered));
}

#[test]
fn a_name_survives_only_when_its_directory_was_synced() {
    let survives = |seed, synced: bool| {
        let disk = SimDisk::new(root());
        let file = disk.create(&path("f")).unwrap();
        file.write_at(0, b"x").unwrap();
        file.sync().unwrap();
        if synced {
            disk.sync_dir(&root()).unwrap();
        }
        disk.crash(seed).read(&path("f")).is_ok()
    };
    assert!((0..50).all(|seed| survives(seed, true)));
    assert!((0..50).any(|seed| !survives(seed, false)) && (0..50).any(|seed| survives(seed, false)));
}

#[test]
fn a_directory_that_was_never_synced_takes_its_files_with_it() {
    let lost = |seed| {
        let disk = SimDisk::new(root());
        disk.create_dir(&path("sub")).unwrap();
        disk.create(&path("sub/f")).unwrap().sync().unwrap();
        disk.sync_dir(&path("sub")).unwrap();
        let disk = disk.crash(seed);
        assert_eq!(disk.read(&path("sub/f")).is_ok(), disk.list(&path("sub")).is_ok(), "seed {seed}");
        disk.list(&path("sub")).is_err()
    };
    assert!((0..50).any(lost));
}

#[test]
fn replace_leaves_the_old_file_or_the_new_one_at_every_crash() {
    let mut seen = BTreeSet::new();
    for operation in 1..7 {
        for seed in 0..30 {
            let disk = disk_with(b"old", b"");
            disk.set_faults(Faults { crash_at_operation: Some(operation), ..Faults::default() });
            let replaced = disk.replace(&path("f"), b"new").is_ok();
            let bytes = disk.crash(seed).read(&path("f")).unwrap();
            assert!(bytes == b"old" && !replaced || bytes == b"new", "operation {operation} seed {seed}");
            seen.insert(bytes);
        }
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_failed_sync_drops_bytes_that_reads_still_show() {
    let disk = disk_with(b"synced", b"lost");
    disk.set_faults(Faults { fail_sync: Some(1), ..Faults::default() });
    let file = disk.open(&path("f")).unwrap();
    assert!(file.sync().is_err());
    assert!(file.sync().is_ok(), "a second sync reports success, as on Linux");
    assert_eq!(disk.kill().read(&path("f")).unwrap(), b"syncedlost");
    assert_eq!(disk.crash(0).read(&path("f")).unwrap(), b"synced");
}

#[test]
fn a_full_disk_takes_what_fits_and_counts_reserved_space() {
    let disk = disk_with(b"123456", b"");
    disk.set_faults(Faults { capacity_bytes: Some(10), ..Faults::default() });
    assert_eq!(disk.free_bytes(&root()).unwrap(), 4);
    let file = disk.open(&path("f")).unwrap();
    assert_eq!(file.preallocate(11).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.preallocate(10).unwrap();
    file.write_at(6, b"7890").unwrap();
    assert_eq!(file.write_at(8, b"xyz").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.read(&path("f")).unwrap(), b"12345678xy");
    disk.remove(&path("f")).unwrap();
    assert_eq!(disk.free_bytes(&root()).unwrap(), 10);
}

#[test]
fn handles_from_before_a_crash_are_dead() {
    let disk = disk_with(b"a", b"");
    let file = disk.open(&path("f")).unwrap();
    let after = disk.crash(1);
    assert!(file.write_at(0, b"b").is_err() && disk.list(&root()).is_err());
    assert_eq!(after.read(&path("f")).unwrap(), b"a");
}
