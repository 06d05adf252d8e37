//! What to merge. A spec names segments and a level; how, the plan decides; doing it is the job's.

use std::fmt;
use std::sync::Arc;

use ironbark_storage::{Partition, SegmentMeta};

/// Why segments are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A level has enough segments.
    Tier,
    /// Together they make a full segment.
    Full,
    /// No more rows come: few segments are left over.
    Ended,
    /// No more rows come: one segment is compressed harder.
    Recompress,
}

impl Reason {
    /// Its name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tier => "tier",
            Self::Full => "full",
            Self::Ended => "ended",
            Self::Recompress => "recompress",
        }
    }
}

/// Segments of one partition to be replaced by one with the same rows. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionSpec {
    /// The partition.
    pub partition: Partition,
    /// The segments.
    pub inputs: Vec<Arc<SegmentMeta>>,
    /// The level of the new segment.
    pub compaction_level: u8,
    /// Why.
    pub reason: Reason,
}

impl CompactionSpec {
    /// Rows of the inputs.
    pub fn rows(&self) -> u64 {
        self.inputs.iter().map(|segment| segment.rows).sum()
    }

    /// Bytes of the inputs' objects.
    pub fn bytes(&self) -> u64 {
        self.inputs.iter().map(|segment| segment.bytes).sum()
    }
}

impl fmt::Display for CompactionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (partition, inputs, rows, bytes) =
            (&self.partition, self.inputs.len(), self.rows(), self.bytes());
        let (level, reason) = (self.compaction_level, self.reason.as_str());
        write!(f, "{partition}: {inputs} segments, {rows} rows, {bytes} bytes to level {level} ({reason})")
    }
}
