//! The one error type of the storage crate, and what its caller must do about each error.
//!
//! Errors name the object or file and, where bytes are at fault, the offset. No variant is a bare string.

use std::fmt;

/// What the caller of a failed operation must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Nothing is wrong with the request: try again later, with back-off.
    Retry,
    /// The request is at fault: change it before trying again.
    Request,
    /// Somebody else changed the state first: read it again and decide anew.
    Conflict,
    /// What was named does not exist.
    NotFound,
    /// Stored bytes are damaged: an operator must look.
    Corrupt,
    /// Stored bytes come from a newer version of Ironbark: upgrade this process.
    TooNew,
    /// This process cannot go on with this operation: give up.
    Fatal,
}

/// An error of the storage crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name does not have the form that its type asks for.
    #[error("invalid {what} {value:?}: {reason}")]
    InvalidName {
        /// What was being named: "tenant", "table" and so on.
        what: &'static str,
        /// The text that was refused.
        value: String,
        /// Which rule it breaks, with an example.
        reason: String,
    },
    /// A setting such as the object-store URL is wrong.
    #[error("invalid {what} {value:?}: {reason}")]
    InvalidSetting {
        /// The setting.
        what: &'static str,
        /// Its value, without secrets.
        value: String,
        /// What is wrong, with an example.
        reason: String,
    },
    /// A record batch is not of the schema that a [`crate::LogBatch`] needs.
    #[error("invalid batch: column {column}: {reason}")]
    InvalidBatch {
        /// The column at fault.
        column: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key outside the tenant at hand was asked of a tenant's store.
    #[error("object {key} is outside of {allowed}: refused")]
    OutsideTenant {
        /// The key that was asked for.
        key: String,
        /// The prefix that the store is confined to.
        allowed: String,
    },
    /// The table does not exist.
    #[error("table {table} of tenant {tenant} does not exist; create it with CREATE TABLE {table}")]
    TableNotFound {
        /// The tenant.
        tenant: String,
        /// The table.
        table: String,
    },
    /// The table exists already.
    #[error("table {table} of tenant {tenant} exists already")]
    TableExists {
        /// The tenant.
        tenant: String,
        /// The table.
        table: String,
    },
    /// A manifest edit does not apply to the newest manifest.
    #[error("manifest of {table}: edit refused: {conflict}")]
    Conflict {
        /// `tenant/table`.
        table: String,
        /// Why the edit no longer applies.
        conflict: Conflict,
    },
    /// Stored bytes are damaged.
    #[error("{object} is damaged at byte {offset}: {reason}")]
    Corrupt {
        /// Object key or file path.
        object: String,
        /// Byte offset in the object.
        offset: u64,
        /// What was expected and found.
        reason: String,
    },
    /// Stored bytes have a format version that this build does not know.
    #[error("{object} has format version {found}, this build reads up to {supported}: upgrade Ironbark")]
    TooNew {
        /// Object key or file path.
        object: String,
        /// The version found.
        found: u32,
        /// The newest version that this build reads.
        supported: u32,
    },
    /// The object store failed.
    #[error("object store: {key}: {source}")]
    Store {
        /// The key at hand.
        key: String,
        /// The store's error.
        #[source]
        source: object_store::Error,
    },
    /// A local file operation failed.
    #[error("{path}: {source}")]
    Io {
        /// The path at hand.
        path: String,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// Arrow refused an operation on columns.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The Parquet library refused an operation.
    #[error("parquet: {object}: {source}")]
    Parquet {
        /// The segment's key.
        object: String,
        /// The library's error.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// JSON of a manifest object could not be written or read.
    #[error("{object}: {source}")]
    Json {
        /// The object's key.
        object: String,
        /// The library's error.
        #[source]
        source: serde_json::Error,
    },
    /// A bound that protects the process was reached.
    #[error("{what} reached its limit of {limit} {unit}; {advice}")]
    Limit {
        /// What grew.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// The limit's unit.
        unit: &'static str,
        /// What to do.
        advice: &'static str,
    },
}

/// Why a manifest edit does not apply to the newest manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// A segment to be replaced or removed is no longer live.
    SegmentGone(String),
    /// A segment to be added is there already.
    SegmentExists(String),
    /// Rows to be added were committed before.
    RowsCommitted {
        /// The partition's day.
        day: String,
        /// First row id of the refused range.
        first_row_id: i64,
    },
    /// A newer process took over this writer's place.
    Fenced {
        /// The epoch of the refused writer.
        epoch: u32,
        /// The newer epoch.
        by: u32,
    },
    /// Rows to be added are of an epoch of which the writer said that it has none left: an old copy of its data
    /// directory brought them back, and they may be committed already.
    RowsForgotten {
        /// The epoch of the rows.
        epoch: u32,
        /// The oldest one that the writer may have rows of.
        floor: u32,
    },
    /// Other writers won every one of this many attempts.
    Contended(u32),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SegmentGone(id) => write!(f, "segment {id} is no longer live"),
            Self::SegmentExists(id) => write!(f, "segment {id} is live already"),
            Self::RowsCommitted { day, first_row_id } => {
                write!(f, "rows of {day} from row id {first_row_id} are committed already")
            }
            Self::Fenced { epoch, by } => {
                write!(f, "the writer with epoch {epoch} was replaced by one with epoch {by}")
            }
            Self::RowsForgotten { epoch, floor } => {
                write!(
                    f,
                    "rows of epoch {epoch} may be committed already: this writer has none before epoch {floor}"
                )
            }
            Self::Contended(attempts) => write!(f, "other writers won {attempts} attempts in a row"),
        }
    }
}

impl Error {
    /// What the caller must do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidName { .. } | Self::InvalidSetting { .. } | Self::InvalidBatch { .. } => {
                ErrorKind::Request
            }
            Self::OutsideTenant { .. } | Self::Arrow(_) => ErrorKind::Fatal,
            Self::TableNotFound { .. } => ErrorKind::NotFound,
            Self::TableExists { .. } | Self::Conflict { .. } => ErrorKind::Conflict,
            Self::Corrupt { .. } | Self::Parquet { .. } | Self::Json { .. } => ErrorKind::Corrupt,
            Self::TooNew { .. } => ErrorKind::TooNew,
            Self::Store { source, .. } => match source {
                object_store::Error::NotFound { .. } => ErrorKind::NotFound,
                object_store::Error::PermissionDenied { .. }
                | object_store::Error::Unauthenticated { .. } => ErrorKind::Fatal,
                _ => ErrorKind::Retry,
            },
            Self::Io { .. } | Self::Limit { .. } => ErrorKind::Retry,
        }
    }
}

/// The result of a storage operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;
