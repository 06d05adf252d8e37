//! Row counts by source and level, kept small enough for the manifest.

use std::collections::{BTreeMap, HashMap};

use crate::SourceLevelCount;

/// The counts of a segment take at most this many bytes in a checkpoint of the manifest.
const COUNTS_BYTES_MAX: usize = 2_048;
/// What an entry takes beside its two texts.
const ENTRY_BYTES: usize = 8;

type Key = (Option<String>, Option<String>);

/// Counts until there are too many different ones, then gives up for good.
#[derive(Debug)]
pub(super) struct Counts {
    entries: Option<BTreeMap<Key, u64>>,
    bytes: usize,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self { entries: Some(BTreeMap::new()), bytes: 0 }
    }

    /// Adds the counts of some rows.
    pub(super) fn add(&mut self, counts: &HashMap<(Option<&str>, Option<&str>), u64>) {
        let Some(entries) = &mut self.entries else { return };
        for ((source, level), rows) in counts {
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

        let mut counts = Counts::new();
        for at in 0..1_000 {
            counts.add(&HashMap::from([((Some(format!("source-{at}").as_str()), None), 1)]));
        }
        assert_eq!(counts.finish(), None);
    }
}
