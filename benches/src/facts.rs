//! What is true of a corpus, found while it is generated: the answers that a database must give.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use crate::corpus::{Corpus, DAY_START_US, LEVEL_NAMES, Needle, Record};
use crate::{Error, Result};

/// Length of a bucket of the histogram.
const BUCKET_US: u64 = 300_000_000;
/// Buckets of a day.
pub(crate) const BUCKETS: usize = 288;
/// Latest rows that are remembered.
const LATEST_MAX: usize = 128;
/// How many filters and substrings there are: one for each run of a query.
pub(crate) const VARIANTS: usize = 15;
/// The limit of the filtered query.
pub(crate) const FILTER_LIMIT: usize = 100;
/// Index of the level ERROR.
const ERROR_LEVEL: usize = 3;

/// Parts of words, none of which begins or ends where a word does.
pub(crate) const SUBSTRINGS: [&str; VARIANTS] = [
    "licaStrea",
    "eckpointin",
    "efuse",
    "etryin",
    "hrottle",
    "concile",
    "serialis",
    "ndshak",
    "victio",
    "artbea",
    "ommitte",
    "balance",
    "imeou",
    "pstrea",
    "nvalidate",
];

/// A row as far as an answer is compared with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) timestamp_us: u64,
    pub(crate) message: String,
}

/// One source's errors of an hour.
#[derive(Debug)]
pub(crate) struct Filter {
    /// Index of the source.
    pub(crate) source: usize,
    /// Hour of the day.
    pub(crate) hour: u64,
    /// The latest of them, in rising order.
    pub(crate) latest: VecDeque<Seen>,
}

/// What is true of a corpus.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Rows and bytes of NDJSON.
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Planted words.
    pub(crate) needles: Vec<Needle>,
    /// Rows by bucket and level.
    pub(crate) histogram: Vec<[u64; LEVEL_NAMES.len()]>,
    /// The latest rows, in rising order.
    pub(crate) latest: VecDeque<Seen>,
    /// Errors by source and hour.
    pub(crate) filters: Vec<Filter>,
    /// How many messages contain each of [`SUBSTRINGS`].
    pub(crate) substrings: [u64; VARIANTS],
}

impl Facts {
    /// Writes a corpus to a file and returns what is true of it.
    pub(crate) fn write(rows: u64, seed: u64, path: &Path) -> Result<Self> {
        let mut corpus = Corpus::new(rows, seed);
        let file = File::create(path).map_err(Error::file(path))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let mut facts = Self::empty(corpus.needles().to_vec());
        while let Some(record) = corpus.next_record() {
            out.write_all(record.line).map_err(Error::file(path))?;
            facts.add(&record);
        }
        out.flush().map_err(Error::file(path))?;
        Ok(facts)
    }

    fn empty(needles: Vec<Needle>) -> Self {
        let filters = (0..VARIANTS).zip(0..).map(|(source, number): (usize, u64)| Filter {
            source,
            hour: (number * 7 + 3) % 24,
            latest: VecDeque::new(),
        });
        Self {
            rows: 0,
            bytes: 0,
            needles,
            histogram: vec![[0; LEVEL_NAMES.len()]; BUCKETS],
            latest: VecDeque::new(),
            filters: filters.collect(),
            substrings: [0; VARIANTS],
        }
    }

    fn add(&mut self, record: &Record<'_>) {
        self.rows += 1;
        self.bytes += record.line.len() as u64;
        let bucket = (record.timestamp_us - DAY_START_US) / BUCKET_US;
        let bucket = self.histogram.get_mut(usize::try_from(bucket).unwrap_or(usize::MAX));
        if let Some(count) = bucket.and_then(|levels| levels.get_mut(record.level)) {
            *count += 1;
        }
        remember(&mut self.latest, LATEST_MAX, record);
        if record.level == ERROR_LEVEL {
            let hour = (record.timestamp_us - DAY_START_US) / BUCKET_US / 12;
            let wanted = |filter: &&mut Filter| filter.source == record.source && filter.hour == hour;
            if let Some(filter) = self.filters.iter_mut().find(wanted) {
                remember(&mut filter.latest, FILTER_LIMIT, record);
            }
        }
        for (text, count) in SUBSTRINGS.iter().zip(&mut self.substrings) {
            *count += u64::from(record.message.contains(text));
        }
    }
}

fn remember(latest: &mut VecDeque<Seen>, rows_max: usize, record: &Record<'_>) {
    if latest.len() == rows_max {
        latest.pop_front();
    }
    latest.push_back(Seen { timestamp_us: record.timestamp_us, message: record.message.to_owned() });
}

#[cfg(test)]
mod tests {
    use super::{FILTER_LIMIT, Facts, LATEST_MAX, SUBSTRINGS};

    #[test]
    fn facts_are_those_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corpus.ndjson");
        let facts = Facts::write(100_000, 1, &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!((facts.rows, facts.bytes), (100_000, text.len() as u64));
        assert_eq!(facts.histogram.iter().flatten().sum::<u64>(), 100_000);
        assert_eq!(facts.latest.len(), LATEST_MAX);
        assert!(text.lines().last().unwrap().contains("\"source\""));
        let rows = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let messages: Vec<String> = rows.map(|row| row["message"].as_str().unwrap().to_owned()).collect();
        assert_eq!(messages.last(), facts.latest.back().map(|seen| &seen.message));
        for (part, count) in SUBSTRINGS.iter().zip(facts.substrings) {
            let found = messages.iter().filter(|message| message.contains(part)).count() as u64;
            assert!(count == found && count > 0, "{part}: {count}, {found}");
        }
        assert!(facts.filters.iter().all(|filter| filter.latest.len() <= FILTER_LIMIT));
        assert!(facts.filters.iter().filter(|filter| !filter.latest.is_empty()).count() >= 10);
    }
}
