//! Merges of segments of older versions, and of times with different digits: every row stays as it is to the nanosecond, and
//! what comes out has the newest version, with a column for digits below microseconds only where some time has them.

use arrow::util::pretty::pretty_format_batches;
use bytes::Bytes;
use ironbark_storage::{EncodedSegment, FileColumns, FileTimes, SEGMENT_FORMAT_VERSION, TenantId};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

/// A segment of version 2 from the tests' fixtures.
fn of_version_2(bytes: &'static [u8], meta: &str) -> EncodedSegment {
    let meta: SegmentMeta = serde_json::from_str(meta).unwrap();
    assert_eq!(meta.format_version, 2);
    EncodedSegment { meta, bytes: Bytes::from_static(bytes).into() }
}

fn nanoseconds_of_version_2() -> EncodedSegment {
    of_version_2(
        include_bytes!("../../../../tests/fixtures/segment-2/nanoseconds.parquet"),
        include_str!("../../../../tests/fixtures/segment-2/nanoseconds.json"),
    )
}

fn microseconds_of_version_2() -> EncodedSegment {
    of_version_2(
        include_bytes!("../../../../tests/fixtures/segment-2/microseconds.parquet"),
        include_str!("../../../../tests/fixtures/segment-2/microseconds.json"),
    )
}

fn table() -> TableRef {
    TableRef::logs(TenantId::default())
}

/// A segment of the newest version with a row at each of these nanoseconds after midnight.
fn newest(id: u128, day: Day, times: &[i64]) -> EncodedSegment {
    let window = TimeWindow { earliest: Timestamp::from_ns(i64::MIN), future_ns_max: i64::MAX };
    let mut builder = LogBatchBuilder::new(Timestamp::from_ns(20_001 * DAY_NS), window);
    let mut tags = TagSet::new();
    for (at, time) in times.iter().enumerate() {
        tags.push("host", Some("h1"), TagKind::String);
        let message = format!("{id} {at}");
        let timestamp = Some(day.range().min.plus_ns(*time));
        builder.push(RowRef { timestamp, message: &message, ..RowRef::default() }, &mut tags).unwrap();
    }
    let first = RowId::new(Epoch::new(2).unwrap(), u64::try_from(id).unwrap() * 1_000).unwrap();
    let rows = builder.finish().unwrap().into_stored(first).unwrap().remove(0).1;
    let options = SegmentOptions { row_group_rows: 5, promote_rows_min: 1, ..SegmentOptions::default() };
    let partition = Partition { table: table(), day };
    encode_segment(SegmentId::from_u128(id), &partition, &[rows], &options, Timestamp::from_ns(0)).unwrap()
}

/// Rows as text, each on its own, sorted.
async fn rows_of(store: &Arc<dyn ObjectStore>, meta: &SegmentMeta) -> Vec<String> {
    let batches: Vec<RecordBatch> =
        read_segment(Arc::clone(store), &table(), meta).try_collect().await.unwrap();
    let one = |batch: &RecordBatch, row| pretty_format_batches(&[batch.slice(row, 1)]).unwrap().to_string();
    let all = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| one(batch, row)));
    let mut lines: Vec<String> = all.map(|text| text.lines().nth(3).unwrap().to_owned()).collect();
    // Widths differ with the other columns of a row alone.
    lines.sort();
    lines
}

/// Merges these and asserts that rows stay; returns how the merged segment holds times, and itself.
async fn merge(inputs: &[EncodedSegment]) -> (FileTimes, EncodedSegment) {
    let store: Arc<dyn ObjectStore> = Store::memory().object_store();
    let mut expected = Vec::new();
    for input in inputs {
        put_segment(store.as_ref(), &table(), input).await.unwrap();
        expected.extend(rows_of(&store, &input.meta).await);
    }
    expected.sort();
    let spec = CompactionSpec {
        partition: Partition { table: table(), day: inputs[0].meta.day },
        inputs: inputs.iter().map(|input| Arc::new(input.meta.clone())).collect(),
        compaction_level: 2,
        reason: Reason::Ended,
    };
    let ambient =
        Ambient::seeded(Timestamp::from_ns(20_002 * DAY_NS), u64::try_from(expected.len()).unwrap());
    let merged = MergeJob::new(Arc::clone(&store), &spec, &ambient).run().await.unwrap();
    assert_eq!(rows_of(&store, &merged.meta).await, expected);
    assert_eq!(merged.meta.format_version, SEGMENT_FORMAT_VERSION);
    let spans = inputs.iter().map(|input| input.meta.time);
    assert_eq!(spans.reduce(ironbark_storage::TimeRange::union), Some(merged.meta.time));
    let file = ParquetRecordBatchReaderBuilder::try_new(merged.bytes.clone()).unwrap();
    (FileColumns::of_schema(file.schema()).unwrap().times, merged)
}

#[tokio::test]
async fn segments_of_version_2_are_merged_into_the_newest() {
    let (times, _) = merge(&[microseconds_of_version_2()]).await;
    assert_eq!(times, FileTimes::Microseconds);
    let whole = newest(1, DAY, &[0, 7_000_001_000, 1_000]);
    let (times, merged) = merge(&[microseconds_of_version_2(), whole]).await;
    assert_eq!(times, FileTimes::Microseconds);
    let (times, _) = merge(&[merged, newest(2, DAY, &[5_000, 7_000_001_001])]).await;
    assert_eq!(times, FileTimes::Split);
    let before_1970 = Day::from_days(-1);
    let (times, merged) = merge(&[nanoseconds_of_version_2()]).await;
    assert_eq!(times, FileTimes::Split);
    let (times, _) = merge(&[newest(3, before_1970, &[1_000, 2_000]), merged]).await;
    assert_eq!(times, FileTimes::Split);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn merges_keep_every_nanosecond(
        inputs in prop::collection::vec(
            (prop::collection::vec(0i64..3_000, 1..15), prop::sample::select(vec![1, 250, 1_000])),
            1..4,
        ),
        day in prop::sample::select(vec![20_000, -1, -40_000]),
    ) {
        let times = inputs.iter().map(|(steps, unit)| steps.iter().map(|step| step * unit).collect::<Vec<_>>());
        let times: Vec<Vec<i64>> = times.collect();
        let segments: Vec<_> = (1..).zip(&times).map(|(id, times)| newest(id, Day::from_days(day), times)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (found, _) = runtime.block_on(merge(&segments));
        let whole = times.iter().flatten().all(|time| time % 1_000 == 0);
        prop_assert_eq!(found, if whole { FileTimes::Microseconds } else { FileTimes::Split });
    }
}
