//! Rows of which it is known that they pass a query's filter are read without asking it again.
//!
//! ```text
//!   templates say of a segment   │ row group 0: all that is read passes │ 1: some may │ 2: all passes │ …
//!   files of the scan            │ 0, 2, …   marked: the filter is gone │ 1: as ever                  │
//! ```
//!
//! A filter costs its columns: their pages are read and decoded before the first row is given. A file is marked by an
//! entry in the metadata of its schema, as this is all that whoever adapts a filter to a file sees of it. What is not
//! part of the filter that was asked, such as the bound of a `TopK`, is tried on all rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Result, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::physical_expr::expressions::lit;
use datafusion::physical_expr::{PhysicalExpr, conjunction_opt, split_conjunction};
use ironbark_storage::{LogSchema, column};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use super::index::{Narrowed, Told};

/// The entry that marks a file.
const MARK: &str = "ironbark.sure";
/// A segment with fewer rows that surely pass is not opened twice for them. In tests all are, as they have few rows.
const SPLIT_ROWS_MIN: usize = if cfg!(test) { 1 } else { 8_192 };

/// Of each row group of a file, whether all rows that are read pass.
#[derive(Debug)]
pub(super) struct SureGroups(pub(super) Vec<bool>);

impl SureGroups {
    pub(super) fn has(&self, row_group: usize) -> bool {
        self.0.get(row_group).copied().unwrap_or(false)
    }
}

/// These filters, in bare column names, one by one as a scan of stored rows is asked them.
pub(super) fn conditions(filters: &[Expr], state: &dyn Session) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
    let names = DFSchema::try_from(LogSchema::stored().as_ref().clone())?;
    let filters = filters.iter().cloned().flat_map(split_conjunction_owned);
    let filters = filters.filter(|filter| !filter.is_volatile());
    filters.map(|filter| state.create_physical_expr(filter, &names)).collect()
}

/// The schema of a marked file. `None` where it is not one of Arrow's, as its reader will tell.
pub(super) fn mark(parquet: &ParquetMetaData) -> Option<SchemaRef> {
    let file = parquet.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()).ok()?;
    let metadata = HashMap::from([(MARK.to_owned(), String::new())]);
    Some(Arc::new(schema.with_metadata(metadata)))
}

/// Whether the file of this schema is marked.
pub(super) fn is_marked(in_file: &Schema) -> bool {
    in_file.metadata().contains_key(MARK)
}

/// Whether all rows that are read of a file surely pass.
pub(super) fn is_sure(file: &PartitionedFile) -> bool {
    file.arrow_schema.as_deref().is_some_and(is_marked)
}

/// A condition, or several, without those that hold.
pub(super) fn without(expr: Arc<dyn PhysicalExpr>, hold: &[Arc<dyn PhysicalExpr>]) -> Arc<dyn PhysicalExpr> {
    let all = split_conjunction(&expr);
    let left: Vec<_> = all.iter().copied().filter(|condition| !hold.contains(condition)).cloned().collect();
    if left.len() == all.len() { expr } else { conjunction_opt(left).unwrap_or_else(|| lit(true)) }
}

/// What to read of a segment's rows, and whether they surely pass: of all of them, or of those that do and the others.
pub(super) fn split(segment: &Narrowed, parquet: &ParquetMetaData) -> Vec<(Option<ParquetAccessPlan>, bool)> {
    let groups = parquet.row_groups();
    let whole = || vec![(segment.access.clone(), false)];
    if segment.told.sure.len() != groups.len() {
        return whole();
    }
    let all = segment.access.clone().unwrap_or_else(|| ParquetAccessPlan::new_all(groups.len()));
    let (mut sure, mut open) =
        (ParquetAccessPlan::new_none(groups.len()), ParquetAccessPlan::new_none(groups.len()));
    let (mut rows, mut is_open) = (0usize, false);
    for (place, (access, is_sure)) in all.inner().iter().zip(&segment.told.sure).enumerate() {
        let of_group = match access {
            RowGroupAccess::Skip => continue,
            RowGroupAccess::Scan => groups.get(place).map_or(0, RowGroupMetaData::num_rows),
            RowGroupAccess::Selection(selection) => i64::try_from(selection.row_count()).unwrap_or(0),
        };
        if *is_sure {
            rows = rows.saturating_add(usize::try_from(of_group).unwrap_or(0));
            sure.set(place, access.clone());
        } else {
            is_open = true;
            open.set(place, access.clone());
        }
    }
    if !is_open {
        vec![(segment.access.clone(), true)]
    } else if rows < SPLIT_ROWS_MIN {
        whole()
    } else {
        vec![(Some(sure), true), (Some(open), false)]
    }
}

/// Tells the scan the source and the level that all rows share: such columns are not read.
pub(super) fn share(statistics: &mut Statistics, told: &Told) {
    let stored = LogSchema::stored();
    for (name, text) in [(column::SOURCE, &told.source), (column::LEVEL, &told.level)] {
        let place = stored.index_of(name).ok();
        let known = place.and_then(|place| statistics.column_statistics.get_mut(place));
        if let (Some(known), Some(text)) = (known, text) {
            let value = Precision::Exact(ScalarValue::Utf8(Some(text.clone())));
            (known.min_value, known.max_value) = (value.clone(), value);
            known.null_count = Precision::Exact(0);
        }
    }
}
