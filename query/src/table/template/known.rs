//! Sorts the rows of one segment by what a filter makes of them, row group by row group.
//!
//! ```text
//!   row group ─► cells: rows of a source and level ─► runs: rows of a template ─► parts of runs in one range
//!                 source, level and time may decide    the template may decide     its grams may rule out
//! ```
//!
//! What nobody needs is not asked: templates are tried when the first run of theirs is looked at.

use std::sync::Arc;

use ironbark_storage::{RANGE_ROWS, RangeSet, Run, Template, Templates, Term, TimeRange};

use super::answers::Answers;
use super::condition::Node;
use super::rows::{RowFilter, Shared, SortedRows, name};
use super::words::Word;
use crate::table::tally::{Cell, Judge, Verdict};
use crate::table::top::Frontier;

/// A source and a level, as places in the names of the segment.
type Pair = (u32, u32);

/// What a condition on source and level says of pairs; sorted.
#[derive(Clone, Debug, Default)]
struct Pairs(Vec<(Pair, Verdict)>);

impl Pairs {
    fn of(&self, runs: &[Run]) -> Option<Verdict> {
        let pair = pair(runs)?;
        let place = self.0.binary_search_by_key(&pair, |(known, _)| *known).ok()?;
        self.0.get(place).map(|(_, verdict)| *verdict)
    }

    fn learn(&mut self, cells: &[&[Run]], verdicts: Vec<Verdict>) {
        self.0.extend(cells.iter().filter_map(|runs| pair(runs)).zip(verdicts));
        self.0.sort_by_key(|(pair, _)| *pair);
        self.0.dedup_by_key(|(pair, _)| *pair);
    }
}

/// What is known of one segment.
#[derive(Debug)]
pub(in crate::table) struct Known<'a> {
    filter: &'a RowFilter,
    templates: Arc<Templates>,
    row_groups: Vec<RowGroup>,
    /// What is said of each template; `None` before one of its runs asks.
    told: Vec<Option<Told>>,
    /// What each condition on source and level said of those that were met.
    pairs: Vec<Pairs>,
    /// For each text condition, of each template the ranges in which its slots may hold the words; `None` where nothing is
    /// known of them. Empty before the index was asked.
    slots: Vec<Vec<Option<RangeSet>>>,
}

#[derive(Debug)]
struct RowGroup {
    time: TimeRange,
    rows: u32,
    first_range: u32,
    /// Whether the frontier knows of its sure rows.
    is_counted: bool,
}

/// What is said of a template.
#[derive(Debug)]
struct Told {
    /// By each text condition.
    texts: Box<[Answers]>,
    /// By the whole filter, whatever source, level and time.
    verdict: Verdict,
}

/// Some rows, by what is known of them.
#[derive(Clone, Copy, Debug, Default)]
struct Rows<'a> {
    /// What text conditions say of their template.
    texts: &'a [Answers],
    /// What each other condition says of the cells of their row group, and the place of theirs.
    cell: Option<(&'a [Vec<Answers>], usize)>,
    /// Their template and range.
    place: Option<(usize, u32)>,
}

impl<'a> Known<'a> {
    /// Of a segment whose row groups lie at these times.
    pub(super) fn new(filter: &'a RowFilter, templates: Arc<Templates>, times: Vec<TimeRange>) -> Self {
        let mut first_range = 0u32;
        let row_group = |(runs, time): (&Vec<Run>, TimeRange)| {
            let rows = rows_of(runs);
            let row_group = RowGroup { time, rows, first_range, is_counted: false };
            first_range = first_range.saturating_add(ranges_of(rows));
            row_group
        };
        let row_groups = templates.row_groups.iter().zip(times).map(row_group).collect();
        let told = templates.templates.iter().map(|_| None).collect();
        let pairs = vec![Pairs::default(); filter.others.len()];
        Self { filter, templates, row_groups, told, pairs, slots: Vec::new() }
    }

    /// Sorts the rows of the segment. The frontier learns of rows that surely pass; rows behind it count as such that do
    /// not pass, whatever they are.
    pub(in crate::table) fn sort(&mut self, frontier: Option<&Frontier>) -> SortedRows {
        let templates = Arc::clone(&self.templates);
        let mut order: Vec<usize> = (0..self.row_groups.len()).collect();
        if let Some(frontier) = frontier {
            let first =
                |place: &usize| self.row_groups.get(*place).map(|group| frontier.wanted.first(group.time));
            order.sort_by_key(first);
        }
        let mut sorted = vec![Vec::new(); self.row_groups.len()];
        let mut shared = vec![Shared::default(); self.row_groups.len()];
        for place in order {
            let (Some(group), Some(runs)) = (self.row_groups.get(place), templates.row_groups.get(place))
            else {
                continue;
            };
            let (time, rows) = (group.time, group.rows);
            let (rows, common) = if frontier.is_some_and(|frontier| frontier.is_ahead_of(time)) {
                (vec![(rows, Verdict::Nothing)], Shared::default())
            } else {
                self.sort_group(place, runs)
            };
            if let (Some(frontier), Some(group)) = (frontier, self.row_groups.get_mut(place))
                && !std::mem::replace(&mut group.is_counted, true)
            {
                frontier.add(time, sure(&rows));
            }
            if let Some((sorted, shared)) = sorted.get_mut(place).zip(shared.get_mut(place)) {
                (*sorted, *shared) = (rows, common);
            }
        }
        SortedRows { templates, row_groups: sorted, shared }
    }

    /// The rows of a row group: how many in a row, and what the filter makes of them. And what those share that may pass.
    fn sort_group(&mut self, place: usize, runs: &[Run]) -> (Vec<(u32, Verdict)>, Shared) {
        let Some(RowGroup { time, first_range, rows, .. }) = self.row_groups.get(place) else {
            return <_>::default();
        };
        let (time, first_range, rows) = (*time, *first_range, *rows);
        let by_time = self.by_time(time);
        // Often the time decides, and runs are many.
        let of_all: Vec<_> = by_time.iter().map(|known| vec![known.unwrap_or(Answers::ANY)]).collect();
        let all = Rows { cell: Some((of_all.as_slice(), 0)), ..Rows::default() };
        match self.answers(&self.filter.root, all).verdict() {
            Verdict::Undecided => {}
            Verdict::Nothing => return (vec![(rows, Verdict::Nothing)], Shared::default()),
            Verdict::All => return (vec![(rows, Verdict::All)], Shared::UNKNOWN),
        }
        let cells: Vec<&[Run]> = runs.chunk_by(of_one_cell).collect();
        let others = self.of_cells(&cells, by_time, time);
        let mut sorted = Sorted { first_range, ..Sorted::default() };
        for (place, runs) in cells.into_iter().enumerate() {
            sorted.of_cell = runs.first().map(Shared::of).unwrap_or_default();
            let cell = Some((others.as_slice(), place));
            // Often source and level decide for all templates, or templates for all of them.
            let of_cell = self.answers(&self.filter.root, Rows { cell, ..Rows::default() }).verdict();
            match of_cell {
                Verdict::Undecided => runs.iter().for_each(|run| self.sort_run(run, cell, &mut sorted)),
                decided => sorted.push(rows_of(runs), decided),
            }
        }
        (sorted.rows, sorted.shared)
    }

    /// What each condition on time alone says of all cells of a row group, as they lie at its time; `None` of the others.
    fn by_time(&self, time: TimeRange) -> Vec<Option<Answers>> {
        let cell = Cell { time, source: None, level: None, rows: 0 };
        let of_judge = |judge: &Judge| {
            let is_of_time = judge.asks_of_time() && !judge.asks_of_names();
            is_of_time.then(|| judge.verdicts(&[cell]).pop().map(Answers::of_filter)).flatten()
        };
        self.filter.others.iter().map(of_judge).collect()
    }

    /// What each condition on source, level and time says of the cells of a row group.
    fn of_cells(
        &mut self,
        cells: &[&[Run]],
        by_time: Vec<Option<Answers>>,
        time: TimeRange,
    ) -> Vec<Vec<Answers>> {
        let templates = &self.templates;
        let as_cells = |runs: &[&[Run]]| -> Vec<Cell<'_>> {
            runs.iter().filter_map(|runs| cell(templates, runs, time)).collect()
        };
        let of_judge = |((judge, known), by_time): ((&Judge, &mut Pairs), Option<Answers>)| {
            if let Some(answers) = by_time {
                return vec![answers; cells.len()];
            }
            if judge.asks_of_time() {
                return judge.verdicts(&as_cells(cells)).into_iter().map(Answers::of_filter).collect();
            }
            let mut new: Vec<&[Run]> = cells.to_vec();
            new.retain(|runs| known.of(runs).is_none());
            if !new.is_empty() {
                known.learn(&new, judge.verdicts(&as_cells(&new)));
            }
            let of_cell = |runs: &&[Run]| Answers::of_filter(known.of(runs).unwrap_or(Verdict::Undecided));
            cells.iter().map(of_cell).collect()
        };
        self.filter.others.iter().zip(&mut self.pairs).zip(by_time).map(of_judge).collect()
    }

    fn sort_run(&mut self, run: &Run, cell: Option<(&[Vec<Answers>], usize)>, sorted: &mut Sorted) {
        let template = run.template as usize;
        self.try_on(template);
        let Some(Some(told)) = self.told.get(template) else {
            sorted.push(run.rows, Verdict::Undecided);
            return;
        };
        let rows = Rows { texts: &told.texts, cell, place: None };
        let verdict = if told.verdict != Verdict::Undecided || self.filter.others.is_empty() {
            told.verdict
        } else {
            self.answers(&self.filter.root, rows).verdict()
        };
        let is_narrowed = |slots: &Vec<Option<RangeSet>>| matches!(slots.get(template), Some(Some(_)));
        if verdict != Verdict::Undecided || !self.slots.iter().any(is_narrowed) {
            sorted.push(run.rows, verdict);
            return;
        }
        let mut left = run.rows;
        while left > 0 {
            let (range, of_range) = sorted.next(left);
            let place = Some((template, range));
            let verdict = self.answers(&self.filter.root, Rows { place, ..rows }).verdict();
            sorted.push(of_range, verdict);
            left -= of_range;
        }
    }

    /// Tries the conditions on a template, if that was not done yet.
    fn try_on(&mut self, template: usize) {
        let (Some(told), Some(parts)) = (self.told.get(template), self.templates.templates.get(template))
        else {
            return;
        };
        if told.is_some() {
            return;
        }
        let texts = self.filter.texts.iter().map(|text| {
            text.automaton.as_ref().map_or(Answers::ANY, |text| Answers::of_text(text.verdict(parts)))
        });
        let texts: Box<[Answers]> = texts.collect();
        let verdict = self.answers(&self.filter.root, Rows { texts: &texts, ..Rows::default() }).verdict();
        if let Some(told) = self.told.get_mut(template) {
            *told = Some(Told { texts, verdict });
        }
    }

    /// Takes in which ranges hold each gram in slots: from then on rows are sorted by it too.
    /// Fails as `holding` does.
    pub(in crate::table) fn narrow<E>(
        &mut self,
        holding: impl Fn(&Term) -> Result<RangeSet, E>,
    ) -> Result<(), E> {
        let ranges = self.row_groups.iter().map(|group| ranges_of(group.rows)).sum();
        for (leaf, text) in self.filter.texts.iter().enumerate() {
            let words = text.words.iter().map(|word| {
                let mut held = RangeSet::all(ranges);
                for gram in word.grams() {
                    held.intersect(&holding(gram)?);
                }
                Ok((word, held))
            });
            let words: Vec<(&Word, RangeSet)> = words.collect::<Result<_, E>>()?;
            let of_template = |(template, told): (&Template, &Option<Told>)| {
                let answers = told.as_ref().and_then(|told| told.texts.get(leaf));
                let is_open = answers.is_some_and(|answers| answers.is_open());
                let in_slots = words.iter().filter(|(word, _)| is_open && !word.is_told_by(template));
                in_slots.map(|(_, held)| held.clone()).reduce(|mut all, held| {
                    all.intersect(&held);
                    all
                })
            };
            self.slots.push(self.templates.templates.iter().zip(&self.told).map(of_template).collect());
        }
        Ok(())
    }

    fn answers(&self, node: &Node, rows: Rows<'_>) -> Answers {
        let of = |node: &Node| self.answers(node, rows);
        match node {
            Node::Fixed(answers) => *answers,
            Node::Text(leaf) if self.is_ruled_out(*leaf, rows) => Answers::FALSE,
            Node::Text(leaf) => rows.texts.get(*leaf).copied().unwrap_or(Answers::ANY),
            Node::Other(leaf) => {
                let said = rows.cell.and_then(|(others, cell)| others.get(*leaf)?.get(cell));
                said.copied().unwrap_or(Answers::ANY)
            }
            Node::And(nodes) => nodes.iter().map(of).fold(Answers::TRUE, Answers::and),
            Node::Or(nodes) => nodes.iter().map(of).fold(Answers::FALSE, Answers::or),
            Node::Not(node) => of(node).not(),
            Node::IsTrue(node) => of(node).is_true(),
        }
    }

    /// Whether no slot of the template holds the words of this condition in this range, and nothing else does.
    fn is_ruled_out(&self, leaf: usize, rows: Rows<'_>) -> bool {
        let Some((template, range)) = rows.place else { return false };
        let slots = self.slots.get(leaf).and_then(|slots| slots.get(template));
        slots.is_some_and(|held| held.as_ref().is_some_and(|held| !held.contains(range)))
    }
}

/// A cell of a row group from its runs: these are sorted by source and level.
fn cell<'a>(templates: &'a Templates, runs: &[Run], time: TimeRange) -> Option<Cell<'a>> {
    let run = runs.first()?;
    let (source, level) = (name(&templates.sources, run.source), name(&templates.levels, run.level));
    Some(Cell { time, source, level, rows: u64::from(rows_of(runs)) })
}

fn rows_of(runs: &[Run]) -> u32 {
    runs.iter().fold(0, |sum, run| sum.saturating_add(run.rows))
}

/// Those of the runs of a cell.
fn pair(runs: &[Run]) -> Option<Pair> {
    runs.first().map(|run| (run.source, run.level))
}

fn of_one_cell(one: &Run, next: &Run) -> bool {
    (one.source, one.level) == (next.source, next.level)
}

/// How many of these rows surely pass.
fn sure(rows: &[(u32, Verdict)]) -> u64 {
    rows.iter().filter(|(_, verdict)| *verdict == Verdict::All).map(|(rows, _)| u64::from(*rows)).sum()
}

/// The rows of a row group so far.
#[derive(Default)]
struct Sorted {
    rows: Vec<(u32, Verdict)>,
    all: u32,
    first_range: u32,
    /// Of those that may pass.
    shared: Shared,
    /// Of the cell that the next rows are of.
    of_cell: Shared,
}

impl Sorted {
    fn push(&mut self, rows: u32, verdict: Verdict) {
        if verdict != Verdict::Nothing {
            self.shared = self.shared.and(self.of_cell);
        }
        self.all = self.all.saturating_add(rows);
        match self.rows.last_mut() {
            Some((last, same)) if *same == verdict => *last = last.saturating_add(rows),
            _ => self.rows.push((rows, verdict)),
        }
    }

    /// The range of the next row, and how many of the next rows are in it.
    fn next(&self, rows: u32) -> (u32, u32) {
        let (range, within) = (u64::from(self.all) / RANGE_ROWS, u64::from(self.all) % RANGE_ROWS);
        let left = u32::try_from(RANGE_ROWS - within).unwrap_or(u32::MAX);
        (self.first_range.saturating_add(u32::try_from(range).unwrap_or(u32::MAX)), rows.min(left))
    }
}

/// The ranges of a row group of so many rows.
fn ranges_of(rows: u32) -> u32 {
    u32::try_from(u64::from(rows).div_ceil(RANGE_ROWS)).unwrap_or(u32::MAX)
}
