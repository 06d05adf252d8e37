//! The function that puts the times of a file together: `time(timestamp, _timestamp_ns)`, or `time(timestamp)` where it
//! has no digits below microseconds.
//!
//! It stands only in scans of files; SQL cannot call it. It is no cast, because DataFusion moves casts over to literals, and
//! cuts digits off that decide the comparison.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use ironbark_storage::{LogSchema, assemble_times, column};

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Time {
    signature: Signature,
}

impl Time {
    pub(super) fn new() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Time {
    fn name(&self) -> &'static str {
        "time"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(LogSchema::time_type())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(column::TIMESTAMP, LogSchema::time_type(), false)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let times = match arrays.as_slice() {
            [micros] => micros.as_primitive_opt().map(|micros| assemble_times(micros, None)),
            [micros, below] => micros
                .as_primitive_opt()
                .zip(below.as_primitive_opt())
                .map(|(micros, below)| assemble_times(micros, Some(below))),
            _ => None,
        };
        let Some(times) = times else { return exec_err!("time takes microseconds and the digits below") };
        Ok(ColumnarValue::Array(Arc::new(times)))
    }
}
