//! The HTTP interface through curl, as somebody at a terminal would use it: ingest in every encoding, idempotency,
//! search page by page, SQL in every format, health, metrics and the `OpenAPI` document.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails where it stands")]

#[path = "http/curl.rs"]
mod curl;

use std::collections::BTreeSet;
use std::io::Write as _;

use ironbark_tests::{Launch, Server, parts};
use serde_json::{Value, json};

use curl::{Curl, Reply};

const NDJSON: &str = "content-type: application/x-ndjson";
const JSON: &str = "content-type: application/json";

/// A server and a curl that speaks to it; `None` where there is no curl.
fn serve() -> Option<(tempfile::TempDir, Server, Curl)> {
    let program = parts::require("IRONBARK_TEST_CURL")?;
    let folder = tempfile::tempdir().unwrap();
    let server = Launch::new(&folder.path().join("data")).start();
    let curl = Curl::new(&program, server.http());
    Some((folder, server, curl))
}

/// `rows` lines of NDJSON from `source`, a second apart.
fn ndjson(source: &str, rows: std::ops::Range<u64>) -> String {
    let line = |i: u64| {
        let time = 1_714_521_600 + i;
        json!({"timestamp": time, "source": source, "level": "info", "message": format!("{source} {i}"),
               "tags": {"number": i, "even": i.is_multiple_of(2)}})
        .to_string()
            + "\n"
    };
    rows.map(line).collect()
}

fn count(curl: &Curl, condition: &str) -> u64 {
    let query = json!({"query": format!("SELECT count(*) AS n FROM logs WHERE {condition}")});
    let reply = curl.post("/sql", &[JSON, "accept: application/x-ndjson"], query.to_string().as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json().get("n").and_then(Value::as_u64).unwrap_or_else(|| panic!("{}", reply.text()))
}

fn accepted(reply: &Reply) -> (u16, Option<u64>) {
    (reply.status, reply.json().get("accepted").and_then(Value::as_u64))
}

#[test]
fn every_encoding_is_taken() {
    let Some((_folder, _server, curl)) = serve() else { return };
    let plain = ndjson("plain", 0..10).into_bytes();
    assert_eq!(accepted(&curl.post("/logs/ingest", &[NDJSON], &plain)), (200, Some(10)));
    let body = |name| ndjson(name, 0..10).into_bytes();
    let bodies = [
        ("gzip", gzip(&body("gzip"))),
        ("zstd", zstd(&body("zstd"))),
        ("deflate", deflate(&body("deflate"))),
        ("snappy", snappy(&body("snappy"))),
    ];
    for (name, body) in bodies {
        let reply = curl.post("/logs/ingest", &[NDJSON, &format!("content-encoding: {name}")], &body);
        assert_eq!(accepted(&reply), (200, Some(10)), "{name}: {}", reply.text());
        assert_eq!(count(&curl, &format!("source = '{name}'")), 10);
    }
    let broken = curl.post("/logs/ingest", &[NDJSON, "content-encoding: gzip"], b"this is not gzip");
    assert_eq!(broken.status, 400, "{}", broken.text());
    let unknown = curl.post("/logs/ingest", &[NDJSON, "content-encoding: rot13"], &plain);
    assert_eq!(unknown.status, 415, "{}", unknown.text());
    assert_eq!(count(&curl, "true"), 50, "what is refused leaves no row");
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 3).unwrap()
}

fn snappy(body: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(body).unwrap()
}

#[test]
fn one_object_an_array_and_lines_are_taken() {
    let Some((_folder, _server, curl)) = serve() else { return };
    let one = json!({"message": "alone", "source": "shape"}).to_string();
    assert_eq!(accepted(&curl.post("/logs/ingest", &[JSON], one.as_bytes())), (200, Some(1)));
    let many = json!([{"message": "a", "source": "shape"}, {"message": "b", "source": "shape"}]).to_string();
    assert_eq!(accepted(&curl.post("/logs/ingest", &[JSON], many.as_bytes())), (200, Some(2)));
    assert_eq!(count(&curl, "source = 'shape'"), 3);
}

#[test]
fn a_bad_row_costs_no_good_one() {
    let Some((_folder, _server, curl)) = serve() else { return };
    let body = format!(
        "{}not json\n{}{{\"timestamp\":\"yesterday\",\"message\":\"late\"}}\n",
        ndjson("good", 0..2),
        ndjson("good", 2..3)
    );
    let reply = curl.post("/logs/ingest", &[NDJSON], body.as_bytes());
    assert_eq!(accepted(&reply), (200, Some(3)), "{}", reply.text());
    let rejected = reply.json()["rejected"].as_array().unwrap().clone();
    let lines: Vec<_> = rejected.iter().map(|row| row["line"].as_u64()).collect();
    assert_eq!(lines, [Some(3), Some(5)], "{rejected:?}");
    assert!(
        rejected.iter().all(|row| row["error"].as_str().is_some_and(|text| text.len() > 10)),
        "{rejected:?}"
    );
    assert_eq!(count(&curl, "true"), 3);
}

#[test]
fn a_repeated_request_appends_once() {
    let Some((_folder, _server, curl)) = serve() else { return };
    let body = ndjson("once", 0..7);
    let send =
        |body: &str| curl.post("/logs/ingest", &[NDJSON, "idempotency-key: order-17"], body.as_bytes());
    let (first, second) = (send(&body), send(&body));
    assert_eq!(accepted(&first), (200, Some(7)));
    assert_eq!((first.status, first.text()), (second.status, second.text()), "the stored answer comes back");
    assert_eq!(count(&curl, "source = 'once'"), 7);
    let other = send(&ndjson("other", 0..7));
    assert_eq!(other.status, 409, "{}", other.text());
    assert_eq!(count(&curl, "source = 'other'"), 0);
}

#[test]
fn pages_joined_are_the_whole_answer() {
    let Some((_folder, _server, curl)) = serve() else { return };
    for source in ["pages", "else"] {
        curl.post("/logs/ingest", &[NDJSON], ndjson(source, 0..50).as_bytes());
    }
    let messages = |reply: &Reply| -> Vec<String> {
        let records =
            reply.json()["records"].as_array().unwrap_or_else(|| panic!("{}", reply.text())).clone();
        records.iter().map(|record| record["message"].as_str().unwrap().to_owned()).collect()
    };
    let mut joined = Vec::new();
    let mut cursor = None;
    for page in 0.. {
        assert!(page < 20, "the cursor does not come to an end");
        let mut path = "/logs/search?source=pages&limit=7".to_owned();
        if let Some(cursor) = &cursor {
            path = format!("{path}&cursor={cursor}");
        }
        let reply = curl.get(&path, &[]);
        assert_eq!(reply.status, 200, "{}", reply.text());
        joined.extend(messages(&reply));
        // Rows that arrive while somebody turns the pages do not shift them.
        curl.post("/logs/ingest", &[NDJSON], ndjson("pages", 100 + page..101 + page).as_bytes());
        cursor = reply.json()["cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<String> = (0..50).rev().map(|i| format!("pages {i}")).collect();
    assert_eq!(joined, expected);
    let tagged = curl.get("/logs/search?source=else&tags.even=true&order=asc&limit=1000", &[]);
    let expected: Vec<String> = (0..50).step_by(2).map(|i| format!("else {i}")).collect();
    assert_eq!(messages(&tagged), expected);
    let found = curl.get("/logs/search?q=message%3A%22pages%2012%22", &[]);
    assert_eq!(messages(&found), ["pages 12"]);
    let wrong = curl.get("/logs/search?q=a%20AND%20%28b", &[]);
    assert_eq!(wrong.status, 400, "{}", wrong.text());
    assert!(wrong.text().contains("column"), "the error names the column: {}", wrong.text());
}

#[test]
fn sql_answers_in_the_format_that_is_accepted() {
    let Some((_folder, _server, curl)) = serve() else { return };
    curl.post("/logs/ingest", &[NDJSON], ndjson("format", 0..3).as_bytes());
    let query = "SELECT message, CAST(tags['number'] AS BIGINT) AS n FROM logs WHERE source = ? ORDER BY n";
    let body = json!({"query": query, "parameters": ["format"]}).to_string();
    let ask = |accept: &str| {
        let reply = curl.post("/sql", &[JSON, &format!("accept: {accept}")], body.as_bytes());
        assert_eq!(reply.status, 200, "{accept}: {}", reply.text());
        assert!(
            reply.header("content-type").starts_with(accept),
            "{accept}: {:?}",
            reply.header("content-type")
        );
        reply
    };
    let row = |i: u64| json!({"message": format!("format {i}"), "n": i});
    let lines: Vec<Value> = ask("application/x-ndjson").lines();
    assert_eq!(lines, [row(0), row(1), row(2)]);
    assert!(ask("application/json").json().to_string().contains(r#""format 2""#));
    let table = ask("text/csv").text().replace("\r\n", "\n");
    assert_eq!(table, "message,n\nformat 0,0\nformat 1,1\nformat 2,2\n");
    let stream = ask("application/vnd.apache.arrow.stream");
    let batches = arrow::ipc::reader::StreamReader::try_new(stream.body.as_slice(), None).unwrap();
    let rows: usize = batches.map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 3);
    let plain = curl.post("/sql", &["content-type: text/plain", "accept: text/csv"], b"SELECT 1 AS one");
    assert_eq!((plain.status, plain.text().as_str()), (200, "one\n1\n"));
    let wrong =
        curl.post("/sql", &[JSON], json!({"query": "SELECT message FORM logs"}).to_string().as_bytes());
    assert_eq!(wrong.status, 400, "{}", wrong.text());
    let refused = curl.post("/sql", &["content-type: text/plain"], b"CREATE TABLE posted");
    assert!((400..500).contains(&refused.status), "plain text only reads: {}", refused.text());
}

#[test]
fn a_web_page_cannot_write() {
    let Some((_folder, _server, curl)) = serve() else { return };
    let body = ndjson("page", 0..1);
    let plain = curl.post("/logs/ingest", &["content-type: text/plain"], body.as_bytes());
    assert_eq!(plain.status, 415, "{}", plain.text());
    let elsewhere = curl.post("/logs/ingest", &[NDJSON, "origin: http://attacker.example"], body.as_bytes());
    assert_eq!(elsewhere.status, 403, "{}", elsewhere.text());
    let rebound = curl.post("/logs/ingest", &[NDJSON, "host: attacker.example"], body.as_bytes());
    assert_eq!(rebound.status, 403, "{}", rebound.text());
    assert_eq!(count(&curl, "true"), 0);
}

#[test]
fn health_metrics_and_the_description_are_served() {
    let Some((_folder, _server, curl)) = serve() else { return };
    curl.post("/logs/ingest", &[NDJSON], ndjson("metrics", 0..5).as_bytes());
    assert_eq!(curl.get("/health/live", &[]).status, 200);
    assert_eq!(curl.get("/health/ready", &[]).status, 200);
    let metrics = curl.get("/metrics", &[]);
    assert!(metrics.header("content-type").starts_with("text/plain"), "{}", metrics.header("content-type"));
    let samples = metrics.text();
    assert!(samples.lines().any(|line| line.starts_with("ironbark_") && line.ends_with(" 5")), "{samples}");
    let description = curl.get("/openapi.json", &[]).json();
    let paths: BTreeSet<_> = description["paths"].as_object().unwrap().keys().cloned().collect();
    for path in ["/logs/ingest", "/logs/search", "/sql", "/health/live", "/health/ready", "/metrics"] {
        assert!(paths.contains(path), "{path} is not described: {paths:?}");
        // What is described exists: it answers something else than that there is nothing.
        assert_ne!(curl.get(path, &[]).status, 404, "{path}");
    }
    assert_eq!(curl.get("/nothing", &[]).status, 404);
}

#[test]
fn the_header_names_the_tenant() {
    let Some((_folder, _server, curl)) = serve() else { return };
    let theirs = "x-ironbark-tenant: acme/web/prod";
    let reply = curl.post("/logs/ingest", &[NDJSON, theirs], ndjson("acme", 0..4).as_bytes());
    assert_eq!(accepted(&reply), (200, Some(4)), "{}", reply.text());
    assert_eq!(count(&curl, "true"), 0, "the default tenant has none of them");
    let found =
        |headers: &[&str]| curl.get("/logs/search", headers).json()["records"].as_array().unwrap().len();
    assert_eq!((found(&[theirs]), found(&[])), (4, 0));
    let query = json!({"query": "SELECT count(*) AS n FROM logs"}).to_string();
    let counted = curl.post("/sql", &[JSON, theirs, "accept: text/csv"], query.as_bytes());
    assert_eq!(counted.text(), "n\n4\n");
    let wrong = curl.get("/logs/search", &["x-ironbark-tenant: acme"]);
    assert_eq!(wrong.status, 400, "{}", wrong.text());
}

#[test]
fn a_full_disk_refuses_rows_and_answers_queries() {
    let Some(program) = parts::require("IRONBARK_TEST_CURL") else { return };
    let folder = tempfile::tempdir().unwrap();
    let launch = Launch::new(&folder.path().join("data"));
    let mut server = launch.start();
    let curl = Curl::new(&program, server.http());
    assert_eq!(
        accepted(&curl.post("/logs/ingest", &[NDJSON], ndjson("disk", 0..5).as_bytes())),
        (200, Some(5))
    );
    server.kill();
    // No disk has so much room, so the log cannot begin its next file.
    let server = launch.variable("IRONBARK_ENGINE_DISK_RESERVE", "1000TiB").start();
    let curl = Curl::new(&program, server.http());
    let refused = curl.post("/logs/ingest", &[NDJSON], ndjson("disk", 5..6).as_bytes());
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.header("retry-after").trim().parse::<u64>().is_ok_and(|seconds| seconds >= 1));
    assert!(refused.text().contains("the disk is full"), "{}", refused.text());
    assert_eq!(count(&curl, "true"), 5, "what was acknowledged is there, what was refused is not");
    assert_eq!(curl.get("/health/ready", &[]).status, 200);
}

#[test]
fn every_route_is_described() {
    let read =
        |path: &str| std::fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let source = read("flight-server/src/http/mod.rs");
    let route = |line: &str| {
        let (path, handler) = line.trim().strip_prefix(".route(\"")?.split_once("\", ")?;
        Some(format!("{} {path}", handler.split_once('(')?.0))
    };
    let routes: BTreeSet<String> = source.lines().filter_map(route).collect();
    let document: Value = serde_json::from_str(&read("flight-server/src/http/openapi.json")).unwrap();
    let methods = |(path, item): (&String, &Value)| -> Vec<String> {
        item.as_object().unwrap().keys().map(|method| format!("{method} {path}")).collect()
    };
    let described: BTreeSet<String> =
        document["paths"].as_object().unwrap().iter().flat_map(methods).collect();
    assert_eq!(described, routes);
    assert!(routes.contains("post /logs/ingest"), "{routes:?}");
}
