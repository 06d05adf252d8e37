//! Counts of the rows that hold one term: where a segment's token index knows their number, no row is read.
//!
//! ```text
//!   count(*) where search('timeout') and timestamp >= …
//!     └─ for each segment: does the rest hold for all of its rows? ┬ yes ─► its index ┬ knows the number: counted
//!                          (by the manifest)                       │                  └ does not ──┐
//!                                                                  └ not surely ───────────────────┴─► templates
//! ```
//!
//! An index counts the frequent terms exactly, and of the others only that there are none. Templates are asked for what is
//! left (message.rs).

use std::sync::Arc;

use datafusion::logical_expr::Expr;
use ironbark_storage::{BufferedRows, SegmentMeta, Term};

use super::LogTable;
use super::ask::Asked;
use super::cells::{Answer, Cell, Cells, Judge, Verdict};
use super::shape::Steps;
use crate::clause;
use crate::table::buffers;

/// Filters of which one asks for a term and nothing else.
#[derive(Debug)]
pub(super) struct TermFilter {
    pub(super) term: Term,
    /// The other filters, and where in time they change.
    pub(super) others: Vec<Expr>,
    pub(super) steps: Steps,
}

impl TermFilter {
    /// `None` if the filters, in bare column names, ask for something else.
    pub(super) fn of(filters: &[Expr]) -> Option<Self> {
        let (term, others) = clause::split_term(filters)?;
        let steps = Steps::of(&others)?;
        Some(Self { term, others, steps })
    }
}

/// Asks for the rows that hold the term; `judge` knows the other filters. Returns the segments that it does not count.
pub(super) async fn ask(
    logs: &LogTable,
    judge: &Judge,
    term: &Term,
    segments: &[Arc<SegmentMeta>],
    asked: &mut Asked,
) -> Vec<Arc<SegmentMeta>> {
    let (mut whole, mut rest) = (Vec::new(), Vec::new());
    for (meta, answer) in judge.by_manifest(segments) {
        let is_whole = matches!(answer, Answer::Whole(cells) if cells.are_all());
        (if is_whole { &mut whole } else { &mut rest }).push(Arc::clone(meta));
    }
    for (meta, count) in logs.indexes().counts(whole, term).await {
        asked.tail_came_from(count.tail);
        match count.rows {
            Some(rows) => {
                let cell = Cell { time: meta.time, source: None, level: None, rows };
                asked.weighted.count(&Cells(vec![(cell, Verdict::All)]));
            }
            None => rest.push(meta),
        }
    }
    rest
}

/// Asks the words of batches in memory for the rows that hold the term; those that they do not count are read,
/// which makes words for the next query.
pub(super) fn ask_batches(judge: &Judge, term: &Term, batches: &[Arc<BufferedRows>], asked: &mut Asked) {
    for (batch, answer) in batches.iter().zip(judge.by_batches(batches)) {
        let is_whole = matches!(answer, Answer::Whole(cells) if cells.are_all());
        match buffers::count(batch, term).filter(|_| is_whole) {
            Some(rows) => {
                let cell = Cell { time: batch.time(), source: None, level: None, rows };
                asked.weighted.count_batch(&Cells(vec![(cell, Verdict::All)]));
            }
            None => asked.batches.push(Arc::clone(batch)),
        }
    }
}
