//! `DoAction`: prepared statements, cancellation, sessions, and our own actions with JSON bodies.

use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, Any, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo,
};
use bytes::Bytes;
use prost::Message;
use serde::{Deserialize, Serialize};
use tonic::Status;

use super::caller::Caller;
use super::wire::SessionOptions;
use super::{Flight, error, prepared, session, statement};
use crate::admin;
use crate::version::Version;

/// Commits buffers to segments; body `{"wait":true}` also settles compaction.
pub const FLUSH: &str = "ironbark.flush";
/// Checks manifests and segments.
pub const CHECK: &str = "ironbark.check";
/// Says which version the server is.
pub const VERSION: &str = "ironbark.version";

/// All actions with what they do.
const ACTIONS: [(&str, &str); 10] = [
    ("CreatePreparedStatement", "Creates a prepared statement: ActionCreatePreparedStatementRequest"),
    ("ClosePreparedStatement", "Closes a prepared statement: ActionClosePreparedStatementRequest"),
    ("CancelQuery", "Cancels a query: ActionCancelQueryRequest"),
    ("CancelFlightInfo", "Cancels a query: CancelFlightInfoRequest"),
    ("SetSessionOptions", "Confirms catalog and schema: SetSessionOptionsRequest"),
    ("GetSessionOptions", "Tells catalog and schema: GetSessionOptionsRequest"),
    ("CloseSession", "Closes the session: CloseSessionRequest"),
    (FLUSH, "Commits rows in memory to segments: {\"wait\":true} also settles compaction; answers JSON"),
    (CHECK, "Checks manifests and segments; answers JSON"),
    (VERSION, "Tells the version; answers JSON"),
];

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FlushRequest {
    wait: bool,
}

/// The actions that there are.
pub(super) fn list() -> Vec<ActionType> {
    let action =
        |(name, about): (&str, &str)| ActionType { r#type: name.to_owned(), description: about.to_owned() };
    ACTIONS.into_iter().map(action).collect()
}

/// Does an action; the answer is at most one result.
pub(super) async fn act(flight: &Flight, caller: &Caller, action: Action) -> Result<Option<Bytes>, Status> {
    let body = action.body;
    let session = || flight.node.session(&caller.tenant);
    let answer: Bytes = match action.r#type.as_str() {
        "CreatePreparedStatement" => {
            let request: ActionCreatePreparedStatementRequest = unpack(body)?;
            prepared::create(flight, caller, request).await?
        }
        "ClosePreparedStatement" => {
            let request: ActionClosePreparedStatementRequest = unpack(body)?;
            prepared::close(flight, caller, &request.prepared_statement_handle);
            return Ok(None);
        }
        "CancelQuery" => {
            let request: ActionCancelQueryRequest = unpack(body)?;
            let info = FlightInfo::decode(request.info).map_err(|_| malformed())?;
            let result = cancel(flight, &info)?.into();
            ActionCancelQueryResult { result }.as_any().encode_to_vec().into()
        }
        "CancelFlightInfo" => {
            let info = decode::<CancelFlightInfoRequest>(body)?.info.ok_or_else(malformed)?;
            CancelFlightInfoResult::new(cancel(flight, &info)?).encode_to_vec().into()
        }
        "SetSessionOptions" => {
            let request: SessionOptions = decode(body)?;
            session::set(&session(), request).encode_to_vec().into()
        }
        "GetSessionOptions" => session::get(&session()).encode_to_vec().into(),
        "CloseSession" => session::close().encode_to_vec().into(),
        FLUSH => {
            caller.must_be_local(FLUSH)?;
            let request: FlushRequest = if body.is_empty() {
                FlushRequest::default()
            } else {
                let wrong = |error| {
                    Status::invalid_argument(format!("{FLUSH}: {error}; the body is {{\"wait\":true}}"))
                };
                serde_json::from_slice(&body).map_err(wrong)?
            };
            json(&admin::flush(&flight.node, request.wait).await.map_err(|error| administration(&error))?)?
        }
        CHECK => {
            caller.must_be_local(CHECK)?;
            json(&admin::check(&flight.node).await.map_err(|error| administration(&error))?)?
        }
        VERSION => json(&Version::current())?,
        other => {
            let known: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
            return Err(Status::unimplemented(format!(
                "unknown action {other:?}; known are {}",
                known.join(", ")
            )));
        }
    };
    Ok(Some(answer))
}

/// Stops the runs of an info. An info that nobody fetches has no run.
fn cancel(flight: &Flight, info: &FlightInfo) -> Result<CancelStatus, Status> {
    let tickets = info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.as_ref());
    let mut cancelled = false;
    for ticket in tickets {
        cancelled |= flight.running.cancel(&statement::run_of(ticket)?);
    }
    if cancelled {
        Ok(CancelStatus::Cancelled)
    } else {
        Err(Status::not_found("no query of this FlightInfo is running: it has ended, or was not fetched yet"))
    }
}

fn administration(problem: &admin::Error) -> Status {
    match problem {
        admin::Error::Engine(problem) => error::engine(problem),
        admin::Error::Storage(problem) => error::storage(problem),
        admin::Error::Compaction(problem) => Status::internal(problem.to_string()),
    }
}

fn json<T: Serialize>(answer: &T) -> Result<Bytes, Status> {
    serde_json::to_vec(answer).map(Bytes::from).map_err(|error| Status::internal(error.to_string()))
}

fn unpack<M: ProstMessageExt>(body: Bytes) -> Result<M, Status> {
    let any = Any::decode(body).map_err(|_| malformed())?;
    any.unpack().map_err(|_| malformed())?.ok_or_else(malformed)
}

fn decode<M: Message + Default>(body: Bytes) -> Result<M, Status> {
    M::decode(body).map_err(|_| malformed())
}

fn malformed() -> Status {
    Status::invalid_argument("the action's body is not the message that it must be")
}
