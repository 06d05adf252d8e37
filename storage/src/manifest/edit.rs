//! Manifest edits: the only way in which a table's set of segments changes.

use crate::{Day, Epoch, RowIdRange, SegmentId, SegmentMeta};

/// A data directory's identity, kept over restarts; it owns the epochs that its starts claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct WriterId(pub uuid::Uuid);

/// Rows of one partition that a commit makes durable: all that the epoch put there up to `range.last` and after
/// the last range committed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlushedRange {
    /// The partition's day.
    pub day: Day,
    /// First and last row id; other partitions' rows may lie between them.
    pub range: RowIdRange,
}

/// A flush: new segments and the WAL rows that they hold.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddSegments {
    /// Whose rows these are.
    pub writer: WriterId,
    /// The writer's epoch at the time of this commit: a smaller one than the manifest has seen is fenced.
    pub epoch: Epoch,
    /// The new segments.
    pub segments: Vec<SegmentMeta>,
    /// The WAL rows that they hold, one entry for each day and epoch.
    pub flushed: Vec<FlushedRange>,
    /// The oldest epoch of which this writer's WAL still holds rows: the manifest forgets what it knows of the
    /// writer's earlier ones, and takes no more rows of them.
    pub epoch_floor: Epoch,
}

/// A change of a table, committed whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ManifestEdit {
    /// The first commit of a table.
    Create,
    /// A flush.
    Add(AddSegments),
    /// A compaction: the same rows in other segments.
    Replace {
        /// Segments whose rows are all in `add`.
        remove: Vec<SegmentId>,
        /// Their successors.
        add: Vec<SegmentMeta>,
    },
    /// Rows go: retention and deletion.
    Remove {
        /// The segments to take away.
        segments: Vec<SegmentId>,
        /// Why, for the audit.
        reason: String,
    },
    /// Removed segments whose objects were deleted from the store.
    Forget {
        /// Those segments.
        segments: Vec<SegmentId>,
    },
}
