//! Row counts by source and level, kept small enough for the manifest.
//!
//! Every process that reads a table holds the counts of all its segments, so they may take a little of each segment,
//! and more where it has more rows: a byte for 32 rows is about a thousandth of what the rows themselves take.

use std::collections::{BTreeMap, HashMap};

use crate::SourceLevelCount;

/// The counts of a small segment take at most this many bytes in a checkpoint of the manifest.
const SMALL_BYTES_MAX: usize = 2_048;
/// A byte more is allowed for so many rows …
const ROWS_OF_BYTE: u64 = 32;
/// … but no more bytes than these.
const COUNTS_BYTES_MAX: usize = 16_384;
/// What an entry takes beside its two texts.
const ENTRY_BYTES: usize = 8;

type Key = (Option<String>, Option<String>);

/// Counts until there are too many different ones, then gives up for good.
#[derive(Debug)]
pub(super) struct Counts {
    entries: Option<BTreeMap<Key, u64>>,
    bytes: usize,
    rows: u64,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self { entries: Some(BTreeMap::new()), bytes: 0, rows: 0 }
    }

    /// Adds the counts of some rows.
    pub(super) fn add(&mut self, counts: &HashMap<(Option<&str>, Option<&str>), u64>) {
        let Some(entries) = &mut self.entries else { return };
        for ((source, level), rows) in counts {
            self.rows += rows;
            let key = (source.map(str::to_owned), level.map(str::to_owned));
            if let Some(count) = entries.get_mut(&key) {
                *count += rows;
                continue;
            }
            self.bytes += source.map_or(0, str::len) + level.map_or(0, str::len) + ENTRY_BYTES;
            if self.bytes > COUNTS_BYTES_MAX {
                self.entries = None;
                return;
            }
            entries.insert(key, *rows);
        }
    }

    /// The counts, sorted by source and level, or `None` where they are too many.
    pub(super) fn finish(self) -> Option<Vec<SourceLevelCount>> {
        let for_rows = usize::try_from(self.rows / ROWS_OF_BYTE).unwrap_or(usize::MAX);
        if self.bytes > for_rows.max(SMALL_BYTES_MAX) {
            return None;
        }
        let entry = |((source, level), rows)| SourceLevelCount { source, level, rows };
        Some(self.entries?.into_iter().map(entry).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_sources_are_not_counted() {
        let mut counts = Counts::new();
        counts.add(&HashMap::from([((Some("a"), None), 2), ((None, Some("INFO")), 3)]));
        counts.add(&HashMap::from([((Some("a"), None), 5)]));
        let small = counts.finish().unwrap();
        let rows: Vec<_> = small.iter().map(|entry| (entry.source.as_deref(), entry.rows)).collect();
        assert_eq!(rows, [(None, 3), (Some("a"), 7)]);

        assert_eq!(of_sources(1_000, 1), None);
        assert_eq!(of_sources(1_000, 1_000_000), None, "however many rows there are");
    }

    #[test]
    fn more_rows_are_worth_more_counts() {
        // Each takes 19 bytes: 11 of the name, 8 beside it.
        assert_eq!(of_sources(100, 1).map(|counts| counts.len()), Some(100));
        assert_eq!(of_sources(250, 1), None);
        assert_eq!(of_sources(250, 600), None);
        assert_eq!(of_sources(250, 800).map(|counts| counts.len()), Some(250));
    }

    /// The counts of so many sources with so many rows each.
    fn of_sources(sources: u64, rows: u64) -> Option<Vec<SourceLevelCount>> {
        let mut counts = Counts::new();
        for at in 0..sources {
            counts.add(&HashMap::from([((Some(format!("source-{at:04}").as_str()), None), rows)]));
        }
        counts.finish()
    }
}
