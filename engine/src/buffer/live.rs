//! The buffer of one partition that takes rows.
//!
//! Small batches are merged as in a binary counter, so that a thousand appends of one row are a few batches, and a
//! row is copied a logarithmic number of times.

use std::sync::Arc;

use arrow::compute::concat_batches;
use ironbark_storage::{BufferView, BufferedRows, Day, LogSchema, MERGED_ROWS_MAX, RowIdRange, TimeRange};
use tokio::time::Instant;

use super::{DayRows, FrozenBuffer};
use crate::wal::Lsn;

#[derive(Debug)]
pub(crate) struct LiveBuffer {
    rows: Vec<Arc<BufferedRows>>,
    time: Option<TimeRange>,
    row_ids: Vec<RowIdRange>,
    bytes: u64,
    first_lsn: Lsn,
    opened: Instant,
}

impl LiveBuffer {
    pub(crate) fn new(first_lsn: Lsn) -> Self {
        let opened = Instant::now();
        Self { rows: Vec::new(), time: None, row_ids: Vec::new(), bytes: 0, first_lsn, opened }
    }

    pub(crate) fn insert(&mut self, rows: DayRows) {
        self.bytes = self.bytes.saturating_add(rows.bytes);
        let Some(new) = BufferedRows::new(rows.rows) else { return };
        self.time = Some(self.time.map_or(new.time(), |all| all.union(new.time())));
        match self.row_ids.last_mut() {
            Some(range) if range.first.epoch() == rows.ids.first.epoch() => range.last = rows.ids.last,
            _ => self.row_ids.push(rows.ids),
        }
        self.rows.push(Arc::new(new));
        self.merge_small();
    }

    fn merge_small(&mut self) {
        while let [.., before, last] = self.rows.as_slice() {
            let (before, last) = (before.rows(), last.rows());
            if before.num_rows() >= MERGED_ROWS_MAX || before.num_rows() > last.num_rows() {
                return;
            }
            // Batches of one schema always join; should they not, both stay as they are.
            let Ok(merged) = concat_batches(&LogSchema::stored(), [before, last]) else { return };
            let Some(merged) = BufferedRows::new(merged) else { return };
            self.rows.truncate(self.rows.len().saturating_sub(2));
            self.rows.push(Arc::new(merged));
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    pub(crate) fn first_lsn(&self) -> Lsn {
        self.first_lsn
    }

    pub(crate) fn view(&self, day: Day) -> BufferView {
        let time = self.time.unwrap_or_else(|| day.range());
        BufferView { day, rows: self.rows.clone(), time, row_ids: self.row_ids.clone() }
    }

    pub(crate) fn freeze(self, day: Day) -> FrozenBuffer {
        let time = self.time.unwrap_or_else(|| day.range());
        let view = BufferView { day, rows: self.rows, time, row_ids: self.row_ids };
        FrozenBuffer { view, bytes: self.bytes, first_lsn: self.first_lsn }
    }
}
