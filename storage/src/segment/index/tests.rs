//! The index against the rows that it was built from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, MapBuilder, RecordBatch, StringArray, StringBuilder};
use bytes::Bytes;
use proptest::prelude::*;

use super::builder::EncodedIndex;
use super::format::{Head, RARE_RANGES_MAX, block_of};
use super::*;
use crate::segment::template::{Templates, TemplatesBuilder, UNKNOWN};
use crate::{ErrorKind, column, lower, tokens};

/// Where the index lies in the made-up object.
const OFFSET: u64 = 1_000;

type Row = (String, Option<String>);

fn batch(rows: &[Row]) -> RecordBatch {
    let messages: StringArray = rows.iter().map(|(message, _)| Some(message.as_str())).collect();
    let traces: StringArray = rows.iter().map(|(_, trace)| trace.as_deref()).collect();
    let spans = StringArray::new_null(rows.len());
    let mut tags = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for (_, trace) in rows {
        if let Some(value) = trace {
            tags.keys().append_value("Trace.Copy");
            tags.values().append_value(value);
        }
        tags.keys().append_value("none");
        tags.values().append_null();
        tags.append(true).unwrap();
    }
    RecordBatch::try_from_iter_with_nullable([
        (column::MESSAGE, Arc::new(messages) as ArrayRef, true),
        (column::TRACE_ID, Arc::new(traces) as ArrayRef, true),
        (column::SPAN_ID, Arc::new(spans) as ArrayRef, true),
        (column::TAGS, Arc::new(tags.finish()) as ArrayRef, true),
    ])
    .unwrap()
}

/// Each group of rows is a row group, and their templates tell nothing.
fn build(groups: &[Vec<Row>]) -> EncodedIndex {
    let mut builder = IndexBuilder::new(7);
    let miner = TemplatesBuilder::new(7).miner;
    for group in groups {
        for rows in group.chunks(1_000) {
            builder.add(&batch(rows), &vec![UNKNOWN; rows.len()], &miner, |_| None).unwrap();
        }
        builder.end_row_group(&miner);
    }
    builder.finish(&Templates::default()).unwrap().unwrap()
}

/// All its bytes.
fn whole(index: &EncodedIndex) -> Vec<u8> {
    let bytes = index.pieces.concat();
    assert_eq!(bytes.len(), index.bytes);
    bytes
}

fn open(index: &EncodedIndex) -> TokenIndex {
    let head = Bytes::copy_from_slice(&whole(index)[index.tail_start..]);
    TokenIndex::open("test", &index.meta(OFFSET), &head).unwrap()
}

fn piece(index: &EncodedIndex, opened: &TokenIndex, piece: Piece) -> Bytes {
    let place = opened.place(piece);
    let at = |at: u64| usize::try_from(at - OFFSET).unwrap();
    Bytes::copy_from_slice(&whole(index)[at(place.start)..at(place.end)])
}

fn look_up(index: &EncodedIndex, opened: &TokenIndex, term: &Term) -> Hits {
    let mut rare = None;
    for wanted in opened.pieces(term) {
        let bytes = piece(index, opened, wanted);
        opened.accept(wanted, &bytes).unwrap();
        if wanted != Piece::Frequent {
            rare = Some(bytes);
        }
    }
    opened.lookup(term, rare.as_ref()).unwrap()
}

/// For each term the ranges that hold it and the number of rows.
fn truth(groups: &[Vec<Row>]) -> BTreeMap<Term, (BTreeSet<u32>, u64)> {
    let mut terms: BTreeMap<Term, (BTreeSet<u32>, u64)> = BTreeMap::new();
    let mut range = 0;
    for group in groups {
        for rows in group.chunks(usize::try_from(RANGE_ROWS).unwrap()) {
            for (message, trace) in rows {
                let words = tokens(message).map(|token| Term::new(TermKind::Message, token.text));
                let values = trace.iter().map(|trace| Term::new(TermKind::TraceId, trace));
                let of_tag = |text: &String| {
                    let tokens = tokens(text).map(|token| Term::of_tag("trace.copy", token.text));
                    let odd = is_odd_number(text).then(|| Term::of_odd_number("trace.copy"));
                    tokens.chain(odd).collect::<Vec<_>>()
                };
                let values = values.chain(trace.iter().flat_map(of_tag));
                let lowered: Vec<_> = tokens(message).map(|token| lower(token.text)).collect();
                let grams = lowered.iter().flat_map(|token| grams(token));
                let grams = grams.map(|gram| Term::new(TermKind::Gram, gram));
                for term in words.chain(values).chain(grams).collect::<BTreeSet<_>>() {
                    let (ranges, rows) = terms.entry(term).or_default();
                    ranges.insert(range);
                    *rows += 1;
                }
            }
            range += 1;
        }
    }
    terms
}

fn row(message: impl Into<String>) -> Row {
    (message.into(), None)
}

/// Twelve row groups, the first with two ranges; a word in every row, one in every group, and an id in each row.
fn sample() -> Vec<Vec<Row>> {
    let group = |group: u32, rows: u32| {
        (0..rows)
            .map(|at| row(format!("id{group}x{at} Every {}", if at == 0 { "once" } else { "" })))
            .collect()
    };
    (0..12).map(|at| group(at, if at == 0 { 10_000 } else { 300 })).collect()
}

#[test]
fn frequent_terms_have_exact_counts_and_ids_take_two_bytes() {
    let groups = sample();
    let index = build(&groups);
    let opened = open(&index);
    assert_eq!(opened.ranges(), 13);
    let every = look_up(&index, &opened, &Term::new(TermKind::Message, "EVERY"));
    assert_eq!((every.rows, every.ranges.count()), (Some(13_300), 13));
    let once = look_up(&index, &opened, &Term::new(TermKind::Message, "once"));
    assert_eq!((once.rows, once.ranges.count()), (Some(12), 12));
    assert!(!once.ranges.contains(1), "the second range of the first group has no first row");
    let id = look_up(&index, &opened, &Term::new(TermKind::Message, "id0x9999"));
    assert!(id.ranges.contains(1) && id.rows.is_none(), "{id:?}");
    assert!(index.bytes < 13_300 * 9 / 4, "{} bytes for 13,300 ids", index.bytes);
}

#[test]
fn an_absent_term_rarely_finds_a_range() {
    let index = build(&sample());
    let opened = open(&index);
    let absent = (0..2_000).map(|at| Term::new(TermKind::Message, &format!("absent{at}")));
    let hits =
        absent.map(|term| look_up(&index, &opened, &term)).filter(|hits| !hits.ranges.is_empty()).count();
    assert!(hits < 80, "{hits} of 2,000 absent terms found a range");
    let other = look_up(&index, &opened, &Term::new(TermKind::TraceId, "every"));
    assert_eq!(other.ranges.count(), 0, "kinds are told apart");
}

#[test]
fn grams_are_of_what_templates_do_not_tell() {
    let mut templates = TemplatesBuilder::new(7);
    let rows: Vec<_> = (0..100).map(|at| row(format!("Request k9{at} timed_out"))).collect();
    let add = |(message, _): &Row| {
        let mask = templates.miner.add(message).unwrap();
        (mask, templates.miner.places().unwrap().to_vec())
    };
    let words: Vec<_> = rows.iter().map(add).collect();
    let of_masks = templates.miner.end_row_group();
    let of_rows: Vec<_> = words.iter().map(|(mask, _)| of_masks.get(Some(*mask))).collect();
    let build = |of_rows: &[u16], is_masked: bool| {
        let mut builder = IndexBuilder::new(7);
        let masked = |row: usize| words.get(row).filter(|_| is_masked);
        let of_row = |row: usize| masked(row).map(|(mask, places)| (*mask, places.as_slice()));
        builder.add(&batch(&rows), of_rows, &templates.miner, of_row).unwrap();
        builder.end_row_group(&templates.miner);
        builder.finish(&Templates::default()).unwrap().unwrap()
    };
    let (told, untold) = (build(&of_rows, true), build(&[UNKNOWN; 100], true));
    assert_eq!(whole(&told), whole(&build(&of_rows, false)), "it does not matter who cuts the messages");
    assert_eq!(whole(&untold), whole(&build(&[UNKNOWN; 100], false)));
    for (gram, of_template) in [("req", false), ("d_o", false), ("k97", true), ("k98", true)] {
        let has = |index| !look_up(index, &open(index), &Term::new(TermKind::Gram, gram)).ranges.is_empty();
        assert_eq!((has(&told), has(&untold)), (of_template, true), "{gram}");
    }
    let word = look_up(&told, &open(&told), &Term::new(TermKind::Message, "timed_out"));
    assert_eq!(word.ranges.count(), 1, "tokens are terms wherever they stand");
}

#[test]
fn words_of_three_letters_are_not_counted_for_grams() {
    let seeds = [0, 7, u64::MAX, 0x5555_5555_5555_5555];
    let letters = || (b'0'..=b'9').chain(b'a'..=b'z').chain(*b"_");
    let hashes = |kind, seed| letters().map(move |last| term_hash(seed, kind, &[b'k', b'1', last]));
    for seed in seeds {
        let words: BTreeSet<u64> = hashes(TermKind::Message, seed).collect();
        assert!(hashes(TermKind::Gram, seed).all(|gram| !words.contains(&gram)), "{seed}");
    }
}

#[test]
fn damage_is_a_named_error() {
    let index = build(&sample());
    let opened = open(&index);
    let term = Term::new(TermKind::Message, "id3x3");
    for wanted in opened.pieces(&term) {
        let mut bytes = piece(&index, &opened, wanted).to_vec();
        bytes[5] ^= 1;
        let error = opened.accept(wanted, &bytes.into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("test is damaged at byte "), "{error}");
    }
    let reopen = |at: usize| {
        let mut bytes = whole(&index);
        bytes[at] ^= 0x40;
        let end = Bytes::from(bytes).slice(index.tail_start..);
        TokenIndex::open("test", &index.meta(OFFSET), &end)
    };
    for at in [index.bytes - 9, index.bytes - 1] {
        assert_eq!(reopen(at).unwrap_err().kind(), ErrorKind::Corrupt, "{at}");
    }
    let error = reopen(index.tail_start).unwrap().templates(std::iter::empty()).unwrap_err();
    assert!(error.to_string().contains("templates: checksum"), "{error}");
}

#[test]
fn blocks_fill_evenly() {
    let hashes = (0..10_000u64).map(|at| term_hash(3, TermKind::Message, &at.to_le_bytes()));
    let mut counts = [0; 10];
    for hash in hashes {
        counts[block_of(hash, 10)] += 1;
    }
    assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
}

fn any_rows() -> impl Strategy<Value = Vec<Vec<Row>>> {
    let word = prop_oneof![
        4 => "[a-c]{1,2}",
        2 => "[A-Z]{3}[0-9]{1,4}",
        1 => "[äÖßİ東]{1,3}",
        1 => Just(" ".to_owned()),
    ];
    let message = prop::collection::vec(word, 0..6).prop_map(|words| words.join("-"));
    let trace = prop::option::of("[A-Fa-f0-9]{2}");
    let group = prop::collection::vec((message, trace), 1..40);
    prop::collection::vec(group, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_index_may_over_match_but_never_misses(groups in any_rows()) {
        let index = build(&groups);
        let opened = open(&index);
        for (term, (ranges, rows)) in truth(&groups) {
            let hits = look_up(&index, &opened, &term);
            prop_assert!(ranges.iter().all(|range| hits.ranges.contains(*range)), "{term:?}: {hits:?}");
            let is_frequent = ranges.len() > RARE_RANGES_MAX && term.kind() != TermKind::Tag;
            let is_counted = is_frequent && term.kind() != TermKind::Gram;
            prop_assert_eq!(hits.rows, is_counted.then_some(rows), "{:?}", term);
            if is_frequent {
                prop_assert_eq!(hits.ranges.iter().collect::<BTreeSet<_>>(), ranges);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), ranges in 0u32..200) {
        let bytes = Bytes::from(bytes);
        let _ = Head::decode(&bytes);
        let _ = rare::lookup(&bytes, 0x1234, &mut RangeSet::none(ranges));
        if let Ok(terms) = frequent::Dictionary::decode(&bytes, bytes.len() / 2, ranges) {
            let _ = terms.lookup(&frequent::key(TermKind::Message, lower("a").as_bytes()));
        }
    }
}

#[test]
fn numbers_whose_digits_are_no_token_are_odd() {
    for odd in ["1e3", "007", "-00", ".5", "+.5", "2E1", "1234567.00000001", "00.5"] {
        assert!(is_odd_number(odd), "{odd}");
    }
    for plain in [
        "0",
        "7",
        "-7",
        "+7",
        "7.",
        "0.5",
        "12.50",
        "123456789012345678901234567890",
        "1e3 ",
        "x1",
        "e",
        "0x7",
    ] {
        assert!(!is_odd_number(plain) || plain == "e", "{plain}");
    }
}

#[test]
fn tags_are_told_apart_by_their_keys() {
    assert!(Term::of_tag("A.b", "x").is_of_tag("a.B"));
    assert!(!Term::of_tag("a.b", "x").is_of_tag("a"));
    assert!(!Term::new(TermKind::Message, "a\0x").is_of_tag("a"));
    assert_ne!(Term::of_tag("a", "x"), Term::of_tag("ax", ""));
}
