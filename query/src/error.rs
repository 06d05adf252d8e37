//! The one error type of the query crate, and what its caller must do about each error.
//!
//! Messages name what was wrong, where in the text, and what to do. DataFusion's errors are sorted into these
//! by `diagnose`.

use std::fmt;
use std::time::Duration;

/// What the caller of a failed query must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The query's text or parameters are wrong: change them.
    Request,
    /// The statement is not allowed here, whatever its text: do something else.
    Refused,
    /// What was named does not exist.
    NotFound,
    /// What was to be created exists already.
    Exists,
    /// The query took longer than its time limit: narrow it or raise the limit.
    Deadline,
    /// The query needed more memory, disk or rows than its limits allow: narrow it or raise them.
    Exhausted,
    /// The server has too much to do at this moment, and did nothing: retry a little later.
    Busy,
    /// The stored data is at fault, or the object store: see the storage error's own kind.
    Storage(ironbark_storage::ErrorKind),
    /// This process is at fault: give up and report it.
    Fatal,
}

/// A place in a query's text, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The character within the line.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// A limit of a query that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The time, in milliseconds.
    TimeMs(u64),
    /// The rows of the result.
    Rows(u64),
    /// The size of the text, in bytes.
    SqlBytes(usize),
    /// The number of statements that are planned at once.
    Plannings(usize),
    /// The number of things of one sort in a statement.
    Items {
        /// The most that may be.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimeMs(ms) => write!(
                f,
                "the query ran longer than its time limit of {:?}; narrow it (a shorter time range, fewer columns) \
                 or raise query.timeout",
                Duration::from_millis(*ms)
            ),
            Self::Rows(rows) => write!(
                f,
                "the result has more than {rows} rows, the limit of a query; add a LIMIT or raise query.rows_max"
            ),
            Self::SqlBytes(bytes) => {
                write!(
                    f,
                    "the statement is longer than {bytes} bytes; pass long lists as parameters or split it"
                )
            }
            Self::Plannings(limit) => write!(
                f,
                "{limit} statements are being planned, which is the limit; nothing was done, retry in a few seconds"
            ),
            Self::Items { limit, what } => {
                write!(f, "the statement has more than {limit} {what}; split it or write it shorter")
            }
        }
    }
}

/// An error of the query crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not SQL.
    #[error("SQL syntax error{}: {reason}", at(*.place))]
    Syntax {
        /// What was expected and found.
        reason: String,
        /// Where.
        place: Option<Place>,
    },
    /// The text is SQL, but does not fit the tables, columns or functions that there are.
    #[error("{reason}{}{}", in_brackets(*.place), hint(.suggestion.as_deref()))]
    Plan {
        /// What does not fit.
        reason: String,
        /// Where.
        place: Option<Place>,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// The statement is of a sort that is not allowed.
    #[error("{statement} is not allowed here; {allowed}")]
    Refused {
        /// The sort of statement, as in `COPY`.
        statement: String,
        /// What may be done instead.
        allowed: &'static str,
    },
    /// The parameters do not fit the statement.
    #[error("parameters: {reason}")]
    Parameters {
        /// What does not fit.
        reason: String,
    },
    /// A search is wrong; the message points at the column.
    #[error("search: {reason}")]
    Search {
        /// What is wrong.
        reason: String,
    },
    /// A cursor is damaged, or of another query.
    #[error("cursor: {reason}; start again without one")]
    Cursor {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A limit was reached.
    #[error("{0}")]
    Limit(Limit),
    /// The memory or the disk space of all queries together was used up.
    #[error("the query ran out of memory: {reason}; narrow it or raise query.memory")]
    Memory {
        /// Which operator wanted how much.
        reason: String,
    },
    /// A setting of the query engine is wrong.
    #[error("invalid setting query.{name}: {reason}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The query failed while it ran, because of the values that it met.
    #[error("{reason}")]
    Run {
        /// What failed.
        reason: String,
    },
    /// The storage failed.
    #[error(transparent)]
    Storage(ironbark_storage::Error),
    /// An object that must be there is not: somebody deleted it, or a query outlived the grace of deletion.
    #[error(
        "{reason}; the manifest names this object and the store does not have it: try again, and if it stays away run \
         `ironbark admin check` and restore the object from a copy"
    )]
    Missing {
        /// The storage's message, which names the object.
        reason: String,
    },
    /// The storage failed while a query was reading.
    #[error("{reason}")]
    Read {
        /// The storage's message: the object and what is wrong with it.
        reason: String,
        /// The storage's kind.
        kind: ironbark_storage::ErrorKind,
    },
    /// Pages of a segment could not be decoded, or the query died while it decoded them.
    #[error(
        "{reason}, while it read {}; run `ironbark admin check`: it names damaged objects, which are to be restored \
         from a copy. If it finds none, report this with the query",
        listed(.segments)
    )]
    Pages {
        /// What happened.
        reason: String,
        /// The keys of the segments that were read last; the damaged one is among them.
        segments: Vec<String>,
    },
    /// A defect of ours, or of DataFusion.
    #[error("internal error: {reason}; please report it with the query")]
    Internal {
        /// What happened.
        reason: String,
    },
}

/// The result of a query operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn at(place: Option<Place>) -> String {
    place.map(|place| format!(" at {place}")).unwrap_or_default()
}

fn in_brackets(place: Option<Place>) -> String {
    place.map(|place| format!(" ({place})")).unwrap_or_default()
}

fn listed(segments: &[String]) -> String {
    match segments {
        [] => "a segment".to_owned(),
        [one] => format!("segment {one}"),
        many => format!("one of the segments {}", many.join(", ")),
    }
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|text| format!("; did you mean {text}?")).unwrap_or_default()
}

impl From<ironbark_storage::Error> for Error {
    fn from(error: ironbark_storage::Error) -> Self {
        if is_missing(&error) { Self::Missing { reason: error.to_string() } } else { Self::Storage(error) }
    }
}

/// Whether an object is not in the store. A table that does not exist is the request's fault, this is not.
pub(crate) fn is_missing(error: &ironbark_storage::Error) -> bool {
    matches!(error, ironbark_storage::Error::Store { .. })
        && error.kind() == ironbark_storage::ErrorKind::NotFound
}

impl Error {
    /// What the caller must do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Syntax { .. }
            | Self::Plan { .. }
            | Self::Parameters { .. }
            | Self::Search { .. }
            | Self::Cursor { .. }
            | Self::Setting { .. }
            | Self::Run { .. }
            | Self::Storage(ironbark_storage::Error::InvalidName { .. })
            | Self::Limit(Limit::SqlBytes(_) | Limit::Items { .. }) => ErrorKind::Request,
            Self::Refused { .. } => ErrorKind::Refused,
            Self::Limit(Limit::TimeMs(_)) => ErrorKind::Deadline,
            Self::Limit(Limit::Plannings(_)) => ErrorKind::Busy,
            Self::Limit(Limit::Rows(_)) | Self::Memory { .. } => ErrorKind::Exhausted,
            Self::Storage(ironbark_storage::Error::TableNotFound { .. }) => ErrorKind::NotFound,
            Self::Storage(ironbark_storage::Error::TableExists { .. }) => ErrorKind::Exists,
            Self::Storage(error) => ErrorKind::Storage(error.kind()),
            Self::Read { kind, .. } => ErrorKind::Storage(*kind),
            Self::Pages { .. } | Self::Missing { .. } => {
                ErrorKind::Storage(ironbark_storage::ErrorKind::Corrupt)
            }
            Self::Internal { .. } => ErrorKind::Fatal,
        }
    }

    /// Where in the query's text it is, if that is known.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Syntax { place, .. } | Self::Plan { place, .. } => *place,
            _ => None,
        }
    }
}
