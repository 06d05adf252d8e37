//! The calls of Arrow Flight, sorted by the Flight SQL command that they carry.
//!
//! ```text
//!   GetFlightInfo, GetSchema, PollFlightInfo ─► statement, prepared, metadata ─► schema + ticket
//!   DoGet    ticket  ─► statement, metadata ─► rows
//!   DoPut    command ─► ingest, statement, prepared ─► one result
//!   DoAction name    ─► actions
//! ```
//!
//! This implements Flight itself and not `arrow-flight`'s `FlightSqlService`, whose traits leave no room for
//! `GetSchema`, for the field that tells updates from queries, and for refused rows in an ingest's result.

use arrow::array::RecordBatch;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{Any, Command, DoPutPreparedStatementResult, DoPutUpdateResult};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, Result as ActionResult, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use prost::Message as _;
use tonic::{Request, Response, Status, Streaming};

use super::caller::Caller;
use super::{Flight, actions, handshake, ingest, metadata, prepared, rows, statement};

type Answers<T> = BoxStream<'static, Result<T, Status>>;

#[tonic::async_trait]
impl FlightService for Flight {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoActionStream = Answers<ActionResult>;
    type ListActionsStream = Answers<ActionType>;
    type DoExchangeStream = Answers<FlightData>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        handshake::shake(request).await
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented("there are no flights to list: send SQL with CommandStatementQuery"))
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let caller = self.admit(&request)?;
        self.info(&caller, request.into_inner()).await.map(Response::new)
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        let caller = self.admit(&request)?;
        let info = self.info(&caller, request.into_inner()).await?;
        // Results stream: there is nothing to wait for before they are fetched.
        let done = PollInfo::new().with_info(info).try_with_progress(1.0);
        done.map(Response::new).map_err(|error| Status::internal(error.to_string()))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let caller = self.admit(&request)?;
        let info = self.info(&caller, request.into_inner()).await?;
        Ok(Response::new(SchemaResult { schema: info.schema }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let caller = self.admit(&request)?;
        let command = command(&request.into_inner().ticket)?;
        let rows = match command {
            Command::TicketStatementQuery(ticket) => {
                statement::rows(self, &caller, &ticket.statement_handle).await?
            }
            command => {
                let url = command.type_url().to_owned();
                let batch = metadata::answer(self, &caller, command).await?;
                one(batch.ok_or_else(|| unknown("DoGet", &url))?)
            }
        };
        Ok(Response::new(rows))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let caller = self.admit(&request)?;
        let (headers, _, mut messages) = request.into_parts();
        let first = messages.message().await?;
        let first = first.ok_or_else(|| Status::invalid_argument("DoPut: the stream is empty"))?;
        let descriptor = first.flight_descriptor.as_ref();
        let descriptor = descriptor.ok_or_else(|| {
            Status::invalid_argument("DoPut: the first message has no descriptor with a command")
        })?;
        let command = command(&descriptor.cmd)?;
        let stream = stream::iter([Ok(first)]).chain(messages).map_err(FlightError::from);
        let result = self.put(&caller, &headers, command, stream).await?;
        let result = PutResult { app_metadata: result };
        Ok(Response::new(stream::iter([Ok(result)]).boxed()))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let caller = self.admit(&request)?;
        let answer = actions::act(self, &caller, request.into_inner()).await?;
        let results = answer.map(|body| Ok(ActionResult { body }));
        Ok(Response::new(stream::iter(results).boxed()))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Ok(Response::new(stream::iter(actions::list().into_iter().map(Ok)).boxed()))
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented("DoExchange has no use in Flight SQL"))
    }
}

impl Flight {
    /// Settles who calls, and refuses calls to a server that is stopping.
    fn admit<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        if !self.node.is_ready() {
            return Err(Status::unavailable("the server is starting or stopping: try again in a moment"));
        }
        Caller::of(request)
    }

    async fn info(&self, caller: &Caller, descriptor: FlightDescriptor) -> Result<FlightInfo, Status> {
        match command(&descriptor.cmd)? {
            Command::CommandStatementQuery(query) => statement::info(self, caller, query, descriptor).await,
            Command::CommandPreparedStatementQuery(query) => {
                prepared::info(self, caller, &query.prepared_statement_handle, descriptor)
            }
            command => {
                let schema = metadata::schema(self, &command);
                let schema = schema.ok_or_else(|| unknown("GetFlightInfo", command.type_url()))?;
                // The command itself is the ticket.
                let ticket = Ticket::new(command.into_any().encode_to_vec());
                let info = FlightInfo::new()
                    .with_endpoint(FlightEndpoint::new().with_ticket(ticket))
                    .with_descriptor(descriptor);
                info.try_with_schema(&schema).map_err(|error| Status::internal(error.to_string()))
            }
        }
    }

    async fn put<S>(
        &self,
        caller: &Caller,
        headers: &tonic::metadata::MetadataMap,
        command: Command,
        stream: S,
    ) -> Result<Bytes, Status>
    where
        S: Stream<Item = Result<FlightData, FlightError>> + Send + 'static,
    {
        let updated = |record_count| DoPutUpdateResult { record_count }.encode_to_vec().into();
        Ok(match command {
            Command::CommandStatementIngest(command) => {
                ingest::ingest(self, caller, command, headers, stream).await?.encode_to_vec().into()
            }
            Command::CommandStatementUpdate(command) => {
                updated(statement::update(self, caller, command).await?)
            }
            Command::CommandPreparedStatementQuery(query) => {
                let handle = query.prepared_statement_handle;
                prepared::bind(self, caller, &handle, stream).await?;
                DoPutPreparedStatementResult { prepared_statement_handle: Some(handle) }
                    .encode_to_vec()
                    .into()
            }
            Command::CommandPreparedStatementUpdate(query) => {
                let handle = query.prepared_statement_handle;
                updated(prepared::update(self, caller, &handle, stream).await?)
            }
            command => return Err(unknown("DoPut", command.type_url())),
        })
    }
}

fn command(bytes: &Bytes) -> Result<Command, Status> {
    let wrong = || Status::invalid_argument("the descriptor or ticket holds no Flight SQL command");
    let any = Any::decode(bytes.clone()).map_err(|_| wrong())?;
    Command::try_from(any).map_err(|_| wrong())
}

fn unknown(call: &str, url: &str) -> Status {
    let name = url.rsplit('.').next().unwrap_or(url);
    Status::unimplemented(format!("{call} of {name:?} is not supported by this server"))
}

/// A batch that is there already.
fn one(batch: RecordBatch) -> rows::Rows {
    rows::encode(batch.schema(), stream::iter([Ok(batch)]))
}
