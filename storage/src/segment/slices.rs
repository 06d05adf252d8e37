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
use super::template::TemplatesBuilder;
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
    pub(super) places: Vec<(usize, usize)>,
    /// Of each row.
    pub(super) templates: Vec<u16>,
    pub(super) counts: HashMap<(Option<&'a str>, Option<&'a str>), u64>,
}

/// Rows of a slice with the same source, level and template.
struct RunRows<'a> {
    source: Option<&'a str>,
    level: Option<&'a str>,
    template: u16,
    places: Vec<(usize, usize)>,
}

/// Orders a slice by source, level and template, and adds its runs to the segment's. Rows of templates that say little come last: searches
/// have to read them, and so they lie in few pages. Entries come in order of (timestamp, row id), which is kept within a run.
pub(super) fn in_runs<'a>(
    entries: &[Entry],
    columns: &[Columns<'a>],
    templates: &mut TemplatesBuilder,
) -> Slice<'a> {
    let miner = &mut templates.miner;
    let mask = |entry: &Entry| {
        let (batch, row) = entry.place();
        columns.get(batch).and_then(|columns| miner.add(columns.messages.value(row)))
    };
    let masks: Vec<Option<u32>> = entries.iter().map(mask).collect();
    let of_masks = miner.end_row_group();
    let mut names: HashMap<Option<&'a str>, u32, Seeded> = HashMap::with_hasher(templates.seeded);
    let mut name = |text| {
        let next = u32::try_from(names.len()).unwrap_or(u32::MAX);
        *names.entry(text).or_insert(next)
    };
    let mut numbers: HashMap<(u32, u32, u16), usize, Seeded> = HashMap::with_hasher(templates.seeded);
    let mut runs: Vec<RunRows<'a>> = Vec::new();
    for (entry, mask) in entries.iter().zip(masks) {
        let (batch, row) = entry.place();
        let Some(columns) = columns.get(batch) else { continue };
        let (source, level, template) = (columns.source(row), columns.level(row), of_masks.get(mask));
        let number = *numbers.entry((name(source), name(level), template)).or_insert_with(|| {
            runs.push(RunRows { source, level, template, places: Vec::new() });
            runs.len() - 1
        });
        if let Some(run) = runs.get_mut(number) {
            run.places.push((batch, row));
        }
    }
    let miner = &templates.miner;
    runs.sort_unstable_by_key(|run| (miner.comes_last(run.template), run.source, run.level, run.template));
    let mut counts = HashMap::new();
    let (mut places, mut of_rows) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
    templates.begin_row_group();
    for run in runs {
        let rows = run.places.len();
        templates.add(run.source, run.level, run.template, rows);
        *counts.entry((run.source, run.level)).or_insert(0) += u64::try_from(rows).unwrap_or(u64::MAX);
        places.extend(run.places);
        of_rows.resize(places.len(), run.template);
    }
    Slice { places, templates: of_rows, counts }
}

fn invalid(column: &str, reason: &str) -> Error {
    Error::InvalidBatch { column: column.to_owned(), reason: reason.to_owned() }
}
