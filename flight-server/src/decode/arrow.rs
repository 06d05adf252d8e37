//! Arrow batches of any client's schema to batches of log records.
//!
//! ```text
//!   client's columns ──┬─ timestamp, source, level, message, trace_id, span_id ─► one type each ─┐
//!                      ├─ tags (map, struct, JSON text) ─────────────────────► tags ─────────────┼─► LogBatch
//!                      └─ all others, by name ─► tags with their JSON type ──────────────────────┘
//!   LogSchema::given() with nothing to mend ────────────────────────────────────────────────────────► LogBatch
//! ```
//!
//! A row that is refused is left out and reported; a column that cannot be read refuses the whole schema, because
//! then every row would be.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Schema, TimestampNanosecondType};
use arrow::error::ArrowError;
use ironbark_storage::{
    FIELD_BYTES_MAX, Level, LogBatch, LogBatchBuilder, LogSchema, MESSAGE_BYTES_MAX, RowRef,
    TAG_KEY_BYTES_MAX, TAGS_PER_ROW_MAX, TagSet, TimeWindow, Timestamp, column,
};

use super::Rejected;
use super::arrow_columns::{Texts, Times};
use super::arrow_tags::TagColumn;
use super::expansion::{self, Piece};

/// Most rows of one batch.
pub(super) const ROWS_MAX: usize = 1 << 20;
/// Most columns of one batch.
const COLUMNS_MAX: usize = 4_096;
/// Longest value of a tag that the fast path takes without a closer look.
const FAST_VALUE_BYTES_MAX: usize = 1 << 20;

/// Why a whole batch cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadBatch {
    /// It has more rows than one batch may have: a column of NULLs takes no bytes, however long it is.
    #[error("the batch has {rows} rows, the limit is {ROWS_MAX}: send fewer at once")]
    TooManyRows {
        /// Its rows.
        rows: usize,
    },
    /// Its encodings stand for more than may be taken at once.
    #[error(
        "the batch takes more than {bytes_max} bytes once its dictionaries, runs and numbers are written out: send \
         fewer rows at once"
    )]
    Expanded {
        /// The limit, in bytes.
        bytes_max: u64,
    },
    /// It has more columns than one batch may have.
    #[error(
        "the batch has {columns} columns, the limit is {COLUMNS_MAX}: put what is left into the column tags"
    )]
    TooManyColumns {
        /// Its columns.
        columns: usize,
    },
    /// A column has a type that cannot be what its name says.
    #[error("column {column:?} is of type {found}, expected {expected}; rename it to send it as a tag")]
    Column {
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// There is no column of messages: such a table was hardly meant to be logs.
    #[error("there is no column \"message\"; rename the column that holds the text of the log to message")]
    NoMessage,
    /// Two columns have the same name.
    #[error("column {0:?} comes twice; rename one of them")]
    Twice(String),
    /// Arrow cannot convert a column.
    #[error("a column cannot be read: {0}")]
    Arrow(#[from] ArrowError),
    /// The rows do not make a batch.
    #[error(transparent)]
    Storage(#[from] ironbark_storage::Error),
}

/// What became of a client's batch.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The rows that are right.
    pub(crate) batch: LogBatch,
    /// Those that are not.
    pub(crate) rejected: Vec<Rejected>,
}

/// Fails if a stream of this schema cannot be read as log records.
pub(crate) fn check_schema(schema: &Schema) -> Result<(), BadBatch> {
    if schema.fields().len() > COLUMNS_MAX {
        return Err(BadBatch::TooManyColumns { columns: schema.fields().len() });
    }
    if schema.column_with_name(column::MESSAGE).is_none() {
        return Err(BadBatch::NoMessage);
    }
    let mut names = HashSet::with_capacity(schema.fields().len());
    for field in schema.fields() {
        if !names.insert(field.name()) {
            return Err(BadBatch::Twice(field.name().clone()));
        }
        let found = field.data_type();
        let (right, expected) = match field.name().as_str() {
            column::TIMESTAMP => {
                (Times::accepts(found), "a timestamp, a date, a number since 1970 or RFC 3339 text")
            }
            column::TAGS => (TagColumn::accepts(found), "a map, a struct or text with a JSON object"),
            column::SOURCE | column::LEVEL | column::MESSAGE | column::TRACE_ID | column::SPAN_ID => {
                (Texts::accepts(found), "text")
            }
            _ => (true, "anything"),
        };
        if !right {
            let (column, found) = (field.name().clone(), found.to_string());
            return Err(BadBatch::Column { column, found, expected });
        }
    }
    Ok(())
}

/// Reads a piece of a batch whose schema [`check_schema`] has passed. `first_line` is the number of the batch's first
/// row.
pub(crate) fn decode_piece(
    batch: &RecordBatch,
    piece: Piece,
    arrival: Timestamp,
    window: TimeWindow,
    first_line: u64,
) -> Result<Decoded, BadBatch> {
    let line = first_line.saturating_add(piece.from as u64);
    if piece.too_large {
        let error = format!(
            "the row takes more than {} bytes once it is written out: send less in a record",
            expansion::ROW_BYTES_MAX
        );
        let batch = LogBatchBuilder::new(arrival, window).finish()?;
        return Ok(Decoded { batch, rejected: vec![Rejected { line, error }] });
    }
    decode(&batch.slice(piece.from, piece.rows), arrival, window, line)
}

/// Reads a batch whose schema [`check_schema`] has passed. `first_line` is the number of its first row.
fn decode(
    batch: &RecordBatch,
    arrival: Timestamp,
    window: TimeWindow,
    first_line: u64,
) -> Result<Decoded, BadBatch> {
    if batch.num_rows() > ROWS_MAX {
        return Err(BadBatch::TooManyRows { rows: batch.num_rows() });
    }
    if let Some(batch) = unchanged(batch, arrival, window) {
        return Ok(Decoded { batch, rejected: Vec::new() });
    }
    let columns = Columns::new(batch)?;
    let mut builder = LogBatchBuilder::new(arrival, window);
    let mut tags = TagSet::new();
    let mut rejected = Vec::new();
    for (line, row) in (first_line..).zip(0..batch.num_rows()) {
        let pushed = columns
            .row(row, &mut tags)
            .and_then(|record| builder.push(record, &mut tags).map_err(|error| error.to_string()));
        if let Err(error) = pushed {
            tags.clear();
            rejected.push(Rejected { line, error });
        }
    }
    Ok(Decoded { batch: builder.finish()?, rejected })
}

/// The columns of a batch by their role.
struct Columns {
    times: Times,
    source: Texts,
    level: Texts,
    message: Texts,
    trace_id: Texts,
    span_id: Texts,
    tags: Vec<TagColumn>,
}

impl Columns {
    fn new(batch: &RecordBatch) -> Result<Self, BadBatch> {
        let of = |name: &str| batch.column_by_name(name);
        let text = |name: &str, read: fn(&ArrayRef) -> Result<Texts, ArrowError>| match of(name) {
            Some(array) => read(array),
            None => Ok(Texts::missing()),
        };
        let types = of(column::TAG_TYPES);
        let mut tags = Vec::new();
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let column = match field.name().as_str() {
                column::TIMESTAMP
                | column::SOURCE
                | column::LEVEL
                | column::MESSAGE
                | column::TRACE_ID
                | column::SPAN_ID => None,
                column::TAG_TYPES if of(column::TAGS).is_some() => None,
                column::TAGS => TagColumn::tags(array, types)?,
                _ => TagColumn::other(field, array)?,
            };
            tags.extend(column);
        }
        Ok(Self {
            times: of(column::TIMESTAMP).map_or(Ok(Times::Missing), Times::new)?,
            source: text(column::SOURCE, Texts::new)?,
            level: text(column::LEVEL, Texts::new)?,
            message: text(column::MESSAGE, Texts::new)?,
            trace_id: text(column::TRACE_ID, Texts::ids)?,
            span_id: text(column::SPAN_ID, Texts::ids)?,
            tags,
        })
    }

    /// A row, whose tags are added to `tags`.
    fn row(&self, row: usize, tags: &mut TagSet) -> Result<RowRef<'_>, String> {
        for column in &self.tags {
            column.push(row, tags)?;
        }
        Ok(RowRef {
            timestamp: self.times.at(row).map_err(|error| error.to_string())?,
            source: self.source.at(row),
            level: self.level.at(row),
            message: self.message.at(row).unwrap_or_default(),
            trace_id: self.trace_id.at(row),
            span_id: self.span_id.at(row),
        })
    }
}

/// The batch as it is, if it has our own schema and no row needs mending or refusing.
fn unchanged(batch: &RecordBatch, arrival: Timestamp, window: TimeWindow) -> Option<LogBatch> {
    let given = LogSchema::given();
    let same = batch.num_columns() == given.fields().len()
        && batch
            .schema_ref()
            .fields()
            .iter()
            .zip(given.fields())
            .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
    if !same {
        return None;
    }
    let times = batch.column_by_name(column::TIMESTAMP)?.as_primitive_opt::<TimestampNanosecondType>()?;
    let in_window = |ns: &i64| window.check(Timestamp::from_ns(*ns), arrival).is_ok();
    let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
    let field = |name: &str| text(name).is_some_and(|array| within(array, 1, FIELD_BYTES_MAX));
    let level = text(column::LEVEL)?;
    let normal =
        |text: Option<&str>| text.is_none_or(|text| Level::parse(text).is_none_or(|l| l.as_str() == text));
    let fits = times.values().iter().all(in_window)
        && [column::SOURCE, column::LEVEL, column::TRACE_ID, column::SPAN_ID].into_iter().all(field)
        && within(text(column::MESSAGE)?, 0, MESSAGE_BYTES_MAX)
        && level.iter().all(normal)
        && tags_fit(batch)?;
    // What it then still refuses has no form that rows could be saved from; the slow path tells so.
    if fits { LogBatch::try_new(batch.clone(), arrival).ok() } else { None }
}

fn tags_fit(batch: &RecordBatch) -> Option<bool> {
    let map = batch.column_by_name(column::TAGS)?.as_map_opt()?;
    let keys = map.keys().as_string_opt::<i32>()?;
    let values = map.values().as_string_opt::<i32>()?;
    let few = map.offsets().lengths().all(|count| count <= TAGS_PER_ROW_MAX);
    Some(few && within(keys, 0, TAG_KEY_BYTES_MAX) && within(values, 0, FAST_VALUE_BYTES_MAX))
}

/// Whether all values have at least `min` and at most `max` bytes.
fn within(array: &StringArray, min: usize, max: usize) -> bool {
    let lengths = array.offsets().lengths();
    lengths.enumerate().all(|(row, bytes)| (bytes >= min && bytes <= max) || array.is_null(row))
}

#[cfg(test)]
mod tests;
