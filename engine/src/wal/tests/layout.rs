//! The bytes of the format, frozen: a test here that needs another expectation means a new format version.

use super::*;
use crate::disk::DiskExt;
use crate::disk::LocalDisk;

/// Sixteen bytes a line, lines of zeros left out.
fn hex(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).enumerate().filter(|(_, line)| line.iter().any(|byte| *byte != 0));
    let text = lines.map(|(index, line)| {
        let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:04x} {}\n", index * 16, digits.join(" "))
    });
    text.collect()
}

#[test]
fn golden_bytes() {
    let disk = new_disk();
    let mut writer = start(&disk, 0x0102_0304).unwrap();
    let rows = |rows, payload: &'static [u8]| NewRecord {
        kind: 5,
        rows,
        payload: vec![Bytes::from_static(payload)],
    };
    writer.commit(&[rows(3, b"hello"), rows(2, b"")]).unwrap();
    let bytes = disk.read(&path(1)).unwrap();
    assert_eq!(bytes.len() as u64, FILE_BYTES_MIN);
    let expected = "\
0000 49 52 4f 4e 57 41 4c 0a 01 00 00 00 00 10 00 00
0010 01 00 00 00 00 00 00 00 04 03 02 01 00 00 00 00
0020 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
0030 f1 de bc 9a 78 56 34 12 00 00 00 00 47 86 ba c2
0800 49 52 4f 4e 57 41 4c 0a 01 00 00 00 00 10 00 00
0810 01 00 00 00 00 00 00 00 04 03 02 01 00 00 00 00
0820 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
0830 f1 de bc 9a 78 56 34 12 00 00 00 00 47 86 ba c2
1000 49 42 57 52 00 fd b7 cc 05 00 00 00 4c bb 71 9a
1010 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
1020 03 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00
1030 68 65 6c 6c 6f 00 00 00 49 42 57 52 d9 d2 a7 a3
1040 00 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00
1050 03 00 00 00 00 00 00 00 02 00 00 00 01 00 00 00
1060 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
";
    assert_eq!(hex(&bytes), expected);
}

#[test]
fn golden_gap() {
    let mut bytes = Vec::new();
    let (from, until) = (Position { lsn: Lsn::new(7), seq: 20 }, Position { lsn: Lsn::new(9), seq: 25 });
    format::encode_gap(&mut bytes, from, until, SALT);
    let expected = "\
0000 49 42 57 52 c5 5d d3 d1 10 00 00 00 ad 08 a5 cb
0010 07 00 00 00 00 00 00 00 14 00 00 00 00 00 00 00
0020 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00
0030 02 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00
";
    assert_eq!(hex(&bytes), expected);
    let header = format::decode_record(&bytes, 0, SALT).unwrap();
    assert_eq!(header.end(), until);
    assert!(format::decode_record(&bytes, 0, SALT + 1).is_err(), "the salt belongs to the record");
}

#[test]
fn the_real_disk_keeps_a_log() {
    let home = tempfile::tempdir().unwrap();
    let options = WalOptions { dir: home.path().join("wal"), ..options() };
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    for epoch in 1..4_u32 {
        let mut seen = 0;
        let recovery = recover(Arc::clone(&disk), options.clone(), OnDamage::Refuse, &mut |found| {
            seen += 1;
            assert_eq!(found.payload, joined(&record(found.lsn.get(), 3000)));
            Ok(())
        });
        assert_eq!(seen, u64::from(epoch - 1) * 5);
        let mut writer = recovery.unwrap().into_writer(StartAt { epoch, salt: SALT }).unwrap();
        for tag in seen + 1..=seen + 5 {
            writer.commit(&[record(tag, 3000)]).unwrap();
        }
    }
    assert!(disk.free_bytes(home.path()).unwrap() > 0);
    let bytes = std::fs::metadata(file_path(&options.dir, 1)).unwrap().len();
    assert_eq!(bytes, FILE_BYTES_MIN);
}

#[test]
fn the_real_disk_keeps_the_contract_of_the_trait() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let disk = LocalDisk;
    disk.create_dir(&at("sub")).unwrap();
    disk.create_dir(&at("sub")).unwrap();
    let file = disk.create(&at("b")).unwrap();
    assert_eq!(disk.create(&at("b")).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    file.preallocate(100).unwrap();
    file.preallocate(50).unwrap();
    file.write_at(98, b"xyz").unwrap();
    file.sync().unwrap();
    assert_eq!(file.len_bytes().unwrap(), 101);
    file.set_len(100).unwrap();
    let mut buf = [1; 8];
    assert_eq!(file.read_at(96, &mut buf).unwrap(), 4);
    assert_eq!(buf, [0, 0, b'x', b'y', 1, 1, 1, 1]);
    disk.replace(&at("a"), b"one").unwrap();
    disk.replace(&at("a"), b"two").unwrap();
    assert_eq!(disk.read(&at("a")).unwrap(), b"two");
    disk.rename(&at("b"), &at("c")).unwrap();
    disk.sync_dir(home.path()).unwrap();
    let entries = disk.list(home.path()).unwrap();
    let seen: Vec<_> =
        entries.iter().map(|entry| (entry.name.as_str(), entry.len_bytes, entry.is_dir)).collect();
    assert_eq!(seen, [("a", 3, false), ("c", 100, false), ("sub", 0, true)]);
    disk.remove(&at("c")).unwrap();
    assert_eq!(disk.open(&at("c")).unwrap_err().kind(), std::io::ErrorKind::NotFound);
}
