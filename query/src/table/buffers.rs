//! The rows in memory: batches that the engine holds, shared and never copied.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use ironbark_storage::{BufferView, LogSchema};

/// A scan of the buffers, newest first, in batches of the session's size.
pub(super) fn scan(
    mut buffers: Vec<BufferView>,
    columns: &[usize],
    limit: Option<usize>,
    state: &dyn Session,
) -> Result<Arc<dyn ExecutionPlan>> {
    let rows_max = state.config().batch_size().max(1);
    buffers.sort_by_key(|buffer| std::cmp::Reverse(buffer.time.max));
    let newest_first = buffers.iter().flat_map(|buffer| buffer.batches.iter().rev());
    let batches: Vec<RecordBatch> = newest_first.flat_map(|batch| slices(batch, rows_max)).collect();
    let source = MemorySourceConfig::try_new(&[batches], LogSchema::stored(), Some(columns.to_vec()))?;
    Ok(DataSourceExec::from_data_source(source.with_limit(limit)))
}

/// How many rows a buffer has.
pub(super) fn rows(buffer: &BufferView) -> u64 {
    buffer.batches.iter().map(|batch| batch.num_rows() as u64).sum()
}

/// A batch in pieces of at most so many rows.
pub(super) fn slices(batch: &RecordBatch, rows_max: usize) -> impl Iterator<Item = RecordBatch> {
    let rows = batch.num_rows();
    (0..rows).step_by(rows_max).map(move |start| batch.slice(start, rows_max.min(rows - start)))
}
