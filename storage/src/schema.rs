//! The columns of a table of logs, as they are given, stored and shown.
//!
//! ```text
//! given  (LogBatch)            timestamp source level message tags trace_id span_id _tag_types
//! stored (buffers, segments)   timestamp ingested_at source level message tags trace_id span_id _tag_types _row_id
//! shown  (SQL)                 timestamp ingested_at source level message tags trace_id span_id _row_id
//! ```
//!
//! `_tag_types` holds one letter for each entry of `tags`, in its order, for the JSON type that the value had:
//! `s` string, `n` number, `b` boolean, `j` array or empty object (its JSON text), `z` null. NULL stands for
//! "all are strings".

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// The version of the columns below, written into every segment.
pub const SCHEMA_VERSION: u32 = 1;

/// Column names.
pub mod column {
    /// When it happened. `Timestamp(ns, UTC)`, not null.
    pub const TIMESTAMP: &str = "timestamp";
    /// When it arrived. `Timestamp(ns, UTC)`, not null.
    pub const INGESTED_AT: &str = "ingested_at";
    /// Which service or file it is from. `Utf8`.
    pub const SOURCE: &str = "source";
    /// The normalised level; see [`crate::Level`]. `Utf8`.
    pub const LEVEL: &str = "level";
    /// The text. `Utf8`, not null.
    pub const MESSAGE: &str = "message";
    /// Everything else: `Map<Utf8, Utf8>`, not null, keys sorted and unique.
    pub const TAGS: &str = "tags";
    /// The trace it belongs to. `Utf8`.
    pub const TRACE_ID: &str = "trace_id";
    /// The span it belongs to. `Utf8`.
    pub const SPAN_ID: &str = "span_id";
    /// JSON types of the tags; never shown. `Utf8`.
    pub const TAG_TYPES: &str = "_tag_types";
    /// The row's id; see [`crate::RowId`]. `Int64`, not null.
    pub const ROW_ID: &str = "_row_id";
}

/// The columns of logs.
#[derive(Debug)]
pub struct LogSchema;

static GIVEN: LazyLock<SchemaRef> = LazyLock::new(|| stored_without(&[column::INGESTED_AT, column::ROW_ID]));

static STORED: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        time_field(column::TIMESTAMP),
        time_field(column::INGESTED_AT),
        text_field(column::SOURCE),
        text_field(column::LEVEL),
        Field::new(column::MESSAGE, DataType::Utf8, false),
        Field::new(column::TAGS, LogSchema::tags_type(), false),
        text_field(column::TRACE_ID),
        text_field(column::SPAN_ID),
        text_field(column::TAG_TYPES),
        Field::new(column::ROW_ID, DataType::Int64, false),
    ]))
});

static SHOWN: LazyLock<SchemaRef> = LazyLock::new(|| stored_without(&[column::TAG_TYPES]));

fn stored_without(left_out: &[&str]) -> SchemaRef {
    let fields = STORED.fields().iter().filter(|field| !left_out.contains(&field.name().as_str())).cloned();
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn time_field(name: &str) -> Field {
    Field::new(name, LogSchema::time_type(), false)
}

fn text_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

impl LogSchema {
    /// What a [`crate::LogBatch`] holds: no arrival time and no row ids yet.
    pub fn given() -> SchemaRef {
        Arc::clone(&GIVEN)
    }

    /// What buffers and segments hold.
    pub fn stored() -> SchemaRef {
        Arc::clone(&STORED)
    }

    /// What SQL shows.
    pub fn shown() -> SchemaRef {
        Arc::clone(&SHOWN)
    }

    /// The type of time columns.
    pub fn time_type() -> DataType {
        DataType::Timestamp(TimeUnit::Nanosecond, Some(Arc::from("UTC")))
    }

    /// The type of `tags`: a map with entries `key_value { key, value }`, the names that Parquet uses.
    pub fn tags_type() -> DataType {
        let entry = DataType::Struct(
            vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)].into(),
        );
        DataType::Map(Arc::new(Field::new("key_value", entry, false)), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_and_shown_are_stored_without_some_columns() {
        let names = |schema: SchemaRef| {
            let names: Vec<_> = schema.fields().iter().map(|f| f.name().clone()).collect();
            names.join(" ")
        };
        assert_eq!(
            names(LogSchema::given()),
            "timestamp source level message tags trace_id span_id _tag_types"
        );
        assert_eq!(
            names(LogSchema::shown()),
            "timestamp ingested_at source level message tags trace_id span_id _row_id"
        );
    }
}
