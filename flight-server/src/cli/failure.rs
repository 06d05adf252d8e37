//! What keeps a client command from finishing: what was wrong, where, and what to do.

use std::io;
use std::path::PathBuf;

use arrow::error::ArrowError;
use arrow_flight::error::FlightError;
use tonic::Status;

use super::output::escape;

/// An error of a client command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// `--server` is no address.
    #[error("--server {server}: {reason}; an example is http://127.0.0.1:8515")]
    ServerUrl {
        /// What was given.
        server: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers.
    #[error(
        "no server answers at {server}: {reason}\nstart one with `ironbark serve`, or name another with --server URL \
         (its Flight address, by default on port 8515)"
    )]
    Unreachable {
        /// The server's address.
        server: String,
        /// What the network says.
        reason: String,
    },
    /// Somebody else answers.
    #[error(
        "{server} answers, but not as Flight does ({reason}); --server takes the server's Flight address, by default on \
         port 8515 (HTTP is on 8514)"
    )]
    NotFlight {
        /// The address.
        server: String,
        /// What it said.
        reason: String,
    },
    /// The server refuses the request.
    #[error("{}", escape::but_space(.0.message()))]
    Refused(Box<Status>),
    /// The answer is not what it should be.
    #[error("the server's answer cannot be read: {0}; is it of another version?")]
    Answer(String),
    /// The server has no space for more rows, for too long.
    #[error("the server has not taken rows for {seconds} s: {reason}")]
    Overloaded {
        /// For how long, in seconds.
        seconds: u64,
        /// Its last answer.
        reason: String,
    },
    /// A value of the command line is wrong.
    #[error("{flag} {given}: {reason}")]
    Argument {
        /// The flag or argument.
        flag: &'static str,
        /// What was given.
        given: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file has JSON records that do not stand on a line each.
    #[error(
        "{path} holds {what}, and a record must be one line: make lines of it with `jq -c '{filter}' FILE | ironbark \
         ingest`, or load its lines as they are with --format text"
    )]
    NotLines {
        /// The file.
        path: PathBuf,
        /// What it holds.
        what: &'static str,
        /// What has jq give out the records.
        filter: &'static str,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An interrupted load cannot be continued.
    #[error("cannot continue the load of {path}: {reason}; leave --resume out to load the whole file again")]
    Resume {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Ctrl-C during a load.
    #[error(
        "interrupted; a load of files continues where it stopped if the same command is given with --resume"
    )]
    Interrupted,
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// Rows cannot be written in the format.
    #[error("cannot write the rows: {0}")]
    Rows(#[from] ArrowError),
    /// Rows cannot be made into a batch.
    #[error(transparent)]
    Batch(#[from] ironbark_storage::Error),
    /// The terminal does not work.
    #[error("the terminal cannot be used: {0}; give the statement as an argument instead")]
    Terminal(String),
}

impl Failure {
    /// Whether the command line is to blame.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::ServerUrl { .. } | Self::Argument { .. })
    }

    /// What a server or the way to it answered.
    pub(super) fn from_status(server: &str, status: Status) -> Self {
        if let Some(reason) = transport_reason(&status) {
            return Self::Unreachable { server: server.to_owned(), reason };
        }
        if is_plain_http(&status) {
            return Self::NotFlight {
                server: server.to_owned(),
                reason: escape::all(status.message()).into_owned(),
            };
        }
        Self::Refused(Box::new(status))
    }

    /// As `from_status`, for errors inside a stream of rows.
    pub(super) fn from_flight(server: &str, error: FlightError) -> Self {
        match error {
            FlightError::Tonic(status) => Self::from_status(server, *status),
            error => Self::Answer(error.to_string()),
        }
    }
}

/// Whether an HTTP server that knows no gRPC answered, as the client library tells it.
fn is_plain_http(status: &Status) -> bool {
    ["invalid compression flag", "grpc-status header missing"]
        .iter()
        .any(|sign| status.message().contains(sign))
}

/// The innermost reason, if the status comes from the network and not from a server.
fn transport_reason(status: &Status) -> Option<String> {
    let mut error = std::error::Error::source(status)?;
    while let Some(inner) = error.source() {
        error = inner;
    }
    Some(error.to_string())
}
