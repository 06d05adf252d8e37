//! Turns the ranges that a query keeps of a segment into what the Parquet scan reads of its row groups. Pure.
//!
//! ```text
//!   ranges      0 1 2 3 │ 4 5 6 7 │ 8 9        8,192 rows each, the last of a row group has fewer
//!   kept        · x · · │ · · · · │ x x
//!   row groups  rows    │ skipped │ all
//! ```

use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use ironbark_storage::{RANGE_ROWS, RangeSet};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::metadata::ParquetMetaData;

/// A row group of which at least so many per cent of the ranges are kept is read whole. A scan that selects rows cannot
/// leave out row groups any more once a `TopK` knows a better bound, and that is worth more than the rest of the rows.
const WHOLE_FROM_PERCENT: u64 = 60;

/// How many are kept of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) kept: u64,
    pub(super) all: u64,
}

impl Kept {
    pub(super) fn add(&mut self, other: Self) {
        self.kept += other.kept;
        self.all += other.all;
    }
}

/// What to read of a segment.
#[derive(Debug)]
pub(super) struct Access {
    /// `None` reads everything.
    pub(super) plan: Option<ParquetAccessPlan>,
    pub(super) row_groups: Kept,
    pub(super) ranges: Kept,
    pub(super) rows: Kept,
}

impl Access {
    /// `None` if the ranges are not those of the row groups.
    pub(super) fn new(metadata: &ParquetMetaData, kept: &RangeSet) -> Option<Self> {
        let rows = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0));
        Self::of_groups(rows, kept)
    }

    fn of_groups(group_rows: impl Iterator<Item = u64>, kept: &RangeSet) -> Option<Self> {
        let (mut groups, mut row_groups, mut rows) = (Vec::new(), Kept::default(), Kept::default());
        let mut first = 0u32;
        for of_group in group_rows {
            let end = u32::try_from(of_group.div_ceil(RANGE_ROWS)).ok().and_then(|n| first.checked_add(n))?;
            let (access, selected) =
                group(of_group, (first..end).map(|range| kept.contains(range)).collect())?;
            row_groups.add(Kept { kept: u64::from(access.should_scan()), all: 1 });
            rows.add(Kept { kept: selected, all: of_group });
            groups.push(access);
            first = end;
        }
        if first != kept.len() {
            return None;
        }
        let ranges = Kept { kept: u64::from(kept.count()), all: u64::from(kept.len()) };
        let plan = (rows.kept < rows.all).then(|| ParquetAccessPlan::new(groups));
        Some(Self { plan, row_groups, ranges, rows })
    }

    /// Whether there is nothing to read.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.kept == 0
    }
}

/// What to read of a row group, and how many rows that is.
fn group(rows: u64, ranges: Vec<bool>) -> Option<(RowGroupAccess, u64)> {
    let all = u64::try_from(ranges.len()).ok()?;
    let kept = u64::try_from(ranges.iter().filter(|kept| **kept).count()).ok()?;
    if kept == 0 {
        return Some((RowGroupAccess::Skip, 0));
    }
    if kept * 100 >= all * WHOLE_FROM_PERCENT {
        return Some((RowGroupAccess::Scan, rows));
    }
    let (mut left, mut selected) = (rows, 0);
    let mut selectors = Vec::with_capacity(ranges.len());
    for is_kept in ranges {
        let of_range = left.min(RANGE_ROWS);
        left -= of_range;
        let count = usize::try_from(of_range).ok()?;
        if is_kept {
            selected += of_range;
            selectors.push(RowSelector::select(count));
        } else {
            selectors.push(RowSelector::skip(count));
        }
    }
    let selection = selectors.into_iter().collect::<RowSelection>();
    Some((RowGroupAccess::Selection(selection), selected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(group_rows: &[u64], kept: &[u32]) -> Access {
        let len: u64 = group_rows.iter().map(|rows| rows.div_ceil(RANGE_ROWS)).sum();
        let mut set = RangeSet::none(u32::try_from(len).unwrap());
        for range in kept {
            set.insert(*range);
        }
        Access::of_groups(group_rows.iter().copied(), &set).unwrap()
    }

    #[test]
    fn ranges_become_row_groups_and_rows() {
        let access = check(&[4 * RANGE_ROWS, 3 * RANGE_ROWS + 1, 10, RANGE_ROWS + 5], &[1, 8, 10]);
        let range = usize::try_from(RANGE_ROWS).unwrap();
        let selection: RowSelection =
            vec![RowSelector::skip(range), RowSelector::select(range), RowSelector::skip(2 * range)].into();
        let last: RowSelection = vec![RowSelector::skip(range), RowSelector::select(5)].into();
        let expected = ParquetAccessPlan::new(vec![
            RowGroupAccess::Selection(selection),
            RowGroupAccess::Skip,
            RowGroupAccess::Scan,
            RowGroupAccess::Selection(last),
        ]);
        assert_eq!(access.plan, Some(expected));
        assert_eq!(access.row_groups, Kept { kept: 3, all: 4 });
        assert_eq!(access.ranges, Kept { kept: 3, all: 11 });
        assert_eq!(access.rows, Kept { kept: RANGE_ROWS + 15, all: 8 * RANGE_ROWS + 16 });
    }

    #[test]
    fn nothing_and_nearly_everything() {
        assert!(check(&[100, 100], &[]).is_empty());
        let most = check(&[5 * RANGE_ROWS, 7], &[0, 2, 4, 5]);
        assert!(most.plan.is_none() && !most.is_empty(), "{most:?}");
        let groups = check(&[5 * RANGE_ROWS, 7], &[0, 2, 4]);
        let expected = ParquetAccessPlan::new(vec![RowGroupAccess::Scan, RowGroupAccess::Skip]);
        assert_eq!(groups.plan, Some(expected));
    }

    #[test]
    fn an_index_of_other_rows_is_refused() {
        assert!(Access::of_groups([10, 10].into_iter(), &RangeSet::all(3)).is_none());
        assert!(Access::of_groups([RANGE_ROWS + 1].into_iter(), &RangeSet::all(1)).is_none());
    }
}
