//! What the manifest says of a segment: enough to decide whether to open it, and how to read it in one request.

use std::fmt;
use std::str::FromStr;

use crate::{Day, RowId, TimeRange, Timestamp};

/// A segment's name: a random UUID, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct SegmentId(uuid::Uuid);

impl SegmentId {
    /// From 128 random bits; see [`crate::clock::Entropy`].
    pub const fn from_u128(bits: u128) -> Self {
        Self(uuid::Uuid::from_u128(bits))
    }

    /// The 128 bits.
    pub const fn to_u128(self) -> u128 {
        self.0.as_u128()
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SegmentId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// Rows of one source and level in a segment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceLevelCount {
    /// The source; `None` for rows without one.
    pub source: Option<String>,
    /// The level; `None` for rows without one.
    pub level: Option<String>,
    /// How many rows.
    pub rows: u64,
}

/// Where a segment's token index lies in its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexMeta {
    /// First byte of the index in the object.
    pub offset: u64,
    /// Length of the index in bytes.
    pub bytes: u64,
    /// Version of the index format.
    pub version: u32,
}

/// A segment as its manifest knows it; at most about 2 KB, or 16 KB where it has many rows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentMeta {
    /// Its name.
    pub id: SegmentId,
    /// Day of its partition.
    pub day: Day,
    /// How often its rows were merged: 0 from a flush, 1 and 2 from compaction.
    pub compaction_level: u8,
    /// Number of rows; never 0.
    pub rows: u64,
    /// Size of the object in bytes.
    pub bytes: u64,
    /// Length in bytes of the object's end that one request must bring: page index, index head and footer.
    pub tail_bytes: u64,
    /// CRC32C of those bytes: the decoder of Parquet's footer never sees damaged ones.
    pub tail_crc32c: u32,
    /// First and last timestamp of its rows.
    pub time: TimeRange,
    /// Smallest and largest row id of its rows.
    pub row_id_min: RowId,
    /// See `row_id_min`.
    pub row_id_max: RowId,
    /// When it was written.
    pub created_at: Timestamp,
    /// Version of the segment format; see `docs/FORMAT.md`.
    pub format_version: u32,
    /// Exact row counts by source and level, or `None` where they were too many for the manifest.
    pub counts: Option<Vec<SourceLevelCount>>,
    /// Its token index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexMeta>,
}
