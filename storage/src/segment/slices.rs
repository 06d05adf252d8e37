//! Orders rows and cuts them into row groups.
//!
//! ```text
//!  batches ─► entries sorted by (timestamp, _row_id) ─► cut ─► each slice ordered by source, level and template, stably,
//!                                                           with the templates that say least behind all others
//! ```
//!
//! Rows are not moved here: an entry names a row by batch and place.

use std::collections::HashMap;

use arrow::array::{
    Array, AsArray, Int64Array, MapArray, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::{Int64Type, TimestampNanosecondType};

use super::PromotedTags;
use super::format::ROW_GROUP_BYTES_MAX;
use super::seeded::Seeded;
use super::template::{Miner, Names, Place, TemplatesBuilder};
use crate::{Error, Result, column};

/// The columns of a batch that decide where its rows go.
pub(super) struct Columns<'a> {
    times: &'a TimestampNanosecondArray,
    sources: &'a StringArray,
    levels: &'a StringArray,
    messages: &'a StringArray,
    tags: &'a MapArray,
    tag_keys: &'a StringArray,
    tag_values: &'a StringArray,
    /// Length of the key, and the values.
    promoted: Vec<(usize, &'a StringArray)>,
    pub(super) ids: &'a Int64Array,
}

impl<'a> Columns<'a> {
    /// Fails unless the batch is of [`PromotedTags::schema`].
    pub(super) fn of(batch: &'a RecordBatch) -> Result<Self> {
        let promoted = PromotedTags::of_schema(&batch.schema())
            .ok_or_else(|| invalid("*", "the columns are not those of stored rows"))?;
        let first_promoted = batch.num_columns() - promoted.keys().len();
        let promoted = promoted.keys().map(str::len).zip(batch.columns().iter().skip(first_promoted));
        let find = |name: &'static str| batch.column_by_name(name).ok_or_else(|| invalid(name, "is missing"));
        let wrong = |name| move || invalid(name, "is of another type");
        let text = |name: &'static str| find(name)?.as_string_opt::<i32>().ok_or_else(wrong(name));
        let tags = find(column::TAGS)?.as_map_opt().ok_or_else(wrong(column::TAGS))?;
        Ok(Self {
            times: find(column::TIMESTAMP)?
                .as_primitive_opt::<TimestampNanosecondType>()
                .ok_or_else(wrong(column::TIMESTAMP))?,
            sources: text(column::SOURCE)?,
            levels: text(column::LEVEL)?,
            messages: text(column::MESSAGE)?,
            tags,
            tag_keys: tags.keys().as_string_opt().ok_or_else(wrong(column::TAGS))?,
            tag_values: tags.values().as_string_opt().ok_or_else(wrong(column::TAGS))?,
            promoted: promoted
                .filter_map(|(key_bytes, values)| Some((key_bytes, values.as_string_opt()?)))
                .collect(),
            ids: find(column::ROW_ID)?.as_primitive_opt::<Int64Type>().ok_or_else(wrong(column::ROW_ID))?,
        })
    }

    fn source(&self, row: usize) -> Option<&'a str> {
        (!self.sources.is_null(row)).then(|| self.sources.value(row))
    }

    pub(super) fn level(&self, row: usize) -> Option<&'a str> {
        (!self.levels.is_null(row)).then(|| self.levels.value(row))
    }

    /// At most so many bytes are the texts of all rows that have no small limit.
    fn text_bytes_max(&self) -> usize {
        let span = |values: &StringArray| {
            let offset = |at: Option<&i32>| at.and_then(|at| usize::try_from(*at).ok()).unwrap_or(0);
            let offsets = values.value_offsets();
            offset(offsets.last()).saturating_sub(offset(offsets.first()))
        };
        let promoted =
            self.promoted.iter().map(|(key_bytes, values)| key_bytes * values.len() + span(values));
        promoted.sum::<usize>() + span(self.messages) + span(self.tag_keys) + span(self.tag_values)
    }

    /// Bytes of the texts of a row that have no small limit.
    fn text_bytes(&self, row: usize) -> usize {
        let span = |offsets: &[i32], from: usize, to: usize| {
            let at =
                |at: usize| offsets.get(at).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
            (at(from), at(to))
        };
        let length = |(from, to): (usize, usize)| to.saturating_sub(from);
        let (from, to) = span(self.tags.value_offsets(), row, row + 1);
        let promoted = self.promoted.iter().filter(|(_, values)| values.is_valid(row));
        let promoted = promoted
            .map(|(key_bytes, values)| key_bytes + length(span(values.value_offsets(), row, row + 1)))
            .sum::<usize>();
        promoted
            + length(span(self.messages.value_offsets(), row, row + 1))
            + length(span(self.tag_keys.value_offsets(), from, to))
            + length(span(self.tag_values.value_offsets(), from, to))
    }
}

/// A row: its place in the order of time, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) time: i64,
    pub(super) id: i64,
    batch: u32,
    row: u32,
}

impl Entry {
    /// Its batch, and its row in there.
    pub(super) fn place(self) -> (usize, usize) {
        (usize::try_from(self.batch).unwrap_or(usize::MAX), usize::try_from(self.row).unwrap_or(usize::MAX))
    }
}

/// All rows of the batches in order of (timestamp, row id).
pub(super) fn entries(columns: &[Columns<'_>]) -> Vec<Entry> {
    let rows = columns.iter().map(|batch| batch.ids.len()).sum();
    let mut entries = Vec::with_capacity(rows);
    for (batch, columns) in (0u32..).zip(columns) {
        let keys = columns.times.values().iter().zip(columns.ids.values());
        entries.extend((0u32..).zip(keys).map(|(row, (time, id))| Entry {
            time: *time,
            id: *id,
            batch,
            row,
        }));
    }
    entries.sort_unstable_by_key(|entry| (entry.time, entry.id));
    entries
}

/// How many of the first entries fit into a row group: all, unless their texts are long.
pub(super) fn cut(entries: &[Entry], columns: &[Columns<'_>]) -> usize {
    if columns.iter().map(Columns::text_bytes_max).sum::<usize>() <= ROW_GROUP_BYTES_MAX {
        return entries.len();
    }
    let mut bytes = 0;
    for (at, entry) in entries.iter().enumerate() {
        let (batch, row) = entry.place();
        bytes += columns.get(batch).map_or(0, |columns| columns.text_bytes(row));
        if bytes > ROW_GROUP_BYTES_MAX && at > 0 {
            return at;
        }
    }
    entries.len()
}

/// A row group's rows in the order of the file, and how many there are of each source and level.
pub(super) struct Slice<'a> {
    /// The number of each row among the entries.
    pub(super) order: Vec<u32>,
    /// Of each row.
    pub(super) templates: Vec<u16>,
    /// By the numbers of the entries.
    pub(super) words: RowWords,
    pub(super) counts: HashMap<(Option<&'a str>, Option<&'a str>), u64>,
}

/// What is known of the words of a row group's messages, which the token index would have to find again: 40 bytes a row or so.
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
    fn of(entries: &[Entry], columns: &[Columns<'_>], miner: &mut Miner) -> Self {
        let mut words = Self { rows: vec![OneRowWords::default(); entries.len()], places: Vec::new() };
        for (entry, own) in entries.iter().zip(&mut words.rows) {
            let (batch, row) = entry.place();
            own.mask = columns.get(batch).and_then(|columns| miner.add(columns.messages.value(row)));
            let (start, places) = (u32::try_from(words.places.len()), miner.places());
            if let (Ok(start), Some(places)) = (start, places) {
                words.places.extend_from_slice(places);
                (own.places, own.words) = (start, u8::try_from(places.len()).ok());
            }
        }
        words
    }

    /// The mask of a row, and where its words with digits stand; `None` unless these are all of its words.
    pub(super) fn get(&self, row: u32) -> Option<(u32, &[Place])> {
        let words = self.rows.get(row as usize)?;
        let start = words.places as usize;
        Some((words.mask?, self.places.get(start..start + usize::from(words.words?))?))
    }
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
    let (mut runs, numbers, words) = runs(entries, columns, templates);
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
    for (entry, number) in (0..).zip(numbers) {
        let Some(next) = next.get_mut(number as usize) else { continue };
        if let Some(place) = order.get_mut(*next) {
            *place = entry;
        }
        *next += 1;
    }
    Slice { order, templates: of_rows, words, counts }
}

/// The runs of a slice in the order in which they come, for each entry the number of its run, and what its words are.
fn runs<'a>(
    entries: &[Entry],
    columns: &[Columns<'a>],
    templates: &mut TemplatesBuilder,
) -> (Vec<RunRows<'a>>, Vec<u32>, RowWords) {
    let miner = &mut templates.miner;
    let words = RowWords::of(entries, columns, miner);
    let of_masks = miner.end_row_group();
    let [mut sources, mut levels] = [(); 2].map(|()| Names::<&str>::new(templates.seeded));
    let mut known: HashMap<(u32, u32, u16), usize, Seeded> = HashMap::with_hasher(templates.seeded);
    let (mut runs, mut numbers) = (Vec::<RunRows<'a>>::new(), Vec::with_capacity(entries.len()));
    for (entry, words) in entries.iter().zip(&words.rows) {
        let (batch, row) = entry.place();
        let Some(columns) = columns.get(batch) else { continue };
        let (source, level) = (columns.source(row), columns.level(row));
        let template = of_masks.get(words.mask);
        let key = (sources.number(source), levels.number(level), template);
        let number = *known.entry(key).or_insert_with(|| {
            let number = runs.len();
            runs.push(RunRows { source, level, template, rows: 0, number });
            number
        });
        if let Some(run) = runs.get_mut(number) {
            run.rows += 1;
        }
        numbers.push(u32::try_from(number).unwrap_or(u32::MAX));
    }
    (runs, numbers, words)
}

fn invalid(column: &str, reason: &str) -> Error {
    Error::InvalidBatch { column: column.to_owned(), reason: reason.to_owned() }
}
