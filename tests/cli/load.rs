//! `ironbark ingest`: every way in, lines that come back byte for byte, refusals by line number, and loads that are
//! killed at either end and still have every line once.

use std::io::Write as _;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::run::Place;

/// Lines of a load that is killed: several ranges of 50,000.
const KILLED_LINES: u64 = 260_000;
/// The load is killed when so many ranges are noted as durable.
const KILLED_RANGES: u64 = 2;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_way_in_leads_to_the_same_rows() {
    let place = Place::new();
    let text = "2026-01-05 10:00:00 INFO one\n2026-01-05 10:00:01 ERROR two\n";
    let json = "{\"message\":\"one\",\"level\":\"info\",\"timestamp\":\"2026-01-05T10:00:00Z\"}\n\
                {\"message\":\"two\",\"level\":\"error\",\"timestamp\":\"2026-01-05T10:00:01Z\"}\n";
    let mut number = 0;
    for (what, formats) in [(text, ["text", "auto"]), (json, ["ndjson", "auto"])] {
        let plain = what.as_bytes().to_vec();
        for packed in [gzip(&plain), zstd::encode_all(plain.as_slice(), 1).unwrap(), plain] {
            place.file("in.log", &packed);
            for format in formats {
                for (argument, input) in [("in.log", &[][..]), ("-", &packed[..])] {
                    number += 1;
                    let source = format!("way-{number}");
                    let load = ["ingest", argument, "--format", format, "--source", &source, "--tag", "a=b"];
                    let ran = place.run_with(&load, input).good();
                    assert!(ran.text().contains("2 lines, 2 rows sent, 2 accepted, 0 refused"), "{ran:?}");
                }
            }
        }
    }
    assert_eq!(number, 24);
    let rows = place.rows(
        "SELECT timestamp, level, right(message, 3) AS m, tags['a'] AS a, count(*) AS n FROM logs GROUP BY ALL ORDER BY 1",
    );
    let rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    {"a":"b","level":"INFO","m":"one","n":24,"timestamp":"2026-01-05T10:00:00.000000000Z"}
    {"a":"b","level":"ERROR","m":"two","n":24,"timestamp":"2026-01-05T10:00:01.000000000Z"}
    "#);
}

#[test]
fn lines_come_back_byte_for_byte() {
    let place = Place::new();
    let long = "x".repeat(1 << 20);
    let lines =
        ["\u{feff}first", "", "  ", "\t", "a\0b", "\0", "lone\rreturn", "äöü 🦀", &long, "\u{1b}[2J", "last"];
    // CRLF ends a line as LF does; the last one has no end.
    let file = lines.join("\r\n");
    place.file("odd.log", file.as_bytes());
    let ran = place.run(&["ingest", "odd.log"]).good();
    assert!(ran.text().contains("11 lines, 11 rows sent, 11 accepted, 0 refused"), "{ran:?}");
    assert_eq!(place.messages("odd.log"), lines);
    let same = "2026-01-05 10:00:00 INFO the same\n".repeat(60_000);
    place.run_with(&["ingest", "--source", "same"], same.as_bytes()).good();
    assert_eq!(place.count("source = 'same' AND message = '2026-01-05 10:00:00 INFO the same'"), 60_000);
}

#[test]
fn a_load_without_timestamps_says_so() {
    let place = Place::new();
    let docker = r#"{"log":"boom\n","stream":"stderr","time":"2026-01-05T10:00:00.5Z"}"#;
    place.file("docker.log", docker.as_bytes());
    for format in ["auto", "text"] {
        let ran = place.run(&["ingest", "docker.log", "--format", format]).good();
        assert!(!ran.text().contains("no timestamps were found"), "{ran:?}");
    }
    assert_eq!(place.count("timestamp = TIMESTAMP '2026-01-05T10:00:00.5Z'"), 2);
    place.file("odd.ndjson", br#"{"message":"boom","moment":"2026-01-05T10:00:00.5Z"}"#);
    let ran = place.run(&["ingest", "odd.ndjson"]).good();
    assert!(ran.text().contains("no timestamps were found"), "{ran:?}");
    assert_eq!(place.count("tags['moment'] = '2026-01-05T10:00:00.5Z'"), 1);
}

#[test]
fn bytes_that_are_not_utf8_are_counted() {
    let place = Place::new();
    place.file("latin1.log", b"caf\xe9 \xff\xfe\nfine\n");
    let ran = place.run(&["ingest", "latin1.log"]).good();
    assert!(ran.text().contains("runs of bytes that are not UTF-8 became U+FFFD"), "{ran:?}");
    assert_eq!(place.messages("latin1.log"), ["caf\u{fffd} \u{fffd}\u{fffd}", "fine"]);
    place.file("packed.log", b"BZh91AY&SY");
    let refused = place.run(&["ingest", "packed.log"]);
    assert_eq!(refused.code, 1);
    assert!(refused.errors.contains("bzip2 -dc"), "{refused:?}");
    assert_eq!(place.count("source = 'packed.log'"), 0);
}

#[test]
fn refused_lines_are_named_and_kept() {
    let place = Place::new();
    place.file(
        "in.ndjson",
        b"{\"message\":\"a\"}\nnot json\n\n{\"message\":\"b\"}\n{\"timestamp\":\"never\"}\n",
    );
    let load = ["ingest", "in.ndjson", "--source", "part", "--reject-file", "refused"];
    let ran = place.run(&load).good();
    assert!(ran.text().contains("4 lines, 2 rows sent, 2 accepted, 2 refused"), "{ran:?}");
    for promised in ["line 2: not JSON", "line 5: ", "refused lines are in refused"] {
        assert!(ran.text().contains(promised), "no {promised:?} in {ran:?}");
    }
    let kept: Vec<Value> =
        place.read("refused").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kept: Vec<_> =
        kept.iter().map(|refused| (refused["line"].as_u64(), refused["text"].as_str())).collect();
    assert_eq!(kept, [(Some(2), Some("not json")), (Some(5), Some("{\"timestamp\":\"never\"}"))]);
    assert_eq!(place.messages("part"), ["a", "b"]);
}

#[test]
fn traces_are_joined_and_zones_are_given() {
    let place = Place::new();
    let log = "2026-07-01 12:00:00 ERROR failed\njava.lang.Error: x\n\tat a.B.c(B.java:1)\n2026-07-01 12:00:01 INFO next\n";
    place.file("trace.log", log.as_bytes());
    place.run(&["ingest", "trace.log", "--multiline", "--timezone", "Europe/Berlin"]).good();
    let rows = place.rows("SELECT timestamp, level, message FROM logs ORDER BY _row_id");
    let rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    {"level":"ERROR","message":"2026-07-01 12:00:00 ERROR failed\njava.lang.Error: x\n\tat a.B.c(B.java:1)","timestamp":"2026-07-01T10:00:00.000000000Z"}
    {"level":"INFO","message":"2026-07-01 12:00:01 INFO next","timestamp":"2026-07-01T10:00:01.000000000Z"}
    "#);
}

/// A load of many lines that is on its way: the number of ranges noted as durable has reached `KILLED_RANGES`.
fn begin_load(place: &Place) -> Child {
    let lines: Vec<String> = (0..KILLED_LINES).map(|number| format!("line {number}\n")).collect();
    place.file("big.log", lines.concat().as_bytes());
    let mut command = place.command(&["ingest", "big.log"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    while place.ranges_done() < KILLED_RANGES {
        assert!(child.try_wait().unwrap().is_none(), "the load ended before it could be killed");
        std::thread::yield_now();
    }
    child
}

fn assert_every_line_once(place: &Place) {
    let rows = place.rows("SELECT count(*) AS n, count(DISTINCT message) AS messages FROM logs");
    assert_eq!(rows, [serde_json::json!({"n": KILLED_LINES, "messages": KILLED_LINES})]);
}

#[test]
fn a_load_goes_on_after_the_client_was_killed() {
    let place = Place::new();
    let mut child = begin_load(&place);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(place.count("true") < KILLED_LINES, "the kill came too late to test anything");
    let resumed = place.run(&["ingest", "big.log", "--resume"]).good();
    assert!(resumed.text().contains("260,000 lines, 260,000 rows sent, 260,000 accepted"), "{resumed:?}");
    assert!(resumed.text().contains("resumed after line "), "{resumed:?}");
    assert_every_line_once(&place);
    let again = place.run(&["ingest", "big.log", "--resume"]).good();
    assert!(again.text().contains("was loaded before"), "{again:?}");
    assert_every_line_once(&place);
    place.file("big.log", b"another\n");
    let changed = place.run(&["ingest", "big.log", "--resume"]);
    assert_eq!(changed.code, 1);
    assert!(changed.errors.contains("the file has changed since"), "{changed:?}");
}

#[test]
fn a_load_goes_on_after_the_server_was_killed() {
    let mut place = Place::new();
    let address = place.server.flight_authority().to_owned();
    let child = begin_load(&place);
    place.server.kill();
    place.server = place.launch.clone().flight_listen(&address).start();
    let output = child.wait_with_output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}");
    assert!(report.contains("260,000 accepted, 0 refused"), "{report}");
    assert_every_line_once(&place);
}
