//! `ironbark serve` as a child process on free ports. The server prints one line when it takes requests:
//!
//! ```text
//! ironbark ready http=http://127.0.0.1:PORT flight=http://127.0.0.1:PORT
//! ```
//!
//! Its output goes to a file that is printed if the test fails. A dropped server is killed, never drained: who wants a
//! clean end says [`Server::terminate`].

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::binaries;

/// Start and stop of a debug build on a busy machine.
const WAIT_MAX: Duration = Duration::from_secs(90);

/// Lines of the log that a failed test prints.
const LOG_LINES_MAX: usize = 80;

/// How a server is to be started.
#[derive(Debug, Clone)]
pub struct Launch {
    data_dir: PathBuf,
    flight_listen: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Launch {
    /// A server on `data_dir`, with the object store in it and free ports.
    pub fn new(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_path_buf(),
            flight_listen: "127.0.0.1:0".to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Listens for Flight at `address` and not at a free port: where a server was that clients still look for.
    #[must_use]
    pub fn flight_listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.flight_listen);
        self
    }

    /// Adds a command-line argument.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it takes requests.
    ///
    /// # Panics
    /// If it does not start; the message holds its log.
    pub fn start(&self) -> Server {
        self.try_start().unwrap_or_else(|log| panic!("ironbark did not start; its log:\n{log}"))
    }

    /// Starts it and waits until it takes requests. `Err` holds the log of a server that ended or stayed silent.
    ///
    /// # Panics
    /// If there is no binary to start or the log cannot be written.
    pub fn try_start(&self) -> Result<Server, String> {
        let mut server = self.spawn();
        while let Ok(line) = server.lines.recv_timeout(WAIT_MAX) {
            if let Some((http, flight)) = ready(&line) {
                server.http = http;
                server.flight = flight;
                return Ok(server);
            }
        }
        server.kill();
        Err(server.log_tail())
    }

    /// Starts it and kills it after `life`, ready or not.
    ///
    /// # Panics
    /// If there is no binary to start or the log cannot be written.
    pub async fn start_and_kill(&self, life: Duration) {
        let mut server = self.spawn();
        tokio::time::sleep(life).await;
        server.kill();
    }

    fn spawn(&self) -> Server {
        std::fs::create_dir_all(&self.data_dir).expect("the data directory can be made");
        let log = self.data_dir.with_extension("log");
        let errors = open_log(&log);
        let mut command = binaries::command("ironbark");
        command.args(["serve", "--http", "127.0.0.1:0", "--flight", &self.flight_listen, "--data-dir"]);
        command.arg(&self.data_dir).args(&self.arguments).envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().expect("ironbark can be started");
        let output = child.stdout.take().expect("standard output is piped");
        let lines = follow(output, open_log(&log));
        Server { child, lines, http: String::new(), flight: String::new(), log }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    lines: Receiver<String>,
    http: String,
    flight: String,
    log: PathBuf,
}

impl Server {
    /// Base URL of the HTTP interface.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// URL of the Flight interface.
    pub fn flight(&self) -> &str {
        &self.flight
    }

    /// `host:port` of the Flight interface.
    pub fn flight_authority(&self) -> &str {
        self.flight.strip_prefix("http://").unwrap_or(&self.flight)
    }

    /// A command of the command line against this server; the caller adds what it is to do.
    pub fn command(&self) -> Command {
        let mut command = binaries::command("ironbark");
        // What the client remembers of a load must not meet another run that got the same port.
        let state = self.log.with_extension("state");
        command.env("IRONBARK_SERVER", self.flight()).env("XDG_STATE_HOME", state).stdin(Stdio::null());
        command
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self) {
        // A process that has ended already is as dead as was asked for.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Panics
    /// If it is still there after a minute and a half.
    pub fn terminate(&mut self) -> ExitStatus {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().expect("kill runs");
        assert!(sent.success(), "no process {} to end", self.pid());
        // The pipe closes when the process ends, so waiting for lines is waiting for the end.
        loop {
            match self.lines.recv_timeout(WAIT_MAX) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("ironbark does not end; its log:\n{}", self.log_tail())
                }
            }
        }
        self.child.wait().expect("our own child can be waited for")
    }

    /// The last lines that it wrote.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let skipped = text.lines().count().saturating_sub(LOG_LINES_MAX);
        text.lines().skip(skipped).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            println!("log of ironbark ({}):\n{}", self.log.display(), self.log_tail());
        }
    }
}

fn open_log(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("the log can be written")
}

/// Copies the output to the log and hands every line on; the channel closes when the process ends.
fn follow(output: ChildStdout, mut log: File) -> Receiver<String> {
    let (sender, receiver): (Sender<String>, Receiver<String>) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            writeln!(log, "{line}").expect("the log can be written");
            // Nobody listens after the start, but the pipe must be drained all the same.
            drop(sender.send(line));
        }
    });
    receiver
}

/// The two URLs of the ready line.
fn ready(line: &str) -> Option<(String, String)> {
    let rest = line.strip_prefix("ironbark ready http=")?;
    let (http, flight) = rest.split_once(" flight=")?;
    Some((http.to_owned(), flight.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::ready;

    #[test]
    fn the_ready_line_is_read() {
        let line = "ironbark ready http=http://127.0.0.1:8514 flight=http://127.0.0.1:8515";
        let expected = ("http://127.0.0.1:8514".to_owned(), "http://127.0.0.1:8515".to_owned());
        assert_eq!(ready(line), Some(expected));
        assert_eq!(ready("INFO ironbark starts"), None);
    }
}
