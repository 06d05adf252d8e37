//! Rows in memory and what is known of them, made when somebody asks.
//!
//! ```text
//!   BufferedRows   rows   one batch, as it came or as small ones were merged; never changed
//!                  time   first and last timestamp, known from the start
//!                  counts rows by source and level, and by minute and level ┐ made by the first query that asks,
//!                  words  which terms the rows hold, and in how many rows   ┘ shared by all that come after
//! ```
//!
//! Appends pay nothing for the summaries: rows that nobody asks for reach their segment without any. They are shared
//! by every view of the buffer and go with the rows. This knows nothing of queries.

mod counts;
mod words;

use std::sync::OnceLock;

use arrow::array::RecordBatch;
use arrow::array::cast::AsArray;
use arrow::datatypes::TimestampNanosecondType;

pub use counts::BufferedCounts;
pub use words::{BufferedWords, Held};

use crate::{TimeRange, Timestamp, column};

/// Batches of at least this many rows are not merged any more: as many as a scan hands on at once, and few enough
/// that the bodies of a load are never copied.
pub const MERGED_ROWS_MAX: usize = 8_192;

/// Rows of one partition that came together or were merged. Immutable, but for summaries that are added.
#[derive(Debug)]
pub struct BufferedRows {
    rows: RecordBatch,
    time: TimeRange,
    counts: OnceLock<Option<BufferedCounts>>,
    words: OnceLock<Option<BufferedWords>>,
}

impl BufferedRows {
    /// Rows of [`crate::LogSchema::stored`]; `None` if there are none.
    pub fn new(rows: RecordBatch) -> Option<Self> {
        let time = time_range(&rows)?;
        Some(Self { rows, time, counts: OnceLock::new(), words: OnceLock::new() })
    }

    /// The rows.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// First and last timestamp.
    pub fn time(&self) -> TimeRange {
        self.time
    }

    /// Whether these rows stay together until their segment is written.
    pub fn is_settled(&self) -> bool {
        self.rows.num_rows() >= MERGED_ROWS_MAX
    }

    /// The counts, made if they were not; `None` where there are too many levels. Takes some 70 ns a row once.
    pub fn counts(&self) -> Option<&BufferedCounts> {
        self.counts.get_or_init(|| BufferedCounts::of(&self.rows)).as_ref()
    }

    /// The counts if somebody had them made.
    pub fn known_counts(&self) -> Option<&BufferedCounts> {
        self.counts.get()?.as_ref()
    }

    /// The words if somebody had them made, and they are not too many.
    pub fn known_words(&self) -> Option<&BufferedWords> {
        self.words.get()?.as_ref()
    }

    /// Whether words are still to be made, and are worth it: rows that will be merged lose them again.
    pub fn lacks_words(&self) -> bool {
        self.is_settled() && self.words.get().is_none()
    }

    /// Makes the words if they were not. Takes some 500 ns a row once.
    pub fn make_words(&self) {
        self.words.get_or_init(|| BufferedWords::of(&self.rows));
    }
}

/// First and last timestamp of rows; `None` without rows.
fn time_range(rows: &RecordBatch) -> Option<TimeRange> {
    let times = rows.column_by_name(column::TIMESTAMP)?;
    let times = times.as_primitive_opt::<TimestampNanosecondType>()?;
    let (min, max) = (arrow::compute::min(times)?, arrow::compute::max(times)?);
    Some(TimeRange::new(Timestamp::from_ns(min), Timestamp::from_ns(max)))
}

#[cfg(test)]
mod tests;
