//! Promoted tags: whatever is promoted, rows come back as they were given; and what is promoted is what pays.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use futures::{FutureExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use proptest::prelude::*;

use super::*;
use crate::{
    DAY_NS, Day, EncodedSegment, Epoch, LogBatchBuilder, Partition, RowId, RowRef, SegmentColumns, SegmentId,
    SegmentOptions, SegmentReader, SegmentWriter, TableRef, TagKind, TagSet, TimeDigits, TimeWindow,
    Timestamp, encode_segment, put_segment, read_segment,
};

const DAY: Day = Day::from_days(20_000);
const NOW: Timestamp = Timestamp::from_ns(20_001 * DAY_NS);

/// The tags of a row; a value that is none is NULL.
type Tags = Vec<(String, Option<String>)>;

fn partition() -> Partition {
    Partition { table: TableRef::logs("acme/web/prod".parse().unwrap()), day: DAY }
}

fn rows(first: u64, given: &[Tags]) -> RecordBatch {
    let mut builder = LogBatchBuilder::new(NOW, TimeWindow::default());
    for (at, tags) in (0..).zip(given) {
        let mut set = TagSet::new();
        for (key, value) in tags {
            let kind = if value.is_some() { TagKind::String } else { TagKind::Null };
            set.push(key, value.as_deref(), kind);
        }
        let timestamp = Some(Timestamp::from_ns(20_000 * DAY_NS + at));
        builder.push(RowRef { timestamp, message: "m", ..RowRef::default() }, &mut set).unwrap();
    }
    let first = RowId::new(Epoch::new(1).unwrap(), first).unwrap();
    builder.finish().unwrap().into_stored(first).unwrap().remove(0).1
}

/// Rows with one tag each: this key and value, or none.
fn of_one(key: &str, values: impl Iterator<Item = Option<String>>) -> RecordBatch {
    let tags = |value: Option<String>| match value {
        Some(value) => vec![(key.to_owned(), Some(value))],
        None => Vec::new(),
    };
    rows(1, &values.map(tags).collect::<Vec<_>>())
}

fn chosen(batches: &[RecordBatch]) -> String {
    PromotedTags::choose(batches, 1).unwrap().keys().collect::<Vec<_>>().join(" ")
}

fn promoted(keys: &[&str]) -> PromotedTags {
    PromotedTags::new(keys.iter().map(|key| (*key).into()).collect())
}

#[test]
fn frequent_keys_with_few_values_are_promoted() {
    let every = |step: usize| (0..800).map(move |row| (row % step == 0).then(|| "x".to_owned()));
    assert_eq!(chosen(&[of_one("host", every(8))]), "host");
    assert_eq!(chosen(&[of_one("host", every(9))]), "", "one row in nine");
    let values = |count: usize| (0..800).map(move |row| Some((row % count).to_string()));
    assert_eq!(chosen(&[of_one("pod", values(200))]), "pod");
    assert_eq!(chosen(&[of_one("pod", values(201))]), "", "nearly every value is another");
    assert_eq!(chosen(&[of_one("one", values(16)), of_one("two", values(16))]), "one two");
    let long = "k".repeat(65);
    assert_eq!(chosen(&[of_one(&long, every(1))]), "");
    assert_eq!(PromotedTags::choose(&[of_one("host", every(1))], 801).unwrap(), PromotedTags::default());
}

#[test]
fn the_most_frequent_keys_are_promoted() {
    // Key k00 is in every row, k01 in all but one, and so on.
    let given: Vec<Tags> = (0..60)
        .map(|row| {
            (0..20)
                .filter(|key| row >= *key)
                .map(|key| (format!("k{key:02}"), Some("v".to_owned())))
                .collect()
        })
        .collect();
    let keys: Vec<String> = (0..16).map(|key| format!("k{key:02}")).collect();
    assert_eq!(chosen(&[rows(1, &given)]), keys.join(" "));
}

#[test]
fn a_sample_is_taken_evenly_over_batches() {
    let batch = of_one("env", (0..9_000).map(|_| Some("x".to_owned())));
    let later = of_one("late", (0..9_000).map(|_| Some("x".to_owned())));
    assert_eq!(chosen(&[batch.clone(), later.clone(), batch, later]), "env late");
}

fn encode(batches: &[RecordBatch], layout: &PromotedTags) -> EncodedSegment {
    let options = SegmentOptions::default();
    let (id, digits) = (SegmentId::from_u128(7), TimeDigits::of(batches).unwrap());
    let mut writer = SegmentWriter::new(id, &partition(), options, layout.clone(), digits, NOW).unwrap();
    writer.write(batches).unwrap();
    writer.finish().unwrap()
}

fn open(segment: &EncodedSegment) -> SegmentReader {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    put_segment(store.as_ref(), &partition().table, segment).now_or_never().unwrap().unwrap();
    let meta = Arc::new(segment.meta.clone());
    SegmentReader::open(store, &partition().table, meta).now_or_never().unwrap().unwrap()
}

fn read(reader: &SegmentReader, columns: SegmentColumns) -> Vec<RecordBatch> {
    let groups = 0..reader.row_groups();
    groups.flat_map(|at| reader.read(at, columns, None).now_or_never().unwrap().unwrap()).collect()
}

#[test]
fn a_null_value_stays_in_the_map() {
    let tags = |value: Option<&str>| vec![("env".to_owned(), value.map(str::to_owned))];
    let given = rows(1, &[tags(Some("prod")), tags(None), Vec::new()]);
    let reader = open(&encode(std::slice::from_ref(&given), &promoted(&["env"])));
    let in_file = read(&reader, SegmentColumns::InFile).remove(0);
    assert_eq!(map_of(&in_file).unwrap().value_offsets(), [0, 0, 1, 1]);
    let column = in_file.column_by_name("tag.env").unwrap().as_string::<i32>();
    assert_eq!(column.iter().collect::<Vec<_>>(), [Some("prod"), None, None]);
    assert_eq!(read(&reader, SegmentColumns::All), [given]);
    assert_eq!(reader.promoted_rows(0), 1);
}

#[test]
fn a_merge_chooses_from_its_inputs() {
    let host = of_one("host", (0..300).map(|_| Some("x".to_owned())));
    let rare = of_one("rare", (0..300).map(|row| (row < 10).then(|| "x".to_owned())));
    let with_host = open(&encode(std::slice::from_ref(&host), &promoted(&["host"])));
    let with_rare = open(&encode(std::slice::from_ref(&rare), &promoted(&["rare"])));
    let plain = open(&encode(&[host], &promoted(&[])));
    let keys = |inputs: &[&SegmentReader]| {
        let inputs: Vec<_> = inputs.iter().map(|input| (*input).clone()).collect();
        PromotedTags::of_inputs(&inputs).map(|tags| tags.keys().collect::<Vec<_>>().join(" "))
    };
    assert_eq!(keys(&[&with_host, &with_rare]).as_deref(), Some("host"));
    assert_eq!(keys(&[&with_host, &plain]).as_deref(), Some("host"));
    assert_eq!(keys(&[&with_host, &plain, &plain]), None);
}

#[test]
fn columns_that_are_not_in_order_are_no_segment() {
    let schema = promoted(&["a", "b"]).schema();
    assert_eq!(PromotedTags::of_schema(&schema), Some(promoted(&["a", "b"])));
    let mut places: Vec<usize> = (0..schema.fields().len()).collect();
    places.swap(10, 11);
    assert_eq!(PromotedTags::of_schema(&schema.project(&places).unwrap()), None);
    assert_eq!(PromotedTags::of_schema(&schema.project(&places[..9]).unwrap()), None);
    let many: Vec<String> = (0..17).map(|key| format!("k{key:02}")).collect();
    let many = PromotedTags::new(many.iter().map(|key| key.as_str().into()).collect());
    assert_eq!(PromotedTags::of_schema(&many.schema()), None);
}

fn any_tags() -> impl Strategy<Value = Tags> {
    let key = prop_oneof![
        4 => prop::sample::select(vec!["env", "host", "a.b", "tags", ""]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["ключ", "\"q'", "a b", "\n", "zz"]).prop_map(str::to_owned),
    ];
    let value = prop::option::weighted(0.85, "[a-cé]{0,2}");
    prop::collection::btree_map(key, value, 0..6).prop_map(|tags| tags.into_iter().collect())
}

fn any_layout() -> impl Strategy<Value = PromotedTags> {
    let keys = vec!["env", "host", "a.b", "tags", "", "ключ", "\"q'", "\n", "nobody"];
    prop::sample::subsequence(keys, 0..6).prop_map(|keys| promoted(&keys))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_are_equal_whatever_is_promoted(
        inputs in prop::collection::vec((prop::collection::vec(any_tags(), 1..20), any_layout()), 1..4),
        merged in any_layout(),
    ) {
        let mut slices = Vec::new();
        let mut given = Vec::new();
        for (number, (tags, layout)) in (0..).zip(inputs) {
            let batch = rows(1 + number * 100, &tags);
            let reader = open(&encode(std::slice::from_ref(&batch), &layout));
            prop_assert_eq!(reader.promoted(), &layout);
            prop_assert_eq!(read(&reader, SegmentColumns::All), vec![batch.clone()]);
            slices.extend(read(&reader, SegmentColumns::InFile));
            given.push(batch);
        }
        let segment = encode(&slices, &merged);
        prop_assert_eq!(segment.bytes.to_vec(), encode(&given, &merged).bytes.to_vec());
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        put_segment(store.as_ref(), &partition().table, &segment).now_or_never().unwrap().unwrap();
        let found: Vec<RecordBatch> =
            read_segment(store, &partition().table, &segment.meta).try_collect().now_or_never().unwrap().unwrap();
        let plain = encode(&given, &PromotedTags::default());
        prop_assert_eq!(found, read(&open(&plain), SegmentColumns::All));
    }

    #[test]
    fn what_is_chosen_is_written(tags in prop::collection::vec(any_tags(), 1..30)) {
        let batch = rows(1, &tags);
        let options = SegmentOptions { promote_rows_min: 1, ..SegmentOptions::default() };
        let segment =
            encode_segment(SegmentId::from_u128(7), &partition(), std::slice::from_ref(&batch), &options, NOW).unwrap();
        let reader = open(&segment);
        for key in reader.promoted().keys() {
            let with = tags.iter().filter(|row| row.iter().any(|(k, value)| k == key && value.is_some())).count();
            prop_assert!(with * 8 >= tags.len());
        }
        prop_assert_eq!(read(&reader, SegmentColumns::All), vec![batch]);
    }
}
