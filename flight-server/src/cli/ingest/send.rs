//! Sends ranges over Flight until the server has them.
//!
//! ```text
//!   DoPut ─┬─ stored ─────────────────────────────► the answer
//!          ├─ busy (RESOURCE_EXHAUSTED) ──► wait as long as the server says, or longer each time ─► again
//!          ├─ gone (UNAVAILABLE, network) ─► as busy, but only once it has answered before
//!          └─ anything else ───────────────► the error
//! ```
//!
//! The key makes sending again safe: the server stores a range once.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{
    CommandStatementIngest, ProstMessageExt, TableDefinitionOptions, TableExistsOption, TableNotExistOption,
};
use arrow_flight::{FlightData, FlightDescriptor};
use futures::{TryStreamExt, stream};
use ironbark_storage::{Ambient, TableName};
use prost::Message;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::progress::Progress;
use crate::cli::connection::Client;
use crate::cli::failure::Failure;
use crate::flight::RETRY_AFTER_HEADER;
use crate::{IDEMPOTENCY_HEADER, IngestResult};

/// The first wait before a range is sent again; it doubles each time.
const RETRY_MS_MIN: u64 = 100;
/// The longest wait, also if the server says more.
const RETRY_MS_MAX: u64 = 30_000;
/// How long a range is sent again before the load gives up.
const RETRY_TOTAL_MS_MAX: u64 = 5 * 60_000;

/// What the server says about a range.
pub(super) type Answer = IngestResult;

/// Sends ranges to one table.
pub(super) struct Sender {
    client: Client,
    table: TableName,
    ambient: Ambient,
    /// The server has answered, so a failure to reach it may pass.
    answered: bool,
}

impl Sender {
    pub(super) fn new(client: Client, table: &TableName, ambient: Ambient) -> Self {
        Self { client, table: table.clone(), ambient, answered: false }
    }

    /// Sends the rows of a range under its key, and returns when they are durable.
    pub(super) async fn send(
        &mut self,
        rows: &RecordBatch,
        key: &str,
        progress: &Progress,
    ) -> Result<Answer, Failure> {
        let messages = self.encode(rows).await?;
        let key = key.parse().map_err(|_| Failure::Answer(format!("{key} is no header")))?;
        let header = (IDEMPOTENCY_HEADER, key);
        let began = Instant::now();
        let mut wait_ms = RETRY_MS_MIN;
        loop {
            let status = match self.client.put(messages.clone(), header.clone()).await {
                Ok(answer) => {
                    self.answered = true;
                    return IngestResult::decode(answer).map_err(|error| Failure::Answer(error.to_string()));
                }
                Err(status) => status,
            };
            if !self.may_pass(&status) {
                return Err(self.client.failure(status));
            }
            if began.elapsed() >= Duration::from_millis(RETRY_TOTAL_MS_MAX) {
                let reason = self.client.failure(status).to_string();
                return Err(Failure::Overloaded { seconds: began.elapsed().as_secs(), reason });
            }
            let wait = self.wait(&status, wait_ms);
            progress.waiting(wait, &self.client.failure(status));
            tokio::time::sleep(wait).await;
            wait_ms = (wait_ms * 2).min(RETRY_MS_MAX);
        }
    }

    async fn encode(&self, rows: &RecordBatch) -> Result<Vec<FlightData>, Failure> {
        let command = CommandStatementIngest {
            table_definition_options: Some(TableDefinitionOptions {
                if_not_exist: TableNotExistOption::Fail.into(),
                if_exists: TableExistsOption::Append.into(),
            }),
            table: self.table.to_string(),
            ..CommandStatementIngest::default()
        };
        let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
        let encoder = FlightDataEncoderBuilder::new().with_flight_descriptor(Some(descriptor));
        let messages = encoder.build(stream::iter([Ok(rows.clone())])).try_collect().await;
        messages.map_err(|error| Failure::from_flight(self.client.server(), error))
    }

    /// Whether the same request may succeed later. Before its first answer a server that is not there is not there.
    fn may_pass(&self, status: &Status) -> bool {
        match status.code() {
            Code::ResourceExhausted => true,
            Code::Unavailable if !self.is_network(status) => true,
            Code::Unavailable | Code::Unknown | Code::Cancelled => self.answered && self.is_network(status),
            _ => false,
        }
    }

    fn is_network(&self, status: &Status) -> bool {
        matches!(self.client.failure(status.clone()), Failure::Unreachable { .. })
    }

    /// As long as the server says; otherwise about `wait_ms`, differently for each client.
    fn wait(&self, status: &Status, wait_ms: u64) -> Duration {
        let hint = status
            .metadata()
            .get(RETRY_AFTER_HEADER)
            .and_then(|hint| hint.to_str().ok()?.parse::<u64>().ok());
        let spread = u64::try_from(self.ambient.entropy.next_u128() % u128::from(wait_ms)).unwrap_or(0);
        Duration::from_millis(hint.unwrap_or(wait_ms / 2 + spread).min(RETRY_MS_MAX))
    }
}
