//! Statements: planned when asked about, run when fetched.
//!
//! ```text
//!   GetFlightInfo ─► prepare ─► schema + ticket {run, tenant, sql, parameters}
//!   DoGet(ticket) ─► prepare again (or the open prepared statement's plan) ─► run ─► rows
//! ```
//!
//! The server keeps nothing between the two calls, so a ticket can be fetched once, again, late, or never.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow_flight::sql::{
    Any, CommandStatementQuery, CommandStatementUpdate, ProstMessageExt as _, TicketStatementQuery,
};
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use bytes::Bytes;
use datafusion::scalar::ScalarValue;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use ironbark_query::{Statement, StatementKind};
use prost::Message as _;
use tonic::Status;

use super::Flight;
use super::caller::Caller;
use super::error;
use super::rows::Rows;
use super::wire::StatementTicket;
use crate::decode::ipc;

/// Most bytes of the values of parameters.
pub(super) const PARAMETER_BYTES_MAX: usize = 1 << 20;
/// Most rows of parameters: a statement runs once for each.
const PARAMETER_ROWS_MAX: usize = 1_000;

/// Answers `GetFlightInfo` for a statement's text.
pub(super) async fn info(
    flight: &Flight,
    caller: &Caller,
    command: CommandStatementQuery,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    no_transaction(command.transaction_id.as_ref())?;
    let statement = prepare(flight, caller, &command.query).await?;
    let ticket = StatementTicket { sql: command.query, ..StatementTicket::default() };
    flight_info(flight, caller, &statement, ticket, descriptor)
}

/// The info of a statement whose text and parameters are in `ticket`.
pub(super) fn flight_info(
    flight: &Flight,
    caller: &Caller,
    statement: &Statement,
    ticket: StatementTicket,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let run = Bytes::copy_from_slice(&flight.node.ambient.entropy.next_u128().to_le_bytes());
    let ticket = StatementTicket { run, tenant: caller.tenant.to_string(), ..ticket };
    let query = TicketStatementQuery { statement_handle: ticket.encode_to_vec().into() };
    let ticket = Ticket::new(query.as_any().encode_to_vec());
    // No location: clients then fetch over the connection that they have.
    let info = FlightInfo::new()
        .with_endpoint(FlightEndpoint::new().with_ticket(ticket))
        .with_descriptor(descriptor);
    info.try_with_schema(&statement.schema()).map_err(|error| Status::internal(error.to_string()))
}

/// Answers `DoGet` for a ticket of [`flight_info`].
pub(super) async fn rows(flight: &Flight, caller: &Caller, handle: &Bytes) -> Result<Rows, Status> {
    let ticket = read_ticket(handle)?;
    if ticket.tenant != caller.tenant.as_str() {
        return Err(Status::permission_denied(format!(
            "the ticket is of tenant {}, the request of {}; send the same {} header with both",
            ticket.tenant,
            caller.tenant,
            crate::tenant::TENANT_HEADER
        )));
    }
    let statement = match flight.prepared.statement(&caller.tenant, &ticket.prepared) {
        Some(statement) => statement,
        None => prepare(flight, caller, &ticket.sql).await?,
    };
    run(flight, &statement, ticket.run, read_parameters(&ticket.parameters)?).await
}

/// Runs a statement, once for each row of parameters; all runs together have the time of one.
async fn run(
    flight: &Flight,
    statement: &Statement,
    run: Bytes,
    parameters: Vec<RecordBatch>,
) -> Result<Rows, Status> {
    let deadline = statement.deadline();
    let mut values = parameter_rows(parameters)?;
    // The first run begins at once, so that its errors are those of the call and not of its stream.
    let first = values.next().transpose().map_err(|error| error::query(&error))?;
    let first = statement.run_until(first.unwrap_or_default(), deadline).await;
    let first = first.map_err(|error| error::query(&error))?;
    let schema = first.schema();
    let statement = statement.clone();
    let others = stream::iter(values).then(move |values| {
        let statement = statement.clone();
        async move { statement.run_until(values?, deadline).await }
    });
    let batches: BoxStream<'static, _> = first.chain(others.try_flatten()).boxed();
    Ok(flight.running.stream(run, schema, batches))
}

/// Answers `CommandStatementUpdate`: runs a statement that changes something.
pub(super) async fn update(
    flight: &Flight,
    caller: &Caller,
    command: CommandStatementUpdate,
) -> Result<i64, Status> {
    no_transaction(command.transaction_id.as_ref())?;
    let statement = prepare(flight, caller, &command.query).await?;
    run_update(&statement, Vec::new()).await
}

/// Runs a statement that changes something; returns how many rows it changed, which for definitions is none.
pub(super) async fn run_update(statement: &Statement, parameters: Vec<RecordBatch>) -> Result<i64, Status> {
    if statement.kind() == StatementKind::Query {
        return Err(Status::invalid_argument(
            "the statement answers with rows: run it as a query, not as an update (executeQuery, not executeUpdate)",
        ));
    }
    let deadline = statement.deadline();
    let mut rows = parameter_rows(parameters)?.peekable();
    let without = rows.peek().is_none().then(|| Ok(Vec::new()));
    for values in without.into_iter().chain(rows) {
        let values = values.map_err(|error| error::query(&error))?;
        let answer = statement.run_until(values, deadline).await;
        let mut answer = answer.map_err(|error| error::query(&error))?;
        while answer.try_next().await.map_err(|error| error::query(&error))?.is_some() {}
    }
    Ok(0)
}

/// Parses, checks and plans a text.
pub(super) async fn prepare(flight: &Flight, caller: &Caller, sql: &str) -> Result<Statement, Status> {
    let session = flight.node.session(&caller.tenant);
    session.prepare(sql).await.map_err(|error| error::query(&error))
}

/// Which run a ticket of ours stands for.
pub(super) fn run_of(ticket: &Ticket) -> Result<Bytes, Status> {
    let any = Any::decode(ticket.ticket.clone()).map_err(|_| bad_ticket())?;
    let query: Option<TicketStatementQuery> = any.unpack().map_err(|_| bad_ticket())?;
    Ok(read_ticket(&query.ok_or_else(bad_ticket)?.statement_handle)?.run)
}

fn read_ticket(handle: &Bytes) -> Result<StatementTicket, Status> {
    StatementTicket::decode(handle.clone()).map_err(|_| bad_ticket())
}

fn bad_ticket() -> Status {
    Status::invalid_argument(
        "the ticket is not one of this server's; ask for the statement's FlightInfo again",
    )
}

/// Refuses what would need a transaction.
pub(super) fn no_transaction(id: Option<&Bytes>) -> Result<(), Status> {
    match id {
        Some(id) if !id.is_empty() => Err(Status::unimplemented(
            "there are no transactions: send the statement without a transaction id",
        )),
        _ => Ok(()),
    }
}

/// Parameters as they lie in a ticket.
pub(super) fn write_parameters(batches: &[RecordBatch]) -> Result<Bytes, Status> {
    let Some(first) = batches.first() else { return Ok(Bytes::new()) };
    let failed = |error: arrow::error::ArrowError| Status::invalid_argument(format!("parameters: {error}"));
    let mut writer = StreamWriter::try_new(Vec::new(), first.schema_ref()).map_err(failed)?;
    for batch in batches {
        writer.write(batch).map_err(failed)?;
    }
    let bytes = writer.into_inner().map_err(failed)?;
    if bytes.len() > PARAMETER_BYTES_MAX {
        return Err(Status::invalid_argument(format!(
            "parameters: {} bytes, the limit is {PARAMETER_BYTES_MAX}; bind fewer or shorter values",
            bytes.len()
        )));
    }
    Ok(bytes.into())
}

fn read_parameters(bytes: &Bytes) -> Result<Vec<RecordBatch>, Status> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    if bytes.len() > PARAMETER_BYTES_MAX {
        return Err(bad_ticket());
    }
    ipc::check_stream(bytes, PARAMETER_BYTES_MAX).map_err(|_| bad_ticket())?;
    let reader = StreamReader::try_new(bytes.as_ref(), None).map_err(|_| bad_ticket())?;
    reader.collect::<Result<_, _>>().map_err(|_| bad_ticket())
}

/// The values of each row of parameters, each read when its turn comes: a dictionary's value may stand in every row.
fn parameter_rows(
    batches: Vec<RecordBatch>,
) -> Result<impl Iterator<Item = ironbark_query::Result<Vec<ScalarValue>>> + Send + 'static, Status> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).fold(0, usize::saturating_add);
    if rows > PARAMETER_ROWS_MAX {
        return Err(Status::invalid_argument(format!(
            "parameters: {rows} rows, the limit is {PARAMETER_ROWS_MAX}; bind fewer at once"
        )));
    }
    let row = |batch: &RecordBatch, row: usize| {
        let value = |column: &ArrayRef| ScalarValue::try_from_array(column, row);
        let values = batch.columns().iter().map(value).collect::<Result<Vec<_>, _>>();
        values.map_err(|error| ironbark_query::Error::Parameters { reason: error.to_string() })
    };
    Ok(batches.into_iter().flat_map(move |batch| {
        let rows = 0..batch.num_rows();
        rows.map(move |at| row(&batch, at))
    }))
}
