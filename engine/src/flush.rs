//! Flush: frozen buffers become segments, the manifest takes them, and the WAL lets go of their rows.
//!
//! ```text
//!   due? ─► freeze ─► encode (blocking thread) ─► put ─► ManifestEdit::Add ─► free memory ─► truncate the WAL
//! ```
//!
//! A failure at any step leaves the buffers as they were: a later round tries again, and objects that no commit
//! names are garbage for the compactor. Tables are flushed side by side, and one that fails pauses alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use ironbark_storage::{
    AddSegments, Conflict, Epoch, Error as StorageError, FlushedRange, Manifest, ManifestEdit, Partition,
    RowIdRange, SegmentId, SegmentMeta, SegmentOptions, encode_segment, put_segment,
};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::Result;
use crate::buffer::FrozenBuffer;
use crate::engine::Inner;
use crate::error::StopReason;
use crate::once::DoneKey;
use crate::table::Table;
use crate::wal::Lsn;

/// Frozen buffers that one commit takes.
const BUFFERS_PER_COMMIT_MAX: usize = 64;
/// From this share of the memory budget on the largest buffers are flushed, in per cent.
const MEMORY_PRESSURE_PERCENT: u64 = 60;
/// Tables that are flushed at once: a store answers slowly, and to many as fast as to one.
const TABLES_AT_ONCE_MAX: usize = 8;
/// Segments of one table that are written at once.
const SEGMENTS_AT_ONCE_MAX: usize = 4;
/// Segments that are encoded at once, which takes processors and memory: one for each processor, at most so many.
const ENCODES_AT_ONCE_MAX: usize = 4;
/// A segment that is older than this is not committed but written anew, in nanoseconds: a quarter of the time after
/// which the compactor deletes objects that no manifest names. A machine that slept may find them gone.
const COMMIT_WITHIN_NS: i64 = 6 * 3_600_000_000_000;

/// Whether pauses after failures are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Somebody waits: everything is tried.
    Now,
    /// Tables that failed a moment ago are left for later.
    Background,
}

/// How much a flush does at once.
#[derive(Debug)]
pub(crate) struct FlushPace {
    tables: usize,
    segments: usize,
    encodes: Semaphore,
}

impl Default for FlushPace {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let encodes = Semaphore::new(processors.clamp(1, ENCODES_AT_ONCE_MAX));
        Self { tables: TABLES_AT_ONCE_MAX, segments: SEGMENTS_AT_ONCE_MAX, encodes }
    }
}

impl FlushPace {
    /// One thing after the other.
    pub(crate) fn one_by_one() -> Self {
        Self { tables: 1, segments: 1, encodes: Semaphore::new(1) }
    }
}

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct FlushReport {
    /// Segments committed.
    pub segments: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes of their objects.
    pub bytes: u64,
}

impl FlushReport {
    fn add(&mut self, other: Self) {
        self.segments = self.segments.saturating_add(other.segments);
        self.rows = self.rows.saturating_add(other.rows);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl Inner {
    /// Freezes what is due: old buffers, the largest ones under memory pressure, the oldest ones when too many
    /// partitions are open.
    pub(crate) fn freeze_due(&self) {
        let now = Instant::now();
        let age_max = Duration::from_millis(self.config.flush_age_ms);
        let mut live: Vec<(Arc<Table>, crate::buffer::LiveSize)> = Vec::new();
        let mut frozen_bytes: u64 = 0;
        for table in self.tables.all() {
            let state = table.state.lock();
            frozen_bytes += state.buffers.frozen().iter().map(|frozen| frozen.bytes).sum::<u64>();
            live.extend(state.buffers.live_sizes().map(|size| (Arc::clone(&table), size)));
        }
        let (due, mut rest): (Vec<_>, Vec<_>) =
            live.into_iter().partition(|(_, size)| now.duration_since(size.opened) >= age_max);
        let mut freeze = due;
        if rest.len() > self.config.open_partitions_max {
            rest.sort_by_key(|(_, size)| std::cmp::Reverse(size.opened));
            freeze.extend(rest.drain(self.config.open_partitions_max..));
        }
        let pressure = self.intake.budget.limit() / 100 * MEMORY_PRESSURE_PERCENT;
        let mut unfrozen: u64 = rest.iter().map(|(_, size)| size.bytes).sum();
        rest.sort_by_key(|(_, size)| size.bytes);
        // Frozen buffers free their memory soon: freeze more only while the live ones alone are too much.
        while unfrozen.saturating_add(frozen_bytes) > pressure && unfrozen > pressure / 2 {
            let Some(largest) = rest.pop() else { break };
            unfrozen = unfrozen.saturating_sub(largest.1.bytes);
            freeze.push(largest);
        }
        for (table, size) in freeze {
            table.state.lock().buffers.freeze(size.day);
        }
    }

    /// Flushes all frozen buffers of all tables. The first error is returned after every table had its turn.
    pub(crate) async fn flush_frozen(&self, urgency: Urgency) -> Result<FlushReport> {
        let begun = Instant::now();
        let is_due = |table: &Arc<Table>| {
            let state = table.state.lock();
            let may = urgency == Urgency::Now || state.backoff.is_due(begun);
            may && !state.buffers.frozen().is_empty()
        };
        let flush = |table: Arc<Table>| async move { (self.flush_table(&table).await, table) };
        let flushes: Vec<_> = self.tables.all().into_iter().filter(is_due).map(flush).collect();
        let mut flushes = stream::iter(flushes).buffer_unordered(self.pace.tables);
        let mut report = FlushReport::default();
        let mut outcome = Ok(());
        while let Some((flushed, table)) = flushes.next().await {
            match flushed {
                Ok(flushed) => {
                    table.state.lock().backoff.succeeded();
                    report.add(flushed);
                }
                Err(error) => {
                    table.state.lock().backoff.failed(Instant::now());
                    tracing::warn!(table = %table.name, %error, "flush failed; it will be tried again");
                    metrics::counter!("ironbark_flush_failures_total").increment(1);
                    outcome = outcome.and(Err(error));
                }
            }
        }
        drop(flushes);
        self.truncate_wal(urgency).await;
        outcome.map(|()| report)
    }

    async fn flush_table(&self, table: &Arc<Table>) -> Result<FlushReport> {
        let _committing = table.commit.lock().await;
        let mut report = FlushReport::default();
        loop {
            let frozen = of_one_commit(table.state.lock().buffers.frozen(), self.config.flush_bytes);
            if frozen.is_empty() {
                return Ok(report);
            }
            let writes: Vec<_> = frozen.iter().map(|buffer| self.write_segment(table, buffer)).collect();
            let segments: Vec<SegmentMeta> =
                stream::iter(writes).buffered(self.pace.segments).try_collect().await?;
            let oldest = segments.iter().map(|segment| segment.created_at).min();
            let latest = oldest.map(|oldest| oldest.plus_ns(COMMIT_WITHIN_NS));
            if latest.is_some_and(|latest| self.ambient.clock.now() > latest) {
                tracing::warn!(table = %table.name, "segments took too long to be committed safely: they are written anew");
                continue;
            }
            let flushed = FlushReport {
                segments: segments.len() as u64,
                rows: segments.iter().map(|segment| segment.rows).sum(),
                bytes: segments.iter().map(|segment| segment.bytes).sum(),
            };
            if self.commit_segments(table, &frozen, segments).await? {
                metrics::counter!("ironbark_flushed_rows_total").increment(flushed.rows);
                metrics::counter!("ironbark_flushed_segments_total").increment(flushed.segments);
                report.add(flushed);
            }
        }
    }

    async fn write_segment(&self, table: &Table, buffer: &Arc<FrozenBuffer>) -> Result<SegmentMeta> {
        let id = SegmentId::from_u128(self.ambient.uuid().as_u128());
        let created_at = self.ambient.clock.now();
        let rows = Arc::clone(buffer);
        let partition = Partition { table: table.name.clone(), day: buffer.view.day };
        let encode = move || {
            let batches: Vec<_> = rows.view.batches().cloned().collect();
            encode_segment(id, &partition, &batches, &SegmentOptions::default(), created_at)
        };
        // The semaphore is never closed.
        let permit = self.pace.encodes.acquire().await.ok();
        let segment = tokio::task::spawn_blocking(encode)
            .await
            .map_err(|_| crate::Error::TaskFailed { task: "flush" })??;
        drop(permit);
        put_segment(&*self.tables.store().tenant(&table.name.tenant), &table.name, &segment).await?;
        tracing::debug!(table = %table.name, segment = %id, rows = buffer.rows(), "segment written");
        Ok(segment.meta)
    }

    /// Commits segments and frees their buffers. `false` if they were in the manifest already, by an earlier attempt
    /// whose answer was lost.
    async fn commit_segments(
        &self,
        table: &Table,
        frozen: &[Arc<FrozenBuffer>],
        segments: Vec<SegmentMeta>,
    ) -> Result<bool> {
        let add = AddSegments {
            writer: self.writer,
            epoch: self.epoch,
            segments,
            flushed: flushed_ranges(frozen),
            epoch_floor: self.epoch_floor(),
        };
        let base = Arc::clone(&table.state.lock().manifest);
        let begun_at = self.ambient.clock.now();
        let (manifest, fresh) = match table.log.commit(&base, ManifestEdit::Add(add)).await {
            Ok(manifest) => (manifest, true),
            Err(error @ StorageError::Conflict { conflict: Conflict::RowsCommitted { .. }, .. }) => {
                let manifest = table.log.refresh(&base).await?;
                // A commit of our own takes buffers whole. One of a copy may hold the rows that the copies share, and
                // not those behind them, which stay in the log for the restart.
                if frozen.iter().any(|buffer| is_flushed_in_part(&manifest, buffer)) {
                    self.intake.stop(StopReason::Fenced);
                    return Err(error.into());
                }
                (manifest, false)
            }
            Err(
                error @ StorageError::Conflict {
                    conflict: Conflict::Fenced { .. } | Conflict::RowsForgotten { .. },
                    ..
                },
            ) => {
                self.intake.stop(StopReason::Fenced);
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        let mut state = table.state.lock();
        let before = state.buffers.open_partitions();
        let freed = state.buffers.remove_frozen(|buffer| is_flushed(&manifest, buffer));
        let gone = before.saturating_sub(state.buffers.open_partitions());
        state.learn(manifest, begun_at);
        drop(state);
        self.intake.release(gone, freed);
        Ok(fresh)
    }

    /// The oldest epoch of which the WAL still has records.
    fn epoch_floor(&self) -> Epoch {
        let oldest = self.wal.live_range().start;
        let epochs = self.epochs.lock();
        epochs
            .iter()
            .filter(|(_, last)| **last >= oldest)
            .map(|(epoch, _)| *epoch)
            .min()
            .unwrap_or(self.epoch)
    }

    /// Lets the WAL go as far as it can. A failure costs disk space and nothing else, so it is only told.
    async fn truncate_wal(&self, urgency: Urgency) {
        let now = Instant::now();
        if urgency == Urgency::Background && !self.truncation.lock().is_due(now) {
            return;
        }
        match self.try_truncate_wal().await {
            Ok(()) => self.truncation.lock().succeeded(),
            Err(error) => {
                self.truncation.lock().failed(now);
                metrics::counter!("ironbark_wal_truncation_failures_total").increment(1);
                tracing::warn!(%error, "the WAL could not be truncated; it will be tried again");
            }
        }
    }

    /// Lets the WAL go up to the first record that a buffer still needs.
    async fn try_truncate_wal(&self) -> Result<()> {
        // The order matters: a record that enters a buffer after `applied` was read is not before `floor`.
        let applied = self.intake.applied();
        let needed =
            self.tables.all().iter().filter_map(|table| table.state.lock().buffers.first_lsn()).min();
        let floor: Lsn = needed.map_or(applied, |needed| needed.min(applied));
        if floor <= self.wal.live_range().start {
            return Ok(());
        }
        let (wal, keys, once) = (Arc::clone(&self.wal), Arc::clone(&self.key_files), Arc::clone(&self.once));
        let before = once.forgotten_before(self.ambient.clock.now());
        let alone = Arc::clone(&self.truncating);
        let work = move || -> Result<()> {
            // Two at once would write the same key file; a cancelled caller leaves its work running, so the lock is
            // taken where the work is.
            let _alone = alone.lock();
            if wal.would_free(floor) {
                let unsaved: Vec<DoneKey> = once.unsaved_before(floor);
                keys.save(&unsaved)?;
                once.saved_before(floor);
                wal.truncate_before(floor)?;
            }
            keys.remove_before(before)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| crate::Error::TaskFailed { task: "WAL truncation" })?
    }
}

/// The first of the frozen buffers, as many as one commit takes: the memory of its first buffer is free only when its last
/// one is encoded, so none follows once there are this many bytes.
fn of_one_commit(frozen: &[Arc<FrozenBuffer>], bytes_enough: u64) -> Vec<Arc<FrozenBuffer>> {
    let mut bytes: u64 = 0;
    let fits = |buffer: &&Arc<FrozenBuffer>| {
        let fits = bytes <= bytes_enough;
        bytes = bytes.saturating_add(buffer.bytes);
        fits
    };
    frozen.iter().take(BUFFERS_PER_COMMIT_MAX).take_while(fits).cloned().collect()
}

fn is_flushed(manifest: &Manifest, buffer: &FrozenBuffer) -> bool {
    buffer.first_row().is_some_and(|row| manifest.is_flushed(buffer.view.day, row))
}

fn is_flushed_in_part(manifest: &Manifest, buffer: &FrozenBuffer) -> bool {
    let is_whole = buffer.view.row_ids.iter().all(|ids| manifest.is_flushed(buffer.view.day, ids.last));
    is_flushed(manifest, buffer) && !is_whole
}

/// The rows of several buffers, one range for each day and epoch.
fn flushed_ranges(frozen: &[Arc<FrozenBuffer>]) -> Vec<FlushedRange> {
    let mut ranges: BTreeMap<(ironbark_storage::Day, Epoch), RowIdRange> = BTreeMap::new();
    for buffer in frozen {
        for ids in &buffer.view.row_ids {
            let key = (buffer.view.day, ids.first.epoch());
            ranges.entry(key).and_modify(|range| range.last = range.last.max(ids.last)).or_insert(*ids);
        }
    }
    ranges.into_iter().map(|((day, _), range)| FlushedRange { day, range }).collect()
}

#[cfg(test)]
mod tests {
    use ironbark_storage::{BufferView, Day};

    use super::*;

    #[test]
    fn a_commit_takes_few_large_buffers_or_many_small_ones() {
        let day = Day::parse("2026-03-02").unwrap();
        let taken = |sizes: &[u64]| {
            let buffer = |bytes: &u64| {
                let view = BufferView { day, rows: Vec::new(), time: day.range(), row_ids: Vec::new() };
                Arc::new(FrozenBuffer { view, bytes: *bytes, first_lsn: Lsn::FIRST })
            };
            of_one_commit(&sizes.iter().map(buffer).collect::<Vec<_>>(), 64).len()
        };
        assert_eq!(taken(&[]), 0);
        assert_eq!(taken(&[63, 64, 64, 64]), 2);
        assert_eq!(taken(&[1_000, 1]), 1);
        assert_eq!(taken(&[1; 80]), BUFFERS_PER_COMMIT_MAX);
    }
}
