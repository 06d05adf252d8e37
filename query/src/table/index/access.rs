//! Turns what a query keeps of a segment into what the Parquet scan reads of its row groups. Pure.
//!
//! ```text
//!   ranges      0 1 2 3 │ 4 5 6 7 │ 8 9        8,192 rows each, the last of a row group has fewer
//!   kept        · x · · │ · · · · │ x x
//!   runs         ··xxx·   ····xx    xxxx        see `template/rows.rs`
//!   row groups  rows    │ skipped │ all
//! ```

use std::ops::Range;

use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use ironbark_storage::{RANGE_ROWS, RangeSet};
use parquet::arrow::arrow_reader::RowSelection;
use parquet::file::metadata::ParquetMetaData;

use crate::table::tally::Verdict;
use crate::table::template::{Shared, SortedRows};

/// A row group of which at least so many per cent of the rows may be read is read whole. A scan that selects rows cannot
/// leave out row groups any more once a `TopK` knows a better bound, and that is worth more than the rest of the rows.
const WHOLE_FROM_PERCENT: usize = 60;

/// Which rows are read of those in kept ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::table) enum Which {
    /// Those that the filter may let through, and others where that is simpler.
    Possible,
    /// Exactly those of which the filter makes this.
    Exactly(Verdict),
}

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
    /// Of each row group, whether no others are read than those that are wanted.
    exact: Vec<bool>,
}

/// What is known of the rows that are read of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::table) struct Told {
    /// Of each row group, whether all of them pass the filter. Empty where nobody was asked.
    pub(in crate::table) sure: Vec<bool>,
    /// Their source, if all have the same.
    pub(in crate::table) source: Option<String>,
    /// Their level, if all have the same.
    pub(in crate::table) level: Option<String>,
}

impl Access {
    /// `None` if the ranges are not those of the row groups.
    pub(super) fn new(
        metadata: &ParquetMetaData,
        kept: &RangeSet,
        sorted: Option<&SortedRows>,
        which: Which,
    ) -> Option<Self> {
        let rows = metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0));
        let is_wanted = |verdict: Verdict| match which {
            Which::Possible => verdict != Verdict::Nothing,
            Which::Exactly(wanted) => verdict == wanted,
        };
        let runs = |runs| wanted_rows(runs, is_wanted);
        let runs = sorted.map(|sorted| sorted.row_groups().map(runs).collect::<Option<Vec<_>>>());
        match runs {
            None => Self::of_groups(rows, kept, None, which),
            Some(runs) => Self::of_groups(rows, kept, Some(&runs?), which),
        }
    }

    fn of_groups(
        group_rows: impl Iterator<Item = u64>,
        kept: &RangeSet,
        runs: Option<&[Vec<Range<usize>>]>,
        which: Which,
    ) -> Option<Self> {
        let (mut groups, mut exact) = (Vec::new(), Vec::new());
        let (mut row_groups, mut rows) = (Kept::default(), Kept::default());
        let mut first = 0u32;
        for (place, of_group) in group_rows.enumerate() {
            let end = u32::try_from(of_group.div_ceil(RANGE_ROWS)).ok().and_then(|n| first.checked_add(n))?;
            let mut wanted = kept_rows(of_group, (first..end).map(|range| kept.contains(range)))?;
            if let Some(runs) = runs {
                wanted = both(&wanted, runs.get(place)?);
            }
            let of_wanted: usize = wanted.iter().map(ExactSizeIterator::len).sum();
            let (access, selected) = group(usize::try_from(of_group).ok()?, wanted, which);
            exact.push(selected == of_wanted);
            row_groups.add(Kept { kept: u64::from(access.should_scan()), all: 1 });
            rows.add(Kept { kept: u64::try_from(selected).ok()?, all: of_group });
            groups.push(access);
            first = end;
        }
        if first != kept.len() {
            return None;
        }
        let ranges = Kept { kept: u64::from(kept.count()), all: u64::from(kept.len()) };
        let plan = (rows.kept < rows.all).then(|| ParquetAccessPlan::new(groups));
        Some(Self { plan, row_groups, ranges, rows, exact })
    }

    /// What is known of the rows that are read.
    pub(super) fn told(&self, sorted: &SortedRows, which: Which) -> Told {
        let groups = sorted.row_groups().zip(&self.exact);
        let sure = groups.map(|(mut rows, exact)| {
            let all_pass = match which {
                Which::Possible => rows.all(|(_, verdict)| verdict != Verdict::Undecided),
                Which::Exactly(verdict) => verdict == Verdict::All,
            };
            *exact && all_pass
        });
        let sure = sure.collect();
        // Rows that are read beside those that may pass can be of any source.
        let shared = self.exact.iter().all(|exact| *exact).then(|| sorted.shared().iter().copied());
        let shared = shared.and_then(|shared| shared.reduce(Shared::and));
        let [source, level] = shared.map(|shared| sorted.names(shared)).unwrap_or_default();
        Told { sure, source: source.map(str::to_owned), level: level.map(str::to_owned) }
    }

    /// Whether there is nothing to read.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.kept == 0
    }
}

/// The rows of a row group in kept ranges.
fn kept_rows(rows: u64, ranges: impl Iterator<Item = bool>) -> Option<Vec<Range<usize>>> {
    let mut kept = Vec::new();
    let mut start = 0;
    for is_kept in ranges {
        let end = rows.min(start + RANGE_ROWS);
        if is_kept {
            push(&mut kept, usize::try_from(start).ok()?..usize::try_from(end).ok()?);
        }
        start = end;
    }
    Some(kept)
}

/// The rows of a row group in wanted runs.
fn wanted_rows(
    runs: impl Iterator<Item = (u32, Verdict)>,
    is_wanted: impl Fn(Verdict) -> bool,
) -> Option<Vec<Range<usize>>> {
    let mut wanted = Vec::new();
    let mut start = 0usize;
    for (rows, verdict) in runs {
        let end = start.checked_add(usize::try_from(rows).ok()?)?;
        if is_wanted(verdict) {
            push(&mut wanted, start..end);
        }
        start = end;
    }
    Some(wanted)
}

/// Adds rows behind the others.
fn push(rows: &mut Vec<Range<usize>>, next: Range<usize>) {
    match rows.last_mut() {
        Some(last) if last.end == next.start => last.end = next.end,
        _ => rows.push(next),
    }
}

/// The rows that are in both.
fn both(one: &[Range<usize>], other: &[Range<usize>]) -> Vec<Range<usize>> {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    let mut both = Vec::new();
    while let (Some(a), Some(b)) = (one.peek(), other.peek()) {
        let (start, end) = (a.start.max(b.start), a.end.min(b.end));
        if start < end {
            push(&mut both, start..end);
        }
        if a.end <= b.end {
            one.next()
        } else {
            other.next()
        };
    }
    both
}

/// What to read of a row group, and how many rows that is.
fn group(rows: usize, wanted: Vec<Range<usize>>, which: Which) -> (RowGroupAccess, usize) {
    let selected: usize = wanted.iter().map(ExactSizeIterator::len).sum();
    let may_be_whole = which == Which::Possible && selected * 100 >= rows * WHOLE_FROM_PERCENT;
    if selected == 0 {
        (RowGroupAccess::Skip, 0)
    } else if selected == rows || may_be_whole {
        (RowGroupAccess::Scan, rows)
    } else {
        let selection = RowSelection::from_consecutive_ranges(wanted.into_iter(), rows);
        (RowGroupAccess::Selection(selection), selected)
    }
}

#[cfg(test)]
mod tests {
    use parquet::arrow::arrow_reader::RowSelector;

    use super::*;

    fn check(group_rows: &[u64], kept: &[u32]) -> Access {
        let len: u64 = group_rows.iter().map(|rows| rows.div_ceil(RANGE_ROWS)).sum();
        let mut set = RangeSet::none(u32::try_from(len).unwrap());
        for range in kept {
            set.insert(*range);
        }
        Access::of_groups(group_rows.iter().copied(), &set, None, Which::Possible).unwrap()
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
        assert!(Access::of_groups([10, 10].into_iter(), &RangeSet::all(3), None, Which::Possible).is_none());
        assert!(
            Access::of_groups([RANGE_ROWS + 1].into_iter(), &RangeSet::all(1), None, Which::Possible)
                .is_none()
        );
    }

    #[test]
    fn runs_narrow_ranges() {
        let kept = kept_rows(2 * RANGE_ROWS + 4, [true, false, true].into_iter()).unwrap();
        let range = usize::try_from(RANGE_ROWS).unwrap();
        let runs =
            [(10, Verdict::All), (5, Verdict::Nothing), (6, Verdict::Undecided), (2 * 8_192, Verdict::All)];
        let sure = wanted_rows(runs.into_iter(), |verdict| verdict == Verdict::All).unwrap();
        assert_eq!(both(&kept, &sure), [0..10, 21..range, 2 * range..2 * range + 4]);
        let possible = wanted_rows(runs.into_iter(), |verdict| verdict != Verdict::Nothing).unwrap();
        assert_eq!(possible, [0..10, 15..2 * range + 21]);
        let most = || std::iter::once(0..70).collect();
        let (access, rows) = group(100, most(), Which::Possible);
        assert_eq!((access, rows), (RowGroupAccess::Scan, 100));
        let (access, rows) = group(100, most(), Which::Exactly(Verdict::All));
        let expected: RowSelection = vec![RowSelector::select(70), RowSelector::skip(30)].into();
        assert_eq!((access, rows), (RowGroupAccess::Selection(expected), 70));
    }
}
