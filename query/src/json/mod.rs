//! Results as text: JSON, NDJSON and CSV.
//!
//! ```text
//!   any result    ─► Writer(Format)  ─► one object for each row, every column, NULL as null
//!   rows of logs  ─► write_records   ─► one object for each record, tags with their JSON types, NULL left out
//! ```
//!
//! Timestamps are RFC 3339 with nanoseconds, in UTC with `Z`. 64-bit integers stay numbers, but `_row_id` is a text,
//! because JavaScript rounds beyond 2^53 and a row's id must come back whole. NaN and infinities are null; binary is
//! hexadecimal; maps are objects. A record leaves NULL columns out, so that it reads as what was sent; the result of
//! a query keeps them, so that every row has the same keys.

mod csv;
mod record;
mod rows;

#[cfg(test)]
mod tests;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

pub(crate) use record::rows_within;
pub use record::write_records;

use crate::error::{Error, Result};

/// How times with a zone are written; all of ours are in UTC.
const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.9fZ";
/// How times without a zone are written.
const LOCAL_TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.9f";

/// A form of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An array of objects.
    Json,
    /// An object on each line.
    NdJson,
    /// A line of names, then a line for each row; RFC 4180 with LF.
    Csv,
}

impl Format {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::NdJson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }
}

/// Writes the batches of one result, in order, appending to a buffer that the caller sends on.
#[derive(Debug)]
pub struct Writer {
    format: Format,
    schema: SchemaRef,
    rows: u64,
}

impl Writer {
    /// For a result with these columns.
    pub fn new(format: Format, schema: SchemaRef) -> Self {
        Self { format, schema, rows: 0 }
    }

    /// What comes before the first row.
    pub fn begin(&self, out: &mut Vec<u8>) -> Result<()> {
        match self.format {
            Format::Json => out.push(b'['),
            Format::NdJson => {}
            Format::Csv => csv::header(&self.schema, out)?,
        }
        Ok(())
    }

    /// The rows of a batch.
    pub fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        match self.format {
            Format::Csv => csv::rows(batch, out)?,
            Format::Json => {
                let first = self.rows == 0;
                rows::objects(batch, out, |row, out| {
                    let between: &[u8] = if first && row == 0 { b"\n" } else { b",\n" };
                    out.extend_from_slice(between);
                })?;
            }
            Format::NdJson => {
                rows::objects(batch, out, |row, out| {
                    if row > 0 {
                        out.push(b'\n');
                    }
                })?;
                if batch.num_rows() > 0 {
                    out.push(b'\n');
                }
            }
        }
        self.rows = self.rows.saturating_add(batch.num_rows() as u64);
        Ok(())
    }

    /// What comes after the last row.
    pub fn end(&self, out: &mut Vec<u8>) {
        if self.format == Format::Json {
            out.extend_from_slice(if self.rows == 0 { b"]\n" } else { b"\n]\n" });
        }
    }
}

fn cannot_write(error: &arrow::error::ArrowError) -> Error {
    Error::Run { reason: format!("the result cannot be written as text: {error}") }
}
