//! JSON log records to a batch.
//!
//! ```text
//!   body ─► framing: one object │ an array │ NDJSON ─► record ─► LogBatchBuilder ─► LogBatch
//!                       line n, element n              fields, tags, flattening
//!                                                      └► refused: its number and the reason
//! ```
//!
//! A bad record never costs a good one. Nothing is built per record but the columns: names and values are borrowed
//! from the body, and only strings with escapes are copied.

mod alias;
mod framing;
mod record;
mod scan;

use std::fmt;

use ironbark_storage::{LogBatch, LogBatchBuilder, RowError, TagSet, TimeWindow, Timestamp};

use super::Rejected;
use super::timestamp::NotATime;
use record::RecordReader;

/// Refused records that are reported one by one; the others are only counted.
pub(crate) const REJECTED_SHOWN_MAX: usize = 1_000;

/// From so many records on a body is taken to go on as it began.
const SAMPLE_RECORDS: u64 = 64;
/// No column is given room for more records than there would be of this size, however short the first ones are.
const RECORD_BYTES_TAKEN: usize = 64;

/// How the body is cut into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One record a line.
    Lines,
    /// One object, an array of objects, or lines: its first bytes tell.
    Detect,
}

/// What becomes of every record of a body.
#[derive(Clone, Debug)]
pub struct JsonContext<'a> {
    /// When the body arrived.
    pub arrival: Timestamp,
    /// Which timestamps are accepted.
    pub window: TimeWindow,
    /// The source of records that name none.
    pub source: Option<&'a str>,
    /// Tags of every record; a record's own tag of the same key stands beside it in a JSON array.
    pub tags: &'a [(String, String)],
}

/// A decoded body.
#[derive(Debug)]
pub struct Decoded {
    /// The good records, in order.
    pub batch: LogBatch,
    /// The first [`REJECTED_SHOWN_MAX`] of the refused ones.
    pub rejected: Vec<Rejected>,
    /// How many were refused.
    pub rejected_count: u64,
}

/// Why a record is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadRecord {
    #[error("not JSON: {}", Place(.0))]
    Syntax(serde_json::Error),
    #[error("a string is not JSON: {}", Place(.0))]
    String(serde_json::Error),
    #[error("not UTF-8 at byte {0} of the record; send text as UTF-8")]
    NotUtf8(usize),
    #[error("a record must be a JSON object, as in {{\"message\":\"it works\"}}, but this is {0}")]
    NotAnObject(&'static str),
    #[error("objects are nested deeper than {0} levels")]
    TooDeep(usize),
    /// Never told: the record is read again.
    #[error("the record was not read")]
    Doubt,
    #[error(transparent)]
    Time(#[from] NotATime),
    #[error("timestamp must be a string or a number, but it is {0}")]
    TimeKind(&'static str),
    #[error(transparent)]
    Row(#[from] RowError),
}

impl From<scan::Doubt> for BadRecord {
    fn from(_: scan::Doubt) -> Self {
        Self::Doubt
    }
}

/// What is wrong with JSON, and where in the record. The record's own number is told beside, so a record of one line
/// needs no second one.
struct Place<'a>(&'a serde_json::Error);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = (self.0.line(), self.0.column());
        let whole = self.0.to_string();
        let what = whole.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&whole);
        match line {
            0 => f.write_str(what),
            1 => write!(f, "{what} at column {column}"),
            _ => write!(f, "{what} at column {column} of the record's line {line}"),
        }
    }
}

/// Decodes a body. Fails only where its columns do not fit into a batch; bad records are told beside the good ones.
pub fn decode_json(
    body: &[u8],
    framing: Framing,
    context: &JsonContext<'_>,
) -> ironbark_storage::Result<Decoded> {
    let mut decoder = JsonDecoder::new(context.clone());
    let (mut read, mut room) = (0_usize, Ok(()));
    framing::records(body, framing, &mut |number, record| {
        decoder.record(number, record);
        read = read.saturating_add(record.len()).saturating_add(1);
        if number == SAMPLE_RECORDS && room.is_ok() {
            room = decoder.make_room(read, body.len());
        }
    });
    room?;
    decoder.finish()
}

/// Decodes records one by one, for callers that find them themselves.
#[derive(Debug)]
pub(crate) struct JsonDecoder<'a> {
    context: JsonContext<'a>,
    builder: LogBatchBuilder,
    tags: TagSet,
    reader: RecordReader,
    rejected: Vec<Rejected>,
    rejected_count: u64,
}

impl<'a> JsonDecoder<'a> {
    pub(crate) fn new(context: JsonContext<'a>) -> Self {
        Self {
            builder: LogBatchBuilder::new(context.arrival, context.window),
            tags: TagSet::new(),
            reader: RecordReader::default(),
            rejected: Vec::new(),
            rejected_count: 0,
            context,
        }
    }

    /// Adds the record with this number, or notes why it is refused.
    pub(crate) fn record(&mut self, number: u64, record: &[u8]) {
        let outcome = self.reader.read(record, &self.context, &mut self.tags, &mut self.builder);
        if let Err(error) = outcome {
            self.tags.clear();
            self.rejected_count += 1;
            if self.rejected.len() < REJECTED_SHOWN_MAX {
                self.rejected.push(Rejected { line: number, error: error.to_string() });
            }
        }
    }

    /// Gives the columns room for the rows of a body of which so many bytes have been read.
    fn make_room(&mut self, read: usize, bytes: usize) -> ironbark_storage::Result<()> {
        let rows = self.builder.len().saturating_mul(bytes) / read.max(1);
        self.builder.make_room(rows.min(bytes / RECORD_BYTES_TAKEN), bytes)
    }

    /// The batch and what was refused.
    pub(crate) fn finish(mut self) -> ironbark_storage::Result<Decoded> {
        let batch = self.builder.finish()?;
        Ok(Decoded { batch, rejected: self.rejected, rejected_count: self.rejected_count })
    }
}

#[cfg(test)]
mod tests;
