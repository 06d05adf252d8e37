//! Rows of logs as JSON records, tags with the types that they were sent with.
//!
//! Keys of tags stay flat, as they are stored: `{"http.status":200}`. A number is written as the text that was sent,
//! so that `1.10` and `12345678901234567890` come back unchanged.

use std::io::Write;

use arrow::array::{Array, AsArray, MapArray, PrimitiveArray, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, TimestampNanosecondType};
use ironbark_storage::column;
use serde_json::value::RawValue;

use crate::error::{Error, Result};

type Times = PrimitiveArray<TimestampNanosecondType>;

/// Writes each row of a batch of [`ironbark_storage::LogSchema::stored`] as an object; `before` writes what stands
/// before a row, given its place in the batch. Fails if columns are missing.
pub fn write_records(
    batch: &RecordBatch,
    out: &mut Vec<u8>,
    before: impl Fn(usize, &mut Vec<u8>),
) -> Result<()> {
    let columns = Columns::of(batch).ok_or_else(not_stored)?;
    for row in 0..batch.num_rows() {
        before(row, out);
        columns.write(row, out);
    }
    Ok(())
}

/// How many of a batch's first rows take at most `bytes_left` bytes as [`write_records`] writes them; takes their bytes
/// off.
pub(crate) fn rows_within(batch: &RecordBatch, bytes_left: &mut usize) -> Result<usize> {
    let columns = Columns::of(batch).ok_or_else(not_stored)?;
    let mut record = Vec::new();
    for row in 0..batch.num_rows() {
        record.clear();
        columns.write(row, &mut record);
        match bytes_left.checked_sub(record.len()) {
            Some(left) => *bytes_left = left,
            None => return Ok(row),
        }
    }
    Ok(batch.num_rows())
}

fn not_stored() -> Error {
    Error::Internal { reason: "records are written of stored rows, with all of their columns".to_owned() }
}

/// The columns of a batch.
struct Columns<'a> {
    timestamp: &'a Times,
    ingested_at: &'a Times,
    texts: [(&'static str, &'a StringArray); 5],
    tags: &'a MapArray,
    tag_keys: &'a StringArray,
    tag_values: &'a StringArray,
    tag_types: &'a StringArray,
    row_id: &'a PrimitiveArray<Int64Type>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let column = |name| batch.column_by_name(name);
        let times = |name| column(name)?.as_primitive_opt::<TimestampNanosecondType>();
        let text = |name| column(name)?.as_string_opt::<i32>();
        let tags = column(column::TAGS)?.as_map_opt()?;
        Some(Self {
            timestamp: times(column::TIMESTAMP)?,
            ingested_at: times(column::INGESTED_AT)?,
            texts: [
                (column::SOURCE, text(column::SOURCE)?),
                (column::LEVEL, text(column::LEVEL)?),
                (column::MESSAGE, text(column::MESSAGE)?),
                (column::TRACE_ID, text(column::TRACE_ID)?),
                (column::SPAN_ID, text(column::SPAN_ID)?),
            ],
            tags,
            tag_keys: tags.keys().as_string_opt()?,
            tag_values: tags.values().as_string_opt()?,
            tag_types: text(column::TAG_TYPES)?,
            row_id: column(column::ROW_ID)?.as_primitive_opt()?,
        })
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"timestamp\":");
        time(self.timestamp, row, out);
        for (name, texts) in &self.texts {
            if texts.is_valid(row) {
                out.extend_from_slice(b",\"");
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\":");
                text(texts.value(row), out);
            }
        }
        out.extend_from_slice(b",\"tags\":{");
        self.write_tags(row, out);
        out.extend_from_slice(b"},\"ingested_at\":");
        time(self.ingested_at, row, out);
        // Writing into memory does not fail.
        let _ = write!(out, ",\"_row_id\":\"{}\"}}", self.row_id.value(row));
    }

    fn write_tags(&self, row: usize, out: &mut Vec<u8>) {
        let offset =
            |place: usize| self.tags.value_offsets().get(place).and_then(|at| usize::try_from(*at).ok());
        let entries = offset(row).unwrap_or_default()..offset(row + 1).unwrap_or_default();
        let types = if self.tag_types.is_valid(row) { self.tag_types.value(row).as_bytes() } else { b"" };
        for (place, entry) in entries.enumerate() {
            if place > 0 {
                out.push(b',');
            }
            text(self.tag_keys.value(entry), out);
            out.push(b':');
            if self.tag_values.is_null(entry) {
                out.extend_from_slice(b"null");
                continue;
            }
            tag(self.tag_values.value(entry), types.get(place).copied().unwrap_or(b's'), out);
        }
    }
}

/// A tag's value: as its JSON text where that is what its type says and what it is.
fn tag(value: &str, kind: u8, out: &mut Vec<u8>) {
    let raw = match kind {
        b'n' | b'b' | b'j' => serde_json::from_str::<&RawValue>(value).is_ok(),
        _ => false,
    };
    if raw {
        out.extend_from_slice(value.as_bytes());
    } else {
        text(value, out);
    }
}

fn text(text: &str, out: &mut Vec<u8>) {
    // Writing a text into memory does not fail.
    let _ = serde_json::to_writer(out, text);
}

fn time(times: &Times, row: usize, out: &mut Vec<u8>) {
    let at = chrono::DateTime::from_timestamp_nanos(times.value(row));
    let _ = write!(out, "\"{}\"", at.format(super::TIME_FORMAT));
}
