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
/// The width that a column of a table needs, on average. In narrower ones words fall apart, and a value a line is read
/// more easily.
const COLUMN_WIDTH_MIN: usize = 12;
/// What stands between two columns: a line and two spaces.
const GAP_WIDTH: usize = 3;
/// How NULL is shown, so that it differs from an empty text.
const NULL: &str = "NULL";

/// Writes rows as tables.
pub(super) struct TableRows<W> {
    out: W,
    schema: SchemaRef,
    layout: Layout,
    /// Of the terminal, in characters; `None` where nothing needs to fit.
    width: Option<usize>,
    rows: Vec<Vec<String>>,
    written: u64,
    tables: u64,
}

impl<W: Write> TableRows<W> {
    pub(super) fn new(out: W, schema: &SchemaRef, layout: Layout, width: Option<usize>) -> Self {
        Self { out, schema: schema.clone(), layout, width, rows: Vec::new(), written: 0, tables: 0 }
    }

    /// Whether a table of these rows would be too wide, and too narrow for its columns.
    fn is_cramped(&self, rows: &[Vec<String>]) -> bool {
        let Some(width) = self.width else { return false };
        let columns = self.schema.fields().len();
        let widest = |(at, name): (usize, usize)| {
            let values = rows.iter().filter_map(|row| row.get(at)).map(|value| value.chars().count());
            values.max().unwrap_or(0).max(name) + GAP_WIDTH
        };
        let names = self.schema.fields().iter().map(|field| field.name().chars().count());
        width < columns * COLUMN_WIDTH_MIN && width <= names.enumerate().map(widest).sum::<usize>()
    }

    fn write_rows(&mut self) -> Result<(), ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        let before = self.written;
        self.written += u64::try_from(rows.len()).unwrap_or(u64::MAX);
        self.tables += 1;
        match self.layout {
            Layout::Rows if !self.is_cramped(&rows) => self.write_table(rows),
            _ => self.write_values(&rows, before),
        }
    }

    fn write_table(&mut self, rows: Vec<Vec<String>>) -> Result<(), ArrowError> {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_FULL_CONDENSED);
        table.set_content_arrangement(ContentArrangement::Disabled);
        if let Some(width) = self.width {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        }
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

/// The width of the terminal in characters, if it knows.
pub(super) fn terminal_width() -> Option<usize> {
    Table::new().width().map(usize::from).filter(|width| *width > 0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn shown(columns: usize, width: Option<usize>) -> String {
        let names: Vec<String> = (0..columns).map(|at| format!("column {at}")).collect();
        let fields = names.iter().map(|name| Field::new(name, DataType::Utf8, true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let values =
            names.iter().map(|name| Arc::new(StringArray::from(vec![format!("value of {name}")])) as _);
        let batch = RecordBatch::try_new(Arc::clone(&schema), values.collect()).unwrap();
        let mut out = Vec::new();
        let mut rows = TableRows::new(&mut out, &schema, Layout::Rows, width);
        rows.write(&batch).unwrap();
        rows.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_that_a_terminal_cannot_hold_is_written_a_value_a_line() {
        assert_eq!(shown(9, None).lines().count(), 6, "a file holds any width");
        assert_eq!(shown(9, Some(300)).lines().count(), 6);
        assert!(shown(3, Some(40)).starts_with('┌'), "few columns are wrapped");
        insta::assert_snapshot!(shown(4, Some(40)), @r"
        ─ row 1 ─
        column 0 │ value of column 0
        column 1 │ value of column 1
        column 2 │ value of column 2
        column 3 │ value of column 3
        1 row
        ");
    }
}
