//! Prepared statements: planned once, run any number of times, with values bound to their parameters.
//!
//! Handles live in this process only, at most [`STATEMENTS_MAX`] of them, at most [`STATEMENTS_PER_TENANT_MAX`] of a
//! tenant, and each for [`IDLE_MAX`] after its last use; the least recently used goes first. What was bound goes into the ticket, so fetching needs no handle.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow_flight::decode::DecodedPayload;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{ActionCreatePreparedStatementRequest, ProstMessageExt as _};
use arrow_flight::{FlightData, FlightDescriptor, FlightInfo};
use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use ironbark_query::{Statement, StatementKind};
use ironbark_storage::TenantId;
use parking_lot::Mutex;
use prost::Message as _;
use tokio::time::Instant;
use tonic::Status;

use super::Flight;
use super::caller::Caller;
use super::wire::{PreparedResult, StatementTicket};
use super::{error, messages, rows, statement};

/// Most statements that are open at once.
pub(super) const STATEMENTS_MAX: usize = 4_096;
/// Most statements that a tenant has open at once: the next one closes its own least recently used.
pub(super) const STATEMENTS_PER_TENANT_MAX: usize = 512;
/// How long a statement stays open without being used.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(3_600);

/// The open statements.
#[derive(Debug, Default)]
pub(super) struct PreparedStatements(Mutex<HashMap<Bytes, Prepared>>);

#[derive(Clone, Debug)]
struct Prepared {
    tenant: TenantId,
    sql: Arc<str>,
    statement: Statement,
    /// What was bound last, as it lies in a ticket.
    parameters: Bytes,
    used: Instant,
}

impl PreparedStatements {
    /// The plan of an open statement of this tenant.
    pub(super) fn statement(&self, tenant: &TenantId, handle: &Bytes) -> Option<Statement> {
        self.used(tenant, handle, |prepared| prepared.statement.clone())
    }

    fn used<T>(&self, tenant: &TenantId, handle: &Bytes, take: impl FnOnce(&mut Prepared) -> T) -> Option<T> {
        let mut open = self.0.lock();
        let prepared = open.get_mut(handle).filter(|prepared| prepared.tenant == *tenant)?;
        prepared.used = Instant::now();
        Some(take(prepared))
    }

    fn insert(&self, handle: Bytes, prepared: Prepared) {
        let mut open = self.0.lock();
        if open.len() >= STATEMENTS_MAX {
            open.retain(|_, prepared| prepared.used.elapsed() < IDLE_MAX);
        }
        let own = |other: &Prepared| other.tenant == prepared.tenant;
        if open.values().filter(|other| own(other)).count() >= STATEMENTS_PER_TENANT_MAX {
            close_oldest(&mut open, own);
        } else if open.len() >= STATEMENTS_MAX {
            close_oldest(&mut open, |_| true);
        }
        open.insert(handle, prepared);
    }

    fn close(&self, tenant: &TenantId, handle: &Bytes) {
        let mut open = self.0.lock();
        if open.get(handle).is_some_and(|prepared| prepared.tenant == *tenant) {
            open.remove(handle);
        }
    }
}

/// Closes the least recently used of those that are meant.
fn close_oldest(open: &mut HashMap<Bytes, Prepared>, meant: impl Fn(&Prepared) -> bool) {
    let candidates = open.iter().filter(|(_, prepared)| meant(prepared));
    let oldest = candidates.min_by_key(|(_, prepared)| prepared.used).map(|(handle, _)| handle.clone());
    oldest.map(|handle| open.remove(&handle));
}

fn gone() -> Status {
    Status::not_found("the prepared statement is closed, expired or unknown: prepare it again")
}

/// Answers the action `CreatePreparedStatement`.
pub(super) async fn create(
    flight: &Flight,
    caller: &Caller,
    request: ActionCreatePreparedStatementRequest,
) -> Result<Bytes, Status> {
    statement::no_transaction(request.transaction_id.as_ref())?;
    let statement = statement::prepare(flight, caller, &request.query).await?;
    let handle = Bytes::from(format!("{:032x}", flight.node.ambient.entropy.next_u128()));
    let is_update = statement.kind() == StatementKind::Update;
    // Older drivers tell updates by an empty schema, newer ones by the field.
    let dataset_schema = if is_update { Bytes::new() } else { rows::schema_message(&statement.schema())? };
    let result = PreparedResult {
        prepared_statement_handle: handle.clone(),
        dataset_schema,
        parameter_schema: parameter_schema(&statement)?,
        is_update: Some(is_update),
    };
    let prepared = Prepared {
        tenant: caller.tenant.clone(),
        sql: request.query.into(),
        statement,
        parameters: Bytes::new(),
        used: Instant::now(),
    };
    flight.prepared.insert(handle, prepared);
    let any = arrow_flight::sql::Any {
        type_url: arrow_flight::sql::ActionCreatePreparedStatementResult::type_url().to_owned(),
        value: result.encode_to_vec().into(),
    };
    Ok(any.encode_to_vec().into())
}

/// The parameters' schema; empty without parameters. A parameter of unknown type is announced as text, which every
/// driver can bind and the statement casts. A time is announced in milliseconds, because the JDBC driver writes
/// milliseconds into whatever unit it is told; who sends nanoseconds is taken at their word.
fn parameter_schema(statement: &Statement) -> Result<Bytes, Status> {
    if statement.parameters().is_empty() {
        return Ok(Bytes::new());
    }
    let field = |(name, data_type): &(String, DataType)| {
        let data_type = match data_type {
            DataType::Null => DataType::Utf8,
            DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
            other => other.clone(),
        };
        Field::new(name, data_type, true)
    };
    rows::schema_message(&Schema::new(statement.parameters().iter().map(field).collect::<Vec<_>>()))
}

/// Answers the action `ClosePreparedStatement`; closing what is closed is no error.
pub(super) fn close(flight: &Flight, caller: &Caller, handle: &Bytes) {
    flight.prepared.close(&caller.tenant, handle);
}

/// Binds the parameters that a stream carries.
pub(super) async fn bind(
    flight: &Flight,
    caller: &Caller,
    handle: &Bytes,
    stream: impl Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
) -> Result<(), Status> {
    let parameters = statement::write_parameters(&read(stream).await?)?;
    flight.prepared.used(&caller.tenant, handle, |prepared| prepared.parameters = parameters).ok_or_else(gone)
}

/// Answers `GetFlightInfo` for a prepared statement with what is bound to it.
pub(super) fn info(
    flight: &Flight,
    caller: &Caller,
    handle: &Bytes,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let prepared =
        flight.prepared.used(&caller.tenant, handle, |prepared| prepared.clone()).ok_or_else(gone)?;
    let ticket = StatementTicket {
        sql: prepared.sql.to_string(),
        parameters: prepared.parameters,
        prepared: handle.clone(),
        ..StatementTicket::default()
    };
    statement::flight_info(flight, caller, &prepared.statement, ticket, descriptor)
}

/// Answers `DoPut` of `CommandPreparedStatementUpdate`.
pub(super) async fn update(
    flight: &Flight,
    caller: &Caller,
    handle: &Bytes,
    stream: impl Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
) -> Result<i64, Status> {
    let prepared =
        flight.prepared.used(&caller.tenant, handle, |prepared| prepared.clone()).ok_or_else(gone)?;
    statement::run_update(&prepared.statement, read(stream).await?).await
}

/// All batches of parameters of a stream.
async fn read(
    stream: impl Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
) -> Result<Vec<RecordBatch>, Status> {
    let mut stream = messages::decoder(stream, statement::PARAMETER_BYTES_MAX);
    let mut batches: Vec<RecordBatch> = Vec::new();
    let mut bytes: usize = 0;
    while let Some(message) = stream.try_next().await.map_err(error::from_client)? {
        bytes = bytes.saturating_add(message.inner.data_body.len());
        if bytes > statement::PARAMETER_BYTES_MAX {
            return Err(Status::invalid_argument(format!(
                "parameters: more than {} bytes; bind fewer or shorter values",
                statement::PARAMETER_BYTES_MAX
            )));
        }
        if let DecodedPayload::RecordBatch(batch) = message.payload {
            batches.push(batch);
        }
    }
    batches.retain(|batch| batch.num_rows() > 0);
    Ok(batches)
}
