//! Segments: every row comes back once, in the promised order, and damage is noticed.

mod pieces;
mod times;

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampNanosecondType};
use futures::{FutureExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use proptest::prelude::*;

use super::*;
use crate::{
    DAY_NS, Day, Epoch, Error, LogBatchBuilder, Partition, RowId, RowRef, TableRef, TagKind, TagSet,
    TimeWindow, Timestamp, column, key,
};

const DAY: Day = Day::from_days(20_000);
const NOW: Timestamp = Timestamp::from_ns(20_001 * DAY_NS);

fn partition() -> Partition {
    Partition { table: TableRef::logs("acme/web/prod".parse().unwrap()), day: DAY }
}

/// Rows of the day at these nanoseconds after midnight, numbered from `first`.
fn rows(first: u64, given: &[(i64, Option<&str>, Option<&str>, &str)]) -> RecordBatch {
    let mut builder = LogBatchBuilder::new(NOW, TimeWindow::default());
    let mut tags = TagSet::new();
    for (at, source, level, message) in given {
        let timestamp = Some(Timestamp::from_ns(20_000 * DAY_NS + at));
        tags.push("env", Some("prod"), TagKind::String);
        if at % 3 == 0 {
            tags.push("status", Some("200"), TagKind::Number);
            tags.push("none", None, TagKind::Null);
        }
        let row = RowRef { timestamp, source: *source, level: *level, message, ..RowRef::default() };
        builder.push(row, &mut tags).unwrap();
    }
    let first = RowId::new(Epoch::new(1).unwrap(), first).unwrap();
    let mut days = builder.finish().unwrap().into_stored(first).unwrap();
    assert_eq!(days.len(), 1);
    days.remove(0).1
}

fn encode(batches: &[RecordBatch], row_group_rows: usize) -> EncodedSegment {
    let options = SegmentOptions { compaction_level: 0, row_group_rows, promote_rows_min: 1 };
    encode_segment(SegmentId::from_u128(7), &partition(), batches, &options, NOW).unwrap()
}

fn put(segment: &EncodedSegment) -> Arc<dyn ObjectStore> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    put_segment(store.as_ref(), &partition().table, segment).now_or_never().unwrap().unwrap();
    store
}

fn read(store: Arc<dyn ObjectStore>, meta: &SegmentMeta) -> crate::Result<Vec<RecordBatch>> {
    read_segment(store, &partition().table, meta).try_collect().now_or_never().unwrap()
}

/// Source and level of a row.
type Place = (Option<String>, Option<String>);

/// Every row as (timestamp, id, source and level, all of it as text), in the order of the batches.
fn texts(batches: &[RecordBatch]) -> Vec<(i64, i64, Place, String)> {
    let mut out = Vec::new();
    for batch in batches {
        let times =
            batch.column_by_name(column::TIMESTAMP).unwrap().as_primitive::<TimestampNanosecondType>();
        let ids = batch.column_by_name(column::ROW_ID).unwrap().as_primitive::<Int64Type>();
        let name = |column: &str, row: usize| {
            let names = batch.column_by_name(column).unwrap().as_string::<i32>();
            (!names.is_null(row)).then(|| names.value(row).to_owned())
        };
        for row in 0..batch.num_rows() {
            let one = arrow::util::pretty::pretty_format_batches(&[batch.slice(row, 1)]).unwrap().to_string();
            let place = (name(column::SOURCE, row), name(column::LEVEL, row));
            out.push((times.value(row), ids.value(row), place, one));
        }
    }
    out
}

#[test]
fn the_manifest_entry_tells_the_truth() {
    let first = rows(10, &[(5, Some("b"), Some("INFO"), "x"), (3, None, None, "y")]);
    let second = rows(1, &[(4, Some("b"), Some("INFO"), "z")]);
    let segment = encode(&[first, second], 2);
    let meta = &segment.meta;
    assert_eq!((meta.rows, meta.day, meta.compaction_level), (3, DAY, 0));
    assert_eq!(meta.time.min, Timestamp::from_ns(20_000 * DAY_NS + 3));
    assert_eq!(meta.time.max, Timestamp::from_ns(20_000 * DAY_NS + 5));
    assert_eq!((meta.row_id_min.sequence(), meta.row_id_max.sequence()), (1, 11));
    assert_eq!(meta.bytes, segment.bytes.len() as u64);
    let count = |source: Option<&str>, level: Option<&str>, rows| SourceLevelCount {
        source: source.map(str::to_owned),
        level: level.map(str::to_owned),
        rows,
    };
    assert_eq!(meta.counts, Some(vec![count(None, None, 1), count(Some("b"), Some("INFO"), 2)]));
    assert_eq!(segment.fingerprint().unwrap().rows, 3);
}

#[test]
fn the_tail_holds_footer_and_page_index() {
    let segment = encode(&[rows(1, &[(1, Some("a"), None, "x"), (2, Some("b"), None, "y")])], 1);
    let store = put(&segment);
    let key = key::segment(&partition(), segment.meta.id);
    let tail = read_tail(store.as_ref(), &key, &segment.meta).now_or_never().unwrap().unwrap();
    assert_eq!(tail.index.as_ref().map(|index| index.ranges()), Some(2));
    let metadata = tail.parquet;
    assert_eq!(metadata.num_row_groups(), 2);
    let (columns, offsets) = (metadata.column_index().unwrap(), metadata.offset_index().unwrap());
    assert_eq!((columns[0].len(), offsets[0].len()), (13, 13));
    let indexed = |at: usize| {
        !matches!(columns[0][at], parquet::file::page_index::column_index::ColumnIndexMetaData::NONE)
    };
    let leaves = metadata.file_metadata().schema_descr().columns();
    let with_index: Vec<_> = (0..13).filter(|at| indexed(*at)).map(|at| leaves[at].name()).collect();
    assert_eq!(with_index.join(" "), "timestamp source level trace_id span_id _row_id tag.env");
    assert!(segment.meta.tail_bytes < segment.meta.bytes);
}

#[test]
fn wrong_rows_are_refused_before_anything_is_written() {
    let day = Partition { day: Day::from_days(3), ..partition() };
    let batch = rows(1, &[(1, None, None, "x")]);
    let options = SegmentOptions::default();
    let id = SegmentId::from_u128(1);
    let refused = |partition: &Partition, batches: &[RecordBatch]| {
        encode_segment(id, partition, batches, &options, NOW).unwrap_err().to_string()
    };
    assert!(refused(&day, std::slice::from_ref(&batch)).contains("is not within 1970-01-04"));
    assert!(refused(&partition(), &[]).contains("without rows"));
    let fewer = batch.project(&[0, 1]).unwrap();
    assert!(refused(&partition(), &[fewer]).contains("not those of stored rows"));
    let mut writer =
        SegmentWriter::new(id, &partition(), options, PromotedTags::default(), TimeDigits::Nanoseconds, NOW)
            .unwrap();
    writer.write(&[rows(1, &[(5, None, None, "x")])]).unwrap();
    let error = writer.write(&[rows(2, &[(4, None, None, "x")])]).unwrap_err().to_string();
    assert!(error.contains("does not come after"), "{error}");
}

#[test]
fn long_messages_end_a_row_group_early() {
    let long = "x".repeat(ROW_GROUP_BYTES_MAX / 9);
    let given: Vec<_> = (0..17).map(|at| (at, None, None, long.as_str())).collect();
    let segment = encode(&[rows(1, &given)], ROW_GROUP_ROWS);
    let meta = Arc::new(segment.meta.clone());
    let reader =
        SegmentReader::open(put(&segment), &partition().table, meta).now_or_never().unwrap().unwrap();
    assert_eq!(reader.row_groups(), 3);
}

#[test]
fn another_object_or_version_is_refused() {
    let segment = encode(&[rows(1, &[(1, None, None, "x")])], 1);
    let store = put(&segment);
    let longer = SegmentMeta { bytes: segment.meta.bytes + 1, ..segment.meta.clone() };
    assert!(read(Arc::clone(&store), &longer).is_err());
    let shorter = SegmentMeta { bytes: segment.meta.bytes - 1, ..segment.meta.clone() };
    let error = read(Arc::clone(&store), &shorter).unwrap_err().to_string();
    assert!(error.contains("the manifest says"), "{error}");
    let newer = SegmentMeta { format_version: SEGMENT_FORMAT_VERSION + 1, ..segment.meta.clone() };
    assert!(matches!(read(Arc::clone(&store), &newer), Err(Error::TooNew { found: 4, .. })));
    let more = SegmentMeta { rows: 2, ..segment.meta.clone() };
    assert!(matches!(read(store, &more), Err(Error::Corrupt { .. })));
}

#[test]
fn segments_are_immutable() {
    let segment = encode(&[rows(1, &[(1, None, None, "x")])], 1);
    let store = put(&segment);
    put_segment(store.as_ref(), &partition().table, &segment).now_or_never().unwrap().unwrap();
    let other = encode(&[rows(1, &[(1, None, None, "another message")])], 1);
    let error = put_segment(store.as_ref(), &partition().table, &other).now_or_never().unwrap().unwrap_err();
    assert!(error.to_string().contains("in the segment's place"), "{error}");
}

#[test]
fn damage_is_noticed_wherever_it_is() {
    let given: Vec<_> = (0..60).map(|at| (at, Some("api"), Some("INFO"), "GET /index.html 200")).collect();
    let segment = encode(&[rows(1, &given)], 25);
    let store = put(&segment);
    let key = key::segment(&partition(), segment.meta.id);
    // Rows are read without the index, whose pieces have checksums of their own; its head lies in the tail.
    let index = usize::try_from(segment.meta.index.unwrap().offset).unwrap();
    let tail = usize::try_from(segment.meta.bytes - segment.meta.tail_bytes).unwrap();
    assert!(index < tail);
    let whole = segment.bytes.to_vec();
    // The first four bytes are Parquet's magic number, which nobody reads.
    for at in (4..index).chain(tail..whole.len()) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        store.put(&key, PutPayload::from(bytes)).now_or_never().unwrap().unwrap();
        let error = read(Arc::clone(&store), &segment.meta).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "byte {at}: {error}");
    }
}

fn any_batches() -> impl Strategy<Value = Vec<RecordBatch>> {
    let row = (
        0i64..40,
        prop::option::of(prop::sample::select(vec!["api", "db", "é"])),
        prop::option::of(prop::sample::select(vec!["INFO", "odd"])),
        ".{0,12}",
    );
    let unit = prop::sample::select(vec![1, 300, 1_000]);
    (prop::collection::vec(prop::collection::vec(row, 1..12), 1..5), unit).prop_map(|(batches, unit)| {
        let mut first = 1;
        let batch = |given: Vec<(i64, Option<&'static str>, Option<&'static str>, String)>| {
            let given: Vec<_> = given.iter().map(|(at, s, l, m)| (at * unit, *s, *l, m.as_str())).collect();
            first += 100;
            rows(first, &given)
        };
        batches.into_iter().map(batch).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_row_comes_back_once_in_order(batches in any_batches(), row_group_rows in 1usize..10) {
        let segment = encode(&batches, row_group_rows);
        let store = put(&segment);
        let (mut given, mut found) = (texts(&batches), texts(&read(Arc::clone(&store), &segment.meta).unwrap()));
        given.sort();
        found.sort();
        prop_assert_eq!(given, found);

        let meta = Arc::new(segment.meta.clone());
        let reader = SegmentReader::open(Arc::clone(&store), &partition().table, meta).now_or_never().unwrap().unwrap();
        let key = key::segment(&partition(), segment.meta.id);
        let tail = read_tail(store.as_ref(), &key, &segment.meta).now_or_never().unwrap().unwrap();
        let templates = tail.templates().unwrap().unwrap();
        let mut before = (i64::MIN, i64::MIN);
        for at in 0..reader.row_groups() {
            let group = reader.read(at, SegmentColumns::All, None).now_or_never().unwrap().unwrap();
            let rows = texts(&group);
            prop_assert!(rows.len() == row_group_rows || at == 0);
            let runs = &templates.row_groups[at];
            // The second part is of loose templates.
            let sorted = runs.chunk_by(|a, b| (a.source, a.level, a.template) < (b.source, b.level, b.template));
            prop_assert!(sorted.count() <= 2);
            let of_run = |run: &Run| std::iter::repeat_n(*run, run.rows as usize);
            let of_rows: Vec<Run> = runs.iter().flat_map(of_run).collect();
            prop_assert_eq!(of_rows.len(), rows.len());
            for (run, row) in of_rows.iter().zip(&rows) {
                let name = |names: &[Option<Box<str>>], place: u32| names[place as usize].as_deref().map(str::to_owned);
                prop_assert_eq!((name(&templates.sources, run.source), name(&templates.levels, run.level)), row.2.clone());
            }
            let keyed = of_rows.iter().zip(&rows).map(|(run, row)| (run.source, run.level, run.template, row.0, row.1));
            prop_assert!(keyed.is_sorted());
            let (min, max) = (rows.iter().map(|r| (r.0, r.1)).min(), rows.iter().map(|r| (r.0, r.1)).max());
            prop_assert!(before < min.unwrap());
            before = max.unwrap();
            let time = reader.row_group_time(at).unwrap();
            let (early, late) = (min.unwrap().0 - time.min.ns(), time.max.ns() - max.unwrap().0);
            prop_assert!((0..1_000).contains(&early) && (0..1_000).contains(&late), "{} {}", early, late);
            let is_whole = batches.iter().flat_map(|rows| texts(std::slice::from_ref(rows))).all(|row| row.0 % 1_000 == 0);
            prop_assert!(!is_whole || (early, late) == (0, 0));
        }
        let mut fingerprint = RowFingerprint::default();
        for batch in &batches {
            fingerprint.add(batch.column_by_name(column::ROW_ID).unwrap().as_primitive());
        }
        prop_assert_eq!(segment.fingerprint().unwrap(), fingerprint);
    }
}
