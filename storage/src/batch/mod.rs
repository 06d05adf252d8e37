//! Batches of one tenant's rows on their way in: built row by row, validated once, carried through the WAL.
//!
//! ```text
//!   RowRef + TagSet ──► LogBatchBuilder ──► LogBatch ──► into_stored ──► (day, rows with ids) …
//!                                             │   ▲
//!                                       to_ipc▼   │from_ipc
//!                                           WAL payload
//! ```
//!
//! Nothing behind a [`LogBatch`] checks its rows again, and nothing here makes heap objects for single rows.

mod builder;
mod ipc;
mod log_batch;
mod row_error;
mod tags;

#[cfg(test)]
mod tests;

pub use builder::{BATCH_BYTES_MAX, FIELD_BYTES_MAX, LogBatchBuilder, MESSAGE_BYTES_MAX, RowRef, TimeWindow};
pub use log_batch::LogBatch;
pub use row_error::RowError;
pub use tags::{TAG_KEY_BYTES_MAX, TAG_VALUE_BYTES_MAX, TAGS_PER_ROW_MAX, TagKind, TagSet};
