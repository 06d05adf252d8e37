//! The result of a query as it runs.
//!
//! ```text
//!   DataFusion's stream ──► task of its own ──► queue of QUEUE_BATCHES_MAX ──► QueryStream ──► protocol
//!                           wire types            (back-pressure)              time and row limit
//! ```
//!
//! The query runs in a task of its own, so that a long computation never holds up the connection that asked for it.
//! Dropping the stream aborts the task at its next yield; DataFusion's operators yield after a bounded number of
//! batches, and scans at every request. Joins, which may work long between two batches, are stopped by the interrupt.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::SendableRecordBatchStream;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

use crate::boundary;
use crate::config::Limits;
use crate::error::{Error, Limit, Result};
use crate::interrupt::Interrupt;
use crate::table::Reading;

/// Batches that wait for the receiver.
const QUEUE_BATCHES_MAX: usize = 2;

/// What the task sends. The end is said, because a task that died of a panic says nothing more.
type Item = Result<Option<RecordBatch>>;

/// The batches of a result. Dropping it stops the query.
#[derive(Debug)]
pub struct QueryStream {
    schema: SchemaRef,
    batches: mpsc::Receiver<Item>,
    deadline: Pin<Box<Sleep>>,
    limits: Limits,
    rows: u64,
    done: bool,
    interrupt: Interrupt,
    reading: Arc<Reading>,
    _task: SpawnedTask<()>,
}

impl QueryStream {
    /// Runs `source` until the deadline; its batches are cast to `schema`, which has wire types, on the way.
    pub(crate) fn spawn(
        mut source: SendableRecordBatchStream,
        schema: SchemaRef,
        limits: Limits,
        deadline: Instant,
        interrupt: Interrupt,
        reading: Arc<Reading>,
    ) -> Self {
        let (sender, batches) = mpsc::channel(QUEUE_BATCHES_MAX);
        let wire = SchemaRef::clone(&schema);
        let task = SpawnedTask::spawn(async move {
            // A receiver that stands still must not hold the query's memory and snapshots longer than this. It
            // sees the queue end without its last word, and knows the time.
            while let Ok(batch) = tokio::time::timeout_at(deadline, source.next()).await {
                let batch = batch.map(|batch| boundary::to_wire(&batch?, &wire)).transpose();
                let last = !matches!(batch, Ok(Some(_)));
                let sent = tokio::time::timeout_at(deadline, sender.send(batch)).await;
                if last || !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
        });
        let deadline = Box::pin(tokio::time::sleep_until(deadline));
        Self { schema, batches, deadline, limits, rows: 0, done: false, interrupt, reading, _task: task }
    }

    /// The columns: no view, dictionary or large types.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn out_of_time(&self) -> Error {
        let ms = u64::try_from(self.limits.timeout.as_millis()).unwrap_or(u64::MAX);
        Error::Limit(Limit::TimeMs(ms))
    }

    /// Says of an error of damaged pages which segments were being read. Without any it is a defect.
    fn placed(&self, error: Error) -> Error {
        match error {
            Error::Pages { reason, .. } => match self.reading.latest() {
                segments if segments.is_empty() => Error::Internal { reason },
                segments => {
                    self.reading.forget();
                    Error::Pages { reason, segments }
                }
            },
            error => error,
        }
    }

    fn check(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows = self.rows.saturating_add(batch.num_rows() as u64);
        if self.rows > self.limits.rows_max {
            return Err(Error::Limit(Limit::Rows(self.limits.rows_max)));
        }
        Ok(())
    }
}

impl Drop for QueryStream {
    fn drop(&mut self) {
        self.interrupt.stop();
    }
}

impl Stream for QueryStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        let item = match self.batches.poll_recv(cx) {
            Poll::Ready(Some(Ok(Some(batch)))) => match self.check(&batch) {
                Ok(()) => return Poll::Ready(Some(Ok(batch))),
                Err(error) => Some(Err(error)),
            },
            Poll::Ready(Some(Ok(None))) => None,
            Poll::Ready(Some(Err(error))) => Some(Err(self.placed(error))),
            Poll::Ready(None) if Instant::now() >= self.deadline.deadline() => Some(Err(self.out_of_time())),
            Poll::Ready(None) => Some(Err(self.placed(Error::died()))),
            Poll::Pending => {
                std::task::ready!(self.deadline.as_mut().poll(cx));
                Some(Err(self.out_of_time()))
            }
        };
        self.done = true;
        self.batches.close();
        self.interrupt.stop();
        Poll::Ready(item)
    }
}
