//! `ironbark sql`, `search`, `admin`, `version` and `config`: each answer is read back as its format promises.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::ipc::reader::StreamReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::run::{Place, alone};

const QUERY: &str = "SELECT message, CAST(tags['n'] AS BIGINT) AS n FROM logs ORDER BY n";

/// A server with three rows of 2024, a second apart.
fn three_rows() -> Place {
    let place = Place::new();
    let lines = (0..3).map(|n| {
        let record = json!({"message": format!("say \"{n}\", twice"), "n": n, "source": "three", "level": "warn",
                            "timestamp": format!("2024-01-02T15:04:0{n}Z")});
        format!("{record}\n")
    });
    place.run_with(&["ingest"], lines.collect::<String>().as_bytes()).good();
    place
}

fn values(batches: Vec<RecordBatch>) -> Vec<(String, i64)> {
    let rows = |batch: RecordBatch| {
        let numbers = batch.column(1).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec();
        let texts = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
        let texts: Vec<String> =
            texts.as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect();
        texts.into_iter().zip(numbers).collect::<Vec<_>>()
    };
    batches.into_iter().flat_map(rows).collect()
}

#[test]
fn sql_writes_each_format_so_that_it_can_be_read_back() {
    let place = three_rows();
    let ask = |format: &str| place.run(&["sql", QUERY, "--format", format]).good();
    let expected: Vec<Value> =
        (0..3).map(|n| json!({"message": format!("say \"{n}\", twice"), "n": n})).collect();
    assert_eq!(serde_json::from_slice::<Vec<Value>>(&ask("json").bytes).unwrap(), expected);
    assert_eq!(ask("ndjson").lines(), expected);
    let csv =
        "message,n\n\"say \"\"0\"\", twice\",0\n\"say \"\"1\"\", twice\",1\n\"say \"\"2\"\", twice\",2\n";
    assert_eq!(ask("csv").text(), csv);
    let expected: Vec<_> = (0..3).map(|n| (format!("say \"{n}\", twice"), n)).collect();
    let stream = ask("arrow");
    let batches = StreamReader::try_new(stream.bytes.as_slice(), None).unwrap();
    assert_eq!(values(batches.map(Result::unwrap).collect()), expected);
    let file = bytes::Bytes::from(ask("parquet").bytes);
    let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    assert_eq!(values(batches.map(Result::unwrap).collect()), expected);
    insta::assert_snapshot!(ask("table").text(), @r#"
    ┌────────────────┬───┐
    │ message        ┆ n │
    ╞════════════════╪═══╡
    │ say "0", twice ┆ 0 │
    │ say "1", twice ┆ 1 │
    │ say "2", twice ┆ 2 │
    └────────────────┴───┘
    3 rows
    "#);
}

#[test]
fn a_script_runs_statement_by_statement() {
    let place = three_rows();
    let script = "-- two; statements\nSELECT count(*) AS n FROM logs;\nSELECT ';' AS s\n";
    assert_eq!(place.run_with(&["sql", "--format", "csv"], script.as_bytes()).good().text(), "n\n3\ns\n;\n");
    let broken =
        place.run_with(&["sql", "--format", "csv"], b"SELECT 1 AS a; SELECT nope FROM logs; SELECT 2");
    assert_eq!((broken.code, broken.text()), (1, "a\n1\n"), "what stands before the error has run, no more");
    assert!(broken.errors.contains("there is no column nope"), "{broken:?}");
    let empty = place.run_with(&["sql"], b" ; -- nothing\n");
    assert_eq!(empty.code, 2);
    assert!(empty.errors.contains("there is no statement in it"), "{empty:?}");
}

#[test]
fn search_prints_the_newest_first_found_oldest_first() {
    let place = three_rows();
    let search = |arguments: &[&str]| place.run(&[&["search"], arguments].concat()).good();
    let messages = |arguments: &[&str]| {
        let ran = search(&[arguments, &["--format", "message"]].concat());
        ran.text().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let said = |n: u64| format!("say \"{n}\", twice");
    assert_eq!(messages(&[]), [said(0), said(1), said(2)], "without a query it is everything");
    assert_eq!(messages(&["--limit", "2"]), [said(1), said(2)]);
    assert_eq!(messages(&["n:>=1"]), [said(1), said(2)]);
    assert_eq!(messages(&["--from", "2024-01-02 15:04:01", "--to", "2024-01-02T15:04:02Z"]), [said(1)]);
    assert_eq!(messages(&["--since", "1h"]), Vec::<String>::new());
    assert_eq!(messages(&["twice -level:warn"]), Vec::<String>::new());
    let line = search(&["--limit", "1"]);
    assert_eq!(line.text(), "2024-01-02T15:04:02Z WARN  three say \"2\", twice n=2\n");
    let rows = search(&["twice", "--format", "ndjson"]).lines();
    assert_eq!(
        rows.iter().map(|row| row["tags"]["n"].as_str()).collect::<Vec<_>>(),
        [Some("0"), Some("1"), Some("2")]
    );
}

#[test]
fn search_follows_what_arrives() {
    let place = three_rows();
    let mut command = place.command(&["search", "twice", "--follow", "--limit", "1", "--format", "message"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("say \"2\", twice"));
    // It prints in the order of arrival, whatever the timestamps say, and only what matches.
    for text in ["1999-01-01 00:00:00 old, twice", "once", "2000-01-01 00:00:00 last, twice"] {
        place.run_with(&["ingest"], text.as_bytes()).good();
    }
    assert_eq!(lines.next().as_deref(), Some("1999-01-01 00:00:00 old, twice"));
    assert_eq!(lines.next().as_deref(), Some("2000-01-01 00:00:00 last, twice"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_operator_flushes_and_checks() {
    let place = three_rows();
    assert!(place.rows("SHOW SEGMENTS").is_empty(), "rows begin in memory");
    let flushed = place.run(&["admin", "flush", "--wait"]).good();
    assert!(flushed.text().contains("\n  rows: 3\n"), "{flushed:?}");
    let segments = place.rows("SHOW SEGMENTS");
    assert_eq!(
        segments.iter().map(|segment| segment["rows"].as_u64().unwrap()).sum::<u64>(),
        3,
        "{segments:?}"
    );
    let check = place.run(&["admin", "check"]).good();
    for promised in ["\nok: true\n", "\nproblems: []\n", "\nrows: 3\n", "\nsegments: 1\n"] {
        assert!(check.text().contains(promised), "no {promised:?} in {check:?}");
    }
}

#[test]
fn the_version_is_told_to_people_and_programs() {
    let version = alone(&["version", "--json"]).good().lines().remove(0);
    assert_eq!(version["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
    assert!(version["formats"]["schema"].as_u64() >= Some(1), "{version}");
    let line = format!("ironbark {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(alone(&["--version"]).good().text().trim_end(), line);
    assert!(alone(&["version"]).good().text().starts_with(&line));
}

#[test]
fn the_configuration_that_is_shown_is_one_that_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let shown = alone(&["config", "show", "--http", "127.0.0.1:9999"]).good();
    assert!(shown.text().contains("listen = \"127.0.0.1:9999\""), "{shown:?}");
    let file = folder.path().join("ironbark.toml");
    std::fs::write(&file, shown.text()).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(alone(&["config", "check", "--config", file]).good().text(), "the configuration is right\n");
    let settings = |text: &str| -> Vec<String> {
        let bare = |line: &str| line.split(" #").next().unwrap_or_default().trim().to_owned();
        text.lines().filter(|line| !line.starts_with('#')).map(bare).collect()
    };
    let again = alone(&["config", "show", "--config", file]).good();
    assert_eq!(settings(again.text()), settings(shown.text()));
    std::fs::write(file, "[http]\nlisten = 7\n\n[htpp]\nx = 1\n").unwrap();
    let wrong = alone(&["config", "check", "--config", file]);
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.errors.contains("http.listen") && wrong.errors.contains("htpp"),
        "all that is wrong: {wrong:?}"
    );
}
