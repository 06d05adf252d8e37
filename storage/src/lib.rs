//! The vocabulary of Ironbark and everything durable.
//!
//! ```text
//!   tenant ─ table ─ partition (day)          who owns rows, and where they lie
//!     LogBatch ─► segment (Parquet)           rows given, rows stored
//!     ManifestEdit ─► Manifest ─► Snapshot    which segments there are, seen at one moment
//!     store, key                              objects, confined to a tenant
//!     clock                                   the only door to time and randomness
//! ```
//!
//! This crate knows neither the WAL nor SQL, and links nothing that does.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod batch;
mod buffered;
mod check;
pub mod clock;
mod epoch;
mod error;
pub mod key;
mod lease;
mod level;
mod manifest;
mod partition;
mod row_id;
mod schema;
mod segment;
mod snapshot;
pub mod store;
mod tenant;
mod time;
mod token;

pub use batch::{
    BATCH_BYTES_MAX, FIELD_BYTES_MAX, LogBatch, LogBatchBuilder, MESSAGE_BYTES_MAX, RowError, RowRef,
    TAG_KEY_BYTES_MAX, TAG_VALUE_BYTES_MAX, TAGS_PER_ROW_MAX, TagKind, TagSet, TimeWindow,
};
pub use buffered::{BufferedCounts, BufferedRows, BufferedWords, Held, MERGED_ROWS_MAX};
pub use check::{CheckReport, Finding, check_table};
pub use clock::Ambient;
pub use epoch::claim_epoch;
pub use error::{Conflict, Error, ErrorKind, Result};
pub use lease::{Lease, LeaseTerms, Leases};
pub use level::Level;
pub use manifest::{
    AddSegments, FlushedRange, Manifest, ManifestEdit, ManifestLog, RemovedSegment, TrimReport, WriterId,
    list_some_tables, list_tables, list_tenant_tables,
};
pub use partition::Partition;
pub use row_id::{EPOCH_MAX, Epoch, RowId, RowIdRange, SEQUENCE_BITS, SEQUENCE_MAX};
pub use schema::{LogSchema, SCHEMA_VERSION, column};
pub use segment::{
    ByteSet, EncodedSegment, FileColumns, FileTimes, Hits, INDEX_FORMAT_VERSION, IndexMeta, MINUTE_NS,
    Minute, MinuteLevelCount, MinuteLevelCounts, PROMOTE_ROWS_MIN, PROMOTED_TAGS_MAX, PUT_WHOLE_BYTES_MAX,
    Part, Piece, PromotedTags, RANGE_ROWS, ROW_GROUP_BYTES_MAX, ROW_GROUP_ROWS, RangeSet, RowFingerprint,
    Run, SEGMENT_FORMAT_VERSION, SegmentBytes, SegmentColumns, SegmentId, SegmentMeta, SegmentOptions,
    SegmentReader, SegmentTail, SegmentWriter, Slot, SourceLevelCount, Stretch, TIMESTAMP_NS, Template,
    Templates, Term, TermKind, TimeDigits, TokenIndex, assemble_tags, assemble_times, check_tail,
    encode_segment, grams, is_odd_number, put_segment, read_segment, read_tail, row_group_sizes, stretches,
    tail_range,
};
pub use snapshot::{BufferView, Snapshot, Tables};
pub use store::{Store, StoreUrl};
pub use tenant::{DEFAULT_TABLE, NAME_BYTES_MAX, TableName, TableRef, TenantId};
pub use time::{DAY_NS, Day, TimeRange, Timestamp};
pub use token::{
    TOKENIZER_VERSION, Token, Tokens, is_token_byte, is_token_char, lower, lower_into, tokens, tokens_from,
};
