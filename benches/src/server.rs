//! `ironbark serve` as a child process on free ports, and the commands that are run against it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::process::{self, Usage};
use crate::{Error, Result};

/// How often the peak memory of a running command is looked at.
const LOOK_MS: u64 = 20;

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    binary: PathBuf,
    log: PathBuf,
    /// Kept open: a server must not find its standard output gone.
    output: Option<BufReader<ChildStdout>>,
    /// Base URL of the HTTP interface.
    pub(crate) http: String,
    /// URL of the Flight interface.
    pub(crate) flight: String,
}

/// With what a server is started, beside its data directory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Of the command line.
    pub(crate) arguments: Vec<String>,
    /// Variables of the environment.
    pub(crate) environment: Vec<(String, String)>,
}

impl Settings {
    /// Only arguments.
    pub(crate) fn of(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { arguments, environment: Vec::new() }
    }
}

/// What a command took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took {
    pub(crate) wall: Duration,
    pub(crate) usage: Usage,
}

impl Server {
    /// Starts a server on a directory and waits until it is ready.
    pub(crate) fn start(binary: &Path, data_dir: &Path, settings: &Settings) -> Result<Self> {
        fs::create_dir_all(data_dir).map_err(Error::file(data_dir))?;
        let log = data_dir.with_extension("log");
        let errors = File::create(&log).map_err(Error::file(&log))?;
        let mut command = clean(binary);
        command.args(["serve", "--http", "127.0.0.1:0", "--flight", "127.0.0.1:0", "--data-dir"]);
        command.arg(data_dir).args(&settings.arguments).envs(settings.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let start = |source| Error::Start { program: binary.to_path_buf(), source };
        let mut child = command.spawn().map_err(start)?;
        let mut output = child.stdout.take().map(BufReader::new);
        let (http, flight) = output.as_mut().and_then(ready).unwrap_or_default();
        let server = Self { child, binary: binary.to_path_buf(), log, output, http, flight };
        if server.http.is_empty() {
            return Err(Error::Program { what: "ironbark serve".to_owned(), output: server.log_text() });
        }
        Ok(server)
    }

    /// What it has used since it started.
    pub(crate) fn usage(&self) -> Usage {
        process::usage(self.child.id())
    }

    /// Its CPU time for short spans.
    pub(crate) fn cpu(&self) -> Duration {
        process::threads_cpu(self.child.id())
    }

    /// Runs a command of the command line against it.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Took> {
        let mut command = clean(&self.binary);
        command.args(arguments).args(["--server", &self.flight]);
        run(command, &self.binary, arguments.join(" ")).await
    }

    /// Ends it with SIGTERM and returns when it is gone.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        sent.map_err(|source| Error::Start { program: PathBuf::from("kill"), source })?;
        let status = self.child.wait().map_err(Error::file(&self.log))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Program { what: "stopping the server".to_owned(), output: self.log_text() })
    }

    fn log_text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Reads up to the line that says where the server listens; `None` if the server ends before.
fn ready(output: &mut BufReader<ChildStdout>) -> Option<(String, String)> {
    output.lines().map_while(std::result::Result::ok).find_map(|line| {
        let (http, flight) = line.strip_prefix("ironbark ready http=")?.split_once(" flight=")?;
        Some((http.to_owned(), flight.trim().to_owned()))
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that has ended already is as dead as was asked for.
        self.output = None;
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A command without the settings of whoever runs the bench.
pub(crate) fn clean(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("IRONBARK_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a program to its end. Its output is kept for the error only.
pub(crate) async fn run(mut command: Command, binary: &Path, what: String) -> Result<Took> {
    let children_before = process::ended_children_cpu();
    let began = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let start = |source| Error::Start { program: binary.to_path_buf(), source };
    let mut child = command.spawn().map_err(start)?;
    let errors = child.stderr.take();
    // The pipe is drained by a thread of its own: a full one would stop the program.
    let reader = std::thread::spawn(move || {
        errors.map(std::io::read_to_string).and_then(std::result::Result::ok).unwrap_or_default()
    });
    let mut memory_peak_bytes = 0;
    let status = loop {
        memory_peak_bytes = process::memory_peak_bytes(child.id()).max(memory_peak_bytes);
        if let Some(status) = child.try_wait().map_err(start)? {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    };
    let wall = began.elapsed();
    let output = reader.join().unwrap_or_default();
    if !status.success() {
        return Err(Error::Program { what, output });
    }
    let cpu = process::ended_children_cpu().saturating_sub(children_before);
    Ok(Took { wall, usage: Usage { cpu, memory_peak_bytes } })
}
