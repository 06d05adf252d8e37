//! The one error type of the compactor.

pub use ironbark_storage::ErrorKind;
use ironbark_storage::RowFingerprint;

/// An error of the compactor. Nothing was changed by what failed, but objects may be left for garbage collection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading, writing or committing failed.
    #[error(transparent)]
    Storage(#[from] ironbark_storage::Error),
    /// Arrow refused to sort or copy rows.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// The merged segment does not hold the rows of its inputs; it was not committed.
    #[error(
        "merging {partition}: {} rows in (hash {:016x}), {} out (hash {:016x}): not committed",
        expected.rows, expected.hash_sum, found.rows, found.hash_sum
    )]
    RowsDiffer {
        /// The partition.
        partition: String,
        /// The rows of the inputs.
        expected: RowFingerprint,
        /// The rows of the merged segment.
        found: RowFingerprint,
    },
    /// A row is in two live segments.
    #[error("merging {partition}: row {row_id} is in segments {first} and {second}: not merged")]
    RowTwice {
        /// The partition.
        partition: String,
        /// The row's id.
        row_id: i64,
        /// A segment that holds it.
        first: String,
        /// Another, or the same.
        second: String,
    },
    /// A merge would need more memory than it may.
    #[error("merging {partition}: {rows} rows are more than {rows_max}, which one merge may hold in order")]
    TooManyRows {
        /// The partition.
        partition: String,
        /// Rows of the inputs.
        rows: u64,
        /// The limit.
        rows_max: u64,
    },
    /// A setting is wrong.
    #[error("compactor setting {what} = {value}: {reason}")]
    InvalidSetting {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// A worker thread died, by a bug or at shutdown.
    #[error("a worker of the compactor died: {0}")]
    Worker(#[from] tokio::task::JoinError),
}

impl Error {
    /// What the caller must do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Storage(error) => error.kind(),
            Self::Arrow(_) | Self::Worker(_) => ErrorKind::Fatal,
            Self::RowsDiffer { .. } | Self::RowTwice { .. } => ErrorKind::Corrupt,
            Self::TooManyRows { .. } | Self::InvalidSetting { .. } => ErrorKind::Request,
        }
    }
}

/// The result of an operation of the compactor.
pub type Result<T, E = Error> = std::result::Result<T, E>;
