//! Segments: immutable Parquet files, each the rows of one partition.
//!
//! ```text
//!                 rows, any order
//!                        │ sorted by (timestamp, _row_id), cut
//!         ┌──────────────┼──────────────┐
//!     row group 0    row group 1    row group 2        one slice of time after the other, the newest the smallest;
//!         └──────────────┼──────────────┘              inside sorted by (source, timestamp, _row_id)
//!                   token index                        which rows may hold a word: see [`index`]
//!                     its head ┐
//!                   page index │ the tail: one request brings it
//!                     footer   ┘
//! ```
//!
//! The bytes are specified in `docs/FORMAT.md`. A segment is written once, whole, and never changed.

mod checksums;
mod columns;
mod counts;
mod fingerprint;
mod format;
mod index;
mod layout;
mod meta;
mod minutes;
mod pieces;
mod promoted;
mod put;
mod reader;
mod runs;
mod seeded;
mod slices;
mod tail;
mod template;
mod times;
mod varint;
mod writer;

#[cfg(test)]
mod tests;

pub use columns::FileColumns;
pub use fingerprint::RowFingerprint;
pub use format::{ROW_GROUP_BYTES_MAX, SEGMENT_FORMAT_VERSION};
pub use index::{
    Hits, INDEX_FORMAT_VERSION, Piece, RANGE_ROWS, RangeSet, Term, TermKind, TokenIndex, grams, is_odd_number,
};
pub(crate) use index::{Ready, term_hash};
pub use layout::{ROW_GROUP_ROWS, row_group_sizes};
pub use meta::{IndexMeta, SegmentId, SegmentMeta, SourceLevelCount};
pub use minutes::{MINUTE_NS, Minute, MinuteLevelCount, MinuteLevelCounts};
pub use pieces::SegmentBytes;
pub use promoted::{PROMOTED_TAGS_MAX, PromotedTags, assemble_tags};
pub use put::{PUT_WHOLE_BYTES_MAX, put_segment};
pub use reader::{SegmentColumns, SegmentReader, read_segment};
pub use tail::{SegmentTail, check_tail, read_tail, tail_range};
pub use template::{ByteSet, Part, Run, Slot, Stretch, Template, Templates, stretches};
pub use times::{FileTimes, TIMESTAMP_NS, TimeDigits, assemble_times};
pub use writer::{EncodedSegment, PROMOTE_ROWS_MIN, SegmentOptions, SegmentWriter, encode_segment};
