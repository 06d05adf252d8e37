//! One run of the binary: arguments and standard input in; exit code and both outputs out. And a server to run it
//! against, with a folder that goes away with it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ironbark_tests::{Launch, Server, binaries};
use serde_json::Value;

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) errors: String,
}

impl Ran {
    /// Runs a command to its end.
    pub(crate) fn of(mut command: Command, input: &[u8]) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = std::thread::spawn(move || {
            // A command that refuses its arguments reads nothing.
            drop(stdin.write_all(&input));
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            bytes: output.stdout,
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    /// Standard output as a JSON value a line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Itself, if it succeeded.
    #[track_caller]
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", String::from_utf8_lossy(&self.bytes), self.errors);
        self
    }
}

/// A server in a folder of its own.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) server: Server,
    pub(crate) launch: Launch,
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let launch = Launch::new(&folder.path().join("data"));
        Self { server: launch.start(), launch, folder }
    }

    /// The server's data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Runs `ironbark` against the server.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, b"")
    }

    /// As `run`, with something on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        Ran::of(self.command(arguments), input)
    }

    /// A command in the folder, against the server.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.server.command();
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    /// Writes a file of the folder.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Reads a file of the folder.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// How many ranges of the only load are noted as durable, by the journal that `--resume` reads.
    pub(crate) fn ranges_done(&self) -> u64 {
        let Ok(journals) = std::fs::read_dir(self.folder.path().join("data.state/ironbark/ingest")) else {
            return 0;
        };
        let journal = journals
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|end| end == "json"));
        // Between two of its versions, or before the first, there is nothing to read.
        let text = journal.and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        let entry: Value = serde_json::from_slice(&text).unwrap_or_default();
        entry.get("ranges_done").and_then(Value::as_u64).unwrap_or(0)
    }

    /// The rows of a query.
    #[track_caller]
    pub(crate) fn rows(&self, query: &str) -> Vec<Value> {
        self.run(&["sql", query, "--format", "ndjson"]).good().lines()
    }

    /// How many rows there are.
    #[track_caller]
    pub(crate) fn count(&self, condition: &str) -> u64 {
        let rows = self.rows(&format!("SELECT count(*) AS n FROM logs WHERE {condition}"));
        rows.first().and_then(|row| row.get("n")?.as_u64()).unwrap()
    }

    /// The messages of a source, in the order in which they were loaded.
    #[track_caller]
    pub(crate) fn messages(&self, source: &str) -> Vec<String> {
        let query = format!("SELECT message FROM logs WHERE source = '{source}' ORDER BY _row_id");
        self.rows(&query).iter().map(|row| row.get("message").unwrap().as_str().unwrap().to_owned()).collect()
    }
}

/// Runs `ironbark` where there is no server.
pub(crate) fn alone(arguments: &[&str]) -> Ran {
    let mut command = binaries::command("ironbark");
    command.args(arguments);
    Ran::of(command, b"")
}
