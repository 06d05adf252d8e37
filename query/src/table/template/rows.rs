//! Sorts the rows of a segment by what a filter makes of them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use ironbark_storage::{RANGE_ROWS, RangeSet, Run, Template, Templates, Term, TimeRange};

use super::answers::Answers;
use super::automaton::Automaton;
use super::condition::{Condition, Node};
use super::words::Word;
use crate::table::tally::{Cell, Cells, Judge, Verdict};

/// A filter that is ready to be tried on segments.
#[derive(Debug)]
pub(in crate::table) struct RowFilter {
    root: Node,
    /// Conditions on the message.
    texts: Vec<Text>,
    /// Conditions on source, level and time.
    others: Vec<Judge>,
}

/// A condition on the message.
#[derive(Debug)]
struct Text {
    /// `None` where it is too large.
    automaton: Option<Automaton>,
    words: Vec<Word>,
}

/// What the filter makes of a segment's rows.
#[derive(Debug)]
pub(in crate::table) struct SortedRows {
    templates: Arc<Templates>,
    /// For each row group, how many rows in a row and what the filter makes of them.
    row_groups: Vec<Vec<(u32, Verdict)>>,
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

/// What is known of one segment.
#[derive(Debug)]
pub(in crate::table) struct Known<'a> {
    filter: &'a RowFilter,
    templates: Arc<Templates>,
    /// For each text condition, of each template.
    texts: Vec<Vec<Answers>>,
    /// For each text condition, of each template the ranges in which its slots may hold the words; `None` where nothing is
    /// known of them. Empty before the index was asked.
    slots: Vec<Vec<Option<RangeSet>>>,
    /// For each other condition, of each cell: rows of a row group with the same source and level.
    others: Vec<Vec<Answers>>,
    /// For each row group, the place of its first cell.
    first_cells: Vec<usize>,
    /// Of each template, whatever the cell.
    of_templates: Vec<Verdict>,
}

/// Some rows: all of these, where it is told.
#[derive(Clone, Copy, Debug, Default)]
struct Rows {
    template: Option<usize>,
    cell: Option<usize>,
    range: Option<u32>,
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
    pub(in crate::table) fn ask(&self, templates: Arc<Templates>, times: &[TimeRange]) -> Known<'_> {
        let of_text = |text: &Text| {
            let answers = |template| {
                text.automaton.as_ref().map_or(Answers::ANY, |text| Answers::of_text(text.verdict(template)))
            };
            templates.templates.iter().map(answers).collect()
        };
        let texts = self.texts.iter().map(of_text).collect();
        let (cells, first_cells) = cells(&templates, times);
        let of_cells = |judge: &Judge| judge.verdicts(&cells).into_iter().map(Answers::of_filter).collect();
        let others = self.others.iter().map(of_cells).collect();
        let (slots, of_templates) = (Vec::new(), Vec::new());
        let mut known = Known { filter: self, templates, texts, slots, others, first_cells, of_templates };
        let of_template = |template| {
            known.answers(&self.root, Rows { template: Some(template), ..Rows::default() }).verdict()
        };
        known.of_templates = (0..known.templates.templates.len()).map(of_template).collect();
        known
    }

    /// Grams that slots hold where they hold the words of the text conditions.
    pub(in crate::table) fn grams(&self) -> impl Iterator<Item = &Term> {
        self.texts.iter().flat_map(|text| &text.words).flat_map(Word::grams)
    }
}

/// The cells of all row groups, and the place of each row group's first. Runs are sorted by source and level.
fn cells<'a>(templates: &'a Templates, times: &[TimeRange]) -> (Vec<Cell<'a>>, Vec<usize>) {
    let (mut cells, mut first) = (Vec::new(), Vec::new());
    for (runs, time) in templates.row_groups.iter().zip(times) {
        first.push(cells.len());
        for runs in runs.chunk_by(of_one_cell) {
            let Some(run) = runs.first() else { continue };
            cells.push(Cell {
                time: *time,
                source: name(&templates.sources, run.source),
                level: name(&templates.levels, run.level),
                rows: runs.iter().map(|run| u64::from(run.rows)).sum(),
            });
        }
    }
    (cells, first)
}

fn name(names: &[Option<Box<str>>], place: u32) -> Option<&str> {
    names.get(place as usize).and_then(Option::as_deref)
}

fn of_one_cell(one: &Run, next: &Run) -> bool {
    (one.source, one.level) == (next.source, next.level)
}

impl Known<'_> {
    /// Sorts the rows of the segment.
    pub(in crate::table) fn sort(&self) -> SortedRows {
        let mut first_range = 0;
        let mut row_groups = Vec::with_capacity(self.first_cells.len());
        for (runs, first_cell) in self.templates.row_groups.iter().zip(&self.first_cells) {
            let mut sorted = Sorted { rows: Vec::new(), all: 0 };
            for (place, runs) in runs.chunk_by(of_one_cell).enumerate() {
                let cell = Some(first_cell + place);
                // Often source and level decide for all templates, or templates for all of them.
                let of_cell = self.answers(&self.filter.root, Rows { cell, ..Rows::default() }).verdict();
                for run in runs {
                    match of_cell {
                        Verdict::Undecided => self.sort_run(run, cell, first_range, &mut sorted),
                        decided => sorted.push(run.rows, decided),
                    }
                }
            }
            row_groups.push(sorted.rows);
            first_range += ranges_of(sorted.all);
        }
        SortedRows { templates: Arc::clone(&self.templates), row_groups }
    }

    /// Sorts the rows of a run in a row group that begins at this range.
    fn sort_run(&self, run: &Run, cell: Option<usize>, first_range: u32, sorted: &mut Sorted) {
        let template = run.template as usize;
        let known = self.of_templates.get(template).copied().unwrap_or(Verdict::Undecided);
        let rows = Rows { template: Some(template), cell, range: None };
        let verdict = if known != Verdict::Undecided || self.others.is_empty() {
            known
        } else {
            self.answers(&self.filter.root, rows).verdict()
        };
        let is_narrowed = |slots: &Vec<Option<RangeSet>>| matches!(slots.get(template), Some(Some(_)));
        if verdict != Verdict::Undecided || !self.slots.iter().any(is_narrowed) {
            sorted.push(run.rows, verdict);
            return;
        }
        let end = sorted.all + u64::from(run.rows);
        while sorted.all < end {
            let range = sorted.all / RANGE_ROWS;
            let left = end.min((range + 1) * RANGE_ROWS) - sorted.all;
            let range = first_range + u32::try_from(range).unwrap_or(u32::MAX);
            let verdict = self.answers(&self.filter.root, Rows { range: Some(range), ..rows }).verdict();
            sorted.push(u32::try_from(left).unwrap_or(u32::MAX), verdict);
        }
    }

    /// Takes in which ranges hold each gram in slots: from then on rows are sorted by it too.
    /// Fails as `holding` does.
    pub(in crate::table) fn narrow<E>(
        &mut self,
        holding: impl Fn(&Term) -> Result<RangeSet, E>,
    ) -> Result<(), E> {
        let ranges =
            self.templates.row_groups.iter().map(|runs| runs.iter().map(|run| u64::from(run.rows)).sum());
        let ranges = ranges.map(ranges_of).sum();
        for (text, answers) in self.filter.texts.iter().zip(&self.texts) {
            let words = text.words.iter().map(|word| {
                let mut held = RangeSet::all(ranges);
                for gram in word.grams() {
                    held.intersect(&holding(gram)?);
                }
                Ok((word, held))
            });
            let words: Vec<(&Word, RangeSet)> = words.collect::<Result<_, E>>()?;
            let of_template = |(template, answers): (&Template, &Answers)| {
                let in_slots =
                    words.iter().filter(|(word, _)| answers.is_open() && !word.is_told_by(template));
                in_slots.map(|(_, held)| held.clone()).reduce(|mut all, held| {
                    all.intersect(&held);
                    all
                })
            };
            self.slots.push(self.templates.templates.iter().zip(answers).map(of_template).collect());
        }
        Ok(())
    }

    fn answers(&self, node: &Node, rows: Rows) -> Answers {
        let at = |answers: &[Vec<Answers>], leaf: usize, place: Option<usize>| {
            let answers = answers.get(leaf).zip(place).and_then(|(answers, place)| answers.get(place));
            answers.copied().unwrap_or(Answers::ANY)
        };
        let of = |node: &Node| self.answers(node, rows);
        match node {
            Node::Fixed(answers) => *answers,
            Node::Text(leaf) if self.is_ruled_out(*leaf, rows) => Answers::FALSE,
            Node::Text(leaf) => at(&self.texts, *leaf, rows.template),
            Node::Other(leaf) => at(&self.others, *leaf, rows.cell),
            Node::And(nodes) => nodes.iter().map(of).fold(Answers::TRUE, Answers::and),
            Node::Or(nodes) => nodes.iter().map(of).fold(Answers::FALSE, Answers::or),
            Node::Not(node) => of(node).not(),
            Node::IsTrue(node) => of(node).is_true(),
        }
    }

    /// Whether no slot of the template holds the words of this condition in this range, and nothing else does.
    fn is_ruled_out(&self, leaf: usize, rows: Rows) -> bool {
        let Some((template, range)) = rows.template.zip(rows.range) else { return false };
        let slots = self.slots.get(leaf).and_then(|slots| slots.get(template));
        slots.is_some_and(|held| held.as_ref().is_some_and(|held| !held.contains(range)))
    }
}

/// The rows of a row group so far.
struct Sorted {
    rows: Vec<(u32, Verdict)>,
    all: u64,
}

impl Sorted {
    fn push(&mut self, rows: u32, verdict: Verdict) {
        self.all += u64::from(rows);
        match self.rows.last_mut() {
            Some((last, same)) if *same == verdict => *last = last.saturating_add(rows),
            _ => self.rows.push((rows, verdict)),
        }
    }
}

/// The ranges of a row group of so many rows.
fn ranges_of(rows: u64) -> u32 {
    u32::try_from(rows.div_ceil(RANGE_ROWS)).unwrap_or(u32::MAX)
}
