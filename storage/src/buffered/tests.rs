//! What is known of buffered rows: counts add up, words never miss and count exactly.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray};
use proptest::prelude::*;

use super::*;
use crate::{
    Epoch, LogBatchBuilder, Minute, RowId, RowRef, TagSet, Term, TermKind, TimeWindow, Timestamp, lower,
    tokens,
};

const START: i64 = 1_795_392_000_000_000_000;

#[derive(Clone, Debug)]
struct Row {
    second: i64,
    source: &'static str,
    level: &'static str,
    message: String,
    trace_id: &'static str,
}

fn buffered(rows: &[Row]) -> BufferedRows {
    let window = TimeWindow { earliest: Timestamp::from_ns(i64::MIN), future_ns_max: i64::MAX };
    let mut builder = LogBatchBuilder::new(Timestamp::from_ns(START), window);
    let some = |text: &'static str| (!text.is_empty()).then_some(text);
    for row in rows {
        let row = RowRef {
            timestamp: Some(Timestamp::from_ns(START + row.second * 1_000_000_000)),
            source: some(row.source),
            level: some(row.level),
            message: &row.message,
            trace_id: some(row.trace_id),
            ..RowRef::default()
        };
        builder.push(row, &mut TagSet::new()).unwrap();
    }
    let first = RowId::new(Epoch::new(1).unwrap(), 1).unwrap();
    let mut days = builder.finish().unwrap().into_stored(first).unwrap();
    assert_eq!(days.len(), 1, "all rows are of one day");
    BufferedRows::new(days.pop().unwrap().1).unwrap()
}

fn row() -> impl Strategy<Value = Row> {
    let message = prop::collection::vec(
        prop::sample::select(vec!["a", "Timeout", "42", "ΟΔΟΣ", "İx", "\u{212a}", "é", "x_1", " ", "-", " "]),
        0..9,
    );
    let source = prop::sample::select(vec!["", "web", "db"]);
    let level = prop::sample::select(vec!["", "INFO", "WARN"]);
    let trace = prop::sample::select(vec!["", "", "A1", "a1", "b2"]);
    (0..400i64, source, level, message, trace).prop_map(|(second, source, level, message, trace_id)| Row {
        second,
        source,
        level,
        message: message.concat(),
        trace_id,
    })
}

proptest! {
    #[test]
    fn words_never_miss_and_count_exactly(rows in prop::collection::vec(row(), 1..40)) {
        let buffered = buffered(&rows);
        // So few rows may not be worth the memory of their words.
        let words = BufferedWords::made(buffered.rows()).unwrap();
        let mut terms: BTreeMap<Term, u64> = BTreeMap::new();
        for row in &rows {
            let mut held: BTreeSet<Term> =
                tokens(&row.message).map(|token| Term::new(TermKind::Message, token.text)).collect();
            if !row.trace_id.is_empty() {
                held.insert(Term::new(TermKind::TraceId, &lower(row.trace_id)));
            }
            for term in held {
                *terms.entry(term).or_default() += 1;
            }
        }
        for (term, rows) in terms {
            match words.held(&term) {
                Held::Never => prop_assert!(false, "{term:?} is missed"),
                Held::Rows(counted) => prop_assert_eq!(counted, rows, "{:?}", term),
                Held::Perhaps => prop_assert!(rows < u64::from(words::COUNTED_ROWS_MIN), "{term:?}"),
            }
        }
    }

    #[test]
    fn counts_are_those_of_the_rows(rows in prop::collection::vec(row(), 1..40)) {
        let buffered = buffered(&rows);
        let counts = buffered.counts().unwrap();
        let (mut pairs, mut minutes) = (BTreeMap::new(), BTreeMap::new());
        let text = |name: &str| buffered.rows().column_by_name(name).unwrap().as_string::<i32>().clone();
        let (sources, levels) = (text("source"), text("level"));
        for (place, row) in rows.iter().enumerate() {
            let value = |texts: &arrow::array::StringArray| texts.is_valid(place).then(|| texts.value(place).to_owned());
            let minute = Minute::of(Timestamp::from_ns(START + row.second * 1_000_000_000));
            *pairs.entry((value(&sources), value(&levels))).or_insert(0u64) += 1;
            *minutes.entry((minute, value(&levels))).or_insert(0u64) += 1;
        }
        let by_source = counts.by_source().unwrap().iter();
        let by_source: BTreeMap<_, _> =
            by_source.map(|count| ((count.source.clone(), count.level.clone()), count.rows)).collect();
        prop_assert_eq!(by_source, pairs);
        let by_minute = counts.by_minute().unwrap();
        let by_minute: BTreeMap<_, _> =
            by_minute.map(|count| ((count.minute, count.level.map(str::to_owned)), count.rows)).collect();
        prop_assert_eq!(by_minute, minutes);
    }
}

#[test]
fn many_words_are_found_and_hardly_any_other() {
    let row = |n: i64| Row {
        second: n,
        source: "web",
        level: "INFO",
        message: format!("request req{n:06} of user{:03} took {} ms", n % 500, n % 7),
        trace_id: "",
    };
    let buffered = buffered(&(0..10_000).map(row).collect::<Vec<_>>());
    assert!(buffered.is_settled() && buffered.lacks_words());
    buffered.make_words();
    let words = buffered.known_words().unwrap();
    let held = |text: &str| words.held(&Term::new(TermKind::Message, text));
    assert_eq!(held("Request"), Held::Rows(10_000));
    assert_eq!(held("user007"), Held::Rows(20));
    let found = (0..10_000).filter(|n| held(&format!("req{n:06}")) == Held::Perhaps).count();
    assert_eq!(found, 10_000);
    let others = (10_000..20_000).filter(|n| held(&format!("req{n:06}")) != Held::Never).count();
    assert!(others < 200, "{others} of 10,000 words that are not there");
    assert!(words.bytes() < buffered.rows().get_array_memory_size() / 16, "{} bytes", words.bytes());
    // A word is no trace id. One in 200 seems to be there, but none in so many rows.
    assert_ne!(words.held(&Term::new(TermKind::TraceId, "request")), Held::Rows(10_000));
}

#[test]
fn many_minutes_or_sources_are_not_counted() {
    const SOURCES: [&str; 3] = ["a", "b", "c"];
    let row = |n: i64| Row {
        second: n * 60,
        source: SOURCES[usize::try_from(n % 3).unwrap()],
        level: "INFO",
        message: String::new(),
        trace_id: "",
    };
    let few = buffered(&(0..50).map(row).collect::<Vec<_>>());
    assert!(few.counts().unwrap().by_minute().is_some());
    let many = buffered(&(0..1_000).map(row).collect::<Vec<_>>());
    assert!(many.counts().unwrap().by_minute().is_none());
    assert_eq!(many.counts().unwrap().by_source().unwrap().len(), 3);
}
