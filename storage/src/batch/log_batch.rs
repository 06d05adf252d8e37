//! A batch of validated rows of one tenant, and its way into partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, MapArray, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt32Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::TimestampNanosecondType;

use super::TagKind;
use crate::{Day, Error, LogSchema, Result, RowId, Timestamp, column};

/// Rows of one tenant. Invariants: exactly the columns of [`LogSchema::given`]; no NULL where none is allowed; each
/// row's tags sorted by key and unique; `_tag_types` one known letter for each tag, `z` where and only where the
/// value is NULL, or NULL itself where all are strings.
#[derive(Clone, Debug)]
pub struct LogBatch {
    rows: RecordBatch,
    arrival: Timestamp,
}

impl LogBatch {
    /// Checks all invariants, once. Fails with [`Error::InvalidBatch`] that names the column.
    pub fn try_new(rows: RecordBatch, arrival: Timestamp) -> Result<Self> {
        let schema = LogSchema::given();
        let found = rows.schema();
        for (at, field) in schema.fields().iter().enumerate() {
            let name = field.name();
            let Some(other) = found.fields().get(at) else { return Err(invalid(name, "is missing")) };
            if other.name() != name {
                return Err(invalid(name, &format!("column {} is in its place", other.name())));
            }
            if other.data_type() != field.data_type() {
                let reason = format!("is of type {}, expected {}", other.data_type(), field.data_type());
                return Err(invalid(name, &reason));
            }
            let nulls = rows.columns().get(at).map_or(0, Array::null_count);
            if !field.is_nullable() && nulls > 0 {
                return Err(invalid(name, &format!("has {nulls} NULL values, none is allowed")));
            }
        }
        if let Some(extra) = found.fields().get(schema.fields().len()) {
            return Err(invalid(extra.name(), "is not a column of a log batch; send it as a tag"));
        }
        let (_, columns, _) = rows.into_parts();
        let rows = RecordBatch::try_new(schema, columns)?;
        check_tags(&rows)?;
        Ok(Self { rows, arrival })
    }

    /// From rows that hold the invariants by construction.
    pub(super) fn trusted(rows: RecordBatch, arrival: Timestamp) -> Self {
        Self { rows, arrival }
    }

    /// The rows, of [`LogSchema::given`].
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// How many rows.
    pub fn num_rows(&self) -> usize {
        self.rows.num_rows()
    }

    /// When they arrived.
    pub fn arrival(&self) -> Timestamp {
        self.arrival
    }

    /// Bytes that the rows take in memory once they are stored, without spare capacity: [`Self::into_stored`] adds two
    /// columns of eight bytes a row.
    pub fn memory_bytes(&self) -> usize {
        let bytes = |column: &ArrayRef| column.to_data().get_slice_memory_size().unwrap_or(0);
        let given: usize = self.rows.columns().iter().map(bytes).sum();
        given.saturating_add(self.rows.num_rows().saturating_mul(2 * size_of::<i64>()))
    }

    /// On how many UTC days the rows fall.
    pub fn days(&self) -> usize {
        let Ok(times) = timestamps(&self.rows) else { return 0 };
        let days: std::collections::HashSet<Day> =
            times.values().iter().map(|ns| Timestamp::from_ns(*ns).day()).collect();
        days.len()
    }

    /// The rows of [`LogSchema::stored`]: `ingested_at` is the arrival, `_row_id` counts up from `first` in the
    /// order of the batch. Cut by UTC day, days in order, rows of a day in the order of the batch.
    pub fn into_stored(self, first: RowId) -> Result<Vec<(Day, RecordBatch)>> {
        let count = self.rows.num_rows();
        if count == 0 {
            return Ok(Vec::new());
        }
        let beyond = first.sequence() + u64::try_from(count - 1).unwrap_or(u64::MAX);
        let last = RowId::new(first.epoch(), beyond)?;
        let arrival = TimestampNanosecondArray::from_value(self.arrival.ns(), count).with_timezone("UTC");
        let ids = Int64Array::from_iter_values(first.get()..=last.get());
        let mut columns = self.rows.columns().to_vec();
        columns.insert(1, Arc::new(arrival));
        columns.push(Arc::new(ids));
        let rows = RecordBatch::try_new(LogSchema::stored(), columns)?;
        split_by_day(rows)
    }
}

fn split_by_day(rows: RecordBatch) -> Result<Vec<(Day, RecordBatch)>> {
    let mut days: BTreeMap<Day, Vec<u32>> = BTreeMap::new();
    {
        let times = timestamps(&rows)?;
        let day_of = |ns: &i64| Timestamp::from_ns(*ns).day();
        let bounds = (times.values().iter().min(), times.values().iter().max());
        let (Some(min), Some(max)) = bounds else { return Ok(Vec::new()) };
        let (first, last) = (day_of(min), day_of(max));
        if first == last {
            return Ok(vec![(first, rows)]);
        }
        for (at, ns) in (0u32..).zip(times.values()) {
            days.entry(day_of(ns)).or_default().push(at);
        }
    }
    let part = |(day, at)| Ok((day, take_record_batch(&rows, &UInt32Array::from(at))?));
    days.into_iter().map(part).collect()
}

fn timestamps(rows: &RecordBatch) -> Result<&TimestampNanosecondArray> {
    rows.column_by_name(column::TIMESTAMP)
        .and_then(|array| array.as_primitive_opt::<TimestampNanosecondType>())
        .ok_or_else(|| invalid(column::TIMESTAMP, "is not a timestamp in nanoseconds"))
}

fn check_tags(rows: &RecordBatch) -> Result<()> {
    let tags = rows.column_by_name(column::TAGS).and_then(|array| array.as_map_opt());
    let types = rows.column_by_name(column::TAG_TYPES).and_then(|array| array.as_string_opt::<i32>());
    let (Some(tags), Some(types)) = (tags, types) else {
        return Err(invalid(column::TAGS, "is not a map with its types beside it"));
    };
    let keys = tags.keys().as_string_opt::<i32>();
    let values = tags.values().as_string_opt::<i32>();
    let (Some(keys), Some(values)) = (keys, values) else {
        return Err(invalid(column::TAGS, "keys and values are not strings"));
    };
    (0..tags.len()).try_for_each(|row| check_row_tags(row, tags, keys, values, types))
}

fn check_row_tags(
    row: usize,
    tags: &MapArray,
    keys: &StringArray,
    values: &StringArray,
    types: &StringArray,
) -> Result<()> {
    let offsets = tags.value_offsets();
    let at = |at: usize| offsets.get(at).and_then(|offset| usize::try_from(*offset).ok());
    let (Some(start), Some(end)) = (at(row), at(row + 1)) else {
        return Err(invalid(column::TAGS, &format!("row {row} has no bounds")));
    };
    let rising = |a: usize| keys.value(a) < keys.value(a + 1);
    if !(start..end.saturating_sub(1)).all(rising) {
        return Err(invalid(column::TAGS, &format!("keys of row {row} are not sorted and unique")));
    }
    let letters = if types.is_null(row) { None } else { Some(types.value(row).as_bytes()) };
    if letters.is_some_and(|letters| letters.len() != end - start) {
        let reason = format!("row {row} has another number of letters than of tags");
        return Err(invalid(column::TAG_TYPES, &reason));
    }
    for entry in start..end {
        let kind = match letters.and_then(|letters| letters.get(entry - start)) {
            None => Some(TagKind::String),
            Some(letter) => TagKind::from_letter(*letter),
        };
        let Some(kind) = kind else {
            return Err(invalid(column::TAG_TYPES, &format!("row {row} has an unknown letter")));
        };
        if (kind == TagKind::Null) != values.is_null(entry) {
            let reason = format!("row {row}: z must stand where, and only where, the value is NULL");
            return Err(invalid(column::TAG_TYPES, &reason));
        }
    }
    Ok(())
}

fn invalid(column: &str, reason: &str) -> Error {
    Error::InvalidBatch { column: column.to_owned(), reason: reason.to_owned() }
}
