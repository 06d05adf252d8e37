//! The fifteen questions, and their literals: drawn from what the generator knows, other ones in each run, so that no
//! cache of results can answer.

use serde::Serialize;

use super::corpus::Outline;
use crate::corpus::DAY_START_US;

/// Runs before those that count.
pub(super) const WARM_UPS: usize = 2;
/// Runs that count.
pub(super) const RUNS: usize = 15;
/// Literals of each question: one for each run, and one for each cold run behind them.
pub(super) const LITERALS: usize = WARM_UPS + RUNS + COLD_RUNS_MAX;
/// Most cold runs of a question.
pub(super) const COLD_RUNS_MAX: usize = 5;

const HOUR_US: u64 = 3_600_000_000;
const SECOND_US: u64 = 1_000_000;
const BUCKET_S: u64 = 300;
const LIMIT: u64 = 100;
/// Letters of a substring that is looked for.
const SUBSTRING_LETTERS_MIN: usize = 7;
/// Q4 takes its source from this many, the busiest.
const BUSY_SOURCES: u64 = 12;

/// A question with its literals. The serialised form is what workers and the reference read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Question {
    /// All columns of the rows that hold a word.
    RowsWithWord { word: String },
    /// How many rows hold a word; one that is planted is rare.
    CountWord { word: String, is_rare: bool },
    /// A source's latest errors between two moments.
    ErrorsOfSource { source: String, from_us: u64, until_us: u64, limit: u64 },
    /// Rows by level and bucket of time, from a moment on.
    Histogram { from_us: u64, step_s: u64 },
    /// The sources with most errors.
    SourcesWithErrors { limit: u64 },
    /// The latest rows with two words in a row.
    Phrase { phrase: String, limit: u64 },
    /// How many messages hold a text anywhere.
    CountSubstring { text: String },
    /// How many messages match a regular expression.
    CountRegex { regex: String },
    /// All rows of a trace.
    Trace { trace_id: String },
    /// The latest rows.
    Latest { limit: u64 },
    /// Hosts that had an error from a moment on.
    HostsWithErrors { from_us: u64 },
    /// A source's latest rows that hold none of the words.
    SourceWithoutWords { source: String, words: Vec<String>, limit: u64 },
}

impl Question {
    /// Whether the order of the rows is part of the answer.
    pub(super) fn is_ordered(&self) -> bool {
        match self {
            Self::RowsWithWord { .. }
            | Self::Trace { .. }
            | Self::Histogram { .. }
            | Self::HostsWithErrors { .. } => false,
            Self::CountWord { .. }
            | Self::ErrorsOfSource { .. }
            | Self::SourcesWithErrors { .. }
            | Self::Phrase { .. }
            | Self::CountSubstring { .. }
            | Self::CountRegex { .. }
            | Self::Latest { .. }
            | Self::SourceWithoutWords { .. } => true,
        }
    }
}

/// A question of the fifteen, once for each run.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) literals: Vec<Question>,
}

/// Name and title of each, in order.
pub(super) const TITLES: [(&str, &str); 15] = [
    ("Q1", "all columns of the row with a word that occurs once"),
    ("Q2", "all columns of the rows with a word that occurs 10 times"),
    ("Q3", "count of a word that occurs 1,000 times"),
    ("Q4", "one source, level ERROR, one hour, latest 100"),
    ("Q5", "count by level in 5-minute buckets over the day"),
    ("Q6", "ten sources with most errors"),
    ("Q7", "phrase of two words, latest 100"),
    ("Q8", "count of a substring inside a frequent identifier"),
    ("Q8b", "count of a substring inside a word that occurs once"),
    ("Q9", "count of a regular expression"),
    ("Q10", "all rows of a trace"),
    ("Q11", "latest 100 of everything"),
    ("Q12", "distinct hosts with an error"),
    ("Q13", "count of a word in 9 % of the rows"),
    ("Q14", "one source without two common words, latest 100"),
];

/// All questions about a corpus. None if the corpus is too small to have what they ask for.
pub(super) fn cases(corpus: &Outline) -> Option<Vec<Case>> {
    let case = |(name, title)| {
        let literals: Option<Vec<_>> = (0..LITERALS).map(|run| question(name, corpus, run)).collect();
        Some(Case { name, title, literals: literals? })
    };
    TITLES.into_iter().map(case).collect()
}

fn question(name: &str, corpus: &Outline, run: usize) -> Option<Question> {
    let number = u64::try_from(run).ok()?;
    let limit = LIMIT + number;
    let terms = &corpus.terms;
    let identifier = || inner(&terms.identifier, run);
    Some(match name {
        "Q1" => Question::RowsWithWord { word: needle(corpus, 1, run)? },
        "Q2" => Question::RowsWithWord { word: needle(corpus, 10, run)? },
        "Q3" => Question::CountWord { word: needle(corpus, 1_000, run)?, is_rare: true },
        "Q4" => {
            let from_us = DAY_START_US + (number * 7 + 3) % 24 * HOUR_US;
            let source = corpus.sources.get(usize::try_from(number * 5 % BUSY_SOURCES).ok()?)?.clone();
            Question::ErrorsOfSource { source, from_us, until_us: from_us + HOUR_US, limit }
        }
        "Q5" => {
            Question::Histogram { from_us: DAY_START_US + number * BUCKET_S * SECOND_US, step_s: BUCKET_S }
        }
        "Q6" => Question::SourcesWithErrors { limit: 10 + number },
        "Q7" => Question::Phrase { phrase: terms.phrase.clone(), limit },
        "Q8" => Question::CountSubstring { text: identifier()? },
        "Q8b" => {
            // Those that Q1 does not ask for first: what a run has read is not yet there for another.
            let needle = needle(corpus, 1, LITERALS - 1 - run)?;
            Question::CountSubstring { text: inner(&needle, run)? }
        }
        "Q9" if run == 0 => Question::CountRegex { regex: format!("{}=[0-9]{{5,}}", terms.key) },
        "Q9" => Question::CountRegex { regex: format!("{}=[0-9]{{5,{}}}", terms.key, 5 + run) },
        "Q10" => Question::Trace { trace_id: corpus.traces.get(run)?.clone() },
        "Q11" => Question::Latest { limit },
        "Q12" => Question::HostsWithErrors { from_us: DAY_START_US + number * SECOND_US },
        "Q13" => {
            let word = terms.words.get(run % terms.words.len().max(1))?.clone();
            Question::CountWord { word, is_rare: false }
        }
        "Q14" => {
            let words = [run, run + 1 + run / 7 % 2]
                .map(|place| terms.common.get(place % terms.common.len()).cloned());
            let source = corpus.sources.get(run * 3 % 20)?.clone();
            Question::SourceWithoutWords { source, words: words.into_iter().collect::<Option<_>>()?, limit }
        }
        _ => return None,
    })
}

/// A planted word with so many hits, another for each run as long as there are some.
fn needle(corpus: &Outline, hits: u64, run: usize) -> Option<String> {
    let of_kind: Vec<_> = corpus.needles.iter().filter(|needle| needle.hits == hits).collect();
    of_kind.get(run % of_kind.len().max(1)).map(|needle| needle.word.clone())
}

/// A part of a word without its first and last letter, another for each run as long as there are some.
fn inner(word: &str, run: usize) -> Option<String> {
    let inside = word.get(1..word.len().checked_sub(1)?)?;
    let mut parts = Vec::new();
    for length in (SUBSTRING_LETTERS_MIN..=inside.len()).rev() {
        parts.extend((0..=inside.len() - length).filter_map(|start| inside.get(start..start + length)));
    }
    parts.get(run % parts.len().max(1)).map(|part| (*part).to_owned())
}

#[cfg(test)]
mod tests {
    use super::{LITERALS, Question, cases, inner};
    use crate::corpus::Spec;
    use crate::suite::corpus::Outline;

    #[test]
    fn literals_differ_from_run_to_run() {
        let folder = tempfile::tempdir().unwrap();
        let spec = Spec { rows: 60_000, seed: 1, sealed: false, templates_from: None };
        let outline = Outline::write(&spec, &folder.path().join("corpus")).unwrap();
        let cases = cases(&outline).unwrap();
        for case in &cases {
            let mut texts: Vec<_> =
                case.literals.iter().map(|one| serde_json::to_string(one).unwrap()).collect();
            assert_eq!(texts.len(), LITERALS, "{}", case.name);
            texts.sort();
            texts.dedup();
            // Words of 9 % are few, and so small a corpus has room for two needles of 1,000 rows.
            let enough = match case.name {
                "Q13" => 4,
                "Q3" => 2,
                "Q2" => 20,
                _ => LITERALS,
            };
            assert!(texts.len() >= enough, "{}: {texts:?}", case.name);
        }
        assert!(matches!(&cases[0].literals[0], Question::RowsWithWord { word } if word.starts_with('z')));
    }

    #[test]
    fn inner_parts_touch_no_end() {
        assert_eq!(inner("PacketResponder", 0).unwrap(), "acketResponde");
        assert_eq!(inner("PacketResponder", 1).unwrap(), "acketRespond");
        assert_eq!(inner("short", 0), None);
    }
}
