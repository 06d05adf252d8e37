//! The tour of README.md, run as it stands: each `sh` block in one shell, in an empty directory, and what the `text`
//! block behind it promises must be in its output. Ports are replaced by free ones, so that a server of yours at the
//! usual ports is left alone.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use ironbark_tests::binaries;

/// Commands, and what they must print.
#[derive(Debug, Default)]
struct Step {
    commands: String,
    promised: Vec<String>,
}

fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block = None;
    for line in readme.lines() {
        match (block, line) {
            (None, "```sh") => {
                steps.push(Step::default());
                block = Some("sh");
            }
            (None, "```text") => block = Some("text"),
            (Some(_), "```") => block = None,
            (Some("sh"), line) => writeln!(steps.last_mut().unwrap().commands, "{line}").unwrap(),
            (Some(_), line) => steps.last_mut().unwrap().promised.push(line.to_owned()),
            _ => {}
        }
    }
    steps
}

/// A port that nobody uses at this moment.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn the_tour_works_as_it_stands() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let steps = steps(&readme);
    assert!(steps.len() >= 5, "the tour has {} steps", steps.len());
    let (http, flight) = (free_port(), free_port());
    let mut script = String::from("set -eu -o pipefail\ntrap 'kill %1 2>/dev/null || true' EXIT\n");
    for (number, step) in steps.iter().enumerate() {
        let commands = step.commands.replace("8514", &http.to_string()).replace("8515", &flight.to_string());
        writeln!(script, "echo '=== step {number}'\n{commands}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let binary = binaries::path("ironbark");
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("IRONBARK_HTTP_LISTEN", format!("127.0.0.1:{http}"))
        .env("IRONBARK_FLIGHT_LISTEN", format!("127.0.0.1:{flight}"))
        .env("IRONBARK_SERVER", format!("http://127.0.0.1:{flight}"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the tour failed:\n{printed}\n{errors}");
    for (number, step) in steps.iter().enumerate() {
        let begin = printed.split(&format!("=== step {number}\n")).nth(1).unwrap_or_default();
        let own = begin.split("=== step").next().unwrap_or_default();
        for promise in &step.promised {
            assert!(own.contains(promise), "step {number} does not print {promise:?}:\n{own}\n{errors}");
        }
    }
}
