//! Batches: what is kept, what is refused, and that damage is noticed.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampNanosecondType};
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{DAY_NS, Epoch, Error, RowId, Timestamp, column};

const ARRIVAL: Timestamp = Timestamp::from_ns(1_700_000_000_000_000_000);

fn builder() -> LogBatchBuilder {
    LogBatchBuilder::new(ARRIVAL, TimeWindow::default())
}

fn text(batch: &LogBatch, name: &str, row: usize) -> Option<String> {
    let column = batch.rows().column_by_name(name).unwrap().as_string::<i32>();
    (!column.is_null(row)).then(|| column.value(row).to_owned())
}

fn tags(batch: &LogBatch, row: usize) -> String {
    let entries = batch.rows().column_by_name(column::TAGS).unwrap().as_map().value(row);
    let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
    let pairs = (0..keys.len()).map(|at| {
        let value = if values.is_null(at) { "NULL" } else { values.value(at) };
        format!("{}={value}", keys.value(at))
    });
    pairs.collect::<Vec<_>>().join(" ")
}

#[test]
fn rows_become_columns() {
    let mut builder = builder();
    let mut set = TagSet::new();
    set.push("z", Some("1.50"), TagKind::Number);
    set.push("a", None, TagKind::Null);
    set.push("m", Some("true"), TagKind::Bool);
    let row = RowRef { source: Some("api"), level: Some("warning"), message: "one\r\n", ..RowRef::default() };
    builder.push(row, &mut set).unwrap();
    assert!(set.is_empty());
    let row = RowRef { source: Some(""), level: Some("INFO"), span_id: Some("s"), ..RowRef::default() };
    builder.push(row, &mut set).unwrap();
    let batch = builder.finish().unwrap();
    assert_eq!(batch.num_rows(), 2);
    assert_eq!(text(&batch, column::MESSAGE, 0).as_deref(), Some("one\r\n"));
    assert_eq!(text(&batch, column::LEVEL, 0).as_deref(), Some("WARN"));
    assert_eq!(tags(&batch, 0), "a=NULL level=warning m=true z=1.50");
    assert_eq!(text(&batch, column::TAG_TYPES, 0).as_deref(), Some("zsbn"));
    assert_eq!(text(&batch, column::SOURCE, 1), None);
    assert_eq!(text(&batch, column::SPAN_ID, 1).as_deref(), Some("s"));
    assert_eq!(text(&batch, column::TAG_TYPES, 1), None);
    assert_eq!(tags(&batch, 1), "");
    assert!(builder.is_empty());
    LogBatch::try_new(batch.rows().clone(), ARRIVAL).unwrap();
}

#[test]
fn repeated_keys_keep_all_values() {
    let mut builder = builder();
    let mut set = TagSet::new();
    set.push("k", Some("x\"\n"), TagKind::String);
    set.push("b", Some("1"), TagKind::String);
    set.push("k", Some("2"), TagKind::Number);
    set.push("k", None, TagKind::Null);
    set.push("k", Some("[3]"), TagKind::Json);
    builder.push(RowRef::default(), &mut set).unwrap();
    let batch = builder.finish().unwrap();
    assert_eq!(tags(&batch, 0), r#"b=1 k=["x\"\n",2,null,[3]]"#);
    assert_eq!(text(&batch, column::TAG_TYPES, 0).as_deref(), Some("sj"));
}

#[test]
fn refused_rows_leave_no_trace() {
    let mut builder = builder();
    let mut set = TagSet::new();
    let long = "x".repeat(FIELD_BYTES_MAX + 1);
    let day_ahead = ARRIVAL.plus_ns(DAY_NS);
    for (row, key, reason) in [
        (RowRef { timestamp: Some(Timestamp::from_ns(-1)), ..RowRef::default() }, "k", "too old"),
        (RowRef { timestamp: Some(day_ahead.plus_ns(1)), ..RowRef::default() }, "k", "in the future"),
        (RowRef { source: Some(&long), ..RowRef::default() }, "k", "source has 1025 bytes"),
        (RowRef::default(), long.as_str(), "put long text into the tag's value"),
    ] {
        set.push(key, Some("v"), TagKind::String);
        let error = builder.push(row, &mut set).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert!(set.is_empty() && builder.is_empty());
    }
    for key in 0..=TAGS_PER_ROW_MAX {
        set.push(&key.to_string(), Some("v"), TagKind::String);
    }
    let error = builder.push(RowRef::default(), &mut set).unwrap_err();
    assert_eq!(error, RowError::TooManyTags { count: 1025, count_max: 1024 });
    builder.push(RowRef { timestamp: Some(day_ahead), ..RowRef::default() }, &mut set).unwrap();
    assert_eq!(builder.finish().unwrap().num_rows(), 1);
}

#[test]
fn foreign_batches_are_checked() {
    let mut builder = builder();
    let mut set = TagSet::new();
    set.push("a", Some("1"), TagKind::Number);
    set.push("b", Some("1"), TagKind::String);
    builder.push(RowRef::default(), &mut set).unwrap();
    let good = builder.finish().unwrap().rows().clone();
    let with = |name: &str, array: arrow::array::ArrayRef| {
        let at = good.schema().index_of(name).unwrap();
        let mut columns = good.columns().to_vec();
        columns[at] = array;
        let batch = arrow::array::RecordBatch::try_new(good.schema(), columns).unwrap();
        LogBatch::try_new(batch, ARRIVAL).unwrap_err().to_string()
    };
    let types = |text: &str| -> arrow::array::ArrayRef {
        std::sync::Arc::new(arrow::array::StringArray::from(vec![text]))
    };
    assert!(with(column::TAG_TYPES, types("s")).contains("another number"));
    assert!(with(column::TAG_TYPES, types("sx")).contains("unknown letter"));
    assert!(with(column::TAG_TYPES, types("sz")).contains("z must stand"));
    let fewer = good.project(&[0, 1, 2, 3, 4, 5, 6]).unwrap();
    let error = LogBatch::try_new(fewer, ARRIVAL).unwrap_err().to_string();
    assert_eq!(error, "invalid batch: column _tag_types: is missing");
    let swapped = good.project(&[0, 2, 1, 3, 4, 5, 6, 7]).unwrap();
    assert!(LogBatch::try_new(swapped, ARRIVAL).unwrap_err().to_string().contains("level is in its place"));
}

#[test]
fn stored_rows_are_cut_by_day_and_numbered_in_order() {
    let mut builder = builder();
    for day in [2i64, 1, 2, 0, 1] {
        let timestamp = Some(Timestamp::from_ns(day * DAY_NS + 5));
        builder.push(RowRef { timestamp, ..RowRef::default() }, &mut TagSet::new()).unwrap();
    }
    let first = RowId::new(Epoch::new(7).unwrap(), 100).unwrap();
    let stored = builder.finish().unwrap().into_stored(first).unwrap();
    let ids = stored.iter().map(|(day, rows)| {
        let ids = rows.column_by_name(column::ROW_ID).unwrap().as_primitive::<Int64Type>();
        let arrived = rows.column_by_name(column::INGESTED_AT).unwrap();
        assert_eq!(arrived.as_primitive::<TimestampNanosecondType>().value(0), ARRIVAL.ns());
        (day.days(), ids.values().iter().map(|id| id - first.get()).collect::<Vec<_>>())
    });
    assert_eq!(ids.collect::<Vec<_>>(), [(0, vec![3]), (1, vec![1, 4]), (2, vec![0, 2])]);
    assert!(builder.finish().unwrap().into_stored(first).unwrap().is_empty());
}

fn any_batch() -> impl Strategy<Value = LogBatch> {
    let tag = ("[a-c]{0,2}", prop::option::of(".{0,6}"), 0usize..5);
    let row = (
        prop::option::of(0i64..3 * DAY_NS),
        prop::option::of("[a-z]{0,3}"),
        prop::option::of("(info|W|odd|)"),
        ".{0,20}",
        prop::collection::vec(tag, 0..4),
    );
    prop::collection::vec(row, 0..20).prop_map(|rows| {
        let mut builder = builder();
        let mut set = TagSet::new();
        let kinds = [TagKind::String, TagKind::Number, TagKind::Bool, TagKind::Json, TagKind::Null];
        for (at, source, level, message, tags) in &rows {
            for (key, value, kind) in tags {
                set.push(key, value.as_deref(), kinds[*kind]);
            }
            let row = RowRef {
                timestamp: at.map(Timestamp::from_ns),
                source: source.as_deref(),
                level: level.as_deref(),
                message,
                ..RowRef::default()
            };
            builder.push(row, &mut set).unwrap();
        }
        builder.finish().unwrap()
    })
}

proptest! {
    #[test]
    fn what_is_built_is_valid_and_survives_the_wal(batch in any_batch()) {
        LogBatch::try_new(batch.rows().clone(), ARRIVAL).unwrap();
        let back = LogBatch::from_ipc(&batch.to_ipc().unwrap(), ARRIVAL).unwrap();
        prop_assert_eq!(back.rows(), batch.rows());
    }

    #[test]
    fn damaged_bytes_are_an_error(batch in any_batch(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = batch.to_ipc().unwrap().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let error = LogBatch::from_ipc(&Bytes::from(bytes.clone()), ARRIVAL).unwrap_err();
        let noticed = matches!(error, Error::Corrupt { .. } | Error::TooNew { .. });
        prop_assert!(noticed, "{}", error);
        bytes.truncate(at);
        prop_assert!(LogBatch::from_ipc(&Bytes::from(bytes), ARRIVAL).is_err());
    }
}
