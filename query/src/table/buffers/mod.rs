//! The rows in memory: batches that the engine holds, shared and never copied.
//!
//! ```text
//!   buffers ─► batches ─► prune (time, source, level) ─► words of each batch (narrow.rs) ─► scan (source.rs)
//!                                                          │                                 │ newest first, until
//!                                                          └ made by the first queries       │ a TopK has enough
//!                                                            that ask, shared by all         └ pieces of 8,192 rows
//! ```
//!
//! This only narrows: whoever reads the scan checks every row again.

mod narrow;
mod source;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use ironbark_storage::{BufferView, BufferedRows};

pub(super) use narrow::count;

use super::Rows;
use crate::clause;

/// Batches in memory that a query must look at.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffered {
    pub(super) kept: Vec<Arc<BufferedRows>>,
    /// How many there are in all.
    pub(super) all: Size,
}

/// Batches and rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) batches: usize,
    pub(super) rows: usize,
}

impl Size {
    pub(super) fn of(batches: &[Arc<BufferedRows>]) -> Self {
        let rows = batches.iter().map(|batch| batch.rows().num_rows()).sum();
        Self { batches: batches.len(), rows }
    }
}

impl Buffered {
    /// All rows of these buffers.
    pub(super) fn all(buffers: &[BufferView]) -> Self {
        let kept: Vec<_> = buffers.iter().flat_map(|buffer| buffer.rows.iter().cloned()).collect();
        let all = Size::of(&kept);
        Self { kept, all }
    }
}

/// A scan of what is kept, newest first, in batches of the session's size; `None` without any.
pub(super) fn scan(buffered: Buffered, rows: &Rows<'_>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if buffered.kept.is_empty() {
        return Ok(None);
    }
    let clauses = clause::conjuncts(rows.filters);
    let (kept, told) = narrow::narrow(buffered, &clauses);
    let rows_max = rows.state.config().batch_size().max(1);
    let source = source::BufferSource::try_new(kept, told, rows.columns, rows_max)?.with_limit(rows.limit);
    Ok(Some(DataSourceExec::from_data_source(source)))
}

/// A batch in pieces of at most so many rows.
pub(super) fn slices(batch: &RecordBatch, rows_max: usize) -> impl Iterator<Item = RecordBatch> {
    let rows = batch.num_rows();
    (0..rows).step_by(rows_max).map(move |start| batch.slice(start, rows_max.min(rows - start)))
}
