//! From the WAL to the buffers: what happens to a record at the moment it is durable.
//!
//! It runs on the WAL's thread, in the order of the log, before the append is acknowledged: so an acknowledged row is
//! visible, and the rows of a partition enter its buffer in the order of their ids.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use ironbark_storage::{Day, Epoch, LogBatch, RowId, RowIdRange, Timestamp};
use tokio::sync::Notify;

use crate::Result;
use crate::admission::{Budget, Reservation};
use crate::buffer::DayRows;
use crate::error::StopReason;
use crate::once::Claimed;
use crate::table::Table;
use crate::wal::{CommitSink, CommittedRecord, Lsn};

/// What an append leaves for the moment when it is durable.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) table: Arc<Table>,
    pub(crate) batch: LogBatch,
    pub(crate) memory: Reservation,
    pub(crate) claimed: Option<Claimed>,
}

/// What the write path shares between its tasks and the WAL's thread.
#[derive(Debug)]
pub(crate) struct Intake {
    pub(crate) budget: Arc<Budget>,
    pub(crate) flush_bytes: u64,
    /// Wakes the flusher.
    pub(crate) frozen: Notify,
    /// The first LSN that is not yet in the buffers.
    applied: AtomicU64,
    /// Why no more rows are taken.
    stopped: OnceLock<StopReason>,
    /// Buffers of all tables, live and frozen.
    open_partitions: AtomicUsize,
}

impl Intake {
    pub(crate) fn new(budget: Arc<Budget>, flush_bytes: u64) -> Self {
        let (applied, open_partitions) = (AtomicU64::new(Lsn::FIRST.get()), AtomicUsize::new(0));
        Self {
            budget,
            flush_bytes,
            frozen: Notify::new(),
            applied,
            stopped: OnceLock::new(),
            open_partitions,
        }
    }

    /// Buffers of all tables, live and frozen.
    pub(crate) fn open_partitions(&self) -> usize {
        self.open_partitions.load(Ordering::Acquire)
    }

    /// Notes that buffers came to their segments and are gone, with the memory that they held.
    pub(crate) fn release(&self, buffers: usize, bytes: u64) {
        // Only buffers that `insert` counted go.
        self.open_partitions.fetch_sub(buffers, Ordering::AcqRel);
        self.budget.release(bytes);
    }

    /// Every record before this one is in the buffers or in segments.
    pub(crate) fn applied(&self) -> Lsn {
        Lsn::new(self.applied.load(Ordering::Acquire))
    }

    /// Takes no more rows, for this reason (or the one before it).
    pub(crate) fn stop(&self, reason: StopReason) {
        let _ = self.stopped.set(reason);
    }

    /// Why no more rows are taken, if that is so.
    pub(crate) fn stopped(&self) -> Option<StopReason> {
        self.stopped.get().copied()
    }

    pub(crate) fn set_applied(&self, next: Lsn) {
        self.applied.store(next.get(), Ordering::Release);
    }

    /// Puts a durable batch into the buffers of its days, leaving out rows that `skip` names. The memory goes along.
    pub(crate) fn insert(
        &self,
        table: &Table,
        batch: LogBatch,
        place: Place,
        memory: Reservation,
        skip: impl Fn(Day, RowId) -> bool,
    ) -> Result<u64> {
        let first = RowId::new(place.epoch, place.first_seq)?;
        let days: Vec<_> = batch
            .into_stored(first)?
            .into_iter()
            .filter_map(|(day, rows)| Some((day, id_range(&rows)?, rows)))
            .filter(|(day, ids, _)| !skip(*day, ids.first))
            .collect();
        let total: u64 = days.iter().map(|(_, _, rows)| rows.num_rows() as u64).sum();
        if total == 0 {
            return Ok(0);
        }
        let mut left = memory.keep();
        let all = left;
        let mut state = table.state.lock();
        let (mut froze, before) = (false, state.buffers.open_partitions());
        let last = days.len().saturating_sub(1);
        for (index, (day, ids, rows)) in days.into_iter().enumerate() {
            let share = if index == last { left } else { all.saturating_mul(rows.num_rows() as u64) / total };
            left = left.saturating_sub(share);
            let rows = DayRows { day, rows, ids, bytes: share, lsn: place.lsn };
            froze |= state.buffers.insert(rows, self.flush_bytes);
        }
        let opened = state.buffers.open_partitions().saturating_sub(before);
        self.open_partitions.fetch_add(opened, Ordering::AcqRel);
        drop(state);
        if froze {
            self.frozen.notify_one();
        }
        Ok(total)
    }
}

/// Where a record stands in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) epoch: Epoch,
    pub(crate) lsn: Lsn,
    pub(crate) first_seq: u64,
}

/// First and last `_row_id` of rows whose ids rise.
fn id_range(rows: &RecordBatch) -> Option<RowIdRange> {
    use arrow::array::cast::AsArray;
    use arrow::datatypes::Int64Type;
    let ids = rows.column_by_name(ironbark_storage::column::ROW_ID)?.as_primitive_opt::<Int64Type>()?;
    let (first, last) = (ids.values().first()?, ids.values().last()?);
    Some(RowIdRange { first: RowId::from_i64(*first)?, last: RowId::from_i64(*last)? })
}

/// The WAL's door to the buffers.
pub(crate) struct BufferSink {
    pub(crate) intake: Arc<Intake>,
    pub(crate) epoch: Epoch,
}

impl CommitSink<Pending> for BufferSink {
    fn committed(&mut self, records: Vec<CommittedRecord<Pending>>) {
        for record in records {
            let Pending { table, batch, memory, claimed } = record.attachment;
            let arrival: Timestamp = batch.arrival();
            let place = Place { epoch: self.epoch, lsn: record.lsn, first_seq: record.first_seq };
            if let Err(error) = self.intake.insert(&table, batch, place, memory, |_, _| false) {
                // The rows are durable, and a restart replays them: so the log must keep this record.
                tracing::error!(table = %table.name, lsn = %record.lsn, %error, "a durable batch could not be buffered");
                self.intake.stop(StopReason::Unbuffered);
            }
            if let Some(claimed) = claimed {
                claimed.done(record.lsn, arrival);
            }
            if self.intake.stopped() != Some(StopReason::Unbuffered) {
                self.intake.set_applied(record.lsn.next());
            }
        }
    }
}
