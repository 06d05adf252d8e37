//! Reports for people and the file of refused lines.

use super::*;
use crate::RejectedRow;

fn range() -> Range {
    let refused = Refused { line: 2, error: "not JSON".to_owned(), text: Some("{\"a\"".to_owned()) };
    Range {
        number: 0,
        lines: 4,
        rows: None,
        row_lines: vec![1, 3, 4],
        refused: vec![refused],
        replaced: 1,
        untimed: 0,
    }
}

fn answer() -> Answer {
    let rejected = vec![RejectedRow { row: 2, error: "too \u{1b}new".to_owned() }];
    Answer { record_count: 2, rejected_count: 1, rejected }
}

#[test]
fn both_sides_refusals_are_reported_with_their_lines() {
    let mut report = FileReport::new(Path::new("/logs/a.log"));
    report.add(&range(), Some(&answer()));
    assert_eq!(
        report.counts(),
        Counts { lines: 4, sent: 3, accepted: 2, refused: 2, replaced: 1, untimed: 0 }
    );
    insta::assert_snapshot!(summary(&[report], false, Some(Path::new("bad.ndjson"))), @r"
    /logs/a.log: 4 lines, 3 rows sent, 2 accepted, 2 refused
      1 runs of bytes that are not UTF-8 became U+FFFD
      line 2: not JSON
      line 3: too \u{1b}new
    refused lines are in bad.ndjson
    ");
}

#[test]
fn a_file_in_which_no_timestamp_was_found_says_so() {
    let untimed = |untimed| {
        let mut report = FileReport::new(Path::new("a.log"));
        report.add(&Range { untimed, ..range() }, Some(&answer()));
        summary(&[report], false, None)
            .contains("no timestamps were found, so all rows have the time of this load")
    };
    assert!(untimed(3));
    assert!(!untimed(2), "a trace has lines without one");
}

#[test]
fn several_files_are_summed_up() {
    let mut first = FileReport::new(Path::new("-"));
    first.restore(
        Counts {
            lines: 1_000_000,
            sent: 1_000_000,
            accepted: 1_000_000,
            refused: 0,
            replaced: 0,
            untimed: 0,
        },
        false,
    );
    let mut second = FileReport::new(Path::new("b"));
    second.restore(Counts { lines: 20, sent: 0, accepted: 0, refused: 20, replaced: 0, untimed: 0 }, false);
    assert!(all_refused(&[second.clone()]));
    assert!(!all_refused(&[first.clone(), second.clone()]));
    insta::assert_snapshot!(summary(&[first, second], false, None), @r"
    standard input: 1,000,000 lines, 1,000,000 rows sent, 1,000,000 accepted, 0 refused
      resumed after line 1,000,000
    b: 20 lines, 0 rows sent, 0 accepted, 20 refused
      resumed after line 20
      and 20 more
    2 files: 1,000,020 lines, 1,000,000 rows sent, 1,000,000 accepted, 20 refused
    ");
}

#[test]
fn refused_lines_can_be_mended_and_loaded_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.ndjson");
    std::fs::write(&path, "from before\n").unwrap();
    let mut file = RejectFile::open(&path, false).unwrap();
    file.add(Path::new("a.log"), &range(), Some(&answer())).unwrap();
    drop(file);
    let mut file = RejectFile::open(&path, true).unwrap();
    file.add(Path::new("a.log"), &range(), None).unwrap();
    drop(file);
    let lines = std::fs::read_to_string(&path).unwrap();
    insta::assert_snapshot!(lines, @r#"
    {"error":"not JSON","file":"a.log","line":2,"text":"{\"a\""}
    {"error":"too \u001bnew","file":"a.log","line":3,"text":null}
    {"error":"not JSON","file":"a.log","line":2,"text":"{\"a\""}
    "#);
}
