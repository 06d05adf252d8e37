//! JSON to rows: every rule of the record model, and bad records beside good ones.

use arrow::array::{Array, AsArray, StructArray};
use arrow::datatypes::TimestampNanosecondType;

use super::*;

const ARRIVAL: Timestamp = Timestamp::from_ns(1_800_000_000_000_000_000);

fn decode(body: &str) -> Decoded {
    let context = JsonContext { arrival: ARRIVAL, window: TimeWindow::default(), source: None, tags: &[] };
    decode_json(body.as_bytes(), Framing::Detect, &context).unwrap()
}

/// One line a row: `time source level message trace span {key=value:type …}`; `-` for NULL.
fn rows(decoded: &Decoded) -> String {
    let rows = decoded.batch.rows();
    let mut out = String::new();
    let text = |name: &str, row: usize| {
        let column = rows.column_by_name(name).unwrap().as_string::<i32>();
        if column.is_null(row) { "-".to_owned() } else { column.value(row).to_owned() }
    };
    let times = rows.column_by_name(column::TIMESTAMP).unwrap().as_primitive::<TimestampNanosecondType>();
    let tags = rows.column_by_name(column::TAGS).unwrap().as_map();
    for row in 0..rows.num_rows() {
        let entries: StructArray = tags.value(row);
        let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
        let types = text(column::TAG_TYPES, row);
        let shown: Vec<String> = (0..entries.len())
            .map(|at| {
                let value = if values.is_null(at) { "NULL" } else { values.value(at) };
                let kind = types.chars().nth(at).filter(|_| types != "-").unwrap_or('s');
                format!("{}={value}:{kind}", keys.value(at))
            })
            .collect();
        let time = Timestamp::from_ns(times.value(row));
        let names = [column::SOURCE, column::LEVEL, column::MESSAGE, column::TRACE_ID, column::SPAN_ID];
        let columns = names.map(|name| text(name, row)).join(" | ");
        out += &format!("{time} | {columns} | {}\n", shown.join(" "));
    }
    for rejected in &decoded.rejected {
        out += &format!("line {}: {}\n", rejected.line, rejected.error);
    }
    out
}

use ironbark_storage::column;

#[test]
fn fields_find_their_columns_and_the_rest_become_tags() {
    let body = r#"{"timestamp":"2026-01-02T03:04:05.678Z","source":"web","level":"warning","message":"hi \u00e9","trace_id":"t1",
        "span_id":7,"tags":{"env":"prod","n":1.50,"big":123456789012345678901234567890},"status":500,"ok":true,"none":null,
        "user":{"id":5,"geo":{"city":"Oslo"}},"list":[1,"a"],"empty":{}}"#;
    insta::assert_snapshot!(rows(&decode(body)), @"2026-01-02T03:04:05.678Z | web | WARN | hi é | t1 | 7 | big=123456789012345678901234567890:n empty={}:j env=prod:s level=warning:s list=[1,\"a\"]:j n=1.50:n none=NULL:z ok=true:b status=500:n user.geo.city=Oslo:s user.id=5:n");
}

#[test]
fn what_is_missing_has_a_default_and_what_is_odd_is_kept() {
    let body = "{}\n{\"message\":{\"a\":1},\"level\":3,\"source\":{\"x\":\"y\"}}\n{\"message\":\"m\",\"message\":\"again\",\"tags\":\"text\"}\n";
    insta::assert_snapshot!(rows(&decode(body)), @r#"
    2027-01-15T08:00:00Z | - | - |  | - | - | 
    2027-01-15T08:00:00Z | - | ERROR | {"a":1} | - | - | level=3:s source.x=y:s
    2027-01-15T08:00:00Z | - | - | m | - | - | message=again:s tags=text:s
    "#);
}

#[test]
fn bad_lines_do_not_cost_good_ones() {
    let body = "{\"message\":\"one\"}\n{broken\n\n[1]\n{\"timestamp\":\"yesterday\"}\n{\"timestamp\":-5}\n{\"timestamp\":true}\n{\"timestamp\":1900000000}\n{\"message\":\"two\",\"timestamp\":1700000000123}";
    insta::assert_snapshot!(rows(&decode(body)), @r#"
    2027-01-15T08:00:00Z | - | - | one | - | - | 
    2023-11-14T22:13:20.123Z | - | - | two | - | - | 
    line 2: not JSON: key must be a string at line 1 column 2
    line 4: a record must be a JSON object, as in {"message":"it works"}, but this is an array
    line 5: timestamp "yesterday" is neither RFC 3339 (2026-11-23T07:15:00.123Z) nor a number of seconds, milliseconds, microseconds or nanoseconds since 1970
    line 6: timestamp 1969-12-31T23:59:55Z is too old: the earliest accepted is 1970-01-01T00:00:00Z; if it is an epoch, check its unit
    line 7: timestamp must be a string or a number, but it is a boolean
    line 8: timestamp 2030-03-17T17:46:40Z is too far in the future: the latest accepted is 2027-01-16T08:00:00Z; check the sender's clock
    "#);
}

#[test]
fn arrays_objects_and_lines_are_told_apart() {
    let count = |body: &str| {
        let decoded = decode(body);
        (decoded.batch.num_rows(), decoded.rejected_count)
    };
    assert_eq!(count(""), (0, 0));
    assert_eq!(count(" \n \n"), (0, 0));
    assert_eq!(count("{\n \"message\": \"pretty\"\n}\n"), (1, 0));
    assert_eq!(count("[{\"message\":\"a\"}, {\"message\":\"b\"}, 7]"), (2, 1));
    assert_eq!(count("[{\"message\":\"a\"}, {\"message\""), (1, 1));
    assert_eq!(count("{\"message\":\"a\"}\r\n{\"message\":\"b\"}\r\n"), (2, 0));
    assert_eq!(count("broken\n{\"message\":\"b\"}\n"), (1, 1));
    assert_eq!(count("\u{feff}{\"message\":\"bom\"}"), (1, 0));
    assert_eq!(count("{\"message\":\"a\"} {\"message\":\"b\"}"), (0, 1));
}

#[test]
fn text_that_is_not_utf8_and_nesting_without_end_are_refused_by_name() {
    let context = JsonContext { arrival: ARRIVAL, window: TimeWindow::default(), source: None, tags: &[] };
    let mut body = b"{\"message\":\"\xff\"}\n".to_vec();
    body.extend_from_slice(format!("{{\"a\":{}1{}}}", "{\"a\":".repeat(70), "}".repeat(70)).as_bytes());
    let decoded = decode_json(&body, Framing::Lines, &context).unwrap();
    insta::assert_snapshot!(rows(&decoded), @r"
    line 1: not UTF-8 at byte 12 of the record; send text as UTF-8
    line 2: objects are nested deeper than 64 levels
    ");
}

#[test]
fn defaults_of_the_request_reach_every_record() {
    let tags = [("env".to_owned(), "prod".to_owned())];
    let context =
        JsonContext { arrival: ARRIVAL, window: TimeWindow::default(), source: Some("web"), tags: &tags };
    let body = b"{\"message\":\"a\"}\n{\"source\":\"db\",\"env\":\"test\"}";
    let decoded = decode_json(body, Framing::Lines, &context).unwrap();
    insta::assert_snapshot!(rows(&decoded), @r#"
    2027-01-15T08:00:00Z | web | - | a | - | - | env=prod:s
    2027-01-15T08:00:00Z | db | - |  | - | - | env=["prod","test"]:j
    "#);
}
