//! Snapshots: one table at one moment, every row exactly once.
//!
//! ```text
//!   manifest ──► segments ──────────────┐
//!      │ which rows are flushed         ├──► Snapshot
//!   buffers ──► those not yet flushed ──┘
//! ```
//!
//! A buffer is shown if and only if the manifest at hand does not hold its rows: visibility is decided by the
//! manifest alone, so a commit by this process and a refresh from the store cannot race.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;

use crate::{
    BufferedRows, Day, Manifest, Result, RowId, RowIdRange, TableName, TableRef, TenantId, TimeRange,
    Timestamp,
};

/// Rows of one partition in memory. Row ids rise from batch to batch within an epoch.
#[derive(Clone, Debug)]
pub struct BufferView {
    /// The partition's day.
    pub day: Day,
    /// The rows, of [`crate::LogSchema::stored`]; never empty.
    pub rows: Vec<Arc<BufferedRows>>,
    /// First and last timestamp.
    pub time: TimeRange,
    /// The ids of the rows, an entry for each epoch.
    pub row_ids: Vec<RowIdRange>,
}

impl BufferView {
    /// The rows, without what is known of them.
    pub fn batches(&self) -> impl DoubleEndedIterator<Item = &RecordBatch> {
        self.rows.iter().map(|rows| rows.rows())
    }
}

/// A table at one moment. Immutable; segments that it names outlive every query by the grace of the garbage
/// collection.
#[derive(Clone, Debug)]
pub struct Snapshot {
    manifest: Arc<Manifest>,
    buffers: Vec<BufferView>,
    taken_at: Timestamp,
}

impl Snapshot {
    /// Puts the manifest and the buffers of a moment together: buffers that the manifest holds are left out.
    pub fn compose(manifest: Arc<Manifest>, buffers: Vec<BufferView>, taken_at: Timestamp) -> Self {
        let shown = |buffer: &BufferView| {
            !buffer.row_ids.iter().any(|range| manifest.is_flushed(buffer.day, range.first))
        };
        let buffers = buffers.into_iter().filter(shown).collect();
        Self { manifest, buffers, taken_at }
    }

    /// The table.
    pub fn table(&self) -> &TableRef {
        self.manifest.table()
    }

    /// The segments.
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// The rows that no segment holds.
    pub fn buffers(&self) -> &[BufferView] {
        &self.buffers
    }

    /// When it was taken.
    pub fn taken_at(&self) -> Timestamp {
        self.taken_at
    }

    /// The largest row id in it: rows that arrive later have larger ones.
    pub fn high_water(&self) -> Option<RowId> {
        let segments = self.manifest.segments().map(|segment| segment.row_id_max);
        let buffers = self.buffers.iter().flat_map(|buffer| buffer.row_ids.iter().map(|range| range.last));
        segments.chain(buffers).max()
    }
}

/// What the read path needs of whoever holds the tables.
///
/// The table `logs` of every tenant exists without being created; other tables do after `create_table`. Every call
/// is about one tenant: an implementation never looks at another's.
#[async_trait]
pub trait Tables: std::fmt::Debug + Send + Sync {
    /// The tenant's tables in order of name, `logs` among them.
    async fn tables(&self, tenant: &TenantId) -> Result<Vec<TableName>>;

    /// Creates a table. Fails with [`crate::Error::TableExists`].
    async fn create_table(&self, table: &TableRef) -> Result<()>;

    /// The table at this moment; rows acknowledged before the call are in it. Fails with
    /// [`crate::Error::TableNotFound`].
    async fn snapshot(&self, table: &TableRef) -> Result<Snapshot>;
}
