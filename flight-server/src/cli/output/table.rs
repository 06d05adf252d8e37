//! Rows as tables, for reading.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::{Layout, RowWriter, escape};

/// Rows whose widths are settled together; the next ones begin a table of their own.
const ROWS_TOGETHER_MAX: usize = 1_000;
/// How NULL is shown, so that it differs from an empty text.
const NULL: &str = "NULL";

/// Writes rows as tables.
pub(super) struct TableRows<W> {
    out: W,
    schema: SchemaRef,
    layout: Layout,
    terminal: bool,
    rows: Vec<Vec<String>>,
    written: u64,
    tables: u64,
}

impl<W: Write> TableRows<W> {
    pub(super) fn new(out: W, schema: &SchemaRef, layout: Layout, terminal: bool) -> Self {
        Self { out, schema: schema.clone(), layout, terminal, rows: Vec::new(), written: 0, tables: 0 }
    }

    fn write_rows(&mut self) -> Result<(), ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let before = self.written;
        self.written += u64::try_from(rows.len()).unwrap_or(u64::MAX);
        self.tables += 1;
        match self.layout {
            Layout::Rows => self.write_table(rows),
            Layout::Expanded => self.write_values(&rows, before),
        }
    }

    fn write_table(&mut self, rows: Vec<Vec<String>>) -> Result<(), ArrowError> {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED);
        let arrangement =
            if self.terminal { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
        table.set_content_arrangement(arrangement);
        table.set_header(self.schema.fields().iter().map(|field| escape::all(field.name()).into_owned()));
        for (column, field) in table.column_iter_mut().zip(self.schema.fields()) {
            if field.data_type().is_numeric() {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for row in rows {
            table.add_row(row);
        }
        writeln!(self.out, "{table}")?;
        Ok(())
    }

    fn write_values(&mut self, rows: &[Vec<String>], before: u64) -> Result<(), ArrowError> {
        let width = self.schema.fields().iter().map(|field| field.name().chars().count()).max().unwrap_or(0);
        for (number, row) in (before + 1..).zip(rows) {
            writeln!(self.out, "─ row {number} ─")?;
            for (field, value) in self.schema.fields().iter().zip(row) {
                writeln!(self.out, "{:width$} │ {value}", escape::all(field.name()))?;
            }
        }
        Ok(())
    }
}

impl<W: Write> RowWriter for TableRows<W> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), ArrowError> {
        let options = FormatOptions::default().with_null(NULL);
        let columns = rows.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..rows.num_rows() {
            let values = columns.iter().map(|column| {
                let value = column.value(row).try_to_string()?;
                Ok(escape::all(&value).into_owned())
            });
            self.rows.push(values.collect::<Result<_, ArrowError>>()?);
            if self.rows.len() == ROWS_TOGETHER_MAX {
                self.write_rows()?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        let first = self.tables == 0 && !self.schema.fields().is_empty();
        if !self.rows.is_empty() || first {
            self.write_rows()?;
        }
        let noun = if self.written == 1 { "row" } else { "rows" };
        writeln!(self.out, "{} {noun}", self.written)?;
        Ok(())
    }
}
