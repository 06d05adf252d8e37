//! Orders the rows of a row group by source, level and template.
//!
//! ```text
//!   a slice     rows in order of time        3 1 2 · 7 …                   where a row lies changes from one to the next
//!   numbers     as they lie in memory        batch 0, batch 1, …           messages are masked in this order
//!   the file    runs, each in order of time  source, level, template       runs of few rows' templates that say least are last
//! ```
//!
//! The inputs of a merge lie in runs themselves: in the order of memory one message is nearly always like the one before, and
//! what a run of the output takes from each of them follows one behind the other. In order of time every row would wait for memory.

use std::collections::HashMap;

use super::seeded::Seeded;
use super::slices::{Columns, Entry};
use super::template::{MaskTemplates, Miner, Names, Place, TemplatesBuilder};

/// No row of the slice.
const NONE: u32 = u32::MAX;

/// A row group's rows in the order of the file, and how many there are of each source and level.
pub(super) struct Slice<'a> {
    /// The numbers of the rows.
    pub(super) order: Vec<u32>,
    /// Of each row in this order.
    pub(super) templates: Vec<u16>,
    /// Batch and row in there of each number.
    pub(super) rows: Vec<(usize, usize)>,
    /// Of each number.
    pub(super) words: RowWords,
    pub(super) counts: HashMap<(Option<&'a str>, Option<&'a str>), u64>,
}

/// What is known of the words of some rows' messages, which the token index would have to find again: 40 bytes a row or so.
pub(super) struct RowWords {
    rows: Vec<OneRowWords>,
    places: Vec<Place>,
}

/// Of one row.
#[derive(Clone, Default)]
struct OneRowWords {
    mask: Option<u32>,
    /// Where the places of its words with digits begin.
    places: u32,
    /// How many they are; nothing if these and the words of the mask are not all.
    words: Option<u8>,
}

impl RowWords {
    /// Masks the messages of a slice.
    fn of(rows: &[(usize, usize)], columns: &[Columns<'_>], miner: &mut Miner) -> Self {
        let mut words = Self { rows: Vec::with_capacity(rows.len()), places: Vec::new() };
        for (batch, row) in rows {
            let mask = columns.get(*batch).and_then(|columns| miner.add(columns.message(*row)));
            words.push(mask, miner.places());
        }
        words
    }

    fn push(&mut self, mask: Option<u32>, places: Option<&[Place]>) {
        let mut own = OneRowWords { mask, ..OneRowWords::default() };
        if let (Ok(start), Some(places)) = (u32::try_from(self.places.len()), places) {
            self.places.extend_from_slice(places);
            (own.places, own.words) = (start, u8::try_from(places.len()).ok());
        }
        self.rows.push(own);
    }

    /// Those of some rows, in this order. Rows that lie far apart are brought from memory faster together than between other work.
    pub(super) fn of_rows(&self, numbers: &[u32]) -> Self {
        let row = |number: &u32| self.rows.get(*number as usize).cloned().unwrap_or_default();
        let rows: Vec<OneRowWords> = numbers.iter().map(row).collect();
        let mut words = Self { rows: Vec::with_capacity(rows.len()), places: Vec::new() };
        for row in &rows {
            words.push(row.mask, self.places(row));
        }
        words
    }

    fn places(&self, row: &OneRowWords) -> Option<&[Place]> {
        let start = row.places as usize;
        self.places.get(start..start + usize::from(row.words?))
    }

    /// The mask of a row, and where its words with digits stand; `None` unless these are all of its words.
    pub(super) fn get(&self, row: usize) -> Option<(u32, &[Place])> {
        let words = self.rows.get(row)?;
        Some((words.mask?, self.places(words)?))
    }
}

/// Numbers the rows of a slice as they lie in memory: batch and row of each number, and the number of each entry.
fn numbers(entries: &[Entry], columns: &[Columns<'_>]) -> (Vec<(usize, usize)>, Vec<u32>) {
    let mut before = Vec::with_capacity(columns.len());
    let all = columns.iter().fold(0, |all, batch| {
        before.push(all);
        all + batch.ids.len()
    });
    let mut entries_of_rows = vec![NONE; all];
    for (number, entry) in (0..).zip(entries) {
        let (batch, row) = entry.place();
        let at = before.get(batch).and_then(|before| entries_of_rows.get_mut(before + row));
        if let Some(at) = at {
            *at = number;
        }
    }
    let (mut rows, mut numbers) = (Vec::with_capacity(entries.len()), vec![0; entries.len()]);
    let mut rest = entries_of_rows.as_slice();
    for (batch, columns) in columns.iter().enumerate() {
        let (of_batch, after) = rest.split_at(columns.ids.len().min(rest.len()));
        for (row, entry) in of_batch.iter().enumerate().filter(|(_, entry)| **entry != NONE) {
            if let Some(number) = numbers.get_mut(*entry as usize) {
                *number = u32::try_from(rows.len()).unwrap_or(NONE);
            }
            rows.push((batch, row));
        }
        rest = after;
    }
    (rows, numbers)
}

/// Rows of a slice with the same source, level and template.
struct RunRows<'a> {
    source: Option<&'a str>,
    level: Option<&'a str>,
    template: u16,
    rows: usize,
    /// Its number in the order in which runs came.
    number: usize,
}

/// Orders a slice by source, level and template, and adds its runs to the segment's. Rows of templates that say little come last: searches
/// have to read them, and so they lie in few pages. Entries come in order of (timestamp, row id), which is kept within a run.
pub(super) fn in_runs<'a>(
    entries: &[Entry],
    columns: &[Columns<'a>],
    templates: &mut TemplatesBuilder,
) -> Slice<'a> {
    let (rows, numbers) = numbers(entries, columns);
    let words = RowWords::of(&rows, columns, &mut templates.miner);
    let of_masks = templates.miner.end_row_group();
    let (mut runs, runs_of_rows) = runs(&rows, &words, columns, &of_masks, templates.seeded);
    let miner = &templates.miner;
    runs.sort_unstable_by_key(|run| (miner.comes_last(run.template), run.source, run.level, run.template));
    let mut counts = HashMap::new();
    let mut of_rows = Vec::with_capacity(entries.len());
    // Where the next row of each run goes.
    let mut next = vec![0; runs.len()];
    templates.begin_row_group();
    for run in runs {
        templates.add(run.source, run.level, run.template, run.rows);
        *counts.entry((run.source, run.level)).or_insert(0) += u64::try_from(run.rows).unwrap_or(u64::MAX);
        if let Some(next) = next.get_mut(run.number) {
            *next = of_rows.len();
        }
        of_rows.resize(of_rows.len() + run.rows, run.template);
    }
    let mut order = vec![0; of_rows.len()];
    for number in numbers {
        let run = runs_of_rows.get(number as usize).and_then(|run| next.get_mut(*run as usize));
        let Some(next) = run else { continue };
        if let Some(place) = order.get_mut(*next) {
            *place = number;
        }
        *next += 1;
    }
    Slice { order, templates: of_rows, rows, words, counts }
}

/// The runs of a slice in the order in which they come, and of each row the number of its run.
fn runs<'a>(
    rows: &[(usize, usize)],
    words: &RowWords,
    columns: &[Columns<'a>],
    of_masks: &MaskTemplates,
    seeded: Seeded,
) -> (Vec<RunRows<'a>>, Vec<u32>) {
    let [mut sources, mut levels] = [(); 2].map(|()| Names::<&str>::new(seeded));
    let mut known: HashMap<(u32, u32, u16), usize, Seeded> = HashMap::with_hasher(seeded);
    let (mut runs, mut of_rows) = (Vec::<RunRows<'a>>::new(), Vec::with_capacity(rows.len()));
    let mut last = 0;
    for ((batch, row), words) in rows.iter().zip(&words.rows) {
        let Some(columns) = columns.get(*batch) else { continue };
        let (source, level, template) = (columns.source(*row), columns.level(*row), of_masks.get(words.mask));
        let is_of =
            |run: &RunRows<'_>| run.template == template && run.source == source && run.level == level;
        if !runs.get(last).is_some_and(is_of) {
            let key = (sources.number(source), levels.number(level), template);
            last = *known.entry(key).or_insert_with(|| {
                let number = runs.len();
                runs.push(RunRows { source, level, template, rows: 0, number });
                number
            });
        }
        if let Some(run) = runs.get_mut(last) {
            run.rows += 1;
        }
        of_rows.push(u32::try_from(last).unwrap_or(u32::MAX));
    }
    (runs, of_rows)
}
