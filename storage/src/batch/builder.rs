//! Builds a [`LogBatch`] row by row, straight into columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, MapArray, RecordBatch, StringBuilder, StructArray, TimestampNanosecondArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use super::{LogBatch, RowError, TagKind, TagSet};
use crate::{DAY_NS, Error, Level, LogSchema, Result, Timestamp, column};

/// Longest message in bytes.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Longest source, level, trace id and span id in bytes.
pub const FIELD_BYTES_MAX: usize = 1_024;
/// Most bytes of text in a batch: Arrow's 32-bit offsets end at 2 GiB.
pub const BATCH_BYTES_MAX: usize = 1 << 30;

/// One in so many bytes is room for rows that are longer than those that were seen.
const ROOM_SPARED: usize = 16;

/// A row as it is given, borrowed from the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowRef<'a> {
    /// When it happened; without one, the batch's time of arrival.
    pub timestamp: Option<Timestamp>,
    /// Which service or file it is from.
    pub source: Option<&'a str>,
    /// The level in any spelling.
    pub level: Option<&'a str>,
    /// The text, kept byte for byte.
    pub message: &'a str,
    /// The trace it belongs to.
    pub trace_id: Option<&'a str>,
    /// The span it belongs to.
    pub span_id: Option<&'a str>,
}

/// Which timestamps are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindow {
    /// The first accepted timestamp.
    pub earliest: Timestamp,
    /// How far after the time of arrival a timestamp may lie, in nanoseconds.
    pub future_ns_max: i64,
}

impl Default for TimeWindow {
    /// From 1970 to a day ahead.
    fn default() -> Self {
        Self { earliest: Timestamp::from_ns(0), future_ns_max: DAY_NS }
    }
}

impl TimeWindow {
    /// Fails if the timestamp of a row that arrives at `arrival` lies outside.
    pub fn check(&self, timestamp: Timestamp, arrival: Timestamp) -> Result<(), RowError> {
        let latest = arrival.plus_ns(self.future_ns_max);
        if timestamp < self.earliest {
            return Err(RowError::TooOld { timestamp, earliest: self.earliest });
        }
        if timestamp > latest {
            return Err(RowError::TooNew { timestamp, latest });
        }
        Ok(())
    }
}

/// Collects rows into columns; see [`LogBatchBuilder::push`].
#[derive(Debug)]
pub struct LogBatchBuilder {
    arrival: Timestamp,
    window: TimeWindow,
    timestamps: Vec<i64>,
    source: StringBuilder,
    level: StringBuilder,
    message: StringBuilder,
    trace_id: StringBuilder,
    span_id: StringBuilder,
    tag_ends: Vec<i32>,
    tag_count: i32,
    tag_keys: StringBuilder,
    tag_values: StringBuilder,
    tag_types: StringBuilder,
    row_types: String,
    text_bytes: usize,
}

impl LogBatchBuilder {
    /// A builder for rows that arrived at `arrival`.
    pub fn new(arrival: Timestamp, window: TimeWindow) -> Self {
        Self {
            arrival,
            window,
            timestamps: Vec::new(),
            source: StringBuilder::new(),
            level: StringBuilder::new(),
            message: StringBuilder::new(),
            trace_id: StringBuilder::new(),
            span_id: StringBuilder::new(),
            tag_ends: Vec::new(),
            tag_count: 0,
            tag_keys: StringBuilder::new(),
            tag_values: StringBuilder::new(),
            tag_types: StringBuilder::new(),
            row_types: String::new(),
            text_bytes: 0,
        }
    }

    /// Adds a row and empties `tags`, also when the row is refused; a refused row leaves no trace.
    ///
    /// A level that [`Level::parse`] knows is stored in its one spelling; if that differs from what was given, the
    /// original is kept as tag `level`. Other levels stay as given. Empty source, level and ids become NULL.
    pub fn push(&mut self, row: RowRef<'_>, tags: &mut TagSet) -> Result<(), RowError> {
        let level = row.level.filter(|text| !text.is_empty());
        let normal = level.map(|text| Level::parse(text).map_or(text, |level| level.as_str()));
        if let (Some(given), Some(stored)) = (level, normal)
            && given != stored
        {
            tags.push(column::LEVEL, Some(given), TagKind::String);
        }
        let outcome = self.admit(&row, tags).map(|timestamp| {
            self.write(timestamp, RowRef { level: normal, ..row }, tags);
        });
        tags.clear();
        outcome
    }

    /// Gives the columns room for so many rows of the kind of those that it holds, so that they neither grow by copies nor
    /// end with room to spare. No column is given room for more than `bytes_max` bytes of text.
    pub fn make_room(&mut self, rows: usize, bytes_max: usize) -> Result<()> {
        let held = self.len().max(1);
        let scaled = |count: usize| {
            let count = count.saturating_mul(rows) / held;
            count.saturating_add(count / ROOM_SPARED).saturating_add(1)
        };
        let tags = usize::try_from(self.tag_count).unwrap_or(0);
        self.timestamps.reserve(scaled(held).saturating_sub(held));
        self.tag_ends.reserve(scaled(held).saturating_sub(held));
        for (builder, items) in [
            (&mut self.source, held),
            (&mut self.level, held),
            (&mut self.message, held),
            (&mut self.trace_id, held),
            (&mut self.span_id, held),
            (&mut self.tag_types, held),
            (&mut self.tag_keys, tags),
            (&mut self.tag_values, tags),
        ] {
            let given = builder.finish();
            let bytes = scaled(given.value_data().len()).min(bytes_max);
            *builder = StringBuilder::with_capacity(scaled(items), bytes);
            builder.append_array(&given)?;
        }
        Ok(())
    }

    /// How many rows it holds.
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether it holds no row.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// About how many bytes its rows take in memory.
    pub fn memory_bytes(&self) -> usize {
        // A timestamp, six offsets of columns and their validity bits; and two offsets for each tag.
        const ROW_BYTES: usize = 8 + 6 * 4 + 4 + 1;
        const TAG_BYTES: usize = 2 * 4 + 1;
        self.text_bytes + self.len() * ROW_BYTES + usize::try_from(self.tag_count).unwrap_or(0) * TAG_BYTES
    }

    /// The rows as a batch (possibly of no rows); the builder is then empty and can be used again.
    pub fn finish(&mut self) -> Result<LogBatch> {
        let timestamps =
            TimestampNanosecondArray::from(std::mem::take(&mut self.timestamps)).with_timezone("UTC");
        let columns: Vec<ArrayRef> = vec![
            Arc::new(timestamps),
            Arc::new(self.source.finish()),
            Arc::new(self.level.finish()),
            Arc::new(self.message.finish()),
            Arc::new(self.finish_tags()?),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.tag_types.finish()),
        ];
        self.text_bytes = 0;
        Ok(LogBatch::trusted(RecordBatch::try_new(LogSchema::given(), columns)?, self.arrival))
    }

    /// Everything that can refuse a row, before anything of it is written.
    fn admit(&self, row: &RowRef<'_>, tags: &mut TagSet) -> Result<Timestamp, RowError> {
        let timestamp = match row.timestamp {
            None => self.arrival,
            Some(timestamp) => {
                self.window.check(timestamp, self.arrival)?;
                timestamp
            }
        };
        if row.message.len() > MESSAGE_BYTES_MAX {
            return Err(RowError::MessageTooLong { bytes: row.message.len(), bytes_max: MESSAGE_BYTES_MAX });
        }
        for (field, text) in [
            (column::SOURCE, row.source),
            (column::LEVEL, row.level),
            (column::TRACE_ID, row.trace_id),
            (column::SPAN_ID, row.span_id),
        ] {
            let bytes = text.map_or(0, str::len);
            if bytes > FIELD_BYTES_MAX {
                return Err(RowError::TooLong { field, bytes, bytes_max: FIELD_BYTES_MAX });
            }
        }
        tags.settle()?;
        if self.text_bytes + row.message.len() + tags.bytes() > BATCH_BYTES_MAX {
            return Err(RowError::BatchFull { bytes_max: BATCH_BYTES_MAX });
        }
        Ok(timestamp)
    }

    fn write(&mut self, timestamp: Timestamp, row: RowRef<'_>, tags: &TagSet) {
        self.timestamps.push(timestamp.ns());
        self.text_bytes += row.message.len() + tags.bytes();
        self.message.append_value(row.message);
        for (builder, text) in [
            (&mut self.source, row.source),
            (&mut self.level, row.level),
            (&mut self.trace_id, row.trace_id),
            (&mut self.span_id, row.span_id),
        ] {
            let text = text.filter(|text| !text.is_empty());
            self.text_bytes += text.map_or(0, str::len);
            builder.append_option(text);
        }
        self.row_types.clear();
        for (key, value, kind) in tags.iter() {
            self.tag_keys.append_value(key);
            self.tag_values.append_option(value);
            self.row_types.push(char::from(kind.letter()));
            self.tag_count = self.tag_count.saturating_add(1);
        }
        self.tag_ends.push(self.tag_count);
        let strings = self.row_types.bytes().all(|letter| letter == TagKind::String.letter());
        self.tag_types.append_option((!strings).then_some(self.row_types.as_str()));
    }

    fn finish_tags(&mut self) -> Result<MapArray> {
        let DataType::Map(entries, ordered) = LogSchema::tags_type() else {
            return Err(invalid_tags("the schema's type of tags is not a map"));
        };
        let DataType::Struct(fields) = entries.data_type().clone() else {
            return Err(invalid_tags("the entries of tags are not a struct"));
        };
        let columns: Vec<ArrayRef> =
            vec![Arc::new(self.tag_keys.finish()), Arc::new(self.tag_values.finish())];
        let mut offsets = Vec::with_capacity(self.tag_ends.len() + 1);
        offsets.push(0);
        offsets.append(&mut self.tag_ends);
        self.tag_count = 0;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let rows = StructArray::try_new(fields, columns, None)?;
        Ok(MapArray::try_new(entries, offsets, rows, None, ordered)?)
    }
}

fn invalid_tags(reason: &str) -> Error {
    Error::InvalidBatch { column: column::TAGS.to_owned(), reason: reason.to_owned() }
}
