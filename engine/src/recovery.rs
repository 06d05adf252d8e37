//! Recovery: what the WAL holds and no manifest has comes back into the buffers.
//!
//! ```text
//!   WAL record ─► its table's manifest: day by day, are these row ids flushed?  ─ yes ─► nothing
//!                                                                               └ no ──► buffer
//! ```
//!
//! A manifest that has forgotten about the record's epoch cannot answer. It forgets only when the writer says that its
//! WAL has no such rows, so this one is an old copy, and the start is refused: to replay could show rows twice.
//!
//! It runs before the first append, on a thread that may block.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ironbark_storage::{Epoch, LogBatch, WriterId};
use tokio::runtime::Handle;

use crate::home::WAL_DIR;
use crate::ingest::{Intake, Place};
use crate::once::{DoneKey, OnceTable};
use crate::record::{self, KIND_ROWS};
use crate::table::TableMap;
use crate::wal::{Lsn, RecoveredRecord, Recovery};
use crate::{Error, Result};

/// What recovery puts things back into.
pub(crate) struct Replay {
    pub(crate) runtime: Handle,
    pub(crate) tables: Arc<TableMap>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) once: Arc<OnceTable>,
    /// The data directory, and who it is.
    pub(crate) dir: PathBuf,
    pub(crate) writer: WriterId,
    /// The last record of each epoch in the log.
    pub(crate) epochs: BTreeMap<Epoch, Lsn>,
    pub(crate) rows: u64,
}

impl Replay {
    /// Puts one record back.
    pub(crate) fn record(&mut self, found: RecoveredRecord) -> Result<()> {
        let epoch = Epoch::new(found.epoch)?;
        self.epochs.insert(epoch, found.lsn);
        let lsn = found.lsn;
        let unreadable = |reason: String| Error::WalRecord { dir: self.dir.join(WAL_DIR), lsn, reason };
        if found.kind != KIND_ROWS {
            return Err(unreadable(format!("its kind {} is unknown to this release", found.kind)));
        }
        let rows = record::decode(found.payload)
            .map_err(|malformed| unreadable(format!("a field is malformed at byte {}", malformed.offset)))?;
        if let Some(once) = rows.once {
            let key = DoneKey { table: rows.table.clone(), once, at: rows.arrival };
            self.once.restore(key, Some(lsn));
        }
        if rows.rows.is_empty() {
            return Ok(());
        }
        let batch = LogBatch::from_ipc(&rows.rows, rows.arrival)?;
        let table = self.runtime.block_on(self.tables.get(&rows.table))?;
        let manifest = Arc::clone(&table.state.lock().manifest);
        if let Some(floor) = manifest.epoch_floor(self.writer).filter(|floor| epoch < *floor) {
            let (dir, table) = (self.dir.clone(), rows.table.to_string());
            return Err(Error::OldCopy { dir, table, epoch: epoch.get(), floor: floor.get() });
        }
        let memory = self.intake.budget.reserve_anyway(batch.memory_bytes());
        let place = Place { epoch, lsn, first_seq: found.first_seq };
        let skip = |day, row| manifest.is_flushed(day, row);
        self.rows = self.rows.saturating_add(self.intake.insert(&table, batch, place, memory, skip)?);
        Ok(())
    }

    /// Says what was found, in the log of the process.
    pub(crate) fn report(&self, recovery: &Recovery) {
        let report = recovery.report();
        if let Some(torn) = &report.torn_tail {
            tracing::warn!(path = %torn.path.display(), offset = torn.offset, bytes = torn.bytes,
                "the WAL ends in a torn record: it was never acknowledged and is dropped");
        }
        for loss in &report.losses {
            tracing::error!(path = %loss.path.display(), offset = loss.offset, bytes = loss.bytes, damage = %loss.damage,
                first = ?loss.first, until = ?loss.until, rows = ?loss.rows, "acknowledged records are lost");
        }
        for gap in &report.known_gaps {
            tracing::warn!(first = %gap.start, until = %gap.end, "an earlier quarantine lost records of the WAL");
        }
        tracing::info!(
            files = report.files,
            records = report.records,
            rows_in_log = report.rows,
            rows_replayed = self.rows,
            "recovered the WAL"
        );
    }
}
