//! A filter that is ready to be tried on segments, and what it makes of their rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use ironbark_storage::{Run, Templates, Term, TimeRange};

use super::automaton::Automaton;
use super::condition::{Condition, Node};
use super::known::Known;
use super::words::Word;
use crate::table::tally::{Cell, Cells, Judge, Verdict};

/// A filter that is ready to be tried on segments.
#[derive(Debug)]
pub(in crate::table) struct RowFilter {
    pub(super) root: Node,
    /// Conditions on the message.
    pub(super) texts: Vec<Text>,
    /// Conditions on source, level and time.
    pub(super) others: Vec<Judge>,
}

/// A condition on the message.
#[derive(Debug)]
pub(super) struct Text {
    /// `None` where it is too large.
    pub(super) automaton: Option<Automaton>,
    pub(super) words: Vec<Word>,
}

/// What the filter makes of a segment's rows.
#[derive(Debug)]
pub(in crate::table) struct SortedRows {
    pub(super) templates: Arc<Templates>,
    /// For each row group, how many rows in a row and what the filter makes of them.
    pub(super) row_groups: Vec<Vec<(u32, Verdict)>>,
    /// For each row group, what the rows share that may pass.
    pub(super) shared: Vec<Shared>,
}

/// Source and level of some rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::table) struct Shared {
    source: Same,
    level: Same,
}

/// What some rows have in a column, as a place in the names of the segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Same {
    /// There are no rows.
    #[default]
    NoRows,
    One(u32),
    Several,
}

impl Same {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::NoRows, same) | (same, Self::NoRows) => same,
            (one, other) if one == other => one,
            _ => Self::Several,
        }
    }
}

impl Shared {
    /// Of rows that nobody looked at.
    pub(super) const UNKNOWN: Self = Self { source: Same::Several, level: Same::Several };

    /// Of the rows of a run.
    pub(super) fn of(run: &Run) -> Self {
        Self { source: Same::One(run.source), level: Same::One(run.level) }
    }

    /// Of these rows and those.
    pub(in crate::table) fn and(self, other: Self) -> Self {
        Self { source: self.source.and(other.source), level: self.level.and(other.level) }
    }
}

impl SortedRows {
    /// The rows of each row group in order: how many in a row, and what the filter makes of them.
    pub(in crate::table) fn row_groups(&self) -> impl Iterator<Item = impl Iterator<Item = (u32, Verdict)>> {
        self.row_groups.iter().map(|rows| rows.iter().copied())
    }

    /// How many rows the filter makes this of.
    pub(in crate::table) fn count(&self, wanted: Verdict) -> u64 {
        let rows = self.row_groups().flatten().filter(|(_, verdict)| *verdict == wanted);
        rows.map(|(rows, _)| u64::from(rows)).sum()
    }

    /// What the rows share that may pass, of each row group.
    pub(in crate::table) fn shared(&self) -> &[Shared] {
        &self.shared
    }

    /// The source and the level of rows that share one; NULL is none.
    pub(in crate::table) fn names(&self, shared: Shared) -> [Option<&str>; 2] {
        let of = |same, names| match same {
            Same::One(place) => name(names, place),
            Same::NoRows | Same::Several => None,
        };
        [of(shared.source, &self.templates.sources), of(shared.level, &self.templates.levels)]
    }

    /// The rows that the filter surely lets through, by source and level. They lie at this time.
    pub(in crate::table) fn sure(&self, time: TimeRange) -> Cells<'_> {
        let mut sums: HashMap<(u32, u32), u64> = HashMap::new();
        for (runs, rows) in self.templates.row_groups.iter().zip(&self.row_groups) {
            let (mut rows, mut left, mut verdict) = (rows.iter(), 0, Verdict::Undecided);
            for run in runs {
                let mut of_run = run.rows;
                while of_run > 0 {
                    if left == 0 {
                        let Some(next) = rows.next() else { break };
                        (left, verdict) = *next;
                    }
                    let both = of_run.min(left);
                    if verdict == Verdict::All {
                        *sums.entry((run.source, run.level)).or_insert(0) += u64::from(both);
                    }
                    (of_run, left) = (of_run - both, left - both);
                }
            }
        }
        let templates = &*self.templates;
        let cell = |((source, level), rows): ((u32, u32), u64)| {
            let (source, level) = (name(&templates.sources, source), name(&templates.levels, level));
            (Cell { time, source, level, rows }, Verdict::All)
        };
        Cells(sums.into_iter().map(cell).collect())
    }
}

impl RowFilter {
    /// `None` if templates say nothing of these filters, which are in bare column names.
    pub(in crate::table) fn of(filters: &[Expr], state: &dyn Session) -> Result<Option<Self>> {
        let Some(Condition { root, texts, others }) = Condition::of(filters) else { return Ok(None) };
        let judge =
            |(expr, steps): &_| Judge::new(std::slice::from_ref(expr), steps, &Schema::empty(), state);
        let others = others.iter().map(judge).collect::<Result<_>>()?;
        let text = |regex| Text { automaton: Automaton::new(regex), words: Word::all_of(regex) };
        Ok(Some(Self { root, texts: texts.iter().map(text).collect(), others }))
    }

    /// What templates say of a segment whose row groups lie at these times.
    pub(in crate::table) fn ask(&self, templates: Arc<Templates>, times: Vec<TimeRange>) -> Known<'_> {
        Known::new(self, templates, times)
    }

    /// Grams that slots hold where they hold the words of the text conditions.
    pub(in crate::table) fn grams(&self) -> impl Iterator<Item = &Term> {
        self.texts.iter().flat_map(|text| &text.words).flat_map(Word::grams)
    }
}

/// The source or level at a place.
pub(super) fn name(names: &[Option<Box<str>>], place: u32) -> Option<&str> {
    names.get(place as usize).and_then(Option::as_deref)
}
