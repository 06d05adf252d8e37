//! Asks the token indexes of segments which of their rows a query has to look at.
//!
//! ```text
//!   clauses ─► tails ─► pieces of each index ─► ranges of each clause ─► all clauses: kept ranges
//!              cached    cached, else one request    (lookup)               │
//!   filter ──► tails ─► templates ─► sure, impossible, undecided rows ──────┤ access
//!              cached    (template/)   by grams impossible in some ranges   ├─ none: the segment is left out
//!                                                                           ├─ all: it is read as ever
//!                                                                           └─ some: row groups and rows to read
//! ```
//!
//! This only narrows: the scan checks every row again. What goes wrong with an index is told in the log and by a
//! metric, and its segment is read whole; what goes wrong with a tail is told by the scan, which needs it too.

mod access;
mod explain;
mod pieces;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use futures::{Stream, StreamExt, stream};
use ironbark_storage::{
    Error, Partition, Piece, RangeSet, Result, SegmentMeta, SegmentTail, TableRef, Term, TokenIndex, key,
};
use object_store::path::Path;

use super::TailCache;
use super::tails::Origin;
use crate::clause::Clause;
use crate::ranges::SegmentObjects;

use super::tally::Verdict;
use super::template::{RowFilter, SortedRows};
use super::top::Frontier;

use access::Access;
pub(super) use access::{Told, Which};
pub(crate) use explain::ShowIndexes;
pub(super) use explain::{Report, TokenIndexExec};
pub(super) use pieces::PieceCache;

/// Segments whose indexes a query asks at once.
const LOOKUPS_MAX: usize = 32;
/// Where terms leave so few ranges of a segment, its templates are not asked: the pages are decompressed anyhow.
const FEW_RANGES: u32 = 4;

/// The indexes of a table's segments.
#[derive(Clone, Copy)]
pub(super) struct Indexes<'a> {
    pub(super) table: &'a TableRef,
    pub(super) store: &'a Arc<SegmentObjects>,
    pub(super) tails: &'a Arc<TailCache>,
}

/// A segment, and which of its rows to read.
#[derive(Clone, Debug)]
pub(super) struct Narrowed {
    pub(super) meta: Arc<SegmentMeta>,
    /// `None` reads them all.
    pub(super) access: Option<ParquetAccessPlan>,
    pub(super) told: Told,
}

impl From<Arc<SegmentMeta>> for Narrowed {
    fn from(meta: Arc<SegmentMeta>) -> Self {
        Self { meta, access: None, told: Told::default() }
    }
}

/// What one index knows of the number of rows that hold a term.
#[derive(Clone, Copy, Debug)]
pub(super) struct TermCount {
    /// Exactly; `None` where it does not know.
    pub(super) rows: Option<u64>,
    /// Where the tail came from; `None` where there is no index, or where it could not be read, as the scan will tell.
    pub(super) tail: Option<Origin>,
}

/// What is asked of the segments.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    /// Each holds for all rows that pass.
    pub(super) clauses: &'a [Clause],
    /// The whole filter, if templates know of it.
    pub(super) filter: Option<&'a RowFilter>,
    /// How far to look, if not all rows are wanted.
    pub(super) frontier: Option<&'a Frontier>,
}

/// A segment of which some rows surely pass, some must be read, and no others pass.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) meta: Arc<SegmentMeta>,
    pub(super) sorted: SortedRows,
    /// The sure rows, unless there are none, and in the same way those to read.
    pub(super) sure: Option<Narrowed>,
    pub(super) undecided: Option<Narrowed>,
    pub(super) tail: Origin,
}

/// What one index said.
#[derive(Debug)]
struct Found {
    /// The ranges of each clause.
    clauses: Vec<RangeSet>,
    /// Those of all clauses.
    kept: RangeSet,
    /// What templates said of the rows, if they were asked.
    sorted: Option<SortedRows>,
    /// The rows that may pass.
    access: Access,
    tail: Arc<SegmentTail>,
    origin: Origin,
    cost: Cost,
}

/// The index of a segment, and where both lie.
#[derive(Clone, Copy)]
struct Opened<'a> {
    key: &'a Path,
    meta: &'a SegmentMeta,
    tail: &'a SegmentTail,
    index: &'a TokenIndex,
}

/// What one lookup read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cost {
    tails: usize,
    requests: usize,
    bytes: u64,
    pieces: usize,
    pieces_cached: usize,
}

#[derive(Debug)]
enum Outcome {
    Found(Box<Found>),
    /// All of its rows are behind those that are wanted.
    Behind,
    /// There is no index, or one of another tokenizer.
    Unindexed,
    /// It could not be read or used.
    Failed,
}

impl Indexes<'_> {
    /// The segments that may hold a row that passes, and which rows of theirs may.
    pub(super) async fn narrow(
        &self,
        segments: Vec<Arc<SegmentMeta>>,
        question: Question<'_>,
    ) -> (Vec<Narrowed>, Report) {
        let mut report = Report::new(question.clauses);
        let mut kept = Vec::new();
        let mut lookups = pin!(self.look_at_all(segments, question));
        while let Some((meta, outcome)) = lookups.next().await {
            report.add(&outcome);
            match outcome {
                Outcome::Behind => {}
                Outcome::Found(found) if found.access.is_empty() => {}
                Outcome::Found(found) => {
                    let sorted = found.sorted.as_ref();
                    let told = sorted.map(|sorted| found.access.told(sorted, Which::Possible));
                    let told = told.unwrap_or_default();
                    kept.push(Narrowed { meta, access: found.access.plan, told });
                }
                Outcome::Unindexed | Outcome::Failed => kept.push(Narrowed::from(meta)),
            }
        }
        (kept, report)
    }

    /// Splits the segments that may hold a row that passes. Returns those that cannot be split beside them.
    pub(super) async fn split(
        &self,
        segments: Vec<Arc<SegmentMeta>>,
        question: Question<'_>,
    ) -> (Vec<Split>, Vec<Arc<SegmentMeta>>, Report) {
        let mut report = Report::new(question.clauses);
        let (mut splits, mut others) = (Vec::new(), Vec::new());
        let mut lookups = pin!(self.look_at_all(segments, question));
        while let Some((meta, outcome)) = lookups.next().await {
            report.add(&outcome);
            match outcome {
                Outcome::Behind => {}
                Outcome::Found(found) if found.access.is_empty() => {}
                Outcome::Found(found) => match found.split(&meta) {
                    Some(split) => splits.push(split),
                    None => others.push(meta),
                },
                Outcome::Unindexed | Outcome::Failed => others.push(meta),
            }
        }
        (splits, others, report)
    }

    /// Of those whose ends are in memory one after the other, in the order in which their rows are wanted.
    fn look_at_all(
        &self,
        mut segments: Vec<Arc<SegmentMeta>>,
        question: Question<'_>,
    ) -> impl Stream<Item = (Arc<SegmentMeta>, Outcome)> {
        if let Some(frontier) = question.frontier {
            segments.sort_by_key(|meta| frontier.wanted.first(meta.time));
        }
        let lookups = segments.into_iter().map(move |meta| async move {
            let outcome = self.look(&meta, question).await;
            (meta, outcome)
        });
        stream::iter(lookups).buffered(LOOKUPS_MAX)
    }

    /// How many rows of each segment hold the term.
    pub(super) async fn counts(
        &self,
        segments: Vec<Arc<SegmentMeta>>,
        term: &Term,
    ) -> Vec<(Arc<SegmentMeta>, TermCount)> {
        let lookups = segments.into_iter().map(|meta| async move {
            let count = self.count(&meta, term).await;
            (meta, count)
        });
        stream::iter(lookups).buffered(LOOKUPS_MAX).collect().await
    }

    async fn count(&self, meta: &SegmentMeta, term: &Term) -> TermCount {
        let unknown = TermCount { rows: None, tail: None };
        if meta.index.is_none() {
            return unknown;
        }
        let key = self.key(meta);
        let Ok((tail, origin)) = self.tail(&key, meta).await else { return unknown };
        let tail_only = TermCount { rows: None, tail: Some(origin) };
        let Some(index) = usable(&tail) else { return tail_only };
        let opened = Opened { key: &key, meta, tail: &tail, index };
        let hits = async {
            let rare = self.bring(opened, &[term], &mut Cost::default()).await?;
            look_up(index, term, &rare)
        };
        match hits.await {
            Ok(hits) => TermCount { rows: hits.rows, ..tail_only },
            Err(error) => {
                failed(&key, &error);
                tail_only
            }
        }
    }

    pub(super) fn key(&self, meta: &SegmentMeta) -> Path {
        key::segment(&Partition { table: self.table.clone(), day: meta.day }, meta.id)
    }

    /// The end of a segment, and where it came from.
    pub(super) async fn tail(&self, key: &Path, meta: &SegmentMeta) -> Result<(Arc<SegmentTail>, Origin)> {
        self.tails.get(meta.id, self.store.tail(key, meta)).await
    }

    async fn look(&self, meta: &Arc<SegmentMeta>, question: Question<'_>) -> Outcome {
        let is_behind = || question.frontier.is_some_and(|frontier| frontier.is_ahead_of(meta.time));
        if is_behind() {
            return Outcome::Behind;
        }
        if meta.index.is_none() {
            return Outcome::Unindexed;
        }
        let key = self.key(meta);
        let Ok((tail, origin)) = self.tail(&key, meta).await else { return Outcome::Failed };
        // While the end was read others were looked at.
        if origin == Origin::Store && is_behind() {
            return Outcome::Behind;
        }
        let Some(index) = usable(&tail) else { return Outcome::Unindexed };
        let mut cost = Cost { tails: usize::from(origin == Origin::Store), ..Cost::default() };
        let opened = Opened { key: &key, meta, tail: &tail, index };
        let found = async {
            let clauses = self.ranges(opened, question.clauses, &mut cost).await?;
            let mut kept = RangeSet::all(index.ranges());
            for ranges in &clauses {
                kept.intersect(ranges);
            }
            let is_narrow = kept.count() <= FEW_RANGES.min(index.ranges().saturating_sub(1));
            let sorted = match question.filter.filter(|_| !is_narrow) {
                Some(filter) => self.sort(opened, filter, question.frontier, &mut cost).await?,
                None => None,
            };
            let access = Access::new(&tail.parquet, &kept, sorted.as_ref(), Which::Possible);
            let access = access.ok_or_else(|| ranges_differ(&key, meta))?;
            Ok((clauses, kept, sorted, access))
        };
        match found.await {
            Ok((clauses, kept, sorted, access)) => {
                let tail = Arc::clone(&tail);
                Outcome::Found(Box::new(Found { clauses, kept, sorted, access, tail, origin, cost }))
            }
            Err(error) => {
                failed(&key, &error);
                Outcome::Failed
            }
        }
    }

    /// What templates make of the rows, and grams of those that templates leave undecided; `None` where there are no templates.
    async fn sort(
        &self,
        opened: Opened<'_>,
        filter: &RowFilter,
        frontier: Option<&Frontier>,
        cost: &mut Cost,
    ) -> Result<Option<SortedRows>> {
        let Opened { meta, tail, index, .. } = opened;
        let is_new = !tail.has_decoded_templates();
        let Some((templates, times)) = tail.templates()?.zip(tail.row_group_times()) else { return Ok(None) };
        if is_new {
            self.tails.weigh(meta.id, tail);
        }
        let mut known = filter.ask(templates, times);
        let sorted = known.sort(frontier);
        let grams: Vec<&Term> = filter.grams().filter(|_| index.has_grams()).collect();
        if grams.is_empty() || sorted.count(Verdict::Undecided) == 0 {
            return Ok(Some(sorted));
        }
        let rare = self.bring(opened, &grams, cost).await?;
        known.narrow(|gram| look_up(index, gram, &rare).map(|hits| hits.ranges))?;
        Ok(Some(known.sort(frontier)))
    }

    /// The ranges of each clause.
    async fn ranges(&self, opened: Opened<'_>, clauses: &[Clause], cost: &mut Cost) -> Result<Vec<RangeSet>> {
        let Opened { index, tail, .. } = opened;
        let terms = clauses.iter().flat_map(Clause::terms).filter(|term| tail.knows(term));
        let rare = self.bring(opened, &terms.collect::<Vec<_>>(), cost).await?;
        let of_clause = |clause: &Clause| {
            let mut of_term = |term: &Term| {
                if !tail.knows(term) {
                    return Ok(RangeSet::all(index.ranges()));
                }
                look_up(index, term, &rare).map(|hits| hits.ranges)
            };
            clause.ranges(index.ranges(), &mut of_term)
        };
        clauses.iter().map(of_clause).collect()
    }

    /// The pieces of rare terms that answer for these terms, and the frequent terms into the index.
    async fn bring(
        &self,
        opened: Opened<'_>,
        terms: &[&Term],
        cost: &mut Cost,
    ) -> Result<HashMap<Piece, Bytes>> {
        let Opened { key, meta, tail, index } = opened;
        let mut brought = HashMap::new();
        let mut missing = Vec::new();
        for term in terms {
            let pieces = index.pieces(term);
            // A term that is known to be frequent is not among the rare ones.
            let is_loaded = !pieces.contains(&Piece::Frequent);
            if is_loaded && !index.lookup(term, None)?.ranges.is_empty() {
                continue;
            }
            for piece in pieces {
                if brought.contains_key(&piece) || missing.contains(&piece) {
                    continue;
                }
                match self.tails.pieces().get(meta.id, piece) {
                    Some(bytes) => drop(brought.insert(piece, bytes)),
                    None => missing.push(piece),
                }
            }
        }
        cost.pieces_cached += brought.len();
        if missing.is_empty() {
            return Ok(brought);
        }
        let places: Vec<_> = missing.iter().map(|piece| index.place(*piece)).collect();
        let read = self.store.ranges(key, meta.bytes, &places).await?;
        cost.requests += read.requests;
        cost.bytes += read.bytes;
        cost.pieces += missing.len();
        for (piece, bytes) in missing.into_iter().zip(read.ranges) {
            index.accept(piece, &bytes)?;
            if piece == Piece::Frequent {
                self.tails.weigh(meta.id, tail);
            } else {
                brought.insert(piece, self.tails.pieces().put(meta.id, piece, &bytes));
            }
        }
        Ok(brought)
    }
}

impl Found {
    /// `None` if templates were not asked, or have nothing to say.
    fn split(self, meta: &Arc<SegmentMeta>) -> Option<Split> {
        let sorted = self.sorted?;
        let narrowed = |verdict| {
            let which = Which::Exactly(verdict);
            let access = Access::new(&self.tail.parquet, &self.kept, Some(&sorted), which)?;
            let told = access.told(&sorted, which);
            let is_empty = access.is_empty();
            let rows = Narrowed { meta: Arc::clone(meta), access: access.plan, told };
            Some((!is_empty).then_some(rows))
        };
        let (sure, undecided) = (narrowed(Verdict::All)?, narrowed(Verdict::Undecided)?);
        Some(Split { meta: Arc::clone(meta), sorted, sure, undecided, tail: self.origin })
    }
}

fn usable(tail: &SegmentTail) -> Option<&TokenIndex> {
    tail.index.as_deref().filter(|index| index.is_usable())
}

fn look_up(index: &TokenIndex, term: &Term, rare: &HashMap<Piece, Bytes>) -> Result<ironbark_storage::Hits> {
    let bytes = index.pieces(term).into_iter().find_map(|piece| rare.get(&piece));
    index.lookup(term, bytes)
}

fn ranges_differ(key: &Path, meta: &SegmentMeta) -> Error {
    let reason = "the index has other ranges than the row groups".to_owned();
    let offset = meta.index.as_ref().map_or(0, |index| index.offset);
    Error::Corrupt { object: key.to_string(), offset, reason }
}

fn failed(key: &Path, error: &Error) {
    tracing::warn!(segment = %key, %error, "a token index cannot be used; its segment is read whole");
    metrics::counter!("ironbark_query_index_failures_total").increment(1);
}
