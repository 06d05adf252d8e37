//! Queries that want only the first rows by time: what is surely behind those is not asked, let alone read.
//!
//! ```text
//!   ORDER BY timestamp DESC LIMIT 100
//!     rule.rs: the table below is told so, if nothing between drops rows but filters that the table knows
//!     mod.rs:  while indexes are asked, newest first
//!
//!        segment 9                        segment 8                    segment 7
//!        │ rows group by group │           │                    │       │               │
//!        │ newest: 40 sure     │           │ behind the bound:  │       │ not opened    │
//!        │ next:   90 sure ────┼─► bound   │ impossible         │
//! ```
//!
//! The bound is the end of the rows that surely pass, once there are as many as wanted: a row behind it cannot be one
//! of the first. Rows at the bound may be. Sure rows are rows that are there: a segment whose rows are not all visible
//! must not tell the frontier of them.

mod rule;

use std::collections::BTreeMap;
use std::sync::Arc;

use ironbark_storage::{SegmentMeta, TimeRange};
use parking_lot::Mutex;

pub(crate) use rule::TellTopRows;

/// How many rows a query wants, from which end of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TopRows {
    /// At most, and at least one.
    pub(super) rows: u64,
    /// The newest, not the oldest.
    pub(super) newest: bool,
}

impl TopRows {
    /// How soon rows at this time are wanted: the less, the sooner.
    pub(super) fn first(self, time: TimeRange) -> i64 {
        if self.newest { !time.max.ns() } else { time.min.ns() }
    }

    fn last(self, time: TimeRange) -> i64 {
        if self.newest { !time.min.ns() } else { time.max.ns() }
    }
}

/// How far a query has to look.
#[derive(Debug)]
pub(super) struct Frontier {
    pub(super) wanted: TopRows,
    sure: Mutex<Sure>,
}

/// Rows that surely pass.
#[derive(Debug, Default)]
struct Sure {
    /// How many, by where the last of them is at the latest. Those behind the bound are left out.
    rows: BTreeMap<i64, u64>,
    bound: Option<i64>,
}

impl Frontier {
    pub(super) fn new(wanted: TopRows) -> Self {
        Self { wanted, sure: Mutex::default() }
    }

    /// Takes in that so many rows at this time surely pass. Rows that are counted twice would falsify the bound.
    pub(super) fn add(&self, time: TimeRange, rows: u64) {
        let mut sure = self.sure.lock();
        if rows == 0 {
            return;
        }
        *sure.rows.entry(self.wanted.last(time)).or_insert(0) += rows;
        let mut sum = 0u64;
        let reached = sure.rows.iter().find_map(|(last, rows)| {
            sum = sum.saturating_add(*rows);
            (sum >= self.wanted.rows).then_some(*last)
        });
        if let Some(bound) = reached {
            sure.rows.split_off(&bound.saturating_add(1));
            sure.bound = Some(bound);
        }
    }

    /// Segments all of whose rows pass, without those that have none of the first.
    pub(super) fn within(&self, mut segments: Vec<Arc<SegmentMeta>>) -> Vec<Arc<SegmentMeta>> {
        for meta in &segments {
            self.add(meta.time, meta.rows);
        }
        segments.retain(|meta| !self.is_ahead_of(meta.time));
        segments
    }

    /// Whether no row at this time can be one of the first.
    pub(super) fn is_ahead_of(&self, time: TimeRange) -> bool {
        self.sure.lock().bound.is_some_and(|bound| bound < self.wanted.first(time))
    }
}

#[cfg(test)]
mod tests {
    use ironbark_storage::Timestamp;

    use super::*;

    fn time(min: i64, max: i64) -> TimeRange {
        TimeRange::new(Timestamp::from_ns(min), Timestamp::from_ns(max))
    }

    #[test]
    fn the_bound_lies_where_enough_rows_surely_are() {
        let frontier = Frontier::new(TopRows { rows: 10, newest: true });
        frontier.add(time(50, 60), 4);
        frontier.add(time(30, 70), 5);
        assert!(!frontier.is_ahead_of(time(0, 1)), "nine rows do not suffice");
        frontier.add(time(20, 55), 1);
        assert!(frontier.is_ahead_of(time(0, 19)));
        assert!(!frontier.is_ahead_of(time(0, 20)), "a row at the bound may be the tenth");
        frontier.add(time(40, 45), 6);
        assert!(frontier.is_ahead_of(time(0, 39)), "ten rows are at 40 or later");
        assert!(!frontier.is_ahead_of(time(0, 40)));
        frontier.add(time(5, 100), 1_000);
        assert!(frontier.is_ahead_of(time(0, 39)), "rows that may lie behind the bound do not move it");
    }

    #[test]
    fn the_oldest_rows_are_bounded_from_the_other_end() {
        let frontier = Frontier::new(TopRows { rows: 1, newest: false });
        frontier.add(time(i64::MIN, 7), 1);
        assert!(frontier.is_ahead_of(time(8, i64::MAX)));
        assert!(!frontier.is_ahead_of(time(7, 9)));
        let newest = Frontier::new(TopRows { rows: 1, newest: true });
        newest.add(time(i64::MIN, i64::MAX), 1);
        assert!(!newest.is_ahead_of(time(i64::MIN, i64::MIN)));
    }
}
