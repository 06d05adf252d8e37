//! Every format of the same two rows.

use std::sync::Arc;

use arrow::array::{Array, Int64Array, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use ironbark_storage::{LogBatchBuilder, LogSchema, RowRef, TagKind, TagSet, TimeWindow, Timestamp, column};

use super::*;

fn rows() -> RecordBatch {
    let mut builder = LogBatchBuilder::new(Timestamp::from_ns(0), TimeWindow::default());
    let mut tags = TagSet::new();
    tags.push("env", Some("prod \"1\""), TagKind::String);
    let row = RowRef {
        timestamp: Some(Timestamp::from_ns(1_500)),
        level: Some("INFO"),
        message: "a,\"b\"\nc",
        ..RowRef::default()
    };
    builder.push(row, &mut tags).unwrap();
    builder.push(RowRef { message: "", ..row }, &mut tags).unwrap();
    let given = builder.finish().unwrap().rows().clone();
    let picked = given.project(&[0, 1, 3, 4]).unwrap();
    let mut fields: Vec<_> = picked.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(column::ROW_ID, DataType::Int64, false)));
    let mut columns = picked.columns().to_vec();
    columns.push(Arc::new(Int64Array::from(vec![9_007_199_254_740_993, 2])));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn written(rows: &RecordBatch, make: impl FnOnce(&mut Vec<u8>) -> Box<dyn RowWriter + '_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = make(&mut bytes);
    writer.write(rows).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn text(rows: &RecordBatch, make: impl FnOnce(&mut Vec<u8>) -> Box<dyn RowWriter + '_>) -> String {
    String::from_utf8(written(rows, make)).unwrap()
}

#[test]
fn json_keeps_row_ids_exact() {
    let rows = rows();
    insta::assert_snapshot!(text(&rows, |out| Box::new(TextRows::new(out, &rows.schema(), json::Format::NdJson, false).unwrap())), @r#"
    {"timestamp":"1970-01-01T00:00:00.000001500Z","source":null,"message":"a,\"b\"\nc","tags":{"env":"prod \"1\""},"_row_id":"9007199254740993"}
    {"timestamp":"1970-01-01T00:00:00.000001500Z","source":null,"message":"","tags":{},"_row_id":"2"}
    "#);
    let array =
        text(&rows, |out| Box::new(TextRows::new(out, &rows.schema(), json::Format::Json, false).unwrap()));
    let parsed: serde_json::Value = serde_json::from_str(&array).unwrap();
    assert_eq!(parsed.as_array().unwrap().len(), 2);
    let empty = text(&rows.slice(0, 0), |out| {
        Box::new(TextRows::new(out, &rows.schema(), json::Format::Json, false).unwrap())
    });
    assert_eq!(empty, "[]\n");
}

#[test]
fn csv_has_a_header_and_nested_values_as_json() {
    let rows = rows();
    insta::assert_snapshot!(text(&rows, |out| Box::new(TextRows::new(out, &rows.schema(), json::Format::Csv, false).unwrap())), @r#"
    timestamp,source,message,tags,_row_id
    1970-01-01T00:00:00.000001500Z,,"a,""b""
    c","{""env"":""prod \""1\""""}",9007199254740993
    1970-01-01T00:00:00.000001500Z,,,{},2
    "#);
    let empty = rows.slice(0, 0);
    let header =
        text(&empty, |out| Box::new(TextRows::new(out, &rows.schema(), json::Format::Csv, false).unwrap()));
    assert_eq!(header, "timestamp,source,message,tags,_row_id\n");
}

#[test]
fn arrow_and_parquet_read_back() {
    let rows = rows();
    let arrow = written(&rows, |out| Box::new(ArrowRows::new(out, &rows.schema()).unwrap()));
    let mut reader = arrow::ipc::reader::StreamReader::try_new(arrow.as_slice(), None).unwrap();
    assert_eq!(reader.next().unwrap().unwrap(), rows);

    let parquet = written(&rows, |out| Box::new(ParquetRows::new(out, &rows.schema()).unwrap()));
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(bytes::Bytes::from(parquet), 10);
    let read = reader.unwrap().next().unwrap().unwrap();
    assert_eq!(read.num_rows(), 2);
    let times = read.column(0).as_any().downcast_ref::<TimestampNanosecondArray>().unwrap();
    assert_eq!(times.value(0), 1_500);
    assert_eq!(times.data_type(), &LogSchema::time_type());
}

#[test]
fn a_terminal_gets_no_control_characters() {
    let mut builder = LogBatchBuilder::new(Timestamp::from_ns(0), TimeWindow::default());
    let row = RowRef { message: "\u{1b}[2J \u{9b}2J \u{7f}", ..RowRef::default() };
    builder.push(row, &mut TagSet::new()).unwrap();
    let rows = builder.finish().unwrap().rows().project(&[3]).unwrap();
    for format in [json::Format::Csv, json::Format::Json, json::Format::NdJson] {
        let shown = text(&rows, |out| Box::new(TextRows::new(out, &rows.schema(), format, true).unwrap()));
        assert!(shown.chars().all(|character| character == '\n' || !character.is_control()), "{shown:?}");
        assert!(shown.contains("2J"), "{shown:?}");
    }
}
