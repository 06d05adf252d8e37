//! Takes promoted tags out of the map and puts them back.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, MapArray, RecordBatch, StringArray, StringBuilder, StructArray, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::take;
use arrow::datatypes::DataType;

use super::{PromotedTags, invalid, map_of};
use crate::{LogSchema, Result, column};

/// Keys mostly stand at the same place in row after row; beyond so many they are searched for.
const GUESSES_MAX: usize = 64;

impl PromotedTags {
    /// From [`LogSchema::stored`] to the columns in the file.
    pub(super) fn split(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        if self.is_empty() {
            return Ok(rows.clone());
        }
        let (map, own) = self.split_tags(map_of(rows)?)?;
        let stored = replace_map(rows, map);
        let columns = stored.into_iter().chain(own).collect();
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }

    /// From the columns in the file to [`LogSchema::stored`].
    pub(crate) fn assemble(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        if self.is_empty() {
            return Ok(rows.clone());
        }
        let text = |key| {
            let name = Self::column(key);
            let column = rows.column_by_name(&name).and_then(|column| column.as_string_opt::<i32>());
            column.ok_or_else(|| invalid(&name, "is no text"))
        };
        let own = self.keys().map(|key| Ok((key, text(key)?))).collect::<Result<Vec<_>>>()?;
        let map = assemble_tags(map_of(rows)?, &own)?;
        let mut columns = replace_map(rows, map);
        columns.truncate(LogSchema::stored().fields().len());
        Ok(RecordBatch::try_new(LogSchema::stored(), columns)?)
    }

    fn split_tags(&self, tags: &MapArray) -> Result<(MapArray, Vec<ArrayRef>)> {
        let (keys, values) = texts(tags)?;
        let mut own: Vec<StringBuilder> = self
            .keys
            .iter()
            .map(|_| StringBuilder::with_capacity(tags.len(), values.value_data().len() / self.keys.len()))
            .collect();
        let mut slots = Slots { keys: &self.keys, guesses: [0; GUESSES_MAX] };
        let (mut rest, mut offsets) = (Vec::new(), Vec::with_capacity(tags.len() + 1));
        offsets.push(0);
        for row in 0..tags.len() {
            for (place, entry) in entries(tags, row).enumerate() {
                let slot = if values.is_valid(entry) { slots.find(place, keys.value(entry)) } else { None };
                match slot.and_then(|slot| own.get_mut(slot)) {
                    Some(column) => {
                        pad(column, row);
                        column.append_value(values.value(entry));
                    }
                    None => rest.push(u64::try_from(entry).unwrap_or(u64::MAX)),
                }
            }
            offsets.push(rest.len());
        }
        let rest = UInt64Array::from(rest);
        let map = new_map(&offsets, take(keys, &rest, None)?, take(values, &rest, None)?)?;
        let finish = |mut column: StringBuilder| {
            pad(&mut column, tags.len());
            Arc::new(column.finish()) as ArrayRef
        };
        Ok((map, own.into_iter().map(finish).collect()))
    }
}

/// Fills a column with NULL up to a row.
fn pad(column: &mut StringBuilder, row: usize) {
    use arrow::array::ArrayBuilder;
    column.append_nulls(row.saturating_sub(column.len()));
}

/// Finds the place of a key among the promoted ones.
struct Slots<'a> {
    keys: &'a [Box<str>],
    guesses: [usize; GUESSES_MAX],
}

impl Slots<'_> {
    /// `place` is the entry's in its row.
    fn find(&mut self, place: usize, key: &str) -> Option<usize> {
        let guess = self.guesses.get_mut(place);
        if let Some(slot) = &guess
            && self.keys.get(**slot).is_some_and(|promoted| **promoted == *key)
        {
            return Some(**slot);
        }
        let found = self.keys.binary_search_by(|promoted| (**promoted).cmp(key)).ok()?;
        if let Some(slot) = guess {
            *slot = found;
        }
        Some(found)
    }
}

/// The tags of rows from the map of those without columns of their own, and the columns by key, sorted by keys. No key
/// may be in both in a row. Fails where the texts are too long for one array.
pub fn assemble_tags(tags: &MapArray, columns: &[(&str, &StringArray)]) -> Result<MapArray> {
    let (keys, values) = texts(tags)?;
    let span = |offsets: &[i32]| {
        let end = |at: Option<&i32>| at.and_then(|at| usize::try_from(*at).ok()).unwrap_or(0);
        end(offsets.last()) - end(offsets.first()).min(end(offsets.last()))
    };
    let of_keys = |key: &str, column: &StringArray| key.len() * (column.len() - column.null_count());
    let key_bytes =
        columns.iter().fold(span(keys.value_offsets()), |bytes, (key, column)| bytes + of_keys(key, column));
    let value_bytes = columns
        .iter()
        .fold(span(values.value_offsets()), |bytes, (_, column)| bytes + span(column.value_offsets()));
    let count =
        columns.iter().fold(keys.len(), |count, (_, column)| count + column.len() - column.null_count());
    if i32::try_from(key_bytes.max(value_bytes).max(count)).is_err() {
        return Err(invalid(column::TAGS, "more than 2 GiB of tags in one batch"));
    }
    let mut all_keys = StringBuilder::with_capacity(count, key_bytes);
    let mut all_values = StringBuilder::with_capacity(count, value_bytes);
    let mut offsets = Vec::with_capacity(tags.len() + 1);
    let mut filled = 0;
    offsets.push(filled);
    for row in 0..tags.len() {
        let mut others = entries(tags, row).peekable();
        let mut push = |key: &str, values: &StringArray, at: usize| {
            all_keys.append_value(key);
            all_values.append_option(values.is_valid(at).then(|| values.value(at)));
            filled += 1;
        };
        for (key, column) in columns.iter().filter(|(_, column)| column.is_valid(row)) {
            while let Some(entry) = others.next_if(|entry| keys.value(*entry) < *key) {
                push(keys.value(entry), values, entry);
            }
            push(key, column, row);
        }
        for entry in others {
            push(keys.value(entry), values, entry);
        }
        offsets.push(filled);
    }
    new_map(&offsets, Arc::new(all_keys.finish()), Arc::new(all_values.finish()))
}

fn texts(tags: &MapArray) -> Result<(&StringArray, &StringArray)> {
    let texts = tags.keys().as_string_opt().zip(tags.values().as_string_opt());
    texts.ok_or_else(|| invalid(column::TAGS, "is no map of texts"))
}

/// The places of a row's entries among all of the map's.
pub(super) fn entries(tags: &MapArray, row: usize) -> Range<usize> {
    let offset = |at: usize| tags.value_offsets().get(at).and_then(|offset| usize::try_from(*offset).ok());
    offset(row).unwrap_or(0)..offset(row + 1).unwrap_or(0)
}

fn new_map(offsets: &[usize], keys: ArrayRef, values: ArrayRef) -> Result<MapArray> {
    let narrow = |offset: &usize| i32::try_from(*offset);
    let offsets: Vec<i32> = offsets
        .iter()
        .map(narrow)
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| invalid(column::TAGS, "too many tags in one batch"))?;
    let DataType::Map(entry, ordered) = LogSchema::tags_type() else {
        return Err(invalid(column::TAGS, "is no map"));
    };
    let DataType::Struct(fields) = entry.data_type() else {
        return Err(invalid(column::TAGS, "is no map of structs"));
    };
    let entries = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    Ok(MapArray::try_new(entry, OffsetBuffer::new(offsets.into()), entries, None, ordered)?)
}

/// The columns of a batch with another map.
fn replace_map(rows: &RecordBatch, map: MapArray) -> Vec<ArrayRef> {
    let map: ArrayRef = Arc::new(map);
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    columns
        .map(|(field, array)| Arc::clone(if field.name() == column::TAGS { &map } else { array }))
        .collect()
}
