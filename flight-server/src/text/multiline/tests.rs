//! Records: traces of three languages, and what must stay apart.

use super::*;

fn records(text: &str) -> Vec<String> {
    let mut reader = RecordReader::new(LineReader::new(text.as_bytes()));
    let mut all = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        all.push(format!("{}: {}", record.number, record.text.unwrap().text));
    }
    all
}

#[test]
fn a_java_trace_joins_its_record() {
    let text = "INFO a\nERROR failed\njava.lang.IllegalStateException: no session\n\tat a.B.c(B.java:1)\nat a.B.d(B.java:2)\n\
                Caused by: java.io.IOException: closed\n\t... 12 more\n... 12 more\nINFO b";
    let records = records(text);
    assert_eq!(records.len(), 3, "{records:#?}");
    assert_eq!(records[0], "1: INFO a");
    assert_eq!(records[1].lines().count(), 7);
    assert_eq!(records[2], "9: INFO b");
}

#[test]
fn a_python_traceback_joins_its_record() {
    let text = "ERROR failed\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nKeyError: 'x'\n\n\
                During handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  \
                File \"a.py\", line 2\nValueError\nINFO next\nValueError: on its own";
    let records = records(text);
    assert_eq!(records.len(), 3, "{records:#?}");
    assert!(records[0].ends_with("\nValueError"));
    assert_eq!(records[1..], ["12: INFO next", "13: ValueError: on its own"]);
}

#[test]
fn a_go_panic_is_one_record() {
    let text = "INFO a\npanic: boom\n\ngoroutine 1 [running]:\nmain.f(0x1, 0x2)\n\t/src/main.go:5 +0x1d\n\
                created by main.g\nexit status 2\nINFO b\n";
    let records = records(text);
    assert_eq!(records.first().map(|record| record.lines().count()), Some(8), "{records:#?}");
    assert_eq!(records.last().map(String::as_str), Some("9: INFO b"));
}

#[test]
fn other_lines_stay_apart() {
    assert_eq!(
        records("a\n\nat home (today)x\nb\n \nc"),
        ["1: a", "2: ", "3: at home (today)x", "4: b", "5:  ", "6: c"]
    );
    assert_eq!(records("  indented first\n  and more"), ["1:   indented first\n  and more"]);
}

#[test]
fn a_record_has_at_most_so_many_lines() {
    let text = format!("a\n{}", " b\n".repeat(20_000));
    let records = records(&text);
    assert_eq!(records.iter().map(|record| record.lines().count()).max(), Some(10_000));
    assert_eq!(records.iter().map(|record| record.lines().count()).sum::<usize>(), 20_001);
}
