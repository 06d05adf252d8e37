//! Segments: immutable Parquet files, each the rows of one partition.

mod meta;

pub use meta::{IndexMeta, SegmentId, SegmentMeta, SourceLevelCount};
