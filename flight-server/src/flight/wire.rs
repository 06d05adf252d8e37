//! Protobuf messages that `arrow-flight` does not know: newer or extended messages of Flight SQL, sessions, and our
//! tickets.
//!
//! Where a message extends a standard one, its standard fields have the standard numbers: clients skip the others.

use std::collections::HashMap;

use bytes::Bytes;
use prost::Message;

use crate::decode::Rejected;

/// What a ticket holds. It is all that `DoGet` needs, so a ticket can be fetched again, and after a restart.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StatementTicket {
    /// Names the run for cancellation.
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) run: Bytes,
    /// Whose statement it is.
    #[prost(string, tag = "2")]
    pub(super) tenant: String,
    /// Its text.
    #[prost(string, tag = "3")]
    pub(super) sql: String,
    /// The values of its parameters as an Arrow IPC stream; empty without any.
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) parameters: Bytes,
    /// The prepared statement that it was made from, whose plan is used while that is open.
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) prepared: Bytes,
}

/// `ActionCreatePreparedStatementResult` with the field that tells updates from queries.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PreparedResult {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) prepared_statement_handle: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) dataset_schema: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) parameter_schema: Bytes,
    #[prost(bool, optional, tag = "4")]
    pub(super) is_update: Option<bool>,
}

/// `DoPutUpdateResult` of a bulk ingest, with the rows that were refused.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct IngestResult {
    /// Rows that are durable.
    #[prost(int64, tag = "1")]
    pub record_count: i64,
    /// Rows that were refused.
    #[prost(int64, tag = "1000")]
    pub rejected_count: i64,
    /// The first of them.
    #[prost(message, repeated, tag = "1001")]
    pub rejected: Vec<RejectedRow>,
}

/// A row of a stream that was refused.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RejectedRow {
    /// Its number in the stream, from 1.
    #[prost(uint64, tag = "1")]
    pub row: u64,
    /// Why.
    #[prost(string, tag = "2")]
    pub error: String,
}

impl From<Rejected> for RejectedRow {
    fn from(rejected: Rejected) -> Self {
        Self { row: rejected.line, error: rejected.error }
    }
}

/// A value of a session option.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionOptionValue {
    #[prost(oneof = "OptionValue", tags = "1, 2, 3, 4, 5")]
    pub(super) value: Option<OptionValue>,
}

/// The types that session options may have.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum OptionValue {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(sfixed64, tag = "3")]
    Integer(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Texts(TextList),
}

/// A list of texts.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct TextList {
    #[prost(string, repeated, tag = "1")]
    pub(super) values: Vec<String>,
}

/// `SetSessionOptionsRequest`, and with the same field `GetSessionOptionsResult`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionOptions {
    #[prost(map = "string, message", tag = "1")]
    pub(super) session_options: HashMap<String, SessionOptionValue>,
}

/// `SetSessionOptionsResult`: the options that were not set.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SetSessionOptionsResult {
    #[prost(map = "string, message", tag = "1")]
    pub(super) errors: HashMap<String, SessionOptionError>,
}

/// Why an option was not set: 1 no such name, 2 a wrong value.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct SessionOptionError {
    #[prost(int32, tag = "1")]
    pub(super) value: i32,
}

/// `CloseSessionResult`: 1 is closed.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct CloseSessionResult {
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
}
