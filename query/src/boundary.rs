//! The types that leave this process: those that every Flight SQL client reads.
//!
//! ```text
//!   Utf8View, LargeUtf8        → Utf8          List, LargeList, ListView, FixedSizeList, Struct, Map: the same inside
//!   BinaryView, LargeBinary    → Binary        LargeList, ListView → List
//!   Dictionary, RunEndEncoded  → its values    Map keeps its entry names
//! ```
//!
//! Stock drivers refuse views, large types and dictionaries; nothing behind this file produces them.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::error::{Error, Result};

/// The schema as clients see it.
pub(crate) fn wire_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(wire_field).collect();
    Arc::new(Schema::new(fields))
}

fn wire_field(field: &FieldRef) -> FieldRef {
    let wire = wire_type(field.data_type());
    if &wire == field.data_type() && field.metadata().is_empty() {
        return Arc::clone(field);
    }
    Arc::new(Field::new(field.name(), wire, field.is_nullable()))
}

/// The type that takes the place of `data_type` on the wire.
pub(crate) fn wire_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, values) => wire_type(values),
        DataType::RunEndEncoded(_, values) => wire_type(values.data_type()),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => DataType::List(wire_field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(wire_field(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(wire_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(wire_field(entries), *sorted),
        other => other.clone(),
    }
}

/// The batch with the names and types of `wire`, which has as many columns.
pub(crate) fn to_wire(batch: &RecordBatch, wire: &SchemaRef) -> Result<RecordBatch> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let columns = batch.columns().iter().zip(wire.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        cast_with_options(column, field.data_type(), &options)
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>, _>>().map_err(|error| too_large(&error))?;
    let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(wire), columns, &rows).map_err(|error| too_large(&error))
}

fn too_large(error: &arrow::error::ArrowError) -> Error {
    Error::Run { reason: format!("a batch of the result cannot be sent: {error}") }
}
