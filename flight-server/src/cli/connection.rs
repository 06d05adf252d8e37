//! The connection of a client command to its server: Flight SQL over one channel.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{Action, FlightData, FlightDescriptor, FlightEndpoint};
use bytes::Bytes;
use clap::Args;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use ironbark_storage::TenantId;
use prost::Message;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::failure::Failure;
use crate::tenant::TENANT_HEADER;

/// How long a connection may take to be made.
const CONNECT_MS_MAX: u64 = 5_000;
/// How often a quiet connection is asked whether it still stands, and how long it may take to answer.
const KEEP_ALIVE_MS: u64 = 10_000;
const KEEP_ALIVE_ANSWER_MS_MAX: u64 = 20_000;
/// The largest message that is taken from a server, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Which server, and for whom.
#[derive(Args, Clone, Debug)]
pub(crate) struct ConnectionArgs {
    /// The server's Flight address
    #[arg(long, value_name = "URL", env = "IRONBARK_SERVER", default_value = "http://127.0.0.1:8515")]
    pub(super) server: String,
    /// Whose logs: customer/project/environment
    #[arg(long, env = "IRONBARK_TENANT", default_value = "default/default/default")]
    pub(super) tenant: TenantId,
}

/// A client of one server and tenant. Connects with the first request, and again after a failure.
#[derive(Clone, Debug)]
pub(super) struct Client {
    flight: FlightServiceClient<Channel>,
    server: String,
    tenant: MetadataValue<Ascii>,
}

/// The rows of a statement as they come.
pub(super) struct Answer {
    pub(super) schema: SchemaRef,
    pub(super) rows: BoxStream<'static, Result<RecordBatch, Failure>>,
}

impl Client {
    /// A client for the server of the command line.
    pub(super) fn new(args: &ConnectionArgs) -> Result<Self, Failure> {
        let server = args.server.trim_end_matches('/').to_owned();
        let refuse =
            |reason: &str| Failure::ServerUrl { server: args.server.clone(), reason: reason.to_owned() };
        let url = server.replacen("grpc://", "http://", 1);
        if url.starts_with("https://") || url.starts_with("grpc+tls://") {
            return Err(refuse("TLS is not supported yet"));
        }
        if !url.starts_with("http://") {
            return Err(refuse("the address begins with http://"));
        }
        let endpoint = Endpoint::from_shared(url).map_err(|error| refuse(&error.to_string()))?;
        let channel = endpoint
            .connect_timeout(Duration::from_millis(CONNECT_MS_MAX))
            .http2_keep_alive_interval(Duration::from_millis(KEEP_ALIVE_MS))
            .keep_alive_timeout(Duration::from_millis(KEEP_ALIVE_ANSWER_MS_MAX))
            .connect_lazy();
        let flight = FlightServiceClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let tenant = args.tenant.as_str();
        let tenant = tenant.parse().map_err(|_| Failure::Argument {
            flag: "--tenant",
            given: tenant.to_owned(),
            reason: "it cannot be sent as a header".to_owned(),
        })?;
        Ok(Self { flight, server, tenant })
    }

    /// The server's address.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// Plans a statement and begins to read its rows. Dropping the answer stops the statement.
    pub(super) async fn query(&self, sql: &str) -> Result<Answer, Failure> {
        let command = CommandStatementQuery { query: sql.to_owned(), transaction_id: None };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let mut flight = self.flight.clone();
        let info =
            flight.get_flight_info(self.request(descriptor)).await.map_err(|status| self.failure(status))?;
        let info = info.into_inner();
        let endpoints = info.endpoint.clone();
        let schema = info.try_decode_schema().map_err(|error| Failure::Answer(error.to_string()))?;
        let client = self.clone();
        let rows = stream::iter(endpoints)
            .then(move |endpoint| {
                let client = client.clone();
                async move { client.fetch(endpoint).await }
            })
            .try_flatten()
            .boxed();
        Ok(Answer { schema: schema.into(), rows })
    }

    async fn fetch(
        &self,
        endpoint: FlightEndpoint,
    ) -> Result<BoxStream<'static, Result<RecordBatch, Failure>>, Failure> {
        let ticket =
            endpoint.ticket.ok_or_else(|| Failure::Answer("an endpoint has no ticket".to_owned()))?;
        let answer =
            self.flight.clone().do_get(self.request(ticket)).await.map_err(|status| self.failure(status))?;
        let data = answer.into_inner().map_err(FlightError::from);
        let server = self.server.clone();
        let rows = FlightRecordBatchStream::new_from_flight_data(data);
        Ok(rows.map_err(move |error| Failure::from_flight(&server, error)).boxed())
    }

    /// All rows of a statement whose answer is known to be small.
    pub(super) async fn collect(&self, sql: &str) -> Result<Vec<RecordBatch>, Failure> {
        self.query(sql).await?.rows.try_collect().await
    }

    /// Runs an action of the server and returns its answer.
    pub(super) async fn action(&self, name: &str, body: Bytes) -> Result<Bytes, Failure> {
        let action = Action { r#type: name.to_owned(), body };
        let answer = self.flight.clone().do_action(self.request(action)).await;
        let mut results = answer.map_err(|status| self.failure(status))?.into_inner();
        let first = results.message().await.map_err(|status| self.failure(status))?;
        first
            .map(|result| result.body)
            .ok_or_else(|| Failure::Answer(format!("action {name} answered nothing")))
    }

    /// Sends the messages of one stream, and returns the metadata of the server's last answer.
    ///
    /// The status is returned as it is, for it tells whether to try again.
    pub(super) async fn put(
        &self,
        messages: Vec<FlightData>,
        header: (&'static str, MetadataValue<Ascii>),
    ) -> Result<Bytes, Status> {
        let mut request = self.request(stream::iter(messages));
        request.metadata_mut().insert(header.0, header.1);
        let mut answers = self.flight.clone().do_put(request).await?.into_inner();
        let mut last = Bytes::new();
        while let Some(answer) = answers.message().await? {
            last = answer.app_metadata;
        }
        Ok(last)
    }

    /// A status as an error of this connection.
    pub(super) fn failure(&self, status: Status) -> Failure {
        Failure::from_status(&self.server, status)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(TENANT_HEADER, self.tenant.clone());
        request
    }
}
