//! Which keys get columns: those of many rows, with few different values. Told from a sample of the rows.
//!
//! A column that is NULL in nearly all rows, or in which nearly every value is another, costs more in each footer than
//! it saves, and nobody groups by it.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};

use super::convert::entries;
use super::{PROMOTED_TAGS_MAX, PromotedTags, map_of};
use crate::{Result, SegmentReader};

/// A key is promoted if at least one row in so many has it.
const ROWS_A_KEY: usize = 8;
/// Rows that are looked at.
const SAMPLE_ROWS_MAX: usize = 16_384;
/// In them, a key may have one value for so many rows that have it …
const ROWS_A_VALUE: usize = 4;
/// … or so many values, however few rows have it.
const VALUES_FEW: usize = 16;
/// Different keys that are counted: one of the frequent ones is among the first that come.
const KEYS_COUNTED_MAX: usize = 4_096;
/// A column's name stands in the footer once for each row group: longer keys stay in the map.
const KEY_BYTES_MAX: usize = 64;

/// What is known of a key.
#[derive(Debug, Default)]
struct Count<'a> {
    rows: usize,
    values: HashSet<&'a str>,
}

impl PromotedTags {
    /// Chooses for rows in any layout. Fewer than `rows_min` rows keep all their tags in the map.
    pub fn choose(batches: &[RecordBatch], rows_min: usize) -> Result<Self> {
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if rows < rows_min {
            return Ok(Self::default());
        }
        let step = rows.div_ceil(SAMPLE_ROWS_MAX).max(1);
        let mut counts: HashMap<&str, Count<'_>> = HashMap::new();
        let (mut sampled, mut next) = (0, 0);
        let layouts: Vec<Self> =
            batches.iter().map(|batch| Self::of_schema(&batch.schema()).unwrap_or_default()).collect();
        for (batch, layout) in batches.iter().zip(&layouts) {
            let sample = Sample { batch, layout, first: next, step };
            sampled += sample.count(&mut counts)?;
            // The first row of the next batch that is looked at.
            next = next_first(next, step, batch.num_rows());
        }
        let pays = |count: &Count<'_>| count.values.len() <= (count.rows / ROWS_A_VALUE).max(VALUES_FEW);
        let found = counts.into_iter().filter(|(_, count)| pays(count));
        Ok(Self::most_frequent(found.map(|(key, count)| (key, count.rows)), sampled))
    }

    /// Chooses from what the inputs of a merge have promoted, without reading rows. `None` where most rows are of
    /// inputs that have promoted nothing.
    pub fn of_inputs(inputs: &[SegmentReader]) -> Option<Self> {
        let (mut all, mut told) = (0usize, 0usize);
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for input in inputs {
            let rows = usize::try_from(input.meta().rows).unwrap_or(usize::MAX);
            all = all.saturating_add(rows);
            told = told.saturating_add(if input.promoted().is_empty() { 0 } else { rows });
            for (place, key) in input.promoted().keys().enumerate() {
                let count = counts.entry(key).or_default();
                *count = count.saturating_add(input.promoted_rows(place));
            }
        }
        (told >= all.div_ceil(2) && told > 0).then(|| Self::most_frequent(counts.into_iter(), all))
    }

    fn most_frequent<'a>(counts: impl Iterator<Item = (&'a str, usize)>, rows: usize) -> Self {
        let is_frequent = |count: usize| count > 0 && count.saturating_mul(ROWS_A_KEY) >= rows;
        let mut frequent: Vec<_> =
            counts.filter(|(key, count)| is_frequent(*count) && key.len() <= KEY_BYTES_MAX).collect();
        frequent.sort_unstable_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
        frequent.truncate(PROMOTED_TAGS_MAX);
        Self::new(frequent.into_iter().map(|(key, _)| key.into()).collect())
    }
}

fn next_first(first: usize, step: usize, rows: usize) -> usize {
    match rows.checked_sub(first) {
        None | Some(0) => first - rows.min(first),
        Some(rest) => rest.div_ceil(step) * step - rest,
    }
}

/// Some rows of a batch: the first that is looked at, and each `step` behind it.
struct Sample<'a> {
    batch: &'a RecordBatch,
    layout: &'a PromotedTags,
    first: usize,
    step: usize,
}

impl<'a> Sample<'a> {
    fn rows(&self) -> impl Iterator<Item = usize> + use<'a> {
        (self.first..self.batch.num_rows()).step_by(self.step)
    }

    /// Counts their keys. Returns how many rows they are.
    fn count(&self, counts: &mut HashMap<&'a str, Count<'a>>) -> Result<usize> {
        let map = map_of(self.batch)?;
        if let (Some(keys), Some(values)) = (map.keys().as_string_opt(), map.values().as_string_opt()) {
            for row in self.rows() {
                for entry in entries(map, row) {
                    let keys: &'a StringArray = keys;
                    add(counts, keys.value(entry), values, entry);
                }
            }
        }
        for key in self.layout.keys() {
            let column = self.batch.column_by_name(&PromotedTags::column(key));
            let Some(values) = column.and_then(|column| column.as_string_opt::<i32>()) else { continue };
            for row in self.rows() {
                add(counts, key, values, row);
            }
        }
        Ok(self.rows().count())
    }
}

fn add<'a>(counts: &mut HashMap<&'a str, Count<'a>>, key: &'a str, values: &'a StringArray, at: usize) {
    if values.is_null(at) || (counts.len() >= KEYS_COUNTED_MAX && !counts.contains_key(key)) {
        return;
    }
    let count = counts.entry(key).or_default();
    count.rows += 1;
    if count.values.len() <= SAMPLE_ROWS_MAX / ROWS_A_VALUE {
        count.values.insert(values.value(at));
    }
}
