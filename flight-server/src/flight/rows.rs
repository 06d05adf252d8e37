//! Record batches on their way out: as Flight messages of bounded size, until the client goes or cancels.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::encode::DictionaryHandling;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, IpcMessage, SchemaAsIpc};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::error;

/// Size that messages aim at, in bytes: stock clients take 4 MiB or 16 MiB, and sizes are estimates.
const MESSAGE_BYTES_TARGET: usize = 2 << 20;

/// What `DoGet` answers.
pub(super) type Rows = BoxStream<'static, Result<FlightData, Status>>;

/// The queries that run now, by the name of their run.
#[derive(Clone, Debug, Default)]
pub(super) struct Running(Arc<Mutex<HashMap<Bytes, CancellationToken>>>);

/// Takes a run out of the list when its stream ends or is dropped.
struct Entry {
    running: Running,
    run: Bytes,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.running.0.lock().remove(&self.run);
    }
}

impl Running {
    /// Stops a run; false if none of this name is under way.
    pub(super) fn cancel(&self, run: &Bytes) -> bool {
        match self.0.lock().get(run) {
            Some(token) => {
                token.cancel();
                true
            }
            None => false,
        }
    }

    /// The rows of a run as Flight messages, which [`Running::cancel`] ends with an error.
    pub(super) fn stream<S>(&self, run: Bytes, schema: SchemaRef, batches: S) -> Rows
    where
        S: Stream<Item = ironbark_query::Result<RecordBatch>> + Send + 'static,
    {
        // A ticket may be fetched twice at once: both fetches then share a fate.
        let token = self.0.lock().entry(run.clone()).or_default().clone();
        let entry = Entry { running: self.clone(), run };
        let ended = token.clone();
        let last = stream::once(async move {
            drop(entry);
            ended.is_cancelled().then(|| FlightError::from(Status::cancelled("the query was cancelled")))
        });
        let batches = batches
            .map_err(|error| FlightError::from(error::query(&error)))
            .take_until(token.cancelled_owned())
            .chain(last.filter_map(|cancelled| async move { cancelled.map(Err) }));
        encode(schema, batches)
    }
}

/// Batches as Flight messages.
pub(super) fn encode<S>(schema: SchemaRef, batches: S) -> Rows
where
    S: Stream<Item = Result<RecordBatch, FlightError>> + Send + 'static,
{
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .with_dictionary_handling(DictionaryHandling::Resend)
        .with_max_flight_data_size(MESSAGE_BYTES_TARGET)
        .build(batches);
    messages.map_err(Status::from).boxed()
}

/// A schema as an encapsulated IPC message.
pub(super) fn schema_message(schema: &Schema) -> Result<Bytes, Status> {
    let message = IpcMessage::try_from(SchemaAsIpc::new(schema, &IpcWriteOptions::default()));
    message.map(|IpcMessage(bytes)| bytes).map_err(|error| Status::internal(error.to_string()))
}
