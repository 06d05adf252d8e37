//! Sorts the rows of a segment by what a filter makes of them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use ironbark_storage::{Run, Templates, TimeRange};

use super::answers::Answers;
use super::automaton::Automaton;
use super::condition::{Condition, Node};
use crate::table::tally::{Cell, Cells, Judge, Verdict};

/// A filter that is ready to be tried on segments.
#[derive(Debug)]
pub(in crate::table) struct RowFilter {
    root: Node,
    /// Conditions on the message; `None` where one is too large.
    texts: Vec<Option<Automaton>>,
    /// Conditions on source, level and time.
    others: Vec<Judge>,
}

/// What the filter makes of a segment's rows.
#[derive(Debug)]
pub(in crate::table) struct SortedRows {
    templates: Arc<Templates>,
    /// For each row group, of each of its runs.
    verdicts: Vec<Vec<Verdict>>,
}

impl SortedRows {
    /// The rows of each row group in order: how many in a row, and what the filter makes of them.
    pub(in crate::table) fn row_groups(&self) -> impl Iterator<Item = impl Iterator<Item = (u32, Verdict)>> {
        let groups = self.templates.row_groups.iter().zip(&self.verdicts);
        groups.map(|(runs, verdicts)| runs.iter().map(|run| run.rows).zip(verdicts.iter().copied()))
    }

    /// How many rows the filter makes this of.
    pub(in crate::table) fn count(&self, wanted: Verdict) -> u64 {
        let rows = self.row_groups().flatten().filter(|(_, verdict)| *verdict == wanted);
        rows.map(|(rows, _)| u64::from(rows)).sum()
    }

    /// The rows that the filter surely lets through, by source and level. They lie at this time.
    pub(in crate::table) fn sure(&self, time: TimeRange) -> Cells<'_> {
        let mut sums: HashMap<(u32, u32), u64> = HashMap::new();
        let runs = self.templates.row_groups.iter().flatten().zip(self.verdicts.iter().flatten());
        for (run, _) in runs.filter(|(_, verdict)| **verdict == Verdict::All) {
            *sums.entry((run.source, run.level)).or_insert(0) += u64::from(run.rows);
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
struct Known<'a> {
    root: &'a Node,
    /// For each text condition, of each template.
    texts: Vec<Vec<Answers>>,
    /// For each other condition, of each cell: rows of a row group with the same source and level.
    others: Vec<Vec<Answers>>,
    /// Of each template, whatever the cell.
    of_templates: Vec<Verdict>,
}

impl RowFilter {
    /// `None` if templates say nothing of these filters, which are in bare column names.
    pub(in crate::table) fn of(filters: &[Expr], state: &dyn Session) -> Result<Option<Self>> {
        let Some(Condition { root, texts, others }) = Condition::of(filters) else { return Ok(None) };
        let judge =
            |(expr, steps): &_| Judge::new(std::slice::from_ref(expr), steps, &Schema::empty(), state);
        let others = others.iter().map(judge).collect::<Result<_>>()?;
        Ok(Some(Self { root, texts: texts.iter().map(Automaton::new).collect(), others }))
    }

    /// Sorts the rows of a segment whose row groups lie at these times.
    pub(in crate::table) fn sort(&self, templates: Arc<Templates>, times: &[TimeRange]) -> SortedRows {
        let of_text = |text: &Option<Automaton>| {
            let answers = |template| {
                text.as_ref().map_or(Answers::ANY, |text| Answers::of_text(text.verdict(template)))
            };
            templates.templates.iter().map(answers).collect()
        };
        let texts = self.texts.iter().map(of_text).collect();
        let (cells, first_cells) = cells(&templates, times);
        let others = self
            .others
            .iter()
            .map(|judge| judge.verdicts(&cells).into_iter().map(Answers::of_filter).collect());
        let others = others.collect();
        let mut known = Known { root: &self.root, texts, others, of_templates: Vec::new() };
        let of_template = |template| known.answers(known.root, Some(template), None).verdict();
        known.of_templates = (0..templates.templates.len()).map(of_template).collect();
        let row_groups = templates.row_groups.iter().zip(first_cells);
        let verdicts = row_groups.map(|(runs, first)| known.sort(runs, first)).collect();
        SortedRows { templates, verdicts }
    }
}

/// The cells of all row groups, and the place of each row group's first. Runs are sorted by source and level.
fn cells<'a>(templates: &'a Templates, times: &[TimeRange]) -> (Vec<Cell<'a>>, Vec<usize>) {
    let (mut cells, mut first) = (Vec::new(), Vec::new());
    let name =
        |names: &'a [Option<Box<str>>], place: u32| names.get(place as usize).and_then(Option::as_deref);
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
    fn sort(&self, runs: &[Run], first_cell: usize) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(runs.len());
        for (place, runs) in runs.chunk_by(of_one_cell).enumerate() {
            let cell = first_cell + place;
            // Often source and level decide for all templates, or templates for all of them.
            match self.answers(self.root, None, Some(cell)).verdict() {
                Verdict::Undecided => verdicts.extend(runs.iter().map(|run| self.of_run(run, cell))),
                decided => verdicts.extend(std::iter::repeat_n(decided, runs.len())),
            }
        }
        verdicts
    }

    fn of_run(&self, run: &Run, cell: usize) -> Verdict {
        let template = run.template as usize;
        match self.of_templates.get(template) {
            Some(known) if *known != Verdict::Undecided || self.others.is_empty() => *known,
            _ => self.answers(self.root, Some(template), Some(cell)).verdict(),
        }
    }

    /// Of a template or any, in a cell or any.
    fn answers(&self, node: &Node, template: Option<usize>, cell: Option<usize>) -> Answers {
        let at = |answers: &[Vec<Answers>], leaf: usize, place: Option<usize>| {
            let answers = answers.get(leaf).zip(place).and_then(|(answers, place)| answers.get(place));
            answers.copied().unwrap_or(Answers::ANY)
        };
        let of = |node: &Node| self.answers(node, template, cell);
        match node {
            Node::Fixed(answers) => *answers,
            Node::Text(leaf) => at(&self.texts, *leaf, template),
            Node::Other(leaf) => at(&self.others, *leaf, cell),
            Node::And(nodes) => nodes.iter().map(of).fold(Answers::TRUE, Answers::and),
            Node::Or(nodes) => nodes.iter().map(of).fold(Answers::FALSE, Answers::or),
            Node::Not(node) => of(node).not(),
            Node::IsTrue(node) => of(node).is_true(),
        }
    }
}
