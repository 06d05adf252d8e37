//! Real log files through the command line, and back byte for byte. What SQL answers is compared with the file itself
//! and with DuckDB, which reads the live segments as the plain Parquet that they are. `fixtures/mixed.log` always runs;
//! the eight systems of the loghub collection run where `IRONBARK_LOGHUB_DIR` names them.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails where it stands")]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use ironbark_tests::client::Client;
use ironbark_tests::{Launch, Server, parts};
use serde_json::json;

/// The systems of the collection; each has `NAME_2k.log`.
const SYSTEMS: [&str; 8] =
    ["Apache", "HDFS", "Hadoop", "HealthApp", "Linux", "OpenSSH", "Spark", "Zookeeper"];

/// What is asked of Ironbark here and of DuckDB in `parts/duckdb/compare.py`, by the same names.
const QUERIES: [(&str, &str); 6] = [
    ("count", "SELECT count(*) FROM logs"),
    ("sources", "SELECT source, count(*) FROM logs GROUP BY source ORDER BY source"),
    (
        "levels",
        "SELECT source, level, count(*) FROM logs GROUP BY source, level ORDER BY source, level NULLS FIRST",
    ),
    (
        "microseconds",
        "SELECT CAST(min(timestamp) AS BIGINT) / 1000, CAST(max(timestamp) AS BIGINT) / 1000 FROM logs",
    ),
    ("lengths", "SELECT sum(character_length(message)), max(character_length(message)) FROM logs"),
    ("ids", "SELECT count(DISTINCT _row_id), min(_row_id), max(_row_id) FROM logs"),
];

const NANOSECONDS: &str = "SELECT CAST(min(timestamp) AS BIGINT), CAST(max(timestamp) AS BIGINT) FROM logs";

/// Lines as bytes, without LF or CRLF.
type Lines = Vec<Vec<u8>>;

fn lines_of(file: &Path) -> Lines {
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut lines: Lines = bytes.split(|&byte| byte == b'\n').map(without_cr).collect();
    // What follows the last LF is a line only if something is there.
    if bytes.ends_with(b"\n") || bytes.is_empty() {
        lines.pop();
    }
    lines
}

fn without_cr(line: &[u8]) -> Vec<u8> {
    line.strip_suffix(b"\r").unwrap_or(line).to_vec()
}

fn run(server: &Server, arguments: &[&str]) -> String {
    parts::run_client(server.command().args(arguments))
}

#[tokio::test]
async fn every_line_of_our_fixture_comes_back() {
    let files = [("mixed", parts::file("fixtures/mixed.log"))];
    load_and_compare(&files).await;
}

#[tokio::test]
async fn every_line_of_eight_real_systems_comes_back() {
    let Some(folder) = parts::require("IRONBARK_LOGHUB_DIR") else { return };
    let file = |system: &'static str| (system, Path::new(&folder).join(format!("{system}_2k.log")));
    load_and_compare(&SYSTEMS.map(file)).await;
}

/// Loads each file under its name, and compares while the rows are buffered and after they are segments.
async fn load_and_compare(files: &[(&str, PathBuf)]) {
    let folder = tempfile::tempdir().unwrap();
    let server = Launch::new(&folder.path().join("data")).start();
    let mut lines = BTreeMap::new();
    for (name, file) in files {
        run(&server, &["ingest", "--format", "text", "--source", name, &file.to_string_lossy()]);
        lines.insert((*name).to_owned(), lines_of(file));
    }
    let client = Client::connect(&server).await.unwrap();
    let buffered = compare_with_files(&client, &lines).await;
    run(&server, &["admin", "flush", "--wait"]);
    let flushed = compare_with_files(&client, &lines).await;
    assert_eq!(buffered, flushed, "a flush changed the answers");
    compare_with_duckdb(&client, &lines, &flushed, folder.path()).await;
}

/// The answers to [`QUERIES`], after checking every message against the files.
async fn compare_with_files(client: &Client, lines: &BTreeMap<String, Lines>) -> serde_json::Value {
    for (source, expected) in lines {
        let query = format!("SELECT message FROM logs WHERE source = '{source}'");
        let mut counts: HashMap<&[u8], i64> = HashMap::new();
        for line in expected {
            *counts.entry(line).or_default() += 1;
        }
        let found = client.rows(&query).await.unwrap();
        for row in &found {
            let message = row.first().and_then(Option::as_ref).expect("message is never null");
            *counts.entry(message.as_bytes()).or_default() -= 1;
        }
        let wrong = counts.iter().find(|(_, count)| **count != 0);
        let wrong = wrong.map(|(line, count)| (String::from_utf8_lossy(line), count));
        assert_eq!(wrong, None, "{source}: missing (positive) or never loaded (negative)");
        assert_eq!(found.len(), expected.len(), "{source}");
    }
    let mut answers = serde_json::Map::new();
    for (name, query) in QUERIES {
        answers.insert(name.to_owned(), json!(client.rows(query).await.unwrap()));
    }
    answers.into()
}

async fn compare_with_duckdb(
    client: &Client,
    lines: &BTreeMap<String, Lines>,
    answers: &serde_json::Value,
    folder: &Path,
) {
    let segments = client.rows("SHOW SEGMENTS").await.unwrap();
    let urls: Vec<_> = segments.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
    assert!(!urls.is_empty(), "nothing was flushed");
    let Some(python) = parts::require("IRONBARK_TEST_PYTHON") else { return };
    // The collection and our fixture are UTF-8; what is not would have come back changed, and is tested elsewhere.
    let text = |line: &Vec<u8>| String::from_utf8(line.clone()).unwrap();
    let lines: BTreeMap<_, Vec<_>> =
        lines.iter().map(|(source, lines)| (source, lines.iter().map(text).collect())).collect();
    let times = client.rows(NANOSECONDS).await.unwrap();
    let given = json!({"segments": urls, "answers": answers, "nanoseconds": times, "lines": lines});
    let file = folder.join("given.json");
    std::fs::write(&file, given.to_string()).unwrap();
    let mut compare = Command::new(python);
    let printed = parts::run_client(compare.arg(parts::file("parts/duckdb/compare.py")).arg(file));
    assert!(printed.contains("checks hold"), "{printed}");
}

#[test]
fn lines_are_split_as_the_loader_splits_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.log");
    std::fs::write(&file, "a\r\nb\rc\n\nd").unwrap();
    assert_eq!(lines_of(&file), [&b"a"[..], b"b\rc", b"", b"d"]);
    std::fs::write(&file, "a\n").unwrap();
    assert_eq!(lines_of(&file), [b"a"]);
}
