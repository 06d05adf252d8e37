//! What an operator relies on, through the binaries: tenants apart, the demo, a compactor of its own, a check that fails
//! where something is missing, and a damaged log that is set aside only when that was asked for.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use ironbark_tests::binaries;
use serde_json::{Value, json};

use crate::run::{Place, Ran};

/// A server with a row.
fn one_row() -> Place {
    let place = Place::new();
    place.run_with(&["ingest"], b"2026-01-05 10:00:00 INFO one\n").good();
    place
}

#[test]
fn tenants_are_apart() {
    let place = one_row();
    let theirs = ["--tenant", "acme/web/prod"];
    place.run_with(&[&["ingest"], &theirs[..]].concat(), b"theirs\n").good();
    let sql = place.run(&[&["sql", "SELECT message FROM logs", "--format", "csv"], &theirs[..]].concat());
    assert_eq!(sql.good().text(), "message\ntheirs\n");
    let search = place.run(&[&["search", "--format", "message"], &theirs[..]].concat());
    assert_eq!(search.good().text(), "theirs\n");
    assert_eq!(place.count("true"), 1);
    assert_eq!(place.count("message = 'theirs'"), 0);
}

#[test]
fn a_compactor_of_its_own_merges_once() {
    let mut place = one_row();
    assert!(place.server.terminate().success());
    place.launch = place.launch.clone().argument("--compactor=off");
    place.server = place.launch.start();
    for second in 1..5 {
        let line = format!("2026-01-05 10:00:0{second} INFO more\n");
        place.run_with(&["ingest"], line.as_bytes()).good();
        place.run(&["admin", "flush", "--wait"]).good();
    }
    let before = place.rows("SHOW SEGMENTS").len();
    assert!(before >= 4, "{before} segments: this process merged some");
    let compact = |directory: &str| {
        let mut compactor = binaries::command("ironbark-compactor");
        compactor.args(["--once", "--object-store"]).arg(place.data().join(directory));
        Ran::of(compactor, b"")
    };
    let mistyped = compact("object");
    assert_eq!(mistyped.code, 1, "{mistyped:?}");
    assert!(mistyped.errors.contains("there is no directory"), "{mistyped:?}");
    assert!(!place.data().join("object").exists(), "it makes none");
    let ran = compact("objects").good();
    assert!(ran.text().contains("merges            1 "), "{ran:?}");
    // A server that starts reads the manifest anew.
    assert!(place.server.terminate().success());
    place.server = place.launch.start();
    assert!(place.rows("SHOW SEGMENTS").len() < before);
    assert_eq!(place.count("true"), 5);
}

#[test]
fn a_check_fails_where_a_segment_is_missing() {
    let place = one_row();
    place.run(&["admin", "flush", "--wait"]).good();
    let segments = place.rows("SHOW SEGMENTS");
    let url = segments.first().and_then(|segment| segment["url"].as_str()).unwrap();
    std::fs::remove_file(url.strip_prefix("file://").unwrap()).unwrap();
    let check = place.run(&["admin", "check"]);
    assert_eq!(check.code, 1, "{check:?}");
    for promised in ["\nok: false\n", "the segment is missing"] {
        assert!(check.text().contains(promised), "no {promised:?} in {check:?}");
    }
}

#[test]
fn a_damaged_log_is_set_aside_only_when_asked() {
    let mut place = one_row();
    place.run_with(&["ingest"], b"2026-01-05 10:00:01 INFO two\n").good();
    place.server.kill();
    // In the payload of the first record (docs/FORMAT.md); the second one proves that the first was durable.
    let log = place.data().join("wal/00000000000000000001.wal");
    let mut bytes = std::fs::read(&log).unwrap();
    *bytes.get_mut(4096 + 48 + 4).unwrap() ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let refused = place.launch.try_start().unwrap_err();
    for told in ["00000000000000000001.wal at byte 4096", "start with --quarantine-wal"] {
        assert!(refused.contains(told), "no {told:?} in {refused}");
    }
    place.launch = place.launch.clone().argument("--quarantine-wal");
    place.server = place.launch.start();
    assert!(place.server.log_tail().contains("acknowledged records are lost"), "what is lost is said");
    assert_eq!(place.rows("SELECT message FROM logs"), [json!({"message": "2026-01-05 10:00:01 INFO two"})]);
    assert!(place.data().join("wal/quarantine/00000000000000000001.wal").exists());
}

/// A process that does not outlive its test.
#[derive(Debug)]
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn the_demo_says_what_to_try_and_adds_rows() {
    // With a row in its directory it fills nothing in, which would take a debug build long; the day has tests of its own.
    let mut place = one_row();
    assert!(place.server.terminate().success());
    let mut command = binaries::command("ironbark");
    command
        .args(["demo", "--http", "127.0.0.1:0", "--flight", "127.0.0.1:0", "--data-dir"])
        .arg(place.data());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut demo = Ended(command.spawn().unwrap());
    let lines = BufReader::new(demo.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let told: Vec<String> = lines.take_while(|line| !line.starts_with("Press Ctrl-C")).collect();
    let told = told.join("\n");
    assert!(told.contains("has 1 rows already: nothing is filled in"), "{told}");
    let flight = told.split(" flight=").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    assert!(told.contains(&format!("ironbark sql --server {flight} \"SELECT")), "{told}");
    let ask = ["sql", "SELECT count(*) AS n FROM logs", "--format", "ndjson", "--server", flight];
    let mut rows = 1;
    while rows <= 1 {
        assert!(demo.0.try_wait().unwrap().is_none(), "the demo ended:\n{told}");
        let answer = place.run(&ask).good().lines();
        rows = answer.first().and_then(|row: &Value| row["n"].as_u64()).unwrap();
    }
}
