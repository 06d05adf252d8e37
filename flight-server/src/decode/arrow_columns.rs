//! The columns of a client's batch that have a place of their own in a record, whatever types they come in.
//!
//! Each is brought into one type for the whole batch at once; rows are then read from it without any decision about
//! types.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, TimestampNanosecondArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampNanosecondType};
use arrow::error::ArrowError;
use ironbark_storage::Timestamp;

use super::timestamp::{self, NotATime};

/// Casts that find no value give NULL, which is then told for its row alone.
const LENIENT: CastOptions<'static> =
    CastOptions { safe: true, format_options: arrow::util::display::FormatOptions::new() };

/// The type inside of dictionaries and run-length encoding.
pub(super) fn plain_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        other => other,
    }
}

/// A column's array with [`plain_type`].
pub(super) fn plain(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, plain_type(array.data_type()), &LENIENT)
}

/// The column of timestamps.
#[derive(Debug)]
pub(super) enum Times {
    /// There is none: all rows get the time of arrival.
    Missing,
    /// Points in time; the second array is the column as it was given, to tell NULL from out of range.
    Points(TimestampNanosecondArray, ArrayRef),
    /// Numbers of an unknown unit.
    Numbers(Int64Array),
    /// Texts.
    Texts(StringArray),
}

impl Times {
    /// Whether a column of this type can be read as timestamps.
    pub(super) fn accepts(data_type: &DataType) -> bool {
        let data_type = plain_type(data_type);
        data_type.is_null()
            || data_type.is_integer()
            || data_type.is_floating()
            || data_type.is_string()
            || matches!(data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
    }

    /// The column, which [`Times::accepts`].
    pub(super) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        let array = plain(array)?;
        let utc = DataType::Timestamp(TimeUnit::Nanosecond, None);
        Ok(match array.data_type() {
            DataType::Null => Self::Missing,
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
                let points = cast_with_options(&array, &utc, &LENIENT)?;
                Self::Points(points.as_primitive::<TimestampNanosecondType>().clone(), array)
            }
            // Unsigned numbers beyond the signed ones are nanoseconds after 2262: as text they are told so.
            data_type if data_type.is_integer() && *data_type != DataType::UInt64 => {
                let numbers = cast_with_options(&array, &DataType::Int64, &LENIENT)?;
                Self::Numbers(numbers.as_primitive::<Int64Type>().clone())
            }
            _ => {
                Self::Texts(cast_with_options(&array, &DataType::Utf8, &LENIENT)?.as_string::<i32>().clone())
            }
        })
    }

    /// The timestamp of a row; `None` if it has none.
    pub(super) fn at(&self, row: usize) -> Result<Option<Timestamp>, NotATime> {
        match self {
            Self::Missing => Ok(None),
            Self::Points(points, given) => {
                if points.is_valid(row) {
                    return Ok(Some(Timestamp::from_ns(points.value(row))));
                }
                if given.is_null(row) { Ok(None) } else { Err(NotATime::Range("of this row".to_owned())) }
            }
            Self::Numbers(numbers) => {
                if numbers.is_null(row) {
                    Ok(None)
                } else {
                    timestamp::from_epoch(numbers.value(row)).map(Some)
                }
            }
            Self::Texts(texts) => {
                if texts.is_null(row) || texts.value(row).is_empty() {
                    return Ok(None);
                }
                timestamp::from_text(texts.value(row)).map(Some)
            }
        }
    }
}

/// A column of text.
#[derive(Debug)]
pub(super) struct Texts(Option<StringArray>);

impl Texts {
    /// A column that is not there.
    pub(super) const fn missing() -> Self {
        Self(None)
    }

    /// Whether a column of this type can be read as text: anything that is one value a row.
    pub(super) fn accepts(data_type: &DataType) -> bool {
        !plain_type(data_type).is_nested()
    }

    /// The column, which [`Texts::accepts`]. Bytes are read as UTF-8, with U+FFFD for what is not.
    pub(super) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        let array = plain(array)?;
        let text = match array.data_type() {
            DataType::Null => return Ok(Self(None)),
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => {
                each_bytes(&array, |bytes| String::from_utf8_lossy(bytes).into_owned())?
            }
            DataType::Utf8 => array.as_string::<i32>().clone(),
            _ => cast_with_options(&array, &DataType::Utf8, &LENIENT)?.as_string::<i32>().clone(),
        };
        Ok(Self(Some(text)))
    }

    /// A column of ids: bytes are written as hexadecimal digits, as OpenTelemetry does.
    pub(super) fn ids(array: &ArrayRef) -> Result<Self, ArrowError> {
        let array = plain(array)?;
        match array.data_type() {
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => Ok(Self(Some(each_bytes(&array, hexadecimal)?))),
            _ => Self::new(&array),
        }
    }

    /// The text of a row.
    pub(super) fn at(&self, row: usize) -> Option<&str> {
        self.0.as_ref().filter(|array| array.is_valid(row)).map(|array| array.value(row))
    }
}

fn each_bytes(array: &ArrayRef, text: impl Fn(&[u8]) -> String) -> Result<StringArray, ArrowError> {
    let bytes = cast_with_options(array, &DataType::Binary, &LENIENT)?;
    Ok(bytes.as_binary::<i32>().iter().map(|value| value.map(&text)).collect())
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
