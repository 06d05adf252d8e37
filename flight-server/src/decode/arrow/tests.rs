//! What clients send, and what becomes of it.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;
use arrow::util::pretty::pretty_format_batches;

use super::*;

const ARRIVAL: Timestamp = Timestamp::from_ns(1_700_000_000_000_000_000);

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn check(given: &RecordBatch) -> Decoded {
    check_schema(given.schema_ref()).unwrap();
    decode(given, ARRIVAL, TimeWindow::default(), 1).unwrap()
}

fn shown(decoded: &Decoded) -> String {
    let rows = pretty_format_batches(std::slice::from_ref(decoded.batch.rows())).unwrap().to_string();
    let rejected: Vec<String> = decoded.rejected.iter().map(|r| format!("{}: {}", r.line, r.error)).collect();
    format!("{rows}\n{}", rejected.join("\n"))
}

fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[test]
fn other_columns_become_tags_with_their_json_type() {
    let nested = StructArray::from(vec![
        (
            Arc::new(Field::new("b", DataType::Int32, true)),
            Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef,
        ),
        (Arc::new(Field::new("c", DataType::Utf8, true)), text(&[Some("x"), None])),
    ]);
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    let decoded = check(&batch(vec![
        ("message", text(&[Some("one"), Some("two")])),
        ("status", Arc::new(Int64Array::from(vec![Some(500), None]))),
        ("ratio", Arc::new(Float64Array::from(vec![0.5, f64::NAN]))),
        ("ok", Arc::new(BooleanArray::from(vec![true, false]))),
        ("a", Arc::new(nested)),
        ("list", Arc::new(list)),
        ("level", text(&[Some("warning"), Some("odd")])),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(b"\x01\xff".as_slice()), None]))),
    ]));
    insta::assert_snapshot!(shown(&decoded), @"
    +----------------------+--------+-------+---------+--------------------------------------------------------------------------------------------------+----------+---------+------------+
    | timestamp            | source | level | message | tags                                                                                             | trace_id | span_id | _tag_types |
    +----------------------+--------+-------+---------+--------------------------------------------------------------------------------------------------+----------+---------+------------+
    | 2023-11-14T22:13:20Z |        | WARN  | one     | {a.b: 1, a.c: x, bytes: 01ff, level: warning, list: [1,null], ok: true, ratio: 0.5, status: 500} |          |         | nsssjbnn   |
    | 2023-11-14T22:13:20Z |        | odd   | two     | {a.b: 2, ok: false, ratio: NaN}                                                                  |          |         | nbs        |
    +----------------------+--------+-------+---------+--------------------------------------------------------------------------------------------------+----------+---------+------------+
    ");
}

#[test]
fn timestamps_come_in_many_types() {
    let ns = 1_699_999_999_000_000_000_i64;
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampSecondArray::from(vec![ns / 1_000_000_000])),
        Arc::new(TimestampMillisecondArray::from(vec![ns / 1_000_000]).with_timezone("UTC")),
        Arc::new(TimestampMicrosecondArray::from(vec![ns / 1_000]).with_timezone("+00:00")),
        Arc::new(Int64Array::from(vec![ns])),
        Arc::new(UInt64Array::from(vec![ns.unsigned_abs() / 1_000_000])),
        Arc::new(Float64Array::from(vec![1_699_999_999.0])),
        text(&[Some("2023-11-14T22:13:19Z")]),
        Arc::new(StringViewArray::from(vec!["2023-11-14T23:13:19+01:00"])),
        Arc::new(vec!["1699999999"].into_iter().collect::<DictionaryArray<Int32Type>>()),
    ];
    for column in columns {
        let given = column.data_type().clone();
        let decoded = check(&batch(vec![("timestamp", column), ("message", text(&[Some("m")]))]));
        let times = decoded.batch.rows().column(0).as_primitive::<TimestampNanosecondType>();
        assert_eq!(times.values().as_ref(), [ns], "{given}");
    }
}

#[test]
fn a_bad_row_never_costs_a_good_one() {
    let decoded = check(&batch(vec![
        (
            "timestamp",
            text(&[Some("yesterday"), None, Some("1700000000"), Some("2050-01-01T00:00:00Z"), Some("-5")]),
        ),
        ("message", text(&[Some("a"), Some("b"), Some("c"), Some("d"), Some("e")])),
        ("tags", text(&[None, Some("{\"k\":{\"l\":[1,2],\"m\":null}}"), Some("[1]"), None, None])),
    ]));
    insta::assert_snapshot!(shown(&decoded), @r#"
    +----------------------+--------+-------+---------+---------------------+----------+---------+------------+
    | timestamp            | source | level | message | tags                | trace_id | span_id | _tag_types |
    +----------------------+--------+-------+---------+---------------------+----------+---------+------------+
    | 2023-11-14T22:13:20Z |        |       | b       | {k.l: [1,2], k.m: } |          |         | jz         |
    +----------------------+--------+-------+---------+---------------------+----------+---------+------------+
    1: timestamp "yesterday" is neither RFC 3339 (2026-11-23T07:15:00.123Z) nor a number of seconds, milliseconds, microseconds or nanoseconds since 1970
    3: tags: expected a JSON object such as {"k":"v"}
    4: timestamp 2050-01-01T00:00:00Z is too far in the future: the latest accepted is 2023-11-15T22:13:20Z; check the sender's clock
    5: timestamp 1969-12-31T23:59:55Z is too old: the earliest accepted is 1970-01-01T00:00:00Z; if it is an epoch, check its unit
    "#);
}

#[test]
fn what_can_be_no_record_is_refused_as_a_whole() {
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]));
    let refusal = |name: &str, array: &ArrayRef| {
        let mut columns = vec![(name, Arc::clone(array))];
        if name != "message" {
            columns.push(("message", text(&[Some("m")])));
        }
        check_schema(batch(columns).schema_ref()).unwrap_err().to_string()
    };
    insta::assert_snapshot!(refusal("message", &list), @r#"column "message" is of type List(Int32), expected text; rename it to send it as a tag"#);
    insta::assert_snapshot!(refusal("tags", &list), @r#"column "tags" is of type List(Int32), expected a map, a struct or text with a JSON object; rename it to send it as a tag"#);
    insta::assert_snapshot!(refusal("timestamp", &(Arc::new(BooleanArray::from(vec![true])) as ArrayRef)), @r#"column "timestamp" is of type Boolean, expected a timestamp, a date, a number since 1970 or RFC 3339 text; rename it to send it as a tag"#);
    insta::assert_snapshot!(check_schema(&Schema::empty()).unwrap_err(), @r#"there is no column "message"; rename the column that holds the text of the log to message"#);
    let twice = ["message", "a", "a"].map(|name| Field::new(name, DataType::Utf8, true)).to_vec();
    insta::assert_snapshot!(check_schema(&Schema::new(twice)).unwrap_err(), @r#"column "a" comes twice; rename one of them"#);
}

fn own(level: &str, message: &str) -> RecordBatch {
    let mut builder = LogBatchBuilder::new(ARRIVAL, TimeWindow::default());
    let mut tags = TagSet::new();
    tags.push("n", Some("1"), ironbark_storage::TagKind::Number);
    tags.push("s", Some("x"), ironbark_storage::TagKind::String);
    let row = RowRef { source: Some("web"), level: Some("INFO"), message, ..RowRef::default() };
    builder.push(row, &mut tags).unwrap();
    let rows = builder.finish().unwrap().rows().clone();
    let mut columns = rows.columns().to_vec();
    columns[2] = text(&[Some(level)]);
    RecordBatch::try_new(rows.schema(), columns).unwrap()
}

#[test]
fn our_own_schema_passes_unchanged() {
    let given = own("INFO", "m");
    let decoded = check(&given);
    assert_eq!(decoded.batch.rows(), &given);
    assert!(Arc::ptr_eq(decoded.batch.rows().column(3), given.column(3)), "columns are shared, not copied");
}

#[test]
fn our_own_schema_is_mended_where_it_must_be() {
    let decoded = check(&own("warning", "m"));
    let row = shown(&decoded);
    assert!(
        row.contains("WARN") && row.contains("level: warning, n: 1, s: x") && row.contains("sns"),
        "{row}"
    );
}

#[test]
fn rows_that_take_no_bytes_are_counted_all_the_same() {
    use arrow::array::NullArray;
    use arrow::datatypes::{DataType, Field, Schema};

    let schema = Arc::new(Schema::new(vec![Field::new("message", DataType::Null, true)]));
    let batch = RecordBatch::try_new(schema, vec![Arc::new(NullArray::new(1 << 40))]).unwrap();
    let refused = decode(&batch, Timestamp::from_ns(0), TimeWindow::default(), 1).unwrap_err();
    assert!(refused.to_string().contains("the limit is 1048576"), "{refused}");
}
