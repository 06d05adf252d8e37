//! Times in files: nothing below microseconds is lost, files without such digits have no column for them, and segments of
//! version 2 are read as before.

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::TenantId;

/// The columns of a segment's file in Arrow.
fn columns_of(segment: &EncodedSegment) -> FileColumns {
    let file = ParquetRecordBatchReaderBuilder::try_new(segment.bytes.clone()).unwrap();
    FileColumns::of_schema(file.schema()).unwrap()
}

/// Rows with these times, all of one day, and that day.
fn at_times(first: u64, times: &[i64]) -> (Day, RecordBatch) {
    let window = TimeWindow { earliest: Timestamp::from_ns(i64::MIN), future_ns_max: i64::MAX };
    let mut builder = LogBatchBuilder::new(NOW, window);
    for ns in times {
        let source = ["api", "db"].get(usize::from(ns % 3 == 0)).copied();
        let row =
            RowRef { timestamp: Some(Timestamp::from_ns(*ns)), source, message: "m", ..RowRef::default() };
        builder.push(row, &mut TagSet::new()).unwrap();
    }
    let first = RowId::new(Epoch::new(1).unwrap(), first).unwrap();
    let mut days = builder.finish().unwrap().into_stored(first).unwrap();
    assert_eq!(days.len(), 1);
    days.remove(0)
}

fn encode_on(day: Day, batches: &[RecordBatch], row_group_rows: usize) -> EncodedSegment {
    let partition = Partition { day, ..partition() };
    let options = SegmentOptions { row_group_rows, ..SegmentOptions::default() };
    encode_segment(SegmentId::from_u128(7), &partition, batches, &options, NOW).unwrap()
}

#[test]
fn digits_below_microseconds_have_a_column_where_there_are_some() {
    let noon = 20_000 * DAY_NS + DAY_NS / 2;
    for (times, expected) in [
        (vec![noon, noon + 1_000, noon + 7_000_000], FileTimes::Microseconds),
        (vec![noon, noon + 1_000, noon + 1], FileTimes::Split),
    ] {
        let (day, rows) = at_times(1, &times);
        let segment = encode_on(day, &[rows], 2);
        assert_eq!(columns_of(&segment).times, expected);
        let file = ParquetRecordBatchReaderBuilder::try_new(segment.bytes.clone()).unwrap();
        let leaves = file.parquet_schema().columns();
        assert_eq!(leaves.len(), if expected == FileTimes::Split { 12 } else { 11 });
        let logical = format!("{:?}", leaves[0].logical_type_ref().unwrap());
        assert!(logical.contains("MICROS") && logical.contains("true"), "{logical}");
    }
}

#[test]
fn a_slice_with_digits_that_have_no_column_is_refused() {
    let noon = 20_000 * DAY_NS + DAY_NS / 2;
    let (id, digits) = (SegmentId::from_u128(7), TimeDigits::Microseconds);
    let tags = PromotedTags::default();
    let mut writer =
        SegmentWriter::new(id, &partition(), SegmentOptions::default(), tags, digits, NOW).unwrap();
    writer.write(&[at_times(1, &[noon]).1]).unwrap();
    let error = writer.write(&[at_times(2, &[noon + 1_001]).1]).unwrap_err().to_string();
    assert!(error.contains("digits below microseconds"), "{error}");
}

/// The rows that the segments of version 2 were made of: `day`, the first row's id, and nanoseconds between rows.
fn rows_of_version_2(day: Day, first: u64, step: i64) -> RecordBatch {
    let window = TimeWindow { earliest: Timestamp::from_ns(i64::MIN), future_ns_max: i64::MAX };
    let mut builder = LogBatchBuilder::new(NOW, window);
    let mut tags = TagSet::new();
    for at in 0..40i64 {
        let odd = usize::try_from(at % 2).unwrap();
        tags.push("env", Some("prod"), TagKind::String);
        tags.push("host", Some(["h1", "h2"][odd]), TagKind::String);
        tags.push("id", Some(&at.to_string()), TagKind::Number);
        let message = format!("request {at} took {} ms", at * 7);
        let trace = format!("trace{}", at / 5);
        let row = RowRef {
            timestamp: Some(day.range().min.plus_ns(at * step)),
            source: [Some("web"), Some("db"), None][usize::try_from(at % 3).unwrap()],
            level: Some(["INFO", "ERROR"][odd]),
            message: &message,
            trace_id: (at % 5 == 0).then_some(trace.as_str()),
            ..RowRef::default()
        };
        builder.push(row, &mut tags).unwrap();
    }
    let first = RowId::new(Epoch::new(1).unwrap(), first).unwrap();
    builder.finish().unwrap().into_stored(first).unwrap().remove(0).1
}

#[test]
fn segments_of_version_2_are_read_as_before() {
    let nanoseconds = (
        &include_bytes!("../../../../tests/fixtures/segment-2/nanoseconds.parquet")[..],
        include_str!("../../../../tests/fixtures/segment-2/nanoseconds.json"),
        rows_of_version_2(Day::from_days(-1), 1, 1_234_567_891),
    );
    let microseconds = (
        &include_bytes!("../../../../tests/fixtures/segment-2/microseconds.parquet")[..],
        include_str!("../../../../tests/fixtures/segment-2/microseconds.json"),
        rows_of_version_2(DAY, 1_001, 7_000_001_000),
    );
    for (bytes, meta, rows) in [nanoseconds, microseconds] {
        let meta: SegmentMeta = serde_json::from_str(meta).unwrap();
        assert_eq!(meta.format_version, 2);
        let segment = EncodedSegment { meta, bytes: bytes::Bytes::from_static(bytes).into() };
        assert_eq!(columns_of(&segment).times, FileTimes::Nanoseconds);
        let table = TableRef::logs(TenantId::default());
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        put_segment(store.as_ref(), &table, &segment).now_or_never().unwrap().unwrap();
        let found: Vec<RecordBatch> = read_segment(Arc::clone(&store), &table, &segment.meta)
            .try_collect()
            .now_or_never()
            .unwrap()
            .unwrap();
        let sorted = |batches: &[RecordBatch]| {
            let mut rows = texts(batches);
            rows.sort();
            rows
        };
        assert_eq!(sorted(&found), sorted(std::slice::from_ref(&rows)));
        let meta = Arc::new(segment.meta.clone());
        let reader = SegmentReader::open(store, &table, meta).now_or_never().unwrap().unwrap();
        let times = (0..reader.row_groups()).filter_map(|at| reader.row_group_time(at));
        assert_eq!(times.reduce(crate::TimeRange::union), Some(segment.meta.time));
    }
}

/// Times of one day: whole microseconds, or any.
fn any_times() -> impl Strategy<Value = Vec<i64>> {
    let base = prop_oneof![
        2 => Just(20_000 * DAY_NS),
        1 => Just(-DAY_NS),
        1 => Just(i64::MIN),
        1 => Just(i64::MAX - 4_000),
        1 => any::<i64>(),
    ];
    let unit = prop::sample::select(vec![1, 499, 1_000]);
    (base, unit, prop::collection::vec(0i64..5_000, 1..20)).prop_map(|(base, unit, steps)| {
        let base = if unit == 1_000 { base.div_euclid(1_000).saturating_mul(1_000) } else { base };
        let day = Timestamp::from_ns(base).day();
        let time = |step: i64| base.saturating_add(step * unit);
        let times = steps.into_iter().map(time).filter(|ns| Timestamp::from_ns(*ns).day() == day);
        times.chain([base]).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_nanosecond_comes_back(times in any_times(), row_group_rows in 1usize..10) {
        let (day, rows) = at_times(1, &times);
        let segment = encode_on(day, std::slice::from_ref(&rows), row_group_rows);
        let whole = times.iter().all(|ns| ns % 1_000 == 0);
        let expected = if whole { FileTimes::Microseconds } else { FileTimes::Split };
        prop_assert_eq!(columns_of(&segment).times, expected);
        prop_assert_eq!(segment.meta.time.min.ns(), *times.iter().min().unwrap());
        prop_assert_eq!(segment.meta.time.max.ns(), *times.iter().max().unwrap());
        let store = put(&segment);
        let meta = Arc::new(segment.meta.clone());
        let reader = SegmentReader::open(store, &partition().table, meta).now_or_never().unwrap().unwrap();
        let mut found = Vec::new();
        for at in 0..reader.row_groups() {
            let all = reader.read(at, SegmentColumns::All, None).now_or_never().unwrap().unwrap();
            let span = reader.row_group_time(at).unwrap();
            let rows = texts(&all);
            prop_assert!(rows.iter().all(|row| span.contains(Timestamp::from_ns(row.0))));
            let order = reader.read(at, SegmentColumns::Order, None).now_or_never().unwrap().unwrap();
            let names: Vec<_> = order[0].schema().fields().iter().map(|field| field.name().clone()).collect();
            prop_assert_eq!(names, [column::TIMESTAMP, column::ROW_ID]);
            let of_order = order.iter().flat_map(|batch| batch.column(0).as_primitive::<TimestampNanosecondType>().values().to_vec());
            prop_assert_eq!(of_order.collect::<Vec<_>>(), rows.iter().map(|row| row.0).collect::<Vec<_>>());
            found.extend(rows);
        }
        let mut given = texts(&[rows]);
        given.sort();
        found.sort();
        prop_assert_eq!(given, found);
    }
}
