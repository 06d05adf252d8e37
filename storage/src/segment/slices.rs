//! Orders rows by time and cuts them into row groups.
//!
//! ```text
//!  batches ─► entries sorted by (timestamp, _row_id) ─► cut ─► each slice ordered anew (`runs.rs`)
//! ```
//!
//! Rows are not moved here: an entry names a row by batch and place.

use arrow::array::{
    Array, AsArray, Int64Array, MapArray, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::{Int64Type, TimestampNanosecondType};

use super::PromotedTags;
use super::format::ROW_GROUP_BYTES_MAX;
use crate::{Error, Result, column};

/// The columns of a batch that decide where its rows go.
pub(super) struct Columns<'a> {
    pub(super) times: &'a TimestampNanosecondArray,
    sources: &'a StringArray,
    levels: &'a StringArray,
    messages: &'a StringArray,
    tags: &'a MapArray,
    tag_keys: &'a StringArray,
    tag_values: &'a StringArray,
    /// Length of the key, and the values.
    promoted: Vec<(usize, &'a StringArray)>,
    pub(super) ids: &'a Int64Array,
}

impl<'a> Columns<'a> {
    /// Fails unless the batch is of [`PromotedTags::schema`].
    pub(super) fn of(batch: &'a RecordBatch) -> Result<Self> {
        let promoted = PromotedTags::of_schema(&batch.schema())
            .ok_or_else(|| invalid("*", "the columns are not those of stored rows"))?;
        let first_promoted = batch.num_columns() - promoted.keys().len();
        let promoted = promoted.keys().map(str::len).zip(batch.columns().iter().skip(first_promoted));
        let find = |name: &'static str| batch.column_by_name(name).ok_or_else(|| invalid(name, "is missing"));
        let wrong = |name| move || invalid(name, "is of another type");
        let text = |name: &'static str| find(name)?.as_string_opt::<i32>().ok_or_else(wrong(name));
        let tags = find(column::TAGS)?.as_map_opt().ok_or_else(wrong(column::TAGS))?;
        Ok(Self {
            times: find(column::TIMESTAMP)?
                .as_primitive_opt::<TimestampNanosecondType>()
                .ok_or_else(wrong(column::TIMESTAMP))?,
            sources: text(column::SOURCE)?,
            levels: text(column::LEVEL)?,
            messages: text(column::MESSAGE)?,
            tags,
            tag_keys: tags.keys().as_string_opt().ok_or_else(wrong(column::TAGS))?,
            tag_values: tags.values().as_string_opt().ok_or_else(wrong(column::TAGS))?,
            promoted: promoted
                .filter_map(|(key_bytes, values)| Some((key_bytes, values.as_string_opt()?)))
                .collect(),
            ids: find(column::ROW_ID)?.as_primitive_opt::<Int64Type>().ok_or_else(wrong(column::ROW_ID))?,
        })
    }

    pub(super) fn message(&self, row: usize) -> &'a str {
        self.messages.value(row)
    }

    pub(super) fn source(&self, row: usize) -> Option<&'a str> {
        (!self.sources.is_null(row)).then(|| self.sources.value(row))
    }

    pub(super) fn level(&self, row: usize) -> Option<&'a str> {
        (!self.levels.is_null(row)).then(|| self.levels.value(row))
    }

    /// At most so many bytes are the texts of all rows that have no small limit.
    fn text_bytes_max(&self) -> usize {
        let span = |values: &StringArray| {
            let offset = |at: Option<&i32>| at.and_then(|at| usize::try_from(*at).ok()).unwrap_or(0);
            let offsets = values.value_offsets();
            offset(offsets.last()).saturating_sub(offset(offsets.first()))
        };
        let promoted =
            self.promoted.iter().map(|(key_bytes, values)| key_bytes * values.len() + span(values));
        promoted.sum::<usize>() + span(self.messages) + span(self.tag_keys) + span(self.tag_values)
    }

    /// Bytes of the texts of a row that have no small limit.
    fn text_bytes(&self, row: usize) -> usize {
        let span = |offsets: &[i32], from: usize, to: usize| {
            let at =
                |at: usize| offsets.get(at).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
            (at(from), at(to))
        };
        let length = |(from, to): (usize, usize)| to.saturating_sub(from);
        let (from, to) = span(self.tags.value_offsets(), row, row + 1);
        let promoted = self.promoted.iter().filter(|(_, values)| values.is_valid(row));
        let promoted = promoted
            .map(|(key_bytes, values)| key_bytes + length(span(values.value_offsets(), row, row + 1)))
            .sum::<usize>();
        promoted
            + length(span(self.messages.value_offsets(), row, row + 1))
            + length(span(self.tag_keys.value_offsets(), from, to))
            + length(span(self.tag_values.value_offsets(), from, to))
    }
}

/// A row: its place in the order of time, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) time: i64,
    pub(super) id: i64,
    batch: u32,
    row: u32,
}

impl Entry {
    /// Its batch, and its row in there.
    pub(super) fn place(self) -> (usize, usize) {
        (usize::try_from(self.batch).unwrap_or(usize::MAX), usize::try_from(self.row).unwrap_or(usize::MAX))
    }
}

/// All rows of the batches in order of (timestamp, row id).
pub(super) fn entries(columns: &[Columns<'_>]) -> Vec<Entry> {
    let rows = columns.iter().map(|batch| batch.ids.len()).sum();
    let mut entries = Vec::with_capacity(rows);
    for (batch, columns) in (0u32..).zip(columns) {
        let keys = columns.times.values().iter().zip(columns.ids.values());
        entries.extend((0u32..).zip(keys).map(|(row, (time, id))| Entry {
            time: *time,
            id: *id,
            batch,
            row,
        }));
    }
    entries.sort_unstable_by_key(|entry| (entry.time, entry.id));
    entries
}

/// How many of the first entries fit into a row group: all, unless their texts are long.
pub(super) fn cut(entries: &[Entry], columns: &[Columns<'_>]) -> usize {
    if columns.iter().map(Columns::text_bytes_max).sum::<usize>() <= ROW_GROUP_BYTES_MAX {
        return entries.len();
    }
    let mut bytes = 0;
    for (at, entry) in entries.iter().enumerate() {
        let (batch, row) = entry.place();
        bytes += columns.get(batch).map_or(0, |columns| columns.text_bytes(row));
        if bytes > ROW_GROUP_BYTES_MAX && at > 0 {
            return at;
        }
    }
    entries.len()
}

fn invalid(column: &str, reason: &str) -> Error {
    Error::InvalidBatch { column: column.to_owned(), reason: reason.to_owned() }
}
