//! Peers in Python: a process for each that reads a request a line and answers with a line. Measured as the server is.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::questions::Question;
use crate::process::{self, Usage};
use crate::{Error, Result};

/// The Python of the peers, and where their scripts are.
#[derive(Debug, Clone)]
pub(super) struct Python {
    pub(super) binary: PathBuf,
    pub(super) scripts: PathBuf,
    /// Names of the peers that installed.
    pub(super) peers: Vec<String>,
}

/// Name of each peer, and its script.
pub(super) const SCRIPTS: [(&str, &str); 4] = [
    ("duckdb", "duckdb_parquet.py"),
    ("chdb", "chdb_mergetree.py"),
    ("datafusion", "datafusion_parquet.py"),
    ("tantivy", "tantivy_index.py"),
];

impl Python {
    /// Installs what is not there yet.
    pub(super) fn install() -> Result<Self> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        let script = scripts.join("install.sh");
        let output = Command::new(&script).arg("install").stderr(Stdio::inherit()).output();
        let output = output.map_err(|source| Error::Start { program: script.clone(), source })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        match (value("PYTHON="), value("PEERS=")) {
            (Some(binary), Some(peers)) if output.status.success() => Ok(Self {
                binary: binary.into(),
                scripts,
                peers: peers.split(',').map(str::to_owned).collect(),
            }),
            _ => Err(Error::Program { what: script.display().to_string(), output: text }),
        }
    }

    /// The text of a script.
    pub(super) fn source(&self, script: &str) -> Result<Vec<u8>> {
        let path = self.scripts.join(script);
        std::fs::read(&path).map_err(Error::file(&path))
    }

    /// Bytes of Parquet files by part.
    pub(super) fn parts(&self, paths: &[String]) -> Result<Value> {
        let parts = self.run("segments.py", &[], paths.join("\n").as_bytes())?;
        serde_json::from_slice(&parts).map_err(|error| Error::unreadable("the segments' parts", &error))
    }

    /// Runs a script to its end and returns its output.
    pub(super) fn run(&self, script: &str, arguments: &[&Path], input: &[u8]) -> Result<Vec<u8>> {
        let start = |source| Error::Start { program: self.binary.clone(), source };
        let mut command = Command::new(&self.binary);
        command.arg(self.scripts.join(script)).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(start)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).map_err(start)?;
        }
        let output = child.wait_with_output().map_err(start)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Error::Program { what: script.to_owned(), output: errors })
    }
}

/// A running worker. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    name: String,
}

impl Worker {
    /// Starts a peer's worker; what it says beside its answers goes to a log in the folder.
    pub(super) fn start(python: &Python, name: &str, folder: &Path) -> Result<Self> {
        let script = SCRIPTS.iter().find(|(peer, _)| *peer == name).map(|(_, script)| *script);
        let script =
            script.ok_or_else(|| Error::unreadable("the list of peers", &format!("no peer {name}")))?;
        let log = folder.with_extension("log");
        let errors = File::options().create(true).append(true).open(&log).map_err(Error::file(&log))?;
        let mut command = Command::new(&python.binary);
        command.arg(python.scripts.join(script)).current_dir(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let start = |source| Error::Start { program: python.binary.clone(), source };
        let mut child = command.spawn().map_err(start)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::unreadable("a worker", &"it has no pipes"));
        };
        Ok(Self { child, input, output: BufReader::new(output), name: name.to_owned() })
    }

    /// Reads a corpus into a database in the folder. Returns figures of the peer's own.
    pub(super) fn load(&mut self, file: &Path, folder: &Path) -> Result<Value> {
        let answer = self.exchange(&json!({ "do": "load", "file": file, "folder": folder }))?;
        let answer = self.decode(&answer)?;
        Ok(answer.get("figures").cloned().unwrap_or_default())
    }

    /// Opens the database of a folder.
    pub(super) fn open(&mut self, folder: &Path) -> Result<()> {
        let answer = self.exchange(&json!({ "do": "open", "folder": folder }))?;
        self.decode(&answer).map(|_| ())
    }

    /// Asks, and returns the answer as it came.
    pub(super) fn ask(&mut self, question: &Question) -> Result<String> {
        self.exchange(&json!({ "do": "ask", "question": question }))
    }

    /// The rows of an answer; none if the peer cannot answer such questions.
    pub(super) fn rows(&self, answer: &str) -> Result<Option<Vec<Value>>> {
        Ok(self.decode(answer)?.get("rows").and_then(Value::as_array).cloned())
    }

    pub(super) fn usage(&self) -> Usage {
        process::usage(self.child.id())
    }

    pub(super) fn cpu(&self) -> Duration {
        process::threads_cpu(self.child.id())
    }

    fn exchange(&mut self, request: &Value) -> Result<String> {
        let broken = |source| Error::Connection { request: format!("{}: {request}", self.name), source };
        let mut answer = String::new();
        writeln!(self.input, "{request}").and_then(|()| self.input.flush()).map_err(broken)?;
        if self.output.read_line(&mut answer).map_err(broken)? == 0 {
            return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(answer)
    }

    fn decode(&self, answer: &str) -> Result<Value> {
        let value: Value = serde_json::from_str(answer)
            .map_err(|error| Error::unreadable(&format!("an answer of {}", self.name), &error))?;
        match value.get("error") {
            Some(error) => Err(Error::Program { what: self.name.clone(), output: error.to_string() }),
            None => Ok(value),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A process that has ended already is as dead as was asked for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
