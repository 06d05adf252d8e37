//! Exact counts of buffered rows by source and level, and by minute and level: what the manifest and the end of a
//! segment say of rows that were flushed.

use std::collections::{BTreeMap, HashMap};

use arrow::array::cast::AsArray;
use arrow::array::{Array, RecordBatch, StringArray};
use arrow::datatypes::TimestampNanosecondType;

use crate::{Minute, MinuteLevelCount, SourceLevelCount, Timestamp, column};

/// Rows with more different levels are not counted.
const LEVELS_MAX: usize = 32;
/// There is at most one count of a kind for so many rows: more would save nothing, and this bounds their memory.
const ROWS_OF_COUNT: usize = 8;
/// A few counts are made however few rows there are.
const COUNTS_SMALL: usize = 64;

/// Rows of each level, by its place among the names.
type OfLevels = [u64; LEVELS_MAX];

/// Counts of rows in memory.
#[derive(Debug, PartialEq, Eq)]
pub struct BufferedCounts {
    pairs: Option<Vec<SourceLevelCount>>,
    levels: Vec<Option<String>>,
    /// Minute, place of the level, rows.
    minutes: Option<Vec<(Minute, usize, u64)>>,
}

impl BufferedCounts {
    pub(super) fn of(rows: &RecordBatch) -> Option<Self> {
        let times = rows.column_by_name(column::TIMESTAMP)?.as_primitive_opt::<TimestampNanosecondType>()?;
        let text = |name: &str| rows.column_by_name(name)?.as_string_opt::<i32>();
        let (sources, levels) = (text(column::SOURCE)?, text(column::LEVEL)?);
        let mut counting = Counting::new(rows.num_rows());
        for (row, time) in times.values().iter().enumerate() {
            counting.add(Minute::of(Timestamp::from_ns(*time)), value(sources, row), value(levels, row))?;
        }
        Some(counting.finish())
    }

    /// By source and level, in no order; `None` where there would be too many.
    pub fn by_source(&self) -> Option<&[SourceLevelCount]> {
        self.pairs.as_deref()
    }

    /// By minute and level, in order of time; `None` where there would be too many.
    pub fn by_minute(&self) -> Option<impl Iterator<Item = MinuteLevelCount<'_>>> {
        let minutes = self.minutes.as_ref()?;
        Some(minutes.iter().map(|(minute, place, rows)| MinuteLevelCount {
            minute: *minute,
            level: self.levels.get(*place).and_then(Option::as_deref),
            rows: *rows,
        }))
    }
}

/// Counts that are being made. What becomes too many is given up for good.
struct Counting<'a> {
    counts_max: usize,
    names: Vec<Option<&'a str>>,
    pairs: Option<HashMap<Option<&'a str>, OfLevels>>,
    minutes: Option<BTreeMap<Minute, OfLevels>>,
    /// The minute at hand: rows of a minute come together.
    minute: (Minute, OfLevels),
}

impl<'a> Counting<'a> {
    fn new(rows: usize) -> Self {
        Self {
            counts_max: (rows / ROWS_OF_COUNT).max(COUNTS_SMALL),
            names: Vec::new(),
            pairs: Some(HashMap::new()),
            minutes: Some(BTreeMap::new()),
            minute: (Minute::of(Timestamp::from_ns(0)), [0; LEVELS_MAX]),
        }
    }

    /// Adds a row; `None` if there are too many levels.
    fn add(&mut self, minute: Minute, source: Option<&'a str>, level: Option<&'a str>) -> Option<()> {
        let place = level_place(&mut self.names, level)?;
        if minute != self.minute.0 {
            self.end_minute();
            self.minute.0 = minute;
        }
        *self.minute.1.get_mut(place)? += 1;
        if let Some(pairs) = &mut self.pairs {
            *pairs.entry(source).or_insert([0; LEVELS_MAX]).get_mut(place)? += 1;
            if pairs.len() > self.counts_max {
                self.pairs = None;
            }
        }
        Some(())
    }

    fn end_minute(&mut self) {
        let rows = std::mem::replace(&mut self.minute.1, [0; LEVELS_MAX]);
        let Some(minutes) = &mut self.minutes else { return };
        let sums = minutes.entry(self.minute.0).or_insert([0; LEVELS_MAX]);
        for (sum, more) in sums.iter_mut().zip(rows) {
            *sum += more;
        }
        if minutes.len() > self.counts_max {
            self.minutes = None;
        }
    }

    fn finish(mut self) -> BufferedCounts {
        self.end_minute();
        let levels: Vec<_> = self.names.iter().map(|name| name.map(str::to_owned)).collect();
        let held = |rows: OfLevels| rows.into_iter().enumerate().filter(|(_, rows)| *rows > 0);
        let of_source = |(source, rows): (Option<&str>, OfLevels)| {
            let source = source.map(str::to_owned);
            let levels = &levels;
            held(rows).map(move |(place, rows)| {
                let level = levels.get(place).cloned().flatten();
                SourceLevelCount { source: source.clone(), level, rows }
            })
        };
        let of_minute =
            |(minute, rows): (Minute, OfLevels)| held(rows).map(move |(place, rows)| (minute, place, rows));
        let pairs = self.pairs.map(|pairs| pairs.into_iter().flat_map(of_source).collect::<Vec<_>>());
        let minutes = self.minutes.map(|minutes| minutes.into_iter().flat_map(of_minute).collect::<Vec<_>>());
        let pairs = pairs.filter(|pairs| pairs.len() <= self.counts_max);
        let minutes = minutes.filter(|minutes| minutes.len() <= self.counts_max);
        BufferedCounts { pairs, levels, minutes }
    }
}

fn value(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row))
}

/// The place of a level among the names, to which it is added; `None` if they are too many.
fn level_place<'a>(names: &mut Vec<Option<&'a str>>, level: Option<&'a str>) -> Option<usize> {
    if let Some(place) = names.iter().position(|name| *name == level) {
        return Some(place);
    }
    if names.len() == LEVELS_MAX {
        return None;
    }
    names.push(level);
    Some(names.len() - 1)
}
