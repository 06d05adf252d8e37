//! Errors as gRPC statuses: the code says what the client must do, the message is the error's own.

use std::time::Duration;

use arrow_flight::error::FlightError;
use ironbark_storage::ErrorKind;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::decode::arrow::BadBatch;

/// Tells after how many milliseconds a refused request may be sent again.
pub(crate) const RETRY_AFTER_HEADER: &str = "retry-after-ms";

/// An error of a query.
pub(super) fn query(error: &ironbark_query::Error) -> Status {
    use ironbark_query::ErrorKind as Kind;
    let code = match error.kind() {
        Kind::Request => Code::InvalidArgument,
        Kind::Refused => Code::PermissionDenied,
        Kind::NotFound => Code::NotFound,
        Kind::Exists => Code::AlreadyExists,
        Kind::Deadline => Code::DeadlineExceeded,
        Kind::Exhausted => Code::ResourceExhausted,
        Kind::Busy => Code::Unavailable,
        Kind::Storage(kind) => code_of(kind),
        Kind::Fatal => Code::Internal,
    };
    told(code, error, None)
}

/// An error of the write path.
pub(super) fn engine(error: &ironbark_engine::Error) -> Status {
    let code = match (error, error.kind()) {
        (ironbark_engine::Error::Storage(ironbark_storage::Error::TableExists { .. }), _) => {
            Code::AlreadyExists
        }
        // Nothing was stored, and the request may come again after a while.
        (_, ErrorKind::Retry) => Code::ResourceExhausted,
        (_, kind) => code_of(kind),
    };
    told(code, error, error.retry_after())
}

/// An error of the storage.
pub(super) fn storage(error: &ironbark_storage::Error) -> Status {
    let code = match error {
        ironbark_storage::Error::TableExists { .. } => Code::AlreadyExists,
        error => code_of(error.kind()),
    };
    told(code, error, None)
}

/// Columns that cannot be log records.
pub(super) fn bad_batch(error: &BadBatch) -> Status {
    match error {
        BadBatch::Storage(error) => storage(error),
        error => Status::invalid_argument(error.to_string()),
    }
}

/// A stream from a client that cannot be read: the client's fault, unless the connection itself broke.
pub(super) fn from_client(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        error => Status::invalid_argument(format!("the Arrow stream cannot be read: {error}")),
    }
}

fn code_of(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Retry => Code::Unavailable,
        ErrorKind::Request => Code::InvalidArgument,
        ErrorKind::Conflict => Code::Aborted,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Corrupt => Code::DataLoss,
        ErrorKind::TooNew => Code::FailedPrecondition,
        ErrorKind::Fatal => Code::Internal,
    }
}

fn told(code: Code, error: &dyn std::error::Error, retry_after: Option<Duration>) -> Status {
    if matches!(code, Code::Internal | Code::DataLoss | Code::Unavailable) {
        tracing::error!(%error, ?code, "a Flight request failed");
    }
    let mut metadata = MetadataMap::new();
    if let Some(wait) = retry_after {
        metadata.insert(
            RETRY_AFTER_HEADER,
            MetadataValue::from(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        );
    }
    Status::with_metadata(code, error.to_string(), metadata)
}
