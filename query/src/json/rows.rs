//! Rows of any result as JSON objects.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use arrow::json::EncoderOptions;
use arrow::json::writer::{NullableEncoder, make_encoder};
use ironbark_storage::column;

use super::{LOCAL_TIME_FORMAT, TIME_FORMAT, cannot_write};
use crate::error::Result;

/// Writes an object for each row. `before` writes what stands before a row, given its place in the batch.
pub(super) fn objects(
    batch: &RecordBatch,
    out: &mut Vec<u8>,
    before: impl Fn(usize, &mut Vec<u8>),
) -> Result<()> {
    let columns: Vec<(FieldRef, ArrayRef)> = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| with_text_id(field, array))
        .collect();
    let options = options();
    let mut cells = Vec::with_capacity(columns.len());
    for (field, array) in &columns {
        let encoder = make_encoder(field, array.as_ref(), &options).map_err(|error| cannot_write(&error))?;
        cells.push((name(field.name(), cells.is_empty()), encoder));
    }
    for row in 0..batch.num_rows() {
        before(row, out);
        out.push(b'{');
        for (name, cell) in &mut cells {
            out.extend_from_slice(name.as_bytes());
            write_cell(cell, row, out);
        }
        out.push(b'}');
    }
    Ok(())
}

pub(super) fn options() -> EncoderOptions {
    EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_timestamp_tz_format(TIME_FORMAT.to_owned())
        .with_timestamp_format(LOCAL_TIME_FORMAT.to_owned())
}

fn write_cell(cell: &mut NullableEncoder<'_>, row: usize, out: &mut Vec<u8>) {
    if cell.is_null(row) {
        out.extend_from_slice(b"null");
    } else {
        cell.encode(row, out);
    }
}

/// `"name":`, after a comma but for the first.
fn name(name: &str, first: bool) -> String {
    let comma = if first { "" } else { "," };
    format!("{comma}{}:", serde_json::Value::from(name))
}

/// The column, as text if it holds row ids.
pub(super) fn with_text_id(field: &FieldRef, array: &ArrayRef) -> (FieldRef, ArrayRef) {
    match array.as_primitive_opt::<Int64Type>() {
        Some(ids) if field.name() == column::ROW_ID => {
            let texts: StringArray = ids.iter().map(|id| id.map(|id| id.to_string())).collect();
            (Arc::new(Field::new(field.name(), DataType::Utf8, true)), Arc::new(texts))
        }
        _ => (Arc::clone(field), Arc::clone(array)),
    }
}

/// A column's values as JSON texts; NULL stays NULL.
pub(super) fn json_texts(field: &FieldRef, array: &ArrayRef) -> Result<StringArray> {
    let options = options();
    let mut cell = make_encoder(field, array.as_ref(), &options).map_err(|error| cannot_write(&error))?;
    let text = |row| {
        if cell.is_null(row) {
            return None;
        }
        let mut text = Vec::new();
        cell.encode(row, &mut text);
        String::from_utf8(text).ok()
    };
    Ok((0..array.len()).map(text).collect())
}
