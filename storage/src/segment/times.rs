//! Times in files: microseconds, and what lies below them in a column of its own where some time of the segment needs it.
//!
//! ```text
//!   in memory     timestamp (ns)  1700000000123456789
//!                                split │       ▲ assemble
//!                                      ▼       │
//!   in the file   timestamp (µs)  1700000000123456 │ _timestamp_ns: 789
//! ```
//!
//! Nearly all logs have no digits below microseconds, and differences of nanoseconds that are all multiples of 1,000 pack
//! badly. Microseconds are rounded down, before 1970 as well, so that the digits are never negative and the order of
//! microseconds is never against that of times. Nothing is lost: what cannot be written exactly is refused.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int16Array, PrimitiveArray, RecordBatch, TimestampMicrosecondArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{
    DataType, Field, Int16Type, Schema, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};
use parquet::basic::{LogicalType, TimeUnit as ParquetUnit};
use parquet::schema::types::SchemaDescriptor;

use super::format::LEAVES;
use crate::{Error, LogSchema, Result, TimeRange, Timestamp, column};

/// The column of the nanoseconds within the microsecond, 0 to 999, behind the stored columns of a segment that needs it.
pub const TIMESTAMP_NS: &str = "_timestamp_ns";

/// Nanoseconds of a microsecond.
const MICROSECOND_NS: i64 = 1_000;

/// Which digits times have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeDigits {
    /// None below microseconds.
    #[default]
    Microseconds,
    /// Some time is not a whole number of microseconds.
    Nanoseconds,
}

impl TimeDigits {
    /// Those of stored rows. Fails with [`Error::InvalidBatch`] unless they have times.
    pub fn of(batches: &[RecordBatch]) -> Result<Self> {
        let mut digits = Self::default();
        for rows in batches {
            digits.add(nanoseconds(rows)?.values());
        }
        Ok(digits)
    }

    /// Makes room for these times, in nanoseconds.
    pub fn add(&mut self, times_ns: &[i64]) {
        if *self == Self::Microseconds && times_ns.iter().any(|time| time % MICROSECOND_NS != 0) {
            *self = Self::Nanoseconds;
        }
    }
}

/// How a file holds times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileTimes {
    /// In nanoseconds: segments of versions 1 and 2.
    Nanoseconds,
    /// In microseconds; no time has digits below.
    Microseconds,
    /// In microseconds, and the digits below in [`TIMESTAMP_NS`].
    Split,
}

impl From<TimeDigits> for FileTimes {
    fn from(digits: TimeDigits) -> Self {
        match digits {
            TimeDigits::Microseconds => Self::Microseconds,
            TimeDigits::Nanoseconds => Self::Split,
        }
    }
}

impl FileTimes {
    /// Those of a segment's columns in Arrow; `None` if these are no segment's.
    pub(super) fn of_schema(schema: &Schema) -> Option<Self> {
        let rest = schema.column_with_name(TIMESTAMP_NS).map(|(_, field)| field.data_type());
        match (schema.field_with_name(column::TIMESTAMP).ok()?.data_type(), rest) {
            (DataType::Timestamp(TimeUnit::Nanosecond, _), None) => Some(Self::Nanoseconds),
            (DataType::Timestamp(TimeUnit::Microsecond, _), None) => Some(Self::Microseconds),
            (DataType::Timestamp(TimeUnit::Microsecond, _), Some(DataType::Int16)) => Some(Self::Split),
            _ => None,
        }
    }

    /// Those of a Parquet file; `None` if its columns are not a segment's.
    pub(super) fn of_parquet(schema: &SchemaDescriptor) -> Option<Self> {
        let leaves = schema.columns();
        let times = leaves.first().filter(|leaf| leaf.path().parts() == [column::TIMESTAMP])?;
        let is_split = leaves.get(LEAVES.len()).is_some_and(|leaf| leaf.path().parts() == [TIMESTAMP_NS]);
        let Some(LogicalType::Timestamp(of)) = times.logical_type_ref() else { return None };
        match (of.unit, is_split) {
            (ParquetUnit::NANOS, false) => Some(Self::Nanoseconds),
            (ParquetUnit::MICROS, false) => Some(Self::Microseconds),
            (ParquetUnit::MICROS, true) => Some(Self::Split),
            _ => None,
        }
    }

    /// The file's column for a stored column.
    pub(super) fn field(self, stored: &Arc<Field>) -> Arc<Field> {
        if stored.name() == column::TIMESTAMP && self != Self::Nanoseconds {
            return Arc::new(stored.as_ref().clone().with_data_type(microseconds_type()));
        }
        Arc::clone(stored)
    }

    /// The column behind the stored ones.
    pub(super) fn own_field(self) -> Option<Arc<Field>> {
        (self == Self::Split).then(|| Arc::new(Field::new(TIMESTAMP_NS, DataType::Int16, false)))
    }

    /// The span of times that may stand for the least and the greatest number in a file's column.
    pub(super) fn range(self, min: i64, max: i64) -> TimeRange {
        let last = self.digits_max();
        let ns = |at: i64, below: i64| match self {
            Self::Nanoseconds => at,
            Self::Microseconds | Self::Split => at.saturating_mul(MICROSECOND_NS).saturating_add(below),
        };
        TimeRange::new(Timestamp::from_ns(ns(min, 0)), Timestamp::from_ns(ns(max, last)))
    }

    /// What [`Self::range`] says of rows whose times have exactly this span.
    pub(super) fn told(self, time: TimeRange) -> TimeRange {
        let in_file = |at: Timestamp| match self {
            Self::Nanoseconds => at.ns(),
            Self::Microseconds | Self::Split => at.ns().div_euclid(MICROSECOND_NS),
        };
        self.range(in_file(time.min), in_file(time.max))
    }

    /// The greatest number of nanoseconds that a time may have above the number in the column.
    fn digits_max(self) -> i64 {
        if self == Self::Split { MICROSECOND_NS - 1 } else { 0 }
    }

    /// From times in nanoseconds to what the file holds: the column of times, and the one behind the stored columns.
    /// Fails with [`Error::InvalidBatch`] where the file has no room for a time's digits.
    pub(super) fn split(self, times: &ArrayRef) -> Result<(ArrayRef, Option<ArrayRef>)> {
        let ns = times.as_primitive_opt::<TimestampNanosecondType>();
        let ns = ns.ok_or_else(|| invalid("is not a timestamp in nanoseconds"))?;
        if self == Self::Nanoseconds {
            return Ok((Arc::clone(times), None));
        }
        let micros = ns.values().iter().map(|ns| ns.div_euclid(MICROSECOND_NS));
        let micros = TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC");
        if self == Self::Microseconds {
            if ns.values().iter().any(|ns| ns % MICROSECOND_NS != 0) {
                return Err(invalid("has digits below microseconds, for which the segment has no column"));
            }
            return Ok((Arc::new(micros), None));
        }
        // A remainder by 1,000 fits.
        let below = ns.values().iter().map(|ns| i16::try_from(ns.rem_euclid(MICROSECOND_NS)).unwrap_or(0));
        Ok((Arc::new(micros), Some(Arc::new(Int16Array::from_iter_values(below)))))
    }

    /// Puts the times of some columns of the file together, by which they become stored columns and others.
    pub(super) fn assemble(self, rows: &RecordBatch) -> Result<RecordBatch> {
        let Some(place) =
            rows.schema().index_of(column::TIMESTAMP).ok().filter(|_| self != Self::Nanoseconds)
        else {
            return Ok(rows.clone());
        };
        let micros =
            rows.column(place).as_primitive_opt().ok_or_else(|| invalid("is not in microseconds"))?;
        let below = rows.column_by_name(TIMESTAMP_NS).map(|below| below.as_primitive_opt());
        let below =
            below.map(|below| below.ok_or_else(|| invalid("has digits of another type"))).transpose()?;
        let times: ArrayRef = Arc::new(assemble_times(micros, below));
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (at, (field, array)) in rows.schema().fields().iter().zip(rows.columns()).enumerate() {
            if at == place {
                let field = field.as_ref().clone().with_data_type(LogSchema::time_type());
                fields.push(Arc::new(field));
                columns.push(Arc::clone(&times));
            } else if field.name() != TIMESTAMP_NS {
                fields.push(Arc::clone(field));
                columns.push(Arc::clone(array));
            }
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }
}

/// Times in nanoseconds from a file's microseconds and, where it has them, the digits below. Rows without a time stay so.
pub fn assemble_times(
    micros: &PrimitiveArray<TimestampMicrosecondType>,
    below: Option<&PrimitiveArray<Int16Type>>,
) -> TimestampNanosecondArray {
    // The first microsecond of all times begins before the first nanosecond; with its digits it is back in range, and
    // wrapping numbers come out right.
    let ns = |micros: i64| micros.wrapping_mul(MICROSECOND_NS);
    let times: Vec<i64> = match below {
        None => micros.values().iter().map(|micros| ns(*micros)).collect(),
        Some(below) => {
            let pairs = micros.values().iter().zip(below.values());
            pairs.map(|(micros, below)| ns(*micros).wrapping_add(i64::from(*below))).collect()
        }
    };
    TimestampNanosecondArray::new(times.into(), micros.nulls().cloned()).with_timezone("UTC")
}

fn microseconds_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

fn nanoseconds(rows: &RecordBatch) -> Result<&TimestampNanosecondArray> {
    let times = rows.column_by_name(column::TIMESTAMP).and_then(|times| times.as_primitive_opt());
    times.ok_or_else(|| invalid("is not a timestamp in nanoseconds"))
}

fn invalid(reason: &str) -> Error {
    Error::InvalidBatch { column: column::TIMESTAMP.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(ns: &[i64]) -> ArrayRef {
        Arc::new(TimestampNanosecondArray::from(ns.to_vec()).with_timezone("UTC"))
    }

    #[test]
    fn every_time_comes_back() {
        let given =
            [i64::MIN, i64::MIN + 1, -1_001, -1_000, -999, -1, 0, 1, 999, 1_000, i64::MAX - 1, i64::MAX];
        let (micros, below) = FileTimes::Split.split(&times(&given)).unwrap();
        let below = below.unwrap();
        let digits = below.as_primitive::<Int16Type>();
        assert_eq!(digits.values()[2..9], [999, 0, 1, 999, 0, 1, 999]);
        let micros = micros.as_primitive();
        assert_eq!(micros.values()[2..9], [-2, -1, -1, -1, 0, 0, 0]);
        assert_eq!(assemble_times(micros, Some(digits)).values(), &given);
        for (ns, micros) in given.into_iter().zip(micros.values()) {
            assert!(FileTimes::Split.range(*micros, *micros).contains(Timestamp::from_ns(ns)), "{ns}");
        }
    }

    #[test]
    fn digits_are_never_dropped() {
        let whole = times(&[-9_223_372_036_854_775_000, -1_000, 0, 5_000, 9_223_372_036_854_775_000]);
        let (micros, below) = FileTimes::Microseconds.split(&whole).unwrap();
        assert!(below.is_none());
        let back: ArrayRef = Arc::new(assemble_times(micros.as_primitive(), None));
        assert_eq!(&back, &whole);
        for odd in [-1, 1, 999, 1_001] {
            let error = FileTimes::Microseconds.split(&times(&[0, odd])).unwrap_err().to_string();
            assert!(error.contains("digits below microseconds"), "{error}");
        }
        let mut digits = TimeDigits::default();
        digits.add(&[0, -1_000]);
        assert_eq!(digits, TimeDigits::Microseconds);
        digits.add(&[-1]);
        digits.add(&[0]);
        assert_eq!(digits, TimeDigits::Nanoseconds);
    }
}
