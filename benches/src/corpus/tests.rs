//! Tests of the corpus: that it is what it says, the same each time, and as hard as it was meant to be.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Corpus, LEVEL_NAMES, SOURCE_NAMES, Spec};

/// Rows of a sample: enough for the window of `zstd -3` to be filled several times.
const SAMPLE_ROWS: u64 = 60_000;

fn ndjson(rows: u64, seed: u64) -> Vec<u8> {
    text_of(&mut Corpus::new(rows, seed))
}

fn sealed(rows: u64, seed: u64) -> Corpus {
    Corpus::open(&Spec { rows, seed, sealed: true, templates_from: None }).unwrap()
}

fn text_of(corpus: &mut Corpus) -> Vec<u8> {
    let mut text = Vec::new();
    while let Some(record) = corpus.next_record() {
        text.extend_from_slice(record.line);
    }
    text
}

#[test]
fn a_seed_is_a_corpus() {
    let (one, again, other) = (ndjson(2_000, 1), ndjson(2_000, 1), ndjson(2_000, 2));
    assert_eq!(one, again);
    assert_ne!(one, other);
}

#[test]
fn rows_are_as_long_and_as_hard_as_they_should_be() {
    for (seed, is_sealed) in [(1, false), (2, false), (1, true), (2, true)] {
        let text =
            if is_sealed { text_of(&mut sealed(SAMPLE_ROWS, seed)) } else { ndjson(SAMPLE_ROWS, seed) };
        let per_row_tenths = |bytes: usize| bytes as u64 * 10 / SAMPLE_ROWS;
        let raw = per_row_tenths(text.len());
        let packed = per_row_tenths(zstd::encode_all(text.as_slice(), 3).unwrap().len());
        assert!((2_974..=3_286).contains(&raw), "seed {seed}: {raw} tenths of a byte a row");
        assert!((428..=472).contains(&packed), "seed {seed}: {packed} tenths of a byte a row after zstd -3");
    }
}

#[test]
fn a_line_is_its_record() {
    let mut corpus = Corpus::new(3_000, 4);
    let mut traces = BTreeMap::<String, u64>::new();
    let mut levels = BTreeMap::<String, u64>::new();
    let (mut hosts, mut pods) = (BTreeSet::new(), BTreeSet::new());
    let mut lines = 0_u64;
    while let Some(record) = corpus.next_record() {
        lines += 1;
        let row: Value = serde_json::from_slice(record.line).unwrap();
        assert_eq!(row["message"], record.message);
        assert_eq!(row["source"], SOURCE_NAMES[record.source]);
        assert_eq!(row["level"], LEVEL_NAMES[record.level]);
        *levels.entry(row["level"].to_string()).or_default() += 1;
        hosts.insert(row["tags"]["host"].to_string());
        pods.insert(row["tags"]["pod"].to_string());
        assert!(row["tags"]["env"].is_string() && row["tags"]["region"].is_string());
        if let Some(trace) = row["trace_id"].as_str() {
            *traces.entry(trace.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(lines, 3_000);
    let traced: u64 = traces.values().sum();
    assert!((900..1_100).contains(&traced), "{traced} rows have a trace");
    assert!((3..=7).contains(&(traced / traces.len() as u64)), "{} traces", traces.len());
    assert!(levels.contains_key("\"ERROR\"") && levels["\"INFO\""] > 1_800, "{levels:?}");
    assert!(hosts.len() > 150 && hosts.len() <= 200, "{} hosts", hosts.len());
    assert!(pods.len() > 500 && pods.len() <= 1_000, "{} pods", pods.len());
}

#[test]
fn needles_are_where_they_were_planted() {
    let mut corpus = Corpus::new(20_000, 5);
    let needles = corpus.needles().to_vec();
    let text = ndjson(20_000, 5);
    let text = std::str::from_utf8(&text).unwrap();
    assert!(corpus.next_record().is_some());
    for needle in needles {
        assert_eq!(text.matches(&needle.word).count() as u64, needle.hits, "{}", needle.word);
    }
}

#[test]
fn the_terms_have_their_shares() {
    for mut corpus in [Corpus::new(100_000, 3), sealed(100_000, 3)] {
        let terms = corpus.terms().clone();
        let text = String::from_utf8(text_of(&mut corpus)).unwrap();
        let share = |holds: &dyn Fn(&str) -> bool| text.lines().filter(|line| holds(line)).count();
        let long = |line: &str| {
            let (_, rest) = line.split_once(&format!("{}=", terms.key)).unwrap_or_default();
            rest.chars().take_while(char::is_ascii_digit).count() >= 5
        };
        let shares = [
            (share(&|line| line.contains(&terms.phrase)), 2_000),
            (share(&|line| line.contains(&terms.identifier)), 2_300),
            (share(&long), 3_600),
            (share(&|line| line.contains(&format!("/{}", terms.words[0]))), 9_000),
            (share(&|line| line.contains(&format!("/{}", terms.words[3]))), 9_000),
        ];
        for (found, wanted) in shares {
            assert!((wanted * 9 / 10..=wanted * 11 / 10).contains(&found), "{shares:?} in {terms:?}");
        }
        for trace in corpus.traces() {
            assert_eq!(text.matches(&trace).count(), 5, "{trace}");
        }
        assert!(corpus.traces().len() > 30);
        assert!(terms.common.iter().all(|word| text.contains(word)));
    }
}
