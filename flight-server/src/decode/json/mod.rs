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

use std::fmt;

use ironbark_storage::{LogBatch, LogBatchBuilder, RowError, TagSet, TimeWindow, Timestamp};

use super::Rejected;
use super::timestamp::NotATime;
use record::RecordReader;

/// Refused records that are reported one by one; the others are only counted.
pub(crate) const REJECTED_SHOWN_MAX: usize = 1_000;

/// How the body is cut into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One record a line.
    Lines,
    /// One object, an array of objects, or lines: its first bytes tell.
    Detect,
}

/// What becomes of every record of a body.
#[derive(Clone, Debug)]
pub(crate) struct JsonContext<'a> {
    /// When the body arrived.
    pub(crate) arrival: Timestamp,
    /// Which timestamps are accepted.
    pub(crate) window: TimeWindow,
    /// The source of records that name none.
    pub(crate) source: Option<&'a str>,
    /// Tags of every record; a record's own tag of the same key stands beside it in a JSON array.
    pub(crate) tags: &'a [(String, String)],
}

/// A decoded body.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The good records, in order.
    pub(crate) batch: LogBatch,
    /// The first [`REJECTED_SHOWN_MAX`] of the refused ones.
    pub(crate) rejected: Vec<Rejected>,
    /// How many were refused.
    pub(crate) rejected_count: u64,
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
    #[error(transparent)]
    Time(#[from] NotATime),
    #[error("timestamp must be a string or a number, but it is {0}")]
    TimeKind(&'static str),
    #[error(transparent)]
    Row(#[from] RowError),
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

/// Decodes a body.
pub(crate) fn decode_json(
    body: &[u8],
    framing: Framing,
    context: &JsonContext<'_>,
) -> ironbark_storage::Result<Decoded> {
    let mut decoder = JsonDecoder::new(context.clone());
    framing::records(body, framing, &mut |number, record| decoder.record(number, record));
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

    /// The batch and what was refused.
    pub(crate) fn finish(mut self) -> ironbark_storage::Result<Decoded> {
        let batch = self.builder.finish()?;
        Ok(Decoded { batch, rejected: self.rejected, rejected_count: self.rejected_count })
    }
}

#[cfg(test)]
mod tests;
