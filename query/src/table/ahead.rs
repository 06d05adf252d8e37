//! What a scan of few rows reads ahead: the pages of all its columns, so that it waits for the store once.
//!
//! ```text
//!   Parquet asks     row group 3: message │ row group 3: the others │ row group 9: message │ …    each waits for the one before
//!   read at once     └────────────────────────── all pages of the selected rows ──────────────┘
//! ```
//!
//! Parquet reads the columns of a filter, then those of the rows that passed, row group by row group. Where an index has left a
//! few rows, nearly all of them pass, and waiting costs more than the bytes: on S3 some 60 ms each time.

use std::ops::Range;

use arrow::datatypes::Schema;
use bytes::Bytes;
use datafusion::datasource::listing::FileRange;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use ironbark_storage::{FileColumns, LogSchema, column};
use parquet::file::metadata::ParquetMetaData;

use super::deal::row_group_start;

/// Most that is read ahead of one segment, in bytes; beyond it nothing is.
const AHEAD_BYTES_MAX: u64 = 4 << 20;

/// The columns that a scan will ask for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    columns: Vec<String>,
}

impl Wanted {
    /// Of a scan with these columns. Tags only if it has all columns: of others it is not known yet which tags they need.
    pub(super) fn of(scan: &Schema) -> Self {
        let tags =
            LogSchema::shown().fields().iter().all(|field| scan.column_with_name(field.name()).is_some());
        let names = scan.fields().iter().map(|field| field.name().clone());
        Self { columns: names.filter(|name| tags || name != column::TAGS).collect() }
    }

    fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column == name || FileColumns::is_part_of(name, column))
    }

    /// The bytes of these columns' pages with selected rows, of row groups that begin in `part`; none where they are too
    /// many.
    pub(super) fn ranges(
        &self,
        metadata: &ParquetMetaData,
        access: &ParquetAccessPlan,
        part: Option<&FileRange>,
    ) -> Vec<Range<u64>> {
        let mut ranges = Vec::new();
        let mut bytes = 0;
        for (row_group, access) in access.inner().iter().enumerate() {
            let start = metadata.row_groups().get(row_group).map_or(0, row_group_start);
            let is_ours = part.is_none_or(|part| (part.start..part.end).contains(&start));
            let is_read = is_ours && access.should_scan();
            let known = ranges.len();
            if is_read && self.add(metadata, row_group, access, &mut ranges).is_none() {
                return Vec::new();
            }
            let added = ranges.iter().skip(known);
            bytes += added.map(|range| range.end.saturating_sub(range.start)).sum::<u64>();
            if bytes > AHEAD_BYTES_MAX {
                return Vec::new();
            }
        }
        ranges
    }

    /// `None` where the end of the segment does not say where pages lie.
    fn add(
        &self,
        metadata: &ParquetMetaData,
        row_group: usize,
        access: &RowGroupAccess,
        ranges: &mut Vec<Range<u64>>,
    ) -> Option<()> {
        let offsets = metadata.offset_index()?.get(row_group)?;
        for (chunk, offsets) in metadata.row_groups().get(row_group)?.columns().iter().zip(offsets) {
            let column = chunk.column_path().parts().first()?;
            if !self.has(column) {
                continue;
            }
            let (start, length) = chunk.byte_range();
            match access {
                RowGroupAccess::Skip => {}
                RowGroupAccess::Scan => ranges.push(start..start.checked_add(length)?),
                RowGroupAccess::Selection(selection) => {
                    let pages = offsets.page_locations();
                    let first = u64::try_from(pages.first()?.offset).ok()?;
                    // A dictionary lies before the pages.
                    ranges.extend((start < first).then_some(start..first));
                    ranges.extend(selection.scan_ranges(pages));
                }
            }
        }
        Some(())
    }
}

/// Bytes of a segment that were read ahead.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<(Range<u64>, Bytes)>);

impl Held {
    pub(super) fn put(&mut self, range: Range<u64>, bytes: Bytes) {
        self.0.push((range, bytes));
    }

    /// The bytes of a range, if all of them are here.
    pub(super) fn get(&self, range: &Range<u64>) -> Option<Bytes> {
        let (held, bytes) =
            self.0.iter().find(|(held, _)| held.start <= range.start && range.end <= held.end)?;
        let from = usize::try_from(range.start - held.start).ok()?;
        let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        let end = from.checked_add(length).filter(|end| *end <= bytes.len())?;
        Some(bytes.slice(from..end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_given_in_parts() {
        let mut held = Held::default();
        held.put(10..14, Bytes::from_static(b"abcd"));
        held.put(20..22, Bytes::from_static(b"xy"));
        assert_eq!(held.get(&(11..13)), Some(Bytes::from_static(b"bc")));
        assert_eq!(held.get(&(20..22)), Some(Bytes::from_static(b"xy")));
        assert_eq!(held.get(&(13..15)), None);
        assert_eq!(held.get(&(14..20)), None);
    }
}
