//! The function that puts the tags of a file together again: `all_tags(tags, "tag.env", "tag.host")`.
//!
//! It stands only in scans of files that have promoted these keys; SQL cannot call it.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use ironbark_storage::{LogSchema, PromotedTags, assemble_tags, column};

/// The function for a file's keys.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::table) struct AllTags {
    keys: Vec<Box<str>>,
    signature: Signature,
}

impl AllTags {
    pub(in crate::table) fn new(promoted: &PromotedTags) -> Self {
        let keys: Vec<Box<str>> = promoted.keys().map(Box::from).collect();
        let signature = Signature::any(keys.len() + 1, Volatility::Immutable);
        Self { keys, signature }
    }
}

impl ScalarUDFImpl for AllTags {
    fn name(&self) -> &'static str {
        "all_tags"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(LogSchema::tags_type())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(column::TAGS, LogSchema::tags_type(), false)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some((tags, columns)) = arrays.split_first() else { return exec_err!("all_tags takes a map") };
        let columns =
            self.keys.iter().map(AsRef::as_ref).zip(columns.iter().map(|array| array.as_string_opt()));
        let columns: Option<Vec<_>> = columns.map(|(key, column)| Some((key, column?))).collect();
        let (Some(tags), Some(columns)) = (tags.as_map_opt(), columns) else {
            return exec_err!("all_tags takes a map and texts");
        };
        let all =
            assemble_tags(tags, &columns).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(ColumnarValue::Array(Arc::new(all)))
    }
}
