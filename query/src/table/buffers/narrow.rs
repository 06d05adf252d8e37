//! Asks the words of batches in memory which of them a query has to look at, as indexes of segments are asked.
//!
//! The words of a batch are made by queries that would use them, and by each only of so many rows: so a question that
//! is never asked again pays little, and rows that nobody searches cost nothing.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use ironbark_storage::{BufferedRows, BufferedWords, Held, RangeSet, Term};

use super::{Buffered, Size};
use crate::clause::Clause;

/// A query makes the words of batches until it has made those of so many rows: some 15 ms.
const WORDS_ROWS_MAX: usize = 32_768;

/// What words said of batches, for `EXPLAIN`.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Each clause and in how many batches it may hold.
    clauses: Vec<(String, u32)>,
    asked: usize,
    /// Of how many there are words.
    worded: usize,
    kept: Size,
    all: Size,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept, all, asked, .. } = self;
        write!(f, "batches={}/{}, rows={}/{}", kept.batches, all.batches, kept.rows, all.rows)?;
        for (place, (clause, batches)) in self.clauses.iter().enumerate() {
            let before = if place == 0 { ", words: " } else { "; " };
            write!(f, "{before}{clause} {batches}/{asked}")?;
        }
        if !self.clauses.is_empty() && self.worded < *asked {
            write!(f, ", unindexed={}", asked - self.worded)?;
        }
        Ok(())
    }
}

/// The batches in which all of the clauses may hold.
pub(super) fn narrow(buffered: Buffered, clauses: &[Clause]) -> (Vec<Arc<BufferedRows>>, Told) {
    let Buffered { kept: batches, all } = buffered;
    let mut told = Told { clauses: Vec::new(), asked: batches.len(), worded: 0, kept: all, all };
    let Ok(len) = u32::try_from(batches.len()) else { return (batches, told) };
    if clauses.is_empty() {
        told.kept = Size::of(&batches);
        return (batches, told);
    }
    if clauses.iter().flat_map(Clause::terms).any(|term| BufferedWords::knows(term.kind())) {
        make_words(&batches);
    }
    told.worded = batches.iter().filter(|batch| batch.known_words().is_some()).count();
    let mut kept = RangeSet::all(len);
    for clause in clauses {
        let held = clause.ranges(len, &mut |term: &Term| Ok(holding(&batches, len, term)));
        let held = held.unwrap_or_else(|never: Infallible| match never {});
        told.clauses.push((clause.to_string(), held.count()));
        kept.intersect(&held);
    }
    let batches = (0..len).zip(batches).filter(|(place, _)| kept.contains(*place));
    let batches: Vec<_> = batches.map(|(_, batch)| batch).collect();
    told.kept = Size::of(&batches);
    (batches, told)
}

/// How many rows of a batch hold a term; `None` if that is not known.
pub(in crate::table) fn count(batch: &BufferedRows, term: &Term) -> Option<u64> {
    match batch.known_words()?.held(term) {
        Held::Never => Some(0),
        Held::Rows(rows) => Some(rows),
        Held::Perhaps => None,
    }
}

/// Those of the batches that may hold a term.
fn holding(batches: &[Arc<BufferedRows>], len: u32, term: &Term) -> RangeSet {
    let mut held = RangeSet::none(len);
    for (place, batch) in (0..len).zip(batches) {
        if count(batch, term) != Some(0) {
            held.insert(place);
        }
    }
    held
}

/// Makes words of the newest batches that have none: these stay longest.
fn make_words(batches: &[Arc<BufferedRows>]) {
    let mut left = WORDS_ROWS_MAX;
    for batch in batches.iter().rev().filter(|batch| batch.lacks_words()) {
        batch.make_words();
        left = left.saturating_sub(batch.rows().num_rows());
        if left == 0 {
            return;
        }
    }
}
