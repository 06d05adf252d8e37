//! Promoted tags: frequent keys of `tags` have columns of their own in a segment's file.
//!
//! ```text
//!   stored (buffers, SQL)   …  tags {env: prod, host: h1, user: 7}  …  _row_id
//!                                  split │          ▲ assemble
//!                                        ▼          │
//!   in the file             …  tags {user: 7}  …  _row_id │ tag.env: prod │ tag.host: h1
//! ```
//!
//! A promoted key's entry leaves the map; one whose value is NULL stays there, because a NULL in the column says that
//! there is nothing to add. So a row's tags are the entries of its map and its columns that are not NULL, sorted by key.

mod choose;
mod convert;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::schema::types::ColumnDescPtr;

use crate::{Error, LogSchema, Result, column};

pub use convert::assemble_tags;

/// A segment has at most so many columns of promoted tags.
pub const PROMOTED_TAGS_MAX: usize = 16;

/// What the name of a promoted tag's column begins with; the key follows.
const COLUMN_PREFIX: &str = "tag.";

/// The keys of a segment's promoted tags, sorted by bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromotedTags {
    keys: Vec<Box<str>>,
}

impl PromotedTags {
    /// These keys; sorted here.
    fn new(mut keys: Vec<Box<str>>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        Self { keys }
    }

    /// The keys, sorted by bytes.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.keys.iter().map(AsRef::as_ref)
    }

    /// Whether all tags lie in the map.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The name of the column of a key.
    pub fn column(key: &str) -> String {
        format!("{COLUMN_PREFIX}{key}")
    }

    /// Whether a column's name is that of a promoted tag.
    pub fn is_column(name: &str) -> bool {
        Self::key(name).is_some()
    }

    /// The key whose column has this name.
    pub(super) fn key(name: &str) -> Option<&str> {
        name.strip_prefix(COLUMN_PREFIX)
    }

    /// The columns of rows in memory whose tags lie as in the file: those of [`LogSchema::stored`], then one for each key.
    pub fn schema(&self) -> SchemaRef {
        if self.is_empty() {
            return LogSchema::stored();
        }
        let fields: Vec<_> = LogSchema::stored().fields().iter().cloned().chain(self.fields()).collect();
        Arc::new(Schema::new(fields))
    }

    /// The columns of the keys.
    pub(super) fn fields(&self) -> impl Iterator<Item = Arc<Field>> {
        self.keys().map(|key| Arc::new(Field::new(Self::column(key), DataType::Utf8, true)))
    }

    /// Those of rows in memory, or `None` if they are no stored rows.
    pub fn of_schema(schema: &Schema) -> Option<Self> {
        let stored = LogSchema::stored();
        let (first, own) = schema.fields().split_at_checked(stored.fields().len())?;
        (first == &stored.fields()[..]).then(|| Self::of_fields(own))?
    }

    /// Those whose columns these are.
    pub(super) fn of_fields(own: &[Arc<Field>]) -> Option<Self> {
        let key = |field: &Arc<Field>| {
            let is_text = field.data_type() == &DataType::Utf8 && field.is_nullable();
            Some(field.name().strip_prefix(COLUMN_PREFIX).filter(|_| is_text)?.into())
        };
        let keys = own.iter().map(key).collect::<Option<Vec<Box<str>>>>()?;
        is_sound(&keys).then_some(Self { keys })
    }

    /// Those whose columns these are in a Parquet file.
    pub(super) fn of_leaves(own: &[ColumnDescPtr]) -> Option<Self> {
        let key = |path: &[String]| match path {
            [name] => Some(name.strip_prefix(COLUMN_PREFIX)?.into()),
            _ => None,
        };
        let keys = own.iter().map(|leaf| key(leaf.path().parts())).collect::<Option<Vec<Box<str>>>>()?;
        is_sound(&keys).then_some(Self { keys })
    }

    /// Puts the tags of rows where they belong in the file, wherever they are now. Fails with
    /// [`Error::InvalidBatch`] unless these are stored rows.
    pub(super) fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let now = Self::of_schema(&rows.schema())
            .ok_or_else(|| invalid("*", "the columns are not those of stored rows"))?;
        if now == *self {
            return Ok(rows.clone());
        }
        self.split(&now.assemble(rows)?)
    }
}

fn is_sound(keys: &[Box<str>]) -> bool {
    keys.len() <= PROMOTED_TAGS_MAX && keys.is_sorted_by(|one, next| one < next)
}

/// The map of tags of a batch.
fn map_of(rows: &RecordBatch) -> Result<&arrow::array::MapArray> {
    use arrow::array::AsArray;
    rows.column_by_name(column::TAGS)
        .and_then(|tags| tags.as_map_opt())
        .ok_or_else(|| invalid(column::TAGS, "is no map"))
}

fn invalid(column: &str, reason: &str) -> Error {
    Error::InvalidBatch { column: column.to_owned(), reason: reason.to_owned() }
}
