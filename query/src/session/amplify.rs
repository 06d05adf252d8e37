//! Functions that make much text of little: their result is sized before it is made.
//!
//! ```text
//!   repeat(text, n)          bytes × n
//!   lpad, rpad(text, n, …)   n × the bytes of the longest character
//!   replace(text, a, b)      bytes + places × (b − a)
//! ```
//!
//! The memory of a scalar function's result is in no pool, and constants are computed while a query is planned. A
//! function is called as it was, or refused; it is never changed.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::error::Error;

/// Most bytes by which one value may grow: a constant is repeated in each row, as one in the text may be.
const VALUE_BYTES_MAX: usize = 1 << 20;
/// Most bytes by which the values of one batch may grow together.
const BATCH_BYTES_MAX: usize = 64 << 20;
/// Bytes of the longest character.
const CHAR_BYTES_MAX: usize = 4;
/// Functions that make lists of any length out of a number; logs need none of them.
const LEFT_OUT: [&str; 4] = ["range", "generate_series", "array_repeat", "array_resize"];

/// The functions with limits, less those that cannot have any.
pub(super) fn limited(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let kept = functions.into_iter().filter(|function| !LEFT_OUT.contains(&function.name()));
    kept.map(|function| match Growth::of(function.name()) {
        Some(growth) => Arc::new(ScalarUDF::new_from_impl(Limited { inner: function, growth })),
        None => function,
    })
    .collect()
}

/// How a function's result grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Growth {
    Repeat,
    Pad,
    Replace,
}

impl Growth {
    fn of(name: &str) -> Option<Self> {
        match name {
            "repeat" => Some(Self::Repeat),
            "lpad" | "rpad" => Some(Self::Pad),
            "replace" => Some(Self::Replace),
            _ => None,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Limited {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl Limited {
    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let args = Args::new(&args.args)?;
        let mut batch: usize = 0;
        for row in 0..args.rows {
            let value = args.growth(self.growth, row);
            batch = batch.saturating_add(value);
            let (limit, what) = if value > VALUE_BYTES_MAX {
                (VALUE_BYTES_MAX, "a value")
            } else if batch > BATCH_BYTES_MAX {
                (BATCH_BYTES_MAX, "the values of a batch")
            } else {
                continue;
            };
            let name = self.inner.name();
            let reason =
                format!("{name} would make {what} longer by more than {limit} bytes; ask for shorter text");
            return Err(DataFusionError::External(Box::new(Error::Run { reason })));
        }
        Ok(())
    }
}

/// The arguments as arrays, of one row if they are constants.
struct Args {
    texts: Vec<Option<StringViewArray>>,
    second: ArrayRef,
    rows: usize,
}

impl Args {
    fn new(args: &[ColumnarValue]) -> Result<Self> {
        let arrays = ColumnarValue::values_to_arrays(args)?;
        let rows = arrays.first().map_or(0, arrow::array::Array::len);
        let text = |array: &ArrayRef| match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary => {
                cast(array, &DataType::Utf8View).map(|array| array.as_string_view_opt().cloned())
            }
            _ => Ok(None),
        };
        let texts = arrays.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let second = arrays.into_iter().nth(1);
        let second = second.unwrap_or_else(|| arrow::array::new_empty_array(&DataType::Int64));
        Ok(Self { texts, second, rows })
    }

    fn text(&self, place: usize, row: usize) -> &str {
        let text = self.texts.get(place).and_then(Option::as_ref);
        text.filter(|text| text.is_valid(row)).map_or("", |text| text.value(row))
    }

    fn count(&self, row: usize) -> usize {
        let counts = self.second.as_primitive_opt::<Int64Type>();
        let count = counts.filter(|counts| counts.is_valid(row)).map_or(0, |counts| counts.value(row));
        usize::try_from(count).unwrap_or(0)
    }

    /// By how many bytes, at most, the row's value becomes longer.
    fn growth(&self, growth: Growth, row: usize) -> usize {
        match growth {
            Growth::Repeat => self.text(0, row).len().saturating_mul(self.count(row)),
            Growth::Pad => self.count(row).saturating_mul(CHAR_BYTES_MAX),
            Growth::Replace => {
                let (old, new) = (self.text(1, row), self.text(2, row));
                match new.len().saturating_sub(old.len()) {
                    0 => 0,
                    longer => self.text(0, row).matches(old).count().saturating_mul(longer),
                }
            }
        }
    }
}

impl ScalarUDFImpl for Limited {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        self.inner.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
