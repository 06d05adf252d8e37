//! curl as a program: a request in, status, headers and body out. It follows no redirects and takes no proxy, so what
//! it shows is what the server said.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Time for one request.
const SECONDS_MAX: &str = "60";

/// A curl for one server.
#[derive(Debug)]
pub(crate) struct Curl {
    program: String,
    base: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: String,
    pub(crate) body: Vec<u8>,
}

impl Curl {
    pub(crate) fn new(program: &str, base: &str) -> Self {
        Self { program: program.to_owned(), base: base.to_owned() }
    }

    pub(crate) fn get(&self, path: &str, headers: &[&str]) -> Reply {
        self.request(path, headers, None)
    }

    pub(crate) fn post(&self, path: &str, headers: &[&str], body: &[u8]) -> Reply {
        self.request(path, headers, Some(body))
    }

    fn request(&self, path: &str, headers: &[&str], body: Option<&[u8]>) -> Reply {
        let mut command = Command::new(&self.program);
        command.args(["--silent", "--show-error", "--include", "--noproxy", "*", "--max-time", SECONDS_MAX]);
        // An empty `Expect` keeps curl from asking first, which would put a second head before the answer.
        command.args(["--header", "expect:"]);
        for header in headers {
            command.args(["--header", header]);
        }
        if body.is_some() {
            command.args(["--data-binary", "@-"]);
        }
        command.arg(format!("{}{path}", self.base));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A server that refuses early closes the pipe; its answer is what counts.
        drop(child.stdin.take().unwrap().write_all(body.unwrap_or_default()));
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?} failed ({}): {errors}", output.status);
        Reply::parse(&output.stdout)
    }
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let (head, body) = bytes.split_at(end + 4);
        let head = String::from_utf8_lossy(head).into_owned();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, headers: head, body: body.to_vec() }
    }

    /// The value of a header, empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.headers.lines().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        values.next().unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// NDJSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
