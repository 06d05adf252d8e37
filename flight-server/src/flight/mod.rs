//! Flight SQL over gRPC, for stock JDBC, ADBC and ODBC drivers.
//!
//! ```text
//!   service   the calls, sorted by command        caller     tenant and peer
//!   statement text, tickets, parameters           prepared   open handles
//!   ingest    rows in                             rows       rows out, cancellation
//!   messages  their sizes, before they are decoded
//!   metadata  catalogs, schemas, tables, keys     sql_info, type_info
//!   actions   prepared statements, sessions, ours handshake, session
//! ```
//!
//! Nothing of a result is held between calls: tickets carry what is needed. The only state is the handles of
//! prepared statements and the list of runs that can be cancelled.

pub mod actions;
mod caller;
mod error;
mod handshake;
pub(crate) mod ingest;
mod messages;
mod metadata;
mod prepared;
mod rows;
mod service;
mod session;
mod sql_info;
mod statement;
mod type_info;
pub(crate) mod wire;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use arrow_flight::flight_service_server::FlightServiceServer;
use arrow_flight::sql::metadata::{SqlInfoData, XdbcTypeInfoData};
use tonic::codec::CompressionEncoding;

pub(crate) use self::error::RETRY_AFTER_HEADER;
use self::prepared::PreparedStatements;
use self::rows::Running;
use crate::node::Node;

/// Largest message sent: rows aim at far less, but a single row may be long.
const SEND_BYTES_MAX: usize = 128 << 20;

/// The Flight SQL service. Cloning it is cheap.
#[derive(Clone)]
pub(crate) struct Flight {
    node: Arc<Node>,
    prepared: Arc<PreparedStatements>,
    running: Running,
    infos: Arc<SqlInfoData>,
    types: Arc<XdbcTypeInfoData>,
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight").field("node", &self.node).finish_non_exhaustive()
    }
}

/// The service over an open database, ready to be mounted on a listener.
pub(crate) fn service(node: Arc<Node>) -> arrow_flight::error::Result<FlightServiceServer<Flight>> {
    let receive_bytes_max = node.limits.request_bytes;
    let flight = Flight {
        node,
        prepared: Arc::default(),
        running: Running::default(),
        infos: Arc::new(sql_info::infos()?),
        types: Arc::new(type_info::types()?),
    };
    // Answers are not compressed: clients of today ask for gzip by default, which costs more than it saves here.
    Ok(FlightServiceServer::new(flight)
        .max_decoding_message_size(receive_bytes_max)
        .max_encoding_message_size(SEND_BYTES_MAX)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd))
}
