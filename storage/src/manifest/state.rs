//! The manifest as a value: what all commits up to a version add up to.
//!
//! It is immutable: an edit gives a new one. Whether an edit may apply is decided here and nowhere else, so that
//! commit, replay and recovery agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::Conflict;
use crate::{
    Day, Epoch, Error, ManifestEdit, Result, RowId, SegmentId, SegmentMeta, TableRef, Timestamp, WriterId,
};

use super::AddSegments;

/// A segment that is no longer live but whose object may still be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemovedSegment {
    /// Day of its partition.
    pub day: Day,
    /// When the commit that removed it was made, by the committer's clock.
    pub removed_at: Timestamp,
}

/// How far an epoch's rows of a partition are in segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlushedTo {
    /// The last of them.
    pub(super) last: RowId,
    /// Whose epoch it is.
    pub(super) writer: WriterId,
}

/// What a table knows of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WriterState {
    /// The newest epoch under which it committed.
    pub(super) epoch: Epoch,
    /// Its WAL holds no rows of earlier epochs: what was flushed of them is forgotten.
    pub(super) epoch_floor: Epoch,
}

/// The state of a table as of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub(super) table: TableRef,
    pub(super) version: u64,
    pub(super) segments: BTreeMap<SegmentId, Arc<SegmentMeta>>,
    pub(super) flushed: BTreeMap<(Day, Epoch), FlushedTo>,
    pub(super) writers: BTreeMap<WriterId, WriterState>,
    pub(super) removed: BTreeMap<SegmentId, RemovedSegment>,
}

impl Manifest {
    /// The manifest of a table without any commit.
    pub fn empty(table: TableRef) -> Self {
        Self {
            table,
            version: 0,
            segments: BTreeMap::new(),
            flushed: BTreeMap::new(),
            writers: BTreeMap::new(),
            removed: BTreeMap::new(),
        }
    }

    /// The table.
    pub fn table(&self) -> &TableRef {
        &self.table
    }

    /// The number of the last commit in it; 0 where there is none.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The live segments.
    pub fn segments(&self) -> impl Iterator<Item = &Arc<SegmentMeta>> {
        self.segments.values()
    }

    /// A live segment.
    pub fn segment(&self, id: SegmentId) -> Option<&Arc<SegmentMeta>> {
        self.segments.get(&id)
    }

    /// Segments that are no longer live but whose objects may still be there.
    pub fn removed(&self) -> &BTreeMap<SegmentId, RemovedSegment> {
        &self.removed
    }

    /// Whether segments hold (or held) this row of a partition: then no buffer may show it and no replay may
    /// bring it back.
    pub fn is_flushed(&self, day: Day, row: RowId) -> bool {
        self.flushed.get(&(day, row.epoch())).is_some_and(|to| row <= to.last)
    }

    /// The oldest epoch of which it is still known what this writer has flushed. It said that its WAL holds no rows of
    /// earlier ones; a data directory that does is an old copy of the writer's, and its rows may be in segments.
    pub fn epoch_floor(&self, writer: WriterId) -> Option<Epoch> {
        self.writers.get(&writer).map(|known| known.epoch_floor)
    }

    /// Whether an edit that adds segments was committed: they are live, or were. Not after [`ManifestEdit::Forget`].
    pub fn knows(&self, edit: &ManifestEdit) -> bool {
        let added = match edit {
            ManifestEdit::Add(AddSegments { segments, .. }) | ManifestEdit::Replace { add: segments, .. } => {
                segments
            }
            ManifestEdit::Create | ManifestEdit::Remove { .. } | ManifestEdit::Forget { .. } => return false,
        };
        added.iter().any(|meta| self.segments.contains_key(&meta.id) || self.removed.contains_key(&meta.id))
    }

    /// The manifest after an edit, as commit `version() + 1` made at `at`, or why the edit does not apply.
    pub fn apply(&self, edit: &ManifestEdit, at: Timestamp) -> Result<Self> {
        let mut next = self.clone();
        next.advance(edit, at)?;
        Ok(next)
    }

    /// [`Self::apply`] in place. After an error the manifest is half changed and must be thrown away.
    pub(super) fn advance(&mut self, edit: &ManifestEdit, at: Timestamp) -> Result<()> {
        self.version += 1;
        match edit {
            ManifestEdit::Create => {
                if self.version > 1 {
                    let table = &self.table;
                    return Err(Error::TableExists {
                        tenant: table.tenant.to_string(),
                        table: table.table.to_string(),
                    });
                }
            }
            ManifestEdit::Add(add) => self.flush(add)?,
            ManifestEdit::Replace { remove, add } => {
                self.remove(remove, at)?;
                self.add(add)?;
            }
            ManifestEdit::Remove { segments, .. } => self.remove(segments, at)?,
            ManifestEdit::Forget { segments } => {
                for id in segments {
                    self.removed.remove(id);
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self, add: &AddSegments) -> Result<()> {
        let fresh = WriterState { epoch: add.epoch, epoch_floor: add.epoch_floor };
        let seen = self.writers.get(&add.writer).copied().unwrap_or(fresh);
        if add.epoch < seen.epoch {
            return Err(self.refuse(Conflict::Fenced { epoch: add.epoch.get(), by: seen.epoch.get() }));
        }
        for flushed in &add.flushed {
            let epoch = flushed.range.first.epoch();
            if epoch < seen.epoch_floor {
                let (epoch, floor) = (epoch.get(), seen.epoch_floor.get());
                return Err(self.refuse(Conflict::RowsForgotten { epoch, floor }));
            }
            if self.is_flushed(flushed.day, flushed.range.first) {
                let (day, first_row_id) = (flushed.day.to_string(), flushed.range.first.get());
                return Err(self.refuse(Conflict::RowsCommitted { day, first_row_id }));
            }
            let to = FlushedTo { last: flushed.range.last, writer: add.writer };
            self.flushed.insert((flushed.day, flushed.range.first.epoch()), to);
        }
        let epoch_floor = seen.epoch_floor.max(add.epoch_floor);
        self.writers.insert(add.writer, WriterState { epoch_floor, ..fresh });
        self.flushed.retain(|(_, epoch), to| to.writer != add.writer || *epoch >= epoch_floor);
        self.add(&add.segments)
    }

    fn add(&mut self, segments: &[SegmentMeta]) -> Result<()> {
        for segment in segments {
            if self.segments.contains_key(&segment.id) || self.removed.contains_key(&segment.id) {
                return Err(self.refuse(Conflict::SegmentExists(segment.id.to_string())));
            }
            self.segments.insert(segment.id, Arc::new(segment.clone()));
        }
        Ok(())
    }

    fn remove(&mut self, ids: &[SegmentId], removed_at: Timestamp) -> Result<()> {
        for id in ids {
            let Some(meta) = self.segments.remove(id) else {
                return Err(self.refuse(Conflict::SegmentGone(id.to_string())));
            };
            self.removed.insert(*id, RemovedSegment { day: meta.day, removed_at });
        }
        Ok(())
    }

    fn refuse(&self, conflict: Conflict) -> Error {
        Error::Conflict { table: self.table.to_string(), conflict }
    }
}
