//! Rows on their way to people and programs.
//!
//! Each format is a [`RowWriter`]; which one, and whether a terminal reads it, is decided once, here. Control
//! characters of log lines never reach a terminal: see [`escape`].

pub(super) mod escape;
mod machine;
mod table;

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use clap::ValueEnum;
use futures::StreamExt;
use ironbark_query::json;

use super::connection::Answer;
use super::failure::Failure;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for reading
    Table,
    /// One JSON array of objects
    Json,
    /// One JSON object a line
    Ndjson,
    /// CSV with a header
    Csv,
    /// An Arrow IPC stream
    Arrow,
    /// A Parquet file
    Parquet,
}

impl Format {
    fn is_binary(self) -> bool {
        matches!(self, Self::Arrow | Self::Parquet)
    }
}

/// How a table is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Layout {
    /// A row is a line.
    #[default]
    Rows,
    /// A value is a line.
    Expanded,
}

/// Takes the batches of one answer.
pub(super) trait RowWriter {
    /// Writes some rows.
    ///
    /// # Errors
    /// Rows that the format cannot hold, or an output that cannot be written.
    fn write(&mut self, rows: &RecordBatch) -> Result<(), ArrowError>;

    /// Writes what comes after the last row. Nothing may be written afterwards.
    ///
    /// # Errors
    /// As `write`.
    fn finish(&mut self) -> Result<(), ArrowError>;
}

/// Standard output, buffered. It remembers whether its reader went away.
pub(super) struct Out {
    inner: BufWriter<Stdout>,
    broken: Broken,
}

/// Whether the reader of an output went away.
#[derive(Clone, Debug, Default)]
pub(super) struct Broken(Arc<AtomicBool>);

impl Broken {
    pub(super) fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn watch<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            self.0.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Out {
    pub(super) fn stdout() -> Self {
        Self { inner: BufWriter::new(io::stdout()), broken: Broken::default() }
    }

    /// Tells later whether the reader went away.
    pub(super) fn broken(&self) -> Broken {
        self.broken.clone()
    }

    /// Whether a person reads along.
    pub(super) fn is_terminal(&self) -> bool {
        self.inner.get_ref().is_terminal()
    }

    /// Writes a line and sends it on its way.
    pub(super) fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self, "{line}").and_then(|()| self.flush()).map_err(Failure::Output)
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.inner.write(bytes);
        self.broken.watch(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.inner.flush();
        self.broken.watch(result)
    }
}

/// A writer of rows of `schema` to `out`.
pub(super) fn row_writer<'a>(
    format: Format,
    layout: Layout,
    schema: &SchemaRef,
    out: &'a mut Out,
) -> Result<Box<dyn RowWriter + 'a>, Failure> {
    let terminal = out.is_terminal();
    if terminal && format.is_binary() {
        return Err(Failure::Argument {
            flag: "--format",
            given: format!("{format:?}").to_lowercase(),
            reason: "it is not for reading; send the output to a file with `> FILE`".to_owned(),
        });
    }
    Ok(match format {
        Format::Table => {
            let width = terminal.then(table::terminal_width).flatten();
            Box::new(table::TableRows::new(out, schema, layout, width))
        }
        Format::Json => Box::new(machine::TextRows::new(out, schema, json::Format::Json, terminal)?),
        Format::Ndjson => Box::new(machine::TextRows::new(out, schema, json::Format::NdJson, terminal)?),
        Format::Csv => Box::new(machine::TextRows::new(out, schema, json::Format::Csv, terminal)?),
        Format::Arrow => Box::new(machine::ArrowRows::new(out, schema)?),
        Format::Parquet => Box::new(machine::ParquetRows::new(out, schema)?),
    })
}

/// Writes a whole answer, and returns how many rows it had.
pub(super) async fn write_answer(
    mut answer: Answer,
    format: Format,
    layout: Layout,
    out: &mut Out,
) -> Result<u64, Failure> {
    let schema = answer.schema.clone();
    let mut count: u64 = 0;
    {
        let mut writer = row_writer(format, layout, &schema, out)?;
        while let Some(rows) = answer.rows.next().await {
            let rows = rows?;
            count += u64::try_from(rows.num_rows()).unwrap_or(u64::MAX);
            writer.write(&rows)?;
        }
        writer.finish()?;
    }
    out.flush().map_err(Failure::Output)?;
    Ok(count)
}
