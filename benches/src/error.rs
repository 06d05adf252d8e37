//! What stops a measurement. A wrong answer is an error like any other: a figure of a wrong answer is worth nothing.

use std::path::PathBuf;

/// Result of a measurement.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory of the run.
    #[error("cannot use {path}: {source}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program that does not start.
    #[error("cannot start {program}: {source}; build it with `cargo build --release` or name it with --server-binary", program = .program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program that failed.
    #[error("{what} failed: {output}")]
    Program {
        /// What it was to do.
        what: String,
        /// What it wrote.
        output: String,
    },
    /// An exchange with the server that broke.
    #[error("{request}: {source}")]
    Connection {
        /// What was asked.
        request: String,
        /// Why.
        source: std::io::Error,
    },
    /// A status other than success.
    #[error("{request} was answered {status}: {body}")]
    Status {
        /// What was asked.
        request: String,
        /// The answer's status.
        status: u16,
        /// Its body.
        body: String,
    },
    /// An answer that is not what was generated.
    #[error("wrong answer to {question}: expected {expected}, got {got}")]
    WrongAnswer {
        /// What was asked.
        question: String,
        /// What is right.
        expected: String,
        /// What came.
        got: String,
    },
    /// Bytes that are no HTTP or no JSON.
    #[error("{what} cannot be read: {reason}")]
    Unreadable {
        /// What.
        what: String,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// For `map_err` on a file's operation.
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_path_buf(), source }
    }

    pub(crate) fn unreadable(what: &str, reason: &impl ToString) -> Self {
        Self::Unreadable { what: what.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn wrong(question: &str, expected: &impl ToString, got: &impl ToString) -> Self {
        let (expected, got) = (expected.to_string(), got.to_string());
        Self::WrongAnswer { question: question.to_owned(), expected, got }
    }
}
