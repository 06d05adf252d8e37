//! Which columns a segment's file has: the stored ones, and those that differ from segment to segment.
//!
//! ```text
//!   timestamp ingested_at source … _row_id │ _timestamp_ns │ tag.env tag.host …
//!   └──────── of stored rows ─────────────┘  where needed    promoted tags
//! ```
//!
//! The names and types of the columns are the only record of it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use parquet::schema::types::SchemaDescriptor;

use super::format::LEAVES;
use super::times::TIMESTAMP_NS;
use super::{FileTimes, PromotedTags};
use crate::{Error, LogSchema, Result, column};

/// The columns of one segment's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileColumns {
    /// How it holds times.
    pub times: FileTimes,
    /// Which tags have columns of their own.
    pub promoted: PromotedTags,
}

impl FileColumns {
    /// Those of a schema, or `None` if it is none of a segment.
    pub fn of_schema(schema: &Schema) -> Option<Self> {
        let times = FileTimes::of_schema(schema)?;
        let stored = LogSchema::stored();
        let expected = stored.fields().iter().map(|field| times.field(field)).chain(times.own_field());
        let expected: Vec<Arc<Field>> = expected.collect();
        let (first, own) = schema.fields().split_at_checked(expected.len())?;
        let promoted = PromotedTags::of_fields(own)?;
        (first == expected.as_slice()).then_some(Self { times, promoted })
    }

    /// Those of a Parquet file, or `None` if its columns are not a segment's.
    pub(super) fn of_parquet(schema: &SchemaDescriptor) -> Option<Self> {
        let times = FileTimes::of_parquet(schema)?;
        let (first, own) = schema.columns().split_at_checked(LEAVES.len())?;
        let same = first.iter().map(|leaf| leaf.path().parts()).eq(LEAVES);
        let promoted = PromotedTags::of_leaves(own.get(own_leaves(times)..)?)?;
        same.then_some(Self { times, promoted })
    }

    /// Their place and type in the file.
    pub fn schema(&self) -> SchemaRef {
        let stored = LogSchema::stored();
        let fields = stored.fields().iter().map(|field| self.times.field(field));
        let fields: Vec<_> = fields.chain(self.times.own_field()).chain(self.promoted.fields()).collect();
        Arc::new(Schema::new(fields))
    }

    /// Whether the column of this name belongs to a stored one, which is read with it.
    pub fn is_part_of(in_file: &str, stored: &str) -> bool {
        match stored {
            column::TIMESTAMP => in_file == TIMESTAMP_NS,
            column::TAGS => PromotedTags::is_column(in_file),
            _ => false,
        }
    }

    /// The names of the columns that are not nested and not of stored rows.
    pub(super) fn own_names(&self) -> Vec<String> {
        let times = self.times.own_field().map(|field| field.name().clone());
        times.into_iter().chain(self.promoted.keys().map(PromotedTags::column)).collect()
    }

    /// The place among Parquet's leaf columns of the first promoted tag.
    pub(super) fn first_promoted_leaf(&self) -> usize {
        LEAVES.len() + own_leaves(self.times)
    }

    /// Rows of [`PromotedTags::schema`] as the file holds them.
    pub(super) fn split(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let stored = LogSchema::stored().fields().len();
        let times = rows.column_by_name(column::TIMESTAMP);
        let times = times.ok_or_else(|| missing(column::TIMESTAMP))?;
        let (times, below) = self.times.split(times)?;
        let mut columns = rows.columns().to_vec();
        if let Some(first) = columns.first_mut() {
            *first = times;
        }
        if let Some(below) = below {
            columns.insert(stored.min(columns.len()), below);
        }
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }

    /// Some columns of the file with times put together; promoted tags stay in their columns.
    pub(super) fn assemble(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        self.times.assemble(rows)
    }
}

/// How many leaves stand between the stored ones and promoted tags.
fn own_leaves(times: FileTimes) -> usize {
    usize::from(times == FileTimes::Split)
}

fn missing(name: &str) -> Error {
    Error::InvalidBatch { column: name.to_owned(), reason: "is missing".to_owned() }
}
