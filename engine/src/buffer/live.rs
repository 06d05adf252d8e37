//! The buffer of one partition that takes rows.
//!
//! Small batches are merged as in a binary counter, so that a thousand appends of one row are a few batches, and a
//! row is copied a logarithmic number of times.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use ironbark_storage::{BufferView, Day, LogSchema, RowIdRange, TimeRange, Timestamp};
use tokio::time::Instant;

use super::{DayRows, FrozenBuffer};
use crate::wal::Lsn;

/// Batches of at least this many rows are not merged any more: as many as a scan hands on at once, and few enough that
/// the bodies of a load are never copied.
const MERGED_ROWS_MAX: usize = 8_192;

#[derive(Debug)]
pub(crate) struct LiveBuffer {
    batches: Vec<RecordBatch>,
    time: Option<TimeRange>,
    row_ids: Vec<RowIdRange>,
    bytes: u64,
    first_lsn: Lsn,
    opened: Instant,
}

impl LiveBuffer {
    pub(crate) fn new(first_lsn: Lsn) -> Self {
        let opened = Instant::now();
        Self { batches: Vec::new(), time: None, row_ids: Vec::new(), bytes: 0, first_lsn, opened }
    }

    pub(crate) fn insert(&mut self, rows: DayRows) {
        if let Some(time) = time_range(&rows.rows) {
            self.time = Some(self.time.map_or(time, |all| all.union(time)));
        }
        match self.row_ids.last_mut() {
            Some(range) if range.first.epoch() == rows.ids.first.epoch() => range.last = rows.ids.last,
            _ => self.row_ids.push(rows.ids),
        }
        self.bytes = self.bytes.saturating_add(rows.bytes);
        self.batches.push(rows.rows);
        self.merge_small();
    }

    fn merge_small(&mut self) {
        while let [.., before, last] = self.batches.as_slice() {
            if before.num_rows() >= MERGED_ROWS_MAX || before.num_rows() > last.num_rows() {
                return;
            }
            // Batches of one schema always join; should they not, both stay as they are.
            let Ok(merged) = concat_batches(&LogSchema::stored(), [before, last]) else { return };
            self.batches.truncate(self.batches.len().saturating_sub(2));
            self.batches.push(merged);
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
        BufferView { day, batches: self.batches.clone(), time, row_ids: self.row_ids.clone() }
    }

    pub(crate) fn freeze(self, day: Day) -> FrozenBuffer {
        let time = self.time.unwrap_or_else(|| day.range());
        let view = BufferView { day, batches: self.batches, time, row_ids: self.row_ids };
        FrozenBuffer { view, bytes: self.bytes, first_lsn: self.first_lsn }
    }
}

/// First and last timestamp of rows; `None` without rows.
fn time_range(rows: &RecordBatch) -> Option<TimeRange> {
    use arrow::array::cast::AsArray;
    use arrow::datatypes::TimestampNanosecondType;
    let times = rows.column_by_name(ironbark_storage::column::TIMESTAMP)?;
    let times = times.as_primitive_opt::<TimestampNanosecondType>()?;
    let (min, max) = (arrow::compute::min(times)?, arrow::compute::max(times)?);
    Some(TimeRange::new(Timestamp::from_ns(min), Timestamp::from_ns(max)))
}
