//! Ironbark through the drivers that people use: the stock Flight SQL JDBC and ADBC drivers. The checks themselves are
//! in the drivers' languages, in `parts/`; this starts a server, loads the rows that they expect, and runs them.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::fmt::Write as _;
use std::process::Command;

use ironbark_tests::client::Client;
use ironbark_tests::{Launch, Server, parts};

/// Rows that the clients' checks know.
const ROWS: u64 = 1000;

/// 2024-05-01T00:00:00.123456789Z
const FIRST_NS: u64 = 1_714_521_600_123_456_789;

/// The checks measure how soon a query ends, so that one driver at a time has the machine.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A server with the known rows, half of them in segments and half in buffers.
async fn loaded_server(folder: &tempfile::TempDir) -> Server {
    let server = Launch::new(&folder.path().join("data")).start();
    let client = Client::connect(&server).await.unwrap();
    for half in [0..ROWS / 2, ROWS / 2..ROWS] {
        client.flush().await.unwrap();
        let answer = client.post_ndjson(half.map(line).collect(), None).await.unwrap();
        assert_eq!((answer.status, answer.accepted()), (200, Some(ROWS / 2)), "{}", answer.body);
    }
    server
}

/// Row `i` as the checks expect it.
fn line(i: u64) -> String {
    let mut line = String::new();
    let time = FIRST_NS + i * 1_000_000_000;
    let level = if i.is_multiple_of(10) { "ERROR" } else { "INFO" };
    let (source, took, ratio) = (i % 10, (i + 1) % 19, f64::from(u32::try_from(i).unwrap()) / 1000.0);
    write!(line, r#"{{"timestamp":{time},"source":"shop-{source}","level":"{level}","#).unwrap();
    write!(line, r#""message":"request {i} took {took} ms","trace_id":"{i:032x}","#).unwrap();
    writeln!(line, r#""tags":{{"env":"prod","number":{i},"ratio":{ratio}}}}}"#).unwrap();
    line
}

#[tokio::test]
async fn the_stock_jdbc_driver_works() {
    let Some(jar) = parts::require("IRONBARK_TEST_JDBC_JAR") else { return };
    let Some(java) = parts::require("IRONBARK_TEST_JAVA") else { return };
    let _turn = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let server = loaded_server(&folder).await;
    let mut check = Command::new(java);
    // The small heap and the serial collector keep the machine free for the server.
    check.args(["-Xmx400m", "-XX:+UseSerialGC", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp", &jar]);
    check.arg(parts::file("parts/jdbc/FlightSqlCheck.java")).arg(server.flight_authority());
    let printed = parts::run_client(&mut check);
    assert!(printed.contains("checks hold"), "{printed}");
}

#[tokio::test]
async fn the_stock_adbc_driver_works() {
    let Some(python) = parts::require("IRONBARK_TEST_PYTHON") else { return };
    let _turn = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let server = loaded_server(&folder).await;
    let mut check = Command::new(python);
    check.arg(parts::file("parts/adbc/check.py")).arg(format!("grpc://{}", server.flight_authority()));
    let printed = parts::run_client(&mut check);
    assert!(printed.contains("checks hold"), "{printed}");
}
