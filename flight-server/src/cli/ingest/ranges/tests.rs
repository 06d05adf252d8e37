//! Ranges: rows, refusals, and cuts that do not move.

use std::fs;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::TimestampNanosecondType;

use super::*;

const NOW: Timestamp = Timestamp::from_ns(1_718_452_800_000_000_000);

fn plan(format: LineFormat) -> Plan {
    Plan {
        format,
        source: None,
        file_name: Some("a.log".to_owned()),
        tags: vec![("env".to_owned(), "prod".to_owned())],
        zone: Zone::UTC,
        multiline: false,
        keep_refused: true,
        first_range: 0,
        fixed_now: Some(NOW),
        ambient: Ambient::seeded(NOW, 1),
    }
}

fn read_all(plan: Plan, bytes: &[u8]) -> Vec<Range> {
    try_read_all(plan, bytes).into_iter().map(Result::unwrap).collect()
}

fn try_read_all(plan: Plan, bytes: &[u8]) -> Vec<Result<Range, Failure>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.log");
    fs::write(&path, bytes).unwrap();
    let source = Source::open(&path).unwrap();
    let (sender, mut receiver) = mpsc::channel(1);
    let reader = std::thread::spawn(move || read(plan, &path, source, &sender));
    let mut all = Vec::new();
    while let Some(range) = receiver.blocking_recv() {
        all.push(range);
    }
    reader.join().unwrap();
    all
}

fn texts(rows: &RecordBatch, name: &str) -> StringArray {
    rows.column_by_name(name).unwrap().as_string::<i32>().clone()
}

#[test]
fn text_lines_are_rows_byte_for_byte() {
    let bytes = b"2024-01-02 15:04:05 ERROR boom\r\n\n no time \xff\n1960-01-01 00:00:00 too old\nno end";
    let ranges = read_all(plan(LineFormat::Auto), bytes);
    assert_eq!(ranges.len(), 1);
    let range = &ranges[0];
    assert_eq!((range.lines, range.replaced, &range.row_lines), (5, 1, &vec![1, 2, 3, 4, 5]));
    let rows = range.rows.as_ref().unwrap();
    let messages: Vec<_> = texts(rows, "message").iter().map(|text| text.unwrap().to_owned()).collect();
    assert_eq!(
        messages,
        ["2024-01-02 15:04:05 ERROR boom", "", " no time \u{fffd}", "1960-01-01 00:00:00 too old", "no end"]
    );
    assert_eq!(texts(rows, "level").value(0), "ERROR");
    assert_eq!(texts(rows, "source").value(1), "a.log");
    let times = rows.column_by_name("timestamp").unwrap().as_primitive::<TimestampNanosecondType>();
    assert_eq!(times.value(0), 1_704_207_845_000_000_000);
    assert_eq!(times.value(1), NOW.ns());
    assert_eq!(times.value(3), NOW.ns(), "a date that no row may have is no reason to lose the line");
    assert_eq!((range.untimed, &range.refused), (4, &vec![]));
}

#[test]
fn json_lines_are_records_and_bad_ones_are_named() {
    let bytes = b"\n{\"message\":\"a\",\"level\":\"warn\",\"n\":1}\n\nnot json\n{\"message\":\"b\",\"timestamp\":\"2024-01-02T15:04:05Z\"}\n";
    let ranges = read_all(plan(LineFormat::Auto), bytes);
    let range = &ranges[0];
    assert_eq!((range.lines, &range.row_lines), (3, &vec![2, 5]));
    assert_eq!(range.refused.iter().map(|refused| refused.line).collect::<Vec<_>>(), [4]);
    let rows = range.rows.as_ref().unwrap();
    assert_eq!(texts(rows, "message").value(1), "b");
    assert!(texts(rows, "source").iter().all(|source| source.is_none()));
}

#[test]
fn all_of_many_bad_records_are_named() {
    let lines: String =
        (0..5_000).map(|n| if n % 1_000 == 0 { "{\"message\":\"x\"}\n" } else { "bad\n" }).collect();
    let ranges = read_all(plan(LineFormat::Ndjson), lines.as_bytes());
    assert_eq!(ranges[0].row_lines, [1, 1_001, 2_001, 3_001, 4_001]);
    assert_eq!(ranges[0].refused.len(), 4_995);
    assert_eq!(ranges[0].rows.as_ref().unwrap().num_rows(), 5);
}

#[test]
fn the_first_line_tells_the_format() {
    for (line, json) in
        [("{\"a\":1}", true), ("\u{feff} {}", true), ("{not json}", false), ("[1]", false), ("", false)]
    {
        assert_eq!(is_json_object(line), json, "{line}");
    }
}

#[test]
fn a_load_that_goes_on_cuts_where_the_first_one_did() {
    let lines = (0..120_000).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
    let all = read_all(plan(LineFormat::Text), lines.as_bytes());
    assert_eq!(all.iter().map(|range| range.number).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(all[1].row_lines.first(), Some(&50_001));

    let rest = read_all(Plan { first_range: 1, ..plan(LineFormat::Text) }, lines.as_bytes());
    assert_eq!(rest.iter().map(|range| range.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(rest[0].rows, all[1].rows);
    assert_eq!(rest[1].row_lines, all[2].row_lines);
}

#[test]
fn damage_in_the_middle_loses_nothing_before_it() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, b"one\ntwo\n").unwrap();
    let mut bytes = encoder.finish().unwrap();
    bytes.extend(b"garbage that is no gzip member");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.log.gz");
    fs::write(&path, bytes).unwrap();
    let (sender, mut receiver) = mpsc::channel(4);
    read(plan(LineFormat::Text), &path, Source::open(&path).unwrap(), &sender);
    drop(sender);
    assert_eq!(receiver.blocking_recv().unwrap().unwrap().row_lines, [1, 2]);
    assert!(matches!(receiver.blocking_recv(), Some(Err(Failure::Read { .. }))));
    assert!(receiver.blocking_recv().is_none());
}

#[test]
fn json_that_is_not_in_lines_is_refused_with_advice() {
    let refused = |bytes: &[u8]| match &try_read_all(plan(LineFormat::Auto), bytes)[..] {
        [Err(Failure::NotLines { filter, .. })] => Some(*filter),
        [Err(other)] => panic!("{other}"),
        _ => None,
    };
    let long = format!("[{{\"message\":\"{}\"}}]", "x".repeat(17 << 20));
    for array in ["[{\"a\":1},{\"a\":2}]\n", "\n[\n  {\n", "\u{feff}[ { \"a\": 1 },\n", "[{\n", "[{}]", &long]
    {
        assert_eq!(refused(array.as_bytes()), Some(".[]"), "{}", &array[..8.min(array.len())]);
    }
    assert_eq!(refused(b"{\n  \"a\": 1\n}\n"), Some("."));
    for text in ["[2024-01-02 15:04:05] INFO up\n[\n", "[{main}] up", "[1,2]", "{\"a\":1}\n[{\"a\":1}]", "{a"]
    {
        assert_eq!(refused(text.as_bytes()), None, "{text}");
    }
    assert_eq!(try_read_all(plan(LineFormat::Text), b"[{\"a\":1}]\n").len(), 1);
    let failure = Failure::NotLines { path: "a.json".into(), what: "a JSON array", filter: ".[]" };
    insta::assert_snapshot!(failure, @"a.json holds a JSON array, and a record must be one line: make lines of it with `jq -c '.[]' FILE | ironbark ingest`, or load its lines as they are with --format text");
}
