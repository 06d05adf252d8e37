//! What keeps a server from starting or a command from finishing.
//!
//! Errors of single requests never come here: each protocol says them in its own form.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::cli::Failure;
use crate::config::Problems;

/// An error of the binary.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is wrong.
    #[error("{0}")]
    Config(#[from] Problems),
    /// A client command failed.
    #[error(transparent)]
    Client(#[from] Failure),
    /// A listener's address cannot be had.
    #[error("cannot listen on {address} ({key}): {source}; {}", listen_advice(source, flag))]
    Listen {
        /// The listener's key.
        key: &'static str,
        /// Its flag.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] ironbark_storage::Error),
    /// The write path cannot be opened or closed.
    #[error(transparent)]
    Engine(#[from] ironbark_engine::Error),
    /// The data directory cannot be used.
    #[error("the data directory {}: {source}; give another with --data-dir DIR", dir.display())]
    DataDir {
        /// The directory.
        dir: PathBuf,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// What Flight SQL says of this server cannot be put together.
    #[error("cannot start the Flight listener: {0}")]
    Flight(#[source] arrow_flight::error::FlightError),
    /// The query engine refuses its settings.
    #[error(transparent)]
    Query(#[from] ironbark_query::Error),
    /// Standard output or a file cannot be written.
    #[error("cannot write {what}: {source}")]
    Write {
        /// To where.
        what: &'static str,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// The operating system refuses threads, signals or the like.
    #[error("cannot set up {what}: {source}")]
    Setup {
        /// What was asked for.
        what: &'static str,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
}

/// The result of a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn listen_advice(error: &std::io::Error, flag: &str) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => format!(
            "another program, perhaps another ironbark, has the port; stop it or choose another with {flag} \
             127.0.0.1:PORT (0 takes a free one)"
        ),
        std::io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 are for root; choose another with {flag} 127.0.0.1:PORT")
        }
        std::io::ErrorKind::AddrNotAvailable => {
            format!("the address is none of this machine's; choose one with {flag} 127.0.0.1:PORT")
        }
        _ => format!("choose another address with {flag} IP:PORT"),
    }
}
