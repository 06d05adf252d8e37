//! Rows of any result as CSV. Maps, lists and structs are written as JSON texts; NULL is an empty field.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::csv::WriterBuilder;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use super::rows::json_texts;
use super::{LOCAL_TIME_FORMAT, TIME_FORMAT, cannot_write};
use crate::error::Result;

/// The line of names.
pub(super) fn header(schema: &SchemaRef, out: &mut Vec<u8>) -> Result<()> {
    let names: Vec<FieldRef> = schema
        .fields()
        .iter()
        .map(|field| Arc::new(Field::new(field.name(), DataType::Utf8, true)))
        .collect();
    write(&RecordBatch::new_empty(Arc::new(Schema::new(names))), true, out)
}

/// The lines of a batch.
pub(super) fn rows(batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| flat(field, array));
    let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) =
        columns.collect::<Result<Vec<_>>>()?.into_iter().unzip();
    if fields.is_empty() {
        return Ok(());
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays);
    write(&batch.map_err(|error| cannot_write(&error))?, false, out)
}

fn write(batch: &RecordBatch, header: bool, out: &mut Vec<u8>) -> Result<()> {
    let mut writer = WriterBuilder::new()
        .with_header(header)
        .with_timestamp_tz_format(TIME_FORMAT.to_owned())
        .with_timestamp_format(LOCAL_TIME_FORMAT.to_owned())
        .build(out);
    writer.write(batch).map_err(|error| cannot_write(&error))
}

fn flat(field: &FieldRef, array: &ArrayRef) -> Result<(FieldRef, ArrayRef)> {
    if !field.data_type().is_nested() {
        return Ok((Arc::clone(field), Arc::clone(array)));
    }
    let texts = json_texts(field, array)?;
    Ok((Arc::new(Field::new(field.name(), DataType::Utf8, true)), Arc::new(texts)))
}
