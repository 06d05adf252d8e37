//! Lines: ends, limits, encodings, and sources that give a few bytes at a time.

use std::io::Write;

use proptest::prelude::*;

use super::*;

/// Gives out its bytes a few at a time.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let take = self.1.min(space.len());
        let mut head = self.0.get(..take.min(self.0.len())).unwrap();
        let read = head.read(space)?;
        self.0 = &self.0[read..];
        Ok(read)
    }
}

fn read_all<R: Read>(mut lines: LineReader<R>) -> Vec<(u64, u64, Result<String, u64>)> {
    let mut all = Vec::new();
    while let Some(line) = lines.next_line().unwrap() {
        let text = line.text.map(|text| text.text.into_owned()).map_err(|too_long| too_long.bytes);
        all.push((line.number, line.offset, text));
    }
    all
}

fn texts(bytes: &[u8]) -> Vec<String> {
    read_all(LineReader::new(bytes)).into_iter().map(|(_, _, text)| text.unwrap()).collect()
}

#[test]
fn only_the_end_of_a_line_is_taken_away() {
    assert_eq!(
        texts(b"a\nb\r\nc\r\r\nd\re\n\n f \0\xef\xbb\xbf\r"),
        ["a", "b", "c\r", "d\re", "", " f \0\u{feff}\r"]
    );
    assert_eq!(texts(b""), Vec::<String>::new());
    assert_eq!(texts(b"\n"), [""]);
    assert_eq!(texts(b"a\n"), ["a"]);
}

#[test]
fn numbers_and_offsets_count_all_bytes() {
    let lines = read_all(LineReader::new(&b"ab\r\n\nc"[..]));
    let places: Vec<(u64, u64)> = lines.iter().map(|(number, offset, _)| (*number, *offset)).collect();
    assert_eq!(places, [(1, 0), (2, 4), (3, 5)]);
}

#[test]
fn bytes_that_are_not_utf8_are_replaced_and_counted() {
    let mut lines = LineReader::new(&b"a\xffb\xc3\nfine\n"[..]);
    let first = lines.next_line().unwrap().unwrap().text.unwrap();
    assert_eq!((first.text.as_ref(), first.replaced), ("a\u{fffd}b\u{fffd}", 2));
    let second = lines.next_line().unwrap().unwrap().text.unwrap();
    assert_eq!((second.text.as_ref(), second.replaced), ("fine", 0));
}

#[test]
fn a_line_over_the_limit_is_reported_and_passed_over() {
    for step in [1, 3, 100] {
        let source = Trickle(b"12345\n123456\n1234\n1234567", step);
        let expected =
            vec![(1, 0, Ok("12345".into())), (2, 6, Err(6)), (3, 13, Ok("1234".into())), (4, 18, Err(7))];
        assert_eq!(read_all(LineReader::with_limit(source, 5)), expected, "{step} bytes at a time");
    }
    insta::assert_snapshot!(TooLong { bytes: 20_000_000, head: *b"01234567" }, @"the line has 20000000 bytes, over the limit of 16777216");
}

#[test]
fn gzip_of_several_members_zstd_and_plain_read_alike() {
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    for bytes in [
        b"one\ntwo\n".to_vec(),
        [gzip(b"one\n"), gzip(b"two\n")].concat(),
        [zstd(b"one\n"), zstd(b"two\n")].concat(),
    ] {
        let lines = LineReader::new(decompress(bytes.as_slice()).unwrap());
        assert_eq!(
            read_all(lines).into_iter().map(|line| line.2.unwrap()).collect::<Vec<_>>(),
            ["one", "two"]
        );
    }
    assert!(read_all(LineReader::new(decompress(&b""[..]).unwrap())).is_empty());
    assert_eq!(read_all(LineReader::new(decompress(&b"a"[..]).unwrap())).len(), 1);
}

#[test]
fn utf16_is_refused_and_says_what_to_do() {
    let Err(error) = decompress(&b"\xff\xfea\0\n\0"[..]) else { panic!("UTF-16 was taken") };
    insta::assert_snapshot!(error, @"the file begins with the byte order mark of UTF-16, which is not supported; convert it to UTF-8, for example with `iconv -f UTF-16 -t UTF-8`");
}

#[test]
fn other_packings_are_refused_and_say_what_to_do() {
    let Err(error) = decompress(&b"\xfd7zXZ\0rest"[..]) else { panic!("xz was taken") };
    insta::assert_snapshot!(error, @"it is packed by xz, which is not supported; unpack it, for example with `xz -dc FILE | ironbark ingest`");
    assert!(decompress(&b"PK\x03\x04"[..]).is_err());
    assert!(decompress(&b"PKs of the tables"[..]).is_ok());
}

proptest! {
    #[test]
    fn lines_do_not_depend_on_how_the_bytes_arrive(bytes in "[a-c\\r\\n]{0,60}", step in 1_usize..9) {
        let whole = read_all(LineReader::new(bytes.as_bytes()));
        prop_assert_eq!(&read_all(LineReader::new(Trickle(bytes.as_bytes(), step))), &whole);
        let joined: Vec<String> = whole.into_iter().map(|line| line.2.unwrap()).collect();
        let expected: Vec<&str> = bytes.lines().collect();
        // `str::lines` also drops a CR at the very end of the input.
        let last_cr = bytes.ends_with('\r');
        prop_assert!(joined == expected || last_cr, "{:?} {:?}", joined, expected);
    }
}
