//! Cells of statistics, and what a query's filter makes of each.
//!
//! ```text
//!   a cell's span   ├───────────────┼────┼──────┤      the filter changes at these times only (shape.rs),
//!   looked at       ×              ×××  ×××     │      so one time of each stretch stands for all of it
//! ```
//!
//! The filter holds for all rows of a cell if it does at all of these times, and for none if it does at none.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use ironbark_storage::{
    BufferedRows, LogSchema, Minute, MinuteLevelCount, MinuteLevelCounts, SegmentMeta, SourceLevelCount,
    TimeRange, column,
};

use super::COLUMNS;
use super::shape::{Steps, mentions};

/// Segments whose manifest entries are judged in one go.
const SEGMENTS_AT_ONCE: usize = 1_024;

/// Rows of a segment that share source and level, as far as these are asked for, and lie within a span of time.
#[derive(Clone, Copy, Debug)]
pub(in crate::table) struct Cell<'a> {
    pub(in crate::table) time: TimeRange,
    pub(in crate::table) source: Option<&'a str>,
    pub(in crate::table) level: Option<&'a str>,
    pub(in crate::table) rows: u64,
}

/// Of which of a cell's rows the filter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::table) enum Verdict {
    All,
    Nothing,
    /// It may be some.
    Undecided,
}

/// A segment in cells: each of its rows lies in one.
#[derive(Debug)]
pub(in crate::table) struct Cells<'a>(pub(in crate::table) Vec<(Cell<'a>, Verdict)>);

impl Cells<'_> {
    /// Whether the filter holds for all rows.
    pub(super) fn are_all(&self) -> bool {
        self.0.iter().all(|(_, verdict)| *verdict == Verdict::All)
    }

    /// The minutes that must be read.
    pub(super) fn undecided_minutes(&self) -> impl Iterator<Item = Minute> {
        let undecided = self.0.iter().filter(|(_, verdict)| *verdict == Verdict::Undecided);
        undecided.map(|(cell, _)| Minute::of(cell.time.min))
    }
}

/// What one sort of statistics says of a segment.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    /// No cell is undecided.
    Whole(Cells<'a>),
    /// Some are.
    Cut(Cells<'a>),
    /// The statistics do not know what is asked for.
    Unknown,
}

/// A query's filter and what its groups ask for.
#[derive(Debug)]
pub(in crate::table) struct Judge {
    /// Over `columns`; `None` lets all rows through.
    predicate: Option<Arc<dyn PhysicalExpr>>,
    steps: Steps,
    columns: SchemaRef,
    /// Whether groups ask for the minute, and whether groups or filter ask for source or level.
    minute: bool,
    source: bool,
    level: bool,
}

impl Judge {
    /// `output` are the columns that the groups ask for.
    pub(in crate::table) fn new(
        filters: &[Expr],
        steps: &Steps,
        output: &Schema,
        state: &dyn Session,
    ) -> Result<Self> {
        let filter = conjunction(filters.iter().cloned());
        let filtered = |name: &str| filter.as_ref().is_some_and(|filter| mentions(filter, name));
        let grouped = |name: &str| output.field_with_name(name).is_ok();
        let (minute, source, level) = (
            grouped(column::TIMESTAMP),
            grouped(column::SOURCE) || filtered(column::SOURCE),
            grouped(column::LEVEL) || filtered(column::LEVEL),
        );
        let stored = LogSchema::stored();
        let places = COLUMNS.iter().map(|name| stored.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let columns = Arc::new(stored.project(&places)?);
        let schema = DFSchema::try_from(columns.as_ref().clone())?;
        let predicate = filter.map(|filter| state.create_physical_expr(filter, &schema)).transpose()?;
        Ok(Self { predicate, steps: steps.clone(), columns, minute, source, level })
    }

    /// By the counts of the manifest, which know nothing of time within the segment; an answer for each segment.
    pub(super) fn by_manifest<'a>(
        &'a self,
        segments: &'a [Arc<SegmentMeta>],
    ) -> impl Iterator<Item = (&'a Arc<SegmentMeta>, Answer<'a>)> {
        segments.chunks(SEGMENTS_AT_ONCE).flat_map(|some| {
            let answers = self.judge(some.iter().map(|meta| self.of_manifest(meta)).collect());
            some.iter().zip(answers)
        })
    }

    fn of_manifest<'a>(&self, meta: &'a SegmentMeta) -> Option<Vec<Cell<'a>>> {
        self.by_pairs(meta.time, meta.rows, meta.counts.as_deref())
    }

    /// The cells of rows in a span of time, from their counts by source and level.
    fn by_pairs<'a>(
        &self,
        time: TimeRange,
        rows: u64,
        counts: Option<&'a [SourceLevelCount]>,
    ) -> Option<Vec<Cell<'a>>> {
        if self.minute && Minute::of(time.min) != Minute::of(time.max) {
            return None;
        }
        let cell = |source, level, rows| Cell { time, source, level, rows };
        let of_count =
            |count: &'a SourceLevelCount| cell(count.source.as_deref(), count.level.as_deref(), count.rows);
        match counts {
            Some(counts) => Some(counts.iter().map(of_count).collect()),
            None if self.source || self.level => None,
            None => Some(vec![cell(None, None, rows)]),
        }
    }

    /// By the counts of batches in memory; an answer for each.
    pub(super) fn by_batches<'a>(&self, batches: &'a [Arc<BufferedRows>]) -> Vec<Answer<'a>> {
        self.judge(batches.iter().map(|batch| self.of_batch(batch)).collect())
    }

    /// Minutes say more than the span of the whole batch does; only a filter or group that asks for sources needs these.
    fn of_batch<'a>(&self, batch: &'a BufferedRows) -> Option<Vec<Cell<'a>>> {
        let (time, rows) = (batch.time(), batch.rows().num_rows() as u64);
        if !self.source && !self.level && !self.minute && self.steps.times.is_empty() && !self.steps.minutes {
            return Some(vec![Cell { time, source: None, level: None, rows }]);
        }
        let counts = batch.counts()?;
        if self.source {
            return self.by_pairs(time, rows, Some(counts.by_source()?));
        }
        Some(counts.by_minute()?.map(|count| of_minute(time, &count)).collect())
    }

    /// Whether the filter asks for the time.
    pub(in crate::table) fn asks_of_time(&self) -> bool {
        let mentions_time =
            |predicate| collect_columns(predicate).iter().any(|column| column.name() == column::TIMESTAMP);
        self.predicate.as_ref().is_some_and(mentions_time)
    }

    /// Whether the filter asks for source or level.
    pub(in crate::table) fn asks_of_names(&self) -> bool {
        self.source || self.level
    }

    /// Whether counts by minute and level can answer at all: they know nothing of sources.
    pub(super) fn minutes_may_answer(&self) -> bool {
        !self.source
    }

    /// By the counts of the segment's tail.
    pub(super) fn by_minutes<'a>(&self, meta: &SegmentMeta, counts: &'a MinuteLevelCounts) -> Answer<'a> {
        if !self.minutes_may_answer() {
            return Answer::Unknown;
        }
        let cells = counts.iter().map(|count| of_minute(meta.time, &count));
        self.judge(vec![Some(cells.collect())]).pop().unwrap_or(Answer::Unknown)
    }

    /// Judges the cells of all segments in one go.
    fn judge<'a>(&self, segments: Vec<Option<Vec<Cell<'a>>>>) -> Vec<Answer<'a>> {
        let all: Vec<Cell<'a>> = segments.iter().flatten().flatten().copied().collect();
        let mut verdicts = self.verdicts(&all).into_iter();
        let answer = |cells: Option<Vec<Cell<'a>>>| {
            let Some(cells) = cells else { return Answer::Unknown };
            let cells = Cells(cells.into_iter().zip(verdicts.by_ref()).collect());
            let whole = !cells.0.iter().any(|(_, verdict)| *verdict == Verdict::Undecided);
            if whole { Answer::Whole(cells) } else { Answer::Cut(cells) }
        };
        segments.into_iter().map(answer).collect()
    }

    /// Of each of these cells, which have what the filter asks for.
    pub(in crate::table) fn verdicts(&self, cells: &[Cell<'_>]) -> Vec<Verdict> {
        let Some(predicate) = &self.predicate else { return vec![Verdict::All; cells.len()] };
        let mut looks = Looks::default();
        for (place, cell) in cells.iter().enumerate() {
            self.look(place, cell, &mut looks);
        }
        // A filter that fails on a value fails in the scan as well, where it is told.
        let Ok(holds) = looks.evaluate(predicate, cells, &self.columns) else {
            return vec![Verdict::Undecided; cells.len()];
        };
        let mut verdicts: Vec<Option<Verdict>> = vec![None; cells.len()];
        for (place, holds) in looks.places.iter().zip(&holds) {
            let new = if holds == Some(true) { Verdict::All } else { Verdict::Nothing };
            if let Some(verdict) = verdicts.get_mut(*place) {
                *verdict = Some(if verdict.is_none_or(|old| old == new) { new } else { Verdict::Undecided });
            }
        }
        let steps_inside =
            |cell: &Cell<'_>| self.steps.minutes && Minute::of(cell.time.min) != Minute::of(cell.time.max);
        let verdict = |(cell, verdict): (&Cell<'_>, Option<Verdict>)| match verdict {
            Some(verdict) if !steps_inside(cell) => verdict,
            _ => Verdict::Undecided,
        };
        cells.iter().zip(verdicts).map(verdict).collect()
    }

    /// The times at which a cell is looked at.
    fn look(&self, place: usize, cell: &Cell<'_>, looks: &mut Looks) {
        let (min, max) = (cell.time.min.ns(), cell.time.max.ns());
        looks.push(place, min);
        let first = self.steps.times.partition_point(|step| *step < min);
        let inside = self.steps.times.iter().skip(first).take_while(|step| **step <= max);
        for step in inside {
            let around = [step.saturating_sub(1), *step, step.saturating_add(1)];
            around.into_iter().filter(|at| (min..=max).contains(at)).for_each(|at| looks.push(place, at));
        }
    }
}

/// The cell of a minute and level of rows in a span of time.
fn of_minute<'a>(all: TimeRange, count: &MinuteLevelCount<'a>) -> Cell<'a> {
    let minute = count.minute.range();
    let time = TimeRange::new(minute.min.max(all.min), minute.max.min(all.max));
    Cell { time, source: None, level: count.level, rows: count.rows }
}

/// Times at which cells are looked at.
#[derive(Default)]
struct Looks {
    places: Vec<usize>,
    times: Vec<i64>,
}

impl Looks {
    fn push(&mut self, place: usize, at: i64) {
        self.places.push(place);
        self.times.push(at);
    }

    fn evaluate(
        &self,
        predicate: &Arc<dyn PhysicalExpr>,
        cells: &[Cell<'_>],
        columns: &SchemaRef,
    ) -> Result<BooleanArray> {
        let times = TimestampNanosecondArray::from(self.times.clone()).with_timezone("UTC");
        let at = |place: &usize| cells.get(*place);
        let source: StringArray =
            self.places.iter().map(|place| at(place).and_then(|cell| cell.source)).collect();
        let level: StringArray =
            self.places.iter().map(|place| at(place).and_then(|cell| cell.level)).collect();
        let batch = RecordBatch::try_new(
            Arc::clone(columns),
            vec![Arc::new(times), Arc::new(source), Arc::new(level)],
        )?;
        let holds = predicate.evaluate(&batch)?.into_array(batch.num_rows())?;
        let holds = holds.as_boolean_opt().cloned();
        holds.filter(|holds| holds.len() == self.places.len()).ok_or_else(|| {
            datafusion::common::internal_datafusion_err!("a filter that is neither true nor false")
        })
    }
}
