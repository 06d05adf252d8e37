//! A client of a running server over HTTP and Flight SQL, as thin as it can be: it sends, and returns what came. It
//! retries nothing, because what is retried is what the tests are about.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow_flight::Action;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{
    CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use futures::{TryStreamExt as _, stream};
use serde_json::Value;
use tonic::transport::{Channel, Endpoint};

use crate::Server;

/// Time for one request, on a busy machine and in a debug build.
const REQUEST_SECONDS_MAX: u64 = 120;

/// Results may hold long messages.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A failed request: what the client library or the server said.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The answer to an HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Body, as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in the answer {self:?}"))
    }

    /// How many rows an ingest took.
    ///
    /// # Panics
    /// If the body is not JSON.
    pub fn accepted(&self) -> Option<u64> {
        self.json().get("accepted").and_then(Value::as_u64)
    }
}

/// Connections to one server.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    flight: FlightSqlServiceClient<Channel>,
}

impl Client {
    /// Connects to both interfaces.
    pub async fn connect(server: &Server) -> Result<Self, Failure> {
        let timeout = Duration::from_secs(REQUEST_SECONDS_MAX);
        let http = reqwest::Client::builder().timeout(timeout).build()?;
        let channel = Endpoint::from_shared(server.flight().to_owned())?.timeout(timeout).connect().await?;
        let inner = FlightServiceClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let flight = FlightSqlServiceClient::new_from_inner(inner);
        Ok(Self { base: server.http().to_owned(), http, flight })
    }

    /// `GET path`, which begins with a slash and is already encoded.
    pub async fn get(&self, path: &str) -> Result<Answer, Failure> {
        let response = self.http.get(format!("{}{path}", self.base)).send().await?;
        Ok(Answer { status: response.status().as_u16(), body: response.text().await? })
    }

    /// `POST /logs/ingest` of NDJSON, under an idempotency key if one is given.
    pub async fn post_ndjson(&self, body: String, key: Option<&str>) -> Result<Answer, Failure> {
        let url = format!("{}/logs/ingest", self.base);
        let mut request = self.http.post(url).header("content-type", "application/x-ndjson").body(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await?;
        Ok(Answer { status: response.status().as_u16(), body: response.text().await? })
    }

    /// Bulk ingest of one batch into `logs`, under an idempotency key if one is given. Returns the rows acknowledged.
    pub async fn ingest(&self, batch: RecordBatch, key: Option<&str>) -> Result<i64, Failure> {
        let mut flight = self.flight.clone();
        if let Some(key) = key {
            flight.set_header("x-ironbark-idempotency-key", key);
        }
        let append = TableDefinitionOptions {
            if_not_exist: TableNotExistOption::Fail.into(),
            if_exists: TableExistsOption::Append.into(),
        };
        let command = CommandStatementIngest {
            table_definition_options: Some(append),
            table: "logs".to_owned(),
            schema: None,
            catalog: None,
            temporary: false,
            transaction_id: None,
            options: std::collections::HashMap::new(),
        };
        Ok(flight.execute_ingest(command, stream::iter([Ok(batch)])).await?)
    }

    /// Runs a query over Flight SQL and collects its batches.
    pub async fn sql(&self, query: &str) -> Result<Vec<RecordBatch>, Failure> {
        let mut flight = self.flight.clone();
        let info = flight.execute(query.to_owned(), None).await?;
        let mut batches = Vec::new();
        for endpoint in info.endpoint {
            let ticket = endpoint.ticket.ok_or_else(|| ArrowError::ParseError("no ticket".to_owned()))?;
            let found: Vec<RecordBatch> = flight.do_get(ticket).await?.try_collect().await?;
            batches.extend(found);
        }
        Ok(batches)
    }

    /// Runs a query and renders every value as text; NULL is `None`.
    pub async fn rows(&self, query: &str) -> Result<Vec<Vec<Option<String>>>, Failure> {
        let mut rows = Vec::new();
        for batch in self.sql(query).await? {
            let columns = batch.columns().iter().map(|column| {
                let text = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8)?;
                let text = arrow::array::AsArray::as_string::<i32>(&text);
                Ok(text.iter().map(|value| value.map(str::to_owned)).collect::<Vec<_>>())
            });
            let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
            let row = |at: usize| columns.iter().map(|column| column.get(at).cloned().flatten()).collect();
            rows.extend((0..batch.num_rows()).map(row));
        }
        Ok(rows)
    }

    /// The single number that a query answers.
    ///
    /// # Panics
    /// If it answers anything else.
    pub async fn number(&self, query: &str) -> Result<i64, Failure> {
        let rows = self.rows(query).await?;
        let value = rows.first().and_then(|row| row.first()).cloned().flatten();
        let number = value.and_then(|text| text.parse().ok());
        Ok(number.unwrap_or_else(|| panic!("`{query}` answered no number but {rows:?}")))
    }

    /// Buffers to segments, and what was flushed compacted.
    pub async fn flush(&self) -> Result<(), Failure> {
        let mut flight = self.flight.clone();
        let body = r#"{"wait":true}"#.into();
        let mut results = flight.do_action(Action { r#type: "ironbark.flush".to_owned(), body }).await?;
        while results.message().await?.is_some() {}
        Ok(())
    }
}
