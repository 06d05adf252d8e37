//! JSON to rows: every rule of the record model, and bad records beside good ones.

use arrow::array::{Array, AsArray, StructArray};
use arrow::datatypes::TimestampNanosecondType;
use proptest::prelude::*;

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
    line 2: not JSON: key must be a string at column 2
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

#[test]
fn errors_name_one_line() {
    let rejected =
        |body: &str| decode(body).rejected.iter().map(|r| r.error.clone()).collect::<Vec<_>>().join("; ");
    assert_eq!(rejected("{\"message\":\"a\"}\n!"), "not JSON: expected value at column 1");
    assert_eq!(
        rejected("{\n  \"message\": \"a\",\n  oops\n}"),
        "not JSON: key must be a string at column 3 of the record's line 3"
    );
    assert_eq!(
        rejected(r#"{"a":"\ud800"}"#),
        "a string is not JSON: unexpected end of hex escape at column 8"
    );
}

/// Each program's own line, and what a reader would see of it.
#[test]
fn records_of_other_programs_find_their_columns() {
    let body = [
        r#"{"log":"hello\n","stream":"stderr","time":"2024-01-02T03:04:05.123456789Z"}"#,
        r#"{"MESSAGE":"Started sshd","PRIORITY":"4","SYSLOG_IDENTIFIER":"systemd","_PID":"1","__REALTIME_TIMESTAMP":"1704164645123456"}"#,
        r#"{"level":"info","ts":1704164645.1234567,"caller":"main.go:7","msg":"zap"}"#,
        r#"{"level":"warn","ts":"2024-01-02T04:04:05.000+0100","msg":"zap in ISO 8601"}"#,
        r#"{"level":"error","time":1704164645,"message":"zerolog"}"#,
        r#"{"level":"fatal","msg":"logrus","time":"2024-01-02T03:04:05Z"}"#,
        r#"{"time":"2024-01-02T03:04:05.5+02:00","level":"DEBUG","msg":"slog","count":3}"#,
        r#"{"level":50,"time":1704164645123,"pid":9,"hostname":"h","msg":"pino"}"#,
        r#"{"@timestamp":"2024-01-02T03:04:05.000Z","log.level":"WARN","message":"ECS","service.name":"cart","trace.id":"t1"}"#,
        r#"{"@timestamp":"2024-01-02T03:04:05Z","log":{"level":"error","logger":"a.B"},"service":{"name":"pay","version":"2"},"message":"ECS nested"}"#,
        r#"{"version":"1.1","host":"web-1","short_message":"GELF","full_message":"more","timestamp":1704164645.3,"level":1,"_user":7}"#,
        r#"{"timestamp":"2024-01-02T03:04:05Z","severityText":"ERROR","severityNumber":17,"body":"OTel","traceId":"t2","spanId":"s2"}"#,
        r#"{"timeUnixNano":"1704164645000000001","severityText":"Info","body":{"stringValue":"OTLP"}}"#,
        r#"{"severity":"NOTICE","textPayload":"GCP","timestamp":"2024-01-02T03:04:05Z","logName":"l"}"#,
        r#"{"severity":"ALERT","jsonPayload":{"message":"GCP in JSON","user":1},"timestamp":"2024-01-02T03:04:05Z"}"#,
        r#"{"@t":"2024-01-02T03:04:05Z","@m":"Hello Ann","@mt":"Hello {Name}","@l":"Warning","@tr":"t3","Name":"Ann"}"#,
        r#"{"Timestamp":"2024-01-02T03:04:05Z","LogLevel":"Critical","Category":"App","Message":".NET"}"#,
        r#"{"timeMillis":1704164645000,"level":"ERROR","loggerName":"a.B","message":"Log4j"}"#,
    ]
    .join("\n");
    insta::assert_snapshot!(rows(&decode(&body)), @r#"
    2024-01-02T03:04:05.123456789Z | - | - | hello | - | - | stream=stderr:s
    2024-01-02T03:04:05.123456Z | systemd | WARN | Started sshd | - | - | _PID=1:s level=4:s
    2024-01-02T03:04:05.123456700Z | - | INFO | zap | - | - | caller=main.go:7:s level=info:s
    2024-01-02T03:04:05Z | - | WARN | zap in ISO 8601 | - | - | level=warn:s
    2024-01-02T03:04:05Z | - | ERROR | zerolog | - | - | level=error:s
    2024-01-02T03:04:05Z | - | FATAL | logrus | - | - | level=fatal:s
    2024-01-02T01:04:05.500Z | - | DEBUG | slog | - | - | count=3:n
    2024-01-02T03:04:05.123Z | - | ERROR | pino | - | - | hostname=h:s level=50:n pid=9:n
    2024-01-02T03:04:05Z | cart | WARN | ECS | t1 | - | 
    2024-01-02T03:04:05Z | pay | ERROR | ECS nested | - | - | level=error:s log.logger=a.B:s service.version=2:s
    2024-01-02T03:04:05.300Z | web-1 | FATAL | GELF | - | - | _user=7:n full_message=more:s level=1:s version=1.1:s
    2024-01-02T03:04:05Z | - | ERROR | OTel | t2 | s2 | severityNumber=17:n
    2024-01-02T03:04:05.000000001Z | - | INFO | OTLP | - | - | level=Info:s
    2024-01-02T03:04:05Z | - | INFO | GCP | - | - | level=NOTICE:s logName=l:s
    2024-01-02T03:04:05Z | - | FATAL | GCP in JSON | - | - | jsonPayload.user=1:n level=ALERT:s
    2024-01-02T03:04:05Z | - | WARN | Hello Ann | t3 | - | @mt=Hello {Name}:s Name=Ann:s level=Warning:s
    2024-01-02T03:04:05Z | - | FATAL | .NET | - | - | Category=App:s level=Critical:s
    2024-01-02T03:04:05Z | - | ERROR | Log4j | - | - | loggerName=a.B:s
    "#);
}

#[test]
fn an_alias_counts_only_without_the_field_itself_and_only_if_it_is_of_use() {
    let body = [
        r#"{"msg":"first","message":"m","level":"info","severity":"ERROR","ts":5,"timestamp":1704164645,"time":1704164646}"#,
        r#"{"message":"m","msg":"behind","host":"h","short_message":"s"}"#,
        r#"{"body":"worse","log":"better","msg":"best"}"#,
        r#"{"msg":"best","log":"better","body":"worse"}"#,
        r#"{"msg":{"a":1},"log":null,"body":7,"time":0.25,"ts":"soon","severity":"high","PRIORITY":6,"@l":"3"}"#,
        r#"{"message":null,"msg":"m","timestamp":"","time":"2024-01-02T03:04:05Z","level":"30","host":"h"}"#,
        r#"{"log":{},"service":{"name":""},"trace":{"id":7},"span":{"id":"s"},"traceId":""}"#,
        r#"{"level":10,"level":30}"#,
        r#"{"time":"2100-01-01T00:00:00Z","msg":"from the future"}"#,
    ]
    .join("\n");
    insta::assert_snapshot!(rows(&decode(&body)), @r#"
    2024-01-02T03:04:05Z | - | INFO | m | - | - | level=info:s msg=first:s severity=ERROR:s time=1704164646:n ts=5:n
    2027-01-15T08:00:00Z | - | - | m | - | - | host=h:s msg=behind:s short_message=s:s
    2027-01-15T08:00:00Z | - | - | best | - | - | body=worse:s log=better:s
    2027-01-15T08:00:00Z | - | - | best | - | - | body=worse:s log=better:s
    2027-01-15T08:00:00Z | - | INFO |  | - | - | @l=3:s body=7:n level=6:s log=NULL:z msg.a=1:n severity=high:s time=0.25:n ts=soon:s
    2024-01-02T03:04:05Z | - | 30 | m | - | - | host=h:s
    2027-01-15T08:00:00Z | - | - |  | - | s | log={}:j service.name=:s trace.id=7:n traceId=:s
    2027-01-15T08:00:00Z | - | TRACE |  | - | - | level=[10,30]:j
    line 9: timestamp 2100-01-01T00:00:00Z is too far in the future: the latest accepted is 2027-01-16T08:00:00Z; check the sender's clock
    "#);
}

#[test]
fn strings_are_checked_whether_or_not_they_have_escapes() {
    let decoded =
        decode("{\"message\":\"a\tb\"}\n{\"message\":\"a\\u00zz\"}\n{\"message\":\"\\\"a\\\\\",\"k\":\"\"}");
    let errors: Vec<&str> = decoded.rejected.iter().map(|rejected| rejected.error.as_str()).collect();
    assert!(
        matches!(errors.as_slice(), [raw, escape] if raw.contains("control character") && escape.contains("escape")),
        "{errors:?}"
    );
    assert!(
        rows(&decoded).starts_with("2027-01-15T08:00:00Z | - | - | \"a\\ | - | - | k=:s\n"),
        "{}",
        rows(&decoded)
    );
}

#[test]
fn a_body_that_goes_on_otherwise_than_it_began_is_read_all_the_same() {
    let record = |at: u64| match at {
        0..100 => format!("{{\"message\":\"m{at}\",\"k\":{at}}}"),
        _ => format!(
            "{{\"message\":\"{}\",\"source\":\"web\",\"tags\":{{\"a\":\"{at}\",\"b\":null}}}}",
            "x".repeat(400)
        ),
    };
    let lines: Vec<String> = (0..300).map(record).collect();
    let alone: String = lines.iter().map(|line| rows(&decode(line))).collect();
    assert_eq!(rows(&decode(&lines.join("\n"))), alone);
}

/// Fields with keys and values of all kinds, many of them for the same columns.
fn fields() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let key = proptest::sample::select(vec![
        "timestamp",
        "source",
        "level",
        "message",
        "tags",
        "trace_id",
        "span_id",
        "msg",
        "time",
        "log",
        "service",
        "severity",
        "host",
        "short_message",
        "a",
        "b.c",
        "",
    ]);
    let value = proptest::sample::select(vec![
        "null",
        "true",
        "false",
        "0",
        "-1.50e3",
        "1700000000123",
        "123456789012345678901234567890",
        "30",
        "[]",
        "[1, \"a\", {\"b\":[null]}]",
        "{}",
        "{ }",
        "\"\"",
        "\"warn\"",
        "\"a \\\"quoted\\\" \\u00e9 text\"",
        "\"2026-03-02T00:00:04.609850Z\"",
        "\"gone\"",
        "\"\\ud800\"",
        "\"long enough for words: \u{e9} \u{1f600}\"",
        "{\"name\":\"n\",\"level\":\"error\",\"deep\":{\"x\":1,\"x\":\"y\"}}",
        "{\"a\":{\"b\":{}}, \"c\" : [ ] }",
    ]);
    proptest::collection::vec((key, value.prop_map(str::to_owned)), 0..8)
}

proptest! {
    /// A first key that is written with an escape is left to `serde_json`, and with it the record.
    #[test]
    fn both_readers_read_the_same(fields in fields(), space in "[ \t]{0,2}") {
        let record = |first: &str| {
            let mut record = format!("{{{space}\"{first}\":1");
            for (key, value) in &fields {
                record += &format!("{space},{space}\"{key}\"{space}:{space}{value}");
            }
            record + &space + "}"
        };
        prop_assert_eq!(rows(&decode(&record("first"))), rows(&decode(&record("\\u0066irst"))));
    }
}
