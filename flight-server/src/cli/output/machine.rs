//! Rows for programs: JSON and CSV as the server's HTTP answers have them, Arrow and Parquet.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use ironbark_query::json;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{RowWriter, escape};

/// Writes rows as JSON, NDJSON or CSV.
pub(super) struct TextRows<W> {
    out: W,
    writer: json::Writer,
    buffer: Vec<u8>,
    terminal: bool,
}

impl<W: Write> TextRows<W> {
    /// `terminal` shows control characters, which changes what a program would read.
    pub(super) fn new(
        out: W,
        schema: &SchemaRef,
        format: json::Format,
        terminal: bool,
    ) -> Result<Self, ArrowError> {
        let writer = json::Writer::new(format, schema.clone());
        let mut buffer = Vec::new();
        writer.begin(&mut buffer).map_err(external)?;
        Ok(Self { out, writer, buffer, terminal })
    }

    fn hand_over(&mut self) -> Result<(), ArrowError> {
        if self.terminal {
            self.out.write_all(escape::but_space(&String::from_utf8_lossy(&self.buffer)).as_bytes())?;
        } else {
            self.out.write_all(&self.buffer)?;
        }
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> RowWriter for TextRows<W> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        self.writer.write(rows, &mut self.buffer).map_err(external)?;
        self.hand_over()
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        self.writer.end(&mut self.buffer);
        self.hand_over()
    }
}

fn external(error: ironbark_query::Error) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

/// Writes rows as an Arrow IPC stream.
pub(super) struct ArrowRows<W: Write>(StreamWriter<W>);

impl<W: Write> ArrowRows<W> {
    pub(super) fn new(out: W, schema: &SchemaRef) -> Result<Self, ArrowError> {
        StreamWriter::try_new(out, schema).map(Self)
    }
}

impl<W: Write> RowWriter for ArrowRows<W> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        self.0.write(rows)
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        self.0.finish()
    }
}

/// Writes rows as a Parquet file.
pub(super) struct ParquetRows<W: Write + Send>(ArrowWriter<W>);

impl<W: Write + Send> ParquetRows<W> {
    pub(super) fn new(out: W, schema: &SchemaRef) -> Result<Self, ArrowError> {
        let compression = Compression::ZSTD(ZstdLevel::default());
        let properties = WriterProperties::builder().set_compression(compression).build();
        Ok(Self(ArrowWriter::try_new(out, schema.clone(), Some(properties))?))
    }
}

impl<W: Write + Send> RowWriter for ParquetRows<W> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        Ok(self.0.write(rows)?)
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        self.0.finish()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
