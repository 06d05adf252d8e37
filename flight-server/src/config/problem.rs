//! What can be wrong with a configuration, said so that the reader can mend it: the name, the place, an example.
//!
//! All problems are collected before any is reported, so that nobody mends them one start at a time.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// In the environment.
    Variable(String),
    /// On the command line.
    Flag(&'static str),
    /// Nowhere: it is the default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Something wrong with the configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("configuration file {path}: {source}; give another with --config FILE")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{place}: not TOML: {reason}. Example: [http] and below it listen = \"127.0.0.1:8514\"")]
    Syntax {
        /// The file and line.
        place: Place,
        /// What the parser says.
        reason: String,
    },
    /// No key has this name.
    #[error("{place}: unknown key {name:?}; {advice}")]
    UnknownKey {
        /// The name as it was given.
        name: String,
        /// Where.
        place: Place,
        /// The nearest key with an example, or where all keys are listed.
        advice: String,
    },
    /// The value does not fit its key.
    #[error("{place}: bad value {value:?} for {key}: {reason}. Example: {example}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// The value as it was given.
        value: String,
        /// Where.
        place: Place,
        /// Which rule it breaks.
        reason: String,
        /// A right setting, in the form of the place.
        example: String,
    },
    /// A listener would be open to other machines although nothing authenticates them.
    #[error(
        "{place}: {key} {address} can be reached from other machines, and nothing authenticates them yet: refused. \
         Listen on a loopback address ({key} = \"127.0.0.1:{port}\"), or accept that anybody who reaches the port \
         can read and write with --allow-unauthenticated"
    )]
    Exposed {
        /// The listener's key.
        key: &'static str,
        /// Its address.
        address: std::net::SocketAddr,
        /// Its port.
        port: u16,
        /// Where it was given.
        place: Place,
    },
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Debug)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
