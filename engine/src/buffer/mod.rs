//! Rows in memory, from the WAL's acknowledgement to the commit of their segment.
//!
//! ```text
//!   committed record ─► live buffer of its day ──(size, age, memory, too many)──► frozen ─► segment committed ─► gone
//! ```
//!
//! All of a table's buffers change under its one lock, so a day's rows freeze in the order of their row ids and a
//! record's rows of one day are never divided.

mod live;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use ironbark_storage::{BufferView, Day, RowId, RowIdRange};
use tokio::time::Instant;

pub(crate) use live::LiveBuffer;

use crate::wal::Lsn;

/// Rows of one record that fall on one day.
#[derive(Debug)]
pub(crate) struct DayRows {
    pub(crate) day: Day,
    pub(crate) rows: RecordBatch,
    pub(crate) ids: RowIdRange,
    /// Their share of the memory budget.
    pub(crate) bytes: u64,
    pub(crate) lsn: Lsn,
}

/// A buffer that takes no more rows and waits for its segment.
#[derive(Debug)]
pub(crate) struct FrozenBuffer {
    pub(crate) view: BufferView,
    pub(crate) bytes: u64,
    pub(crate) first_lsn: Lsn,
}

impl FrozenBuffer {
    pub(crate) fn first_row(&self) -> Option<RowId> {
        self.view.row_ids.first().map(|range| range.first)
    }

    pub(crate) fn rows(&self) -> usize {
        self.view.batches().map(RecordBatch::num_rows).sum()
    }
}

/// A table's rows in memory.
#[derive(Debug, Default)]
pub(crate) struct TableBuffers {
    live: BTreeMap<Day, LiveBuffer>,
    frozen: Vec<Arc<FrozenBuffer>>,
}

/// A live buffer as the flush policy sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveSize {
    pub(crate) day: Day,
    pub(crate) bytes: u64,
    pub(crate) opened: Instant,
}

impl TableBuffers {
    /// Adds rows and freezes their buffer if it has reached `flush_bytes`. Returns whether it did.
    pub(crate) fn insert(&mut self, rows: DayRows, flush_bytes: u64) -> bool {
        let day = rows.day;
        let live = self.live.entry(day).or_insert_with(|| LiveBuffer::new(rows.lsn));
        live.insert(rows);
        live.bytes() >= flush_bytes && self.freeze(day)
    }

    /// Freezes a day's live buffer. Returns whether there was one.
    pub(crate) fn freeze(&mut self, day: Day) -> bool {
        let Some(live) = self.live.remove(&day) else { return false };
        self.frozen.push(Arc::new(live.freeze(day)));
        true
    }

    /// Freezes every live buffer.
    pub(crate) fn freeze_all(&mut self) {
        let days: Vec<Day> = self.live.keys().copied().collect();
        for day in days {
            self.freeze(day);
        }
    }

    pub(crate) fn live_sizes(&self) -> impl Iterator<Item = LiveSize> + '_ {
        self.live.iter().map(|(day, live)| LiveSize { day: *day, bytes: live.bytes(), opened: live.opened() })
    }

    pub(crate) fn frozen(&self) -> &[Arc<FrozenBuffer>] {
        &self.frozen
    }

    /// Takes away frozen buffers whose rows are in segments; returns the memory that they held, in bytes.
    pub(crate) fn remove_frozen(&mut self, is_flushed: impl Fn(&FrozenBuffer) -> bool) -> u64 {
        let mut freed: u64 = 0;
        self.frozen.retain(|frozen| {
            let gone = is_flushed(frozen);
            freed = freed.saturating_add(if gone { frozen.bytes } else { 0 });
            !gone
        });
        freed
    }

    /// All rows as they are now.
    pub(crate) fn views(&self) -> Vec<BufferView> {
        let frozen = self.frozen.iter().map(|frozen| frozen.view.clone());
        frozen.chain(self.live.iter().map(|(day, live)| live.view(*day))).collect()
    }

    /// The first WAL record of which rows are only here.
    pub(crate) fn first_lsn(&self) -> Option<Lsn> {
        let frozen = self.frozen.iter().map(|frozen| frozen.first_lsn);
        frozen.chain(self.live.values().map(LiveBuffer::first_lsn)).min()
    }

    pub(crate) fn open_partitions(&self) -> usize {
        self.live.len() + self.frozen.len()
    }
}

#[cfg(test)]
mod tests;
