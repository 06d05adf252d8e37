//! Columns that become tags: scalars with their JSON type, nested ones flattened with dots as JSON objects are.
//!
//! A NULL in a column is a tag that is not there: a wide table with sparse columns would otherwise give each row a
//! tag for every column. A NULL inside of a map is a tag with the value `null`.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use ironbark_storage::{TagKind, TagSet};
use serde_json::Value;

use super::arrow_columns::{hexadecimal, plain};

const LENIENT: CastOptions<'static> =
    CastOptions { safe: true, format_options: arrow::util::display::FormatOptions::new() };

/// A column whose values become tags.
#[derive(Debug)]
pub(super) enum TagColumn {
    /// One value a row, under the column's name.
    Scalar { key: String, values: StringArray, kind: TagKind },
    /// A nested value a row, as JSON, flattened below a key (the empty key: at the top).
    Nested { key: String, rows: Vec<Value> },
    /// Our own map of text, with the letters of its types.
    Map { tags: ArrayRef, types: Option<StringArray> },
    /// JSON objects as text, flattened at the top.
    Objects(StringArray),
}

impl TagColumn {
    /// A column that is not one of a record's own.
    pub(super) fn other(field: &Field, array: &ArrayRef) -> Result<Option<Self>, ArrowError> {
        let array = plain(array)?;
        let key = field.name().clone();
        let data_type = array.data_type();
        if data_type.is_null() {
            return Ok(None);
        }
        if data_type.is_nested() {
            return Ok(Some(Self::Nested { key, rows: json_rows(&array)? }));
        }
        let kind = match data_type {
            DataType::Boolean => TagKind::Bool,
            data_type if data_type.is_numeric() => TagKind::Number,
            _ => TagKind::String,
        };
        let values = match data_type {
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => {
                let bytes = cast_with_options(&array, &DataType::Binary, &LENIENT)?;
                bytes.as_binary::<i32>().iter().map(|value| value.map(hexadecimal)).collect()
            }
            _ => cast_with_options(&array, &DataType::Utf8, &LENIENT)?.as_string::<i32>().clone(),
        };
        Ok(Some(Self::Scalar { key, values, kind }))
    }

    /// Whether a column of this type can be the column `tags`.
    pub(super) fn accepts(data_type: &DataType) -> bool {
        data_type.is_null()
            || data_type.is_string()
            || matches!(data_type, DataType::Map(..) | DataType::Struct(_))
    }

    /// The column `tags` itself, which [`TagColumn::accepts`]; `types` is the column `_tag_types`, if there is one.
    pub(super) fn tags(array: &ArrayRef, types: Option<&ArrayRef>) -> Result<Option<Self>, ArrowError> {
        let array = plain(array)?;
        let text = |array: &ArrayRef| -> Result<StringArray, ArrowError> {
            Ok(cast_with_options(array, &DataType::Utf8, &LENIENT)?.as_string::<i32>().clone())
        };
        Ok(match array.data_type() {
            DataType::Map(entries, _) if is_text_map(entries.data_type()) => {
                Some(Self::Map { tags: array, types: types.map(text).transpose()? })
            }
            DataType::Map(..) | DataType::Struct(_) => {
                Some(Self::Nested { key: String::new(), rows: json_rows(&array)? })
            }
            data_type if data_type.is_string() => Some(Self::Objects(text(&array)?)),
            _ => None,
        })
    }

    /// Adds the tags of a row, or says why they cannot be read.
    pub(super) fn push(&self, row: usize, tags: &mut TagSet) -> Result<(), String> {
        match self {
            Self::Scalar { key, values, kind } => {
                if values.is_valid(row) {
                    let text = values.value(row);
                    tags.push(key, Some(text), scalar_kind(*kind, text));
                }
            }
            Self::Nested { key, rows } => {
                if let Some(value) = rows.get(row).filter(|value| !value.is_null()) {
                    flatten(key, value, tags);
                }
            }
            Self::Map { tags: map, types } => push_map(map, types.as_ref(), row, tags),
            Self::Objects(texts) => {
                if texts.is_valid(row) && !texts.value(row).trim().is_empty() {
                    let value: Value = serde_json::from_str(texts.value(row)).map_err(|error| {
                        format!("tags: not JSON: {error}; expected an object such as {{\"k\":\"v\"}}")
                    })?;
                    match value {
                        Value::Null => {}
                        Value::Object(_) => flatten("", &value, tags),
                        _ => return Err("tags: expected a JSON object such as {\"k\":\"v\"}".to_owned()),
                    }
                }
            }
        }
        Ok(())
    }
}

/// JSON has no NaN and no infinities: their text is kept as a string.
fn scalar_kind(kind: TagKind, text: &str) -> TagKind {
    match kind {
        TagKind::Number if !text.bytes().any(|b| b.is_ascii_digit()) => TagKind::String,
        kind => kind,
    }
}

fn is_text_map(entries: &DataType) -> bool {
    match entries {
        DataType::Struct(fields) => {
            fields.len() == 2 && fields.iter().all(|field| field.data_type().is_string())
        }
        _ => false,
    }
}

fn push_map(map: &ArrayRef, types: Option<&StringArray>, row: usize, tags: &mut TagSet) {
    let Some(map) = map.as_map_opt().filter(|map| map.is_valid(row)) else { return };
    let entries = map.value(row);
    let text = |at: usize| {
        let column = entries.columns().get(at)?;
        let array = cast_with_options(column, &DataType::Utf8, &LENIENT).ok()?;
        Some(array.as_string::<i32>().clone())
    };
    let (Some(keys), Some(values)) = (text(0), text(1)) else { return };
    let letters = types.filter(|types| types.is_valid(row)).map(|types| types.value(row).as_bytes());
    for entry in 0..keys.len() {
        let value = values.is_valid(entry).then(|| values.value(entry));
        let letter = letters.and_then(|letters| letters.get(entry).copied());
        let kind = letter.and_then(TagKind::from_letter).unwrap_or(TagKind::String);
        if keys.is_valid(entry) {
            tags.push(keys.value(entry), value, kind);
        }
    }
}

/// Adds a JSON value below a key: objects flattened with dots, arrays and empty objects kept as JSON.
fn flatten(key: &str, value: &Value, tags: &mut TagSet) {
    // Depth first with a stack of our own; the JSON parser bounds the depth.
    let mut open: Vec<(String, &Value)> = vec![(key.to_owned(), value)];
    while let Some((key, value)) = open.pop() {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                // Reversed, so that the first field is taken next and equal keys keep their order.
                for (name, value) in fields.iter().rev() {
                    let below = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                    open.push((below, value));
                }
            }
            // An empty object at the top is a record without tags.
            Value::Object(_) if key.is_empty() => {}
            Value::Object(_) | Value::Array(_) => tags.push(&key, Some(&value.to_string()), TagKind::Json),
            Value::String(text) => tags.push(&key, Some(text), TagKind::String),
            Value::Number(number) => tags.push(&key, Some(&number.to_string()), TagKind::Number),
            Value::Bool(bool) => tags.push(&key, Some(if *bool { "true" } else { "false" }), TagKind::Bool),
            Value::Null => tags.push(&key, None, TagKind::Null),
        }
    }
}

/// Each row of a nested column as JSON; NULL rows are `null`.
fn json_rows(array: &ArrayRef) -> Result<Vec<Value>, ArrowError> {
    const NAME: &str = "v";
    let schema = Schema::new(vec![Field::new(NAME, array.data_type().clone(), true)]);
    let batch = RecordBatch::try_new(std::sync::Arc::new(schema), vec![ArrayRef::clone(array)])?;
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    writer.write(&batch)?;
    writer.finish()?;
    let text = writer.into_inner();
    let rows = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| {
        let row: Value =
            serde_json::from_slice(line).map_err(|error| ArrowError::JsonError(error.to_string()))?;
        Ok(match row {
            Value::Object(mut fields) => fields.remove(NAME).unwrap_or(Value::Null),
            _ => Value::Null,
        })
    });
    rows.collect()
}
