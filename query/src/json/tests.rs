//! Tests of results as text.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};

use super::{Format, Writer, write_records};
use crate::fixture::{Fixture, Row};
use crate::{SearchRequest, Session};

async fn text(session: &Session, format: Format, sql: &str) -> String {
    use futures::TryStreamExt;
    let stream = session.sql(sql).await.unwrap();
    let mut writer = Writer::new(format, stream.schema());
    let mut out = Vec::new();
    writer.begin(&mut out).unwrap();
    for batch in stream.try_collect::<Vec<RecordBatch>>().await.unwrap() {
        writer.write(&batch, &mut out).unwrap();
    }
    writer.end(&mut out);
    String::from_utf8(out).unwrap()
}

const VALUES: &str = "SELECT 9007199254740993 AS big, 'a\"b,c' AS text, NULL AS nothing, 'NaN'::double AS nan, \
    x'00ff' AS bytes, map(['k'], ['v']) AS m, [1, 2] AS list, true AS yes, 1.5 AS x, \
    TIMESTAMP '2026-11-23T00:00:00.5' AS local, arrow_cast('2026-11-23T01:02:03Z', 'Timestamp(Millisecond, Some(\"UTC\"))') AS utc, \
    DATE '2026-11-23' AS day, INTERVAL '1 hour' AS i, arrow_cast(1.25, 'Decimal128(10, 2)') AS d, \
    -5::bigint AS \"_row_id\", named_struct('a', 1) AS s";

#[tokio::test]
async fn every_type_has_a_text() {
    let fixture = Fixture::new();
    insta::assert_snapshot!(text(&fixture.session(), Format::NdJson, VALUES).await, @r#"{"big":9007199254740993,"text":"a\"b,c","nothing":null,"nan":null,"bytes":"00ff","m":{"k":"v"},"list":[1,2],"yes":true,"x":1.5,"local":"2026-11-23T00:00:00.500000000","utc":"2026-11-23T01:02:03.000000000Z","day":"2026-11-23","i":"1 hours","d":1.25,"_row_id":"-5","s":{"a":1}}"#);
    insta::assert_snapshot!(text(&fixture.session(), Format::Csv, VALUES).await, @r#"
    big,text,nothing,nan,bytes,m,list,yes,x,local,utc,day,i,d,_row_id,s
    9007199254740993,"a""b,c",,NaN,00ff,"{""k"":""v""}","[1,2]",true,1.5,2026-11-23T00:00:00.500000000,2026-11-23T01:02:03.000000000Z,2026-11-23,1 hours,1.25,-5,"{""a"":1}"
    "#);
}

#[tokio::test]
async fn arrays_and_empty_results() {
    let fixture = Fixture::new();
    let session = fixture.session();
    insta::assert_snapshot!(text(&session, Format::Json, "VALUES (1, 'a'), (2, NULL)").await, @r#"
    [
    {"column1":1,"column2":"a"},
    {"column1":2,"column2":null}
    ]
    "#);
    assert_eq!(text(&session, Format::Json, "SELECT message FROM logs").await, "[]\n");
    assert_eq!(text(&session, Format::NdJson, "SELECT message FROM logs").await, "");
    assert_eq!(text(&session, Format::Csv, "SELECT message FROM logs").await, "message\n");
}

#[tokio::test]
async fn records_keep_the_types_of_their_tags() {
    let fixture = Fixture::new();
    fixture.buffer(&[
        Row::new(1, "web", "warn", "one \"quoted\"\n")
            .typed("n", "1.10", 'n')
            .typed("ok", "true", 'b')
            .tag("s", "1"),
        Row::new(2, "", "", "")
            .typed("list", "[1,\"x\"]", 'j')
            .typed("bad", "1x", 'n')
            .typed("none", "", 'z'),
    ]);
    let request = SearchRequest { limit: 10, ..SearchRequest::default() };
    let page = fixture.session().search(&request).await.unwrap();
    let mut out = Vec::new();
    for batch in &page.batches {
        write_records(batch, &mut out, |_, out| out.push(b'\n')).unwrap();
    }
    insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
    {"timestamp":"2026-11-23T00:00:02.000000000Z","message":"","tags":{"bad":"1x","list":[1,"x"],"none":null},"ingested_at":"2026-11-23T00:00:00.000000000Z","_row_id":"8796093022210"}
    {"timestamp":"2026-11-23T00:00:01.000000000Z","source":"web","level":"WARN","message":"one \"quoted\"\n","tags":{"level":"warn","n":1.10,"ok":true,"s":"1"},"ingested_at":"2026-11-23T00:00:00.000000000Z","_row_id":"8796093022209"}
    "#);
}

#[test]
fn records_need_all_columns() {
    let ids: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("_row_id", ids)]).unwrap();
    assert!(write_records(&batch, &mut Vec::new(), |_, _| {}).is_err());
}
