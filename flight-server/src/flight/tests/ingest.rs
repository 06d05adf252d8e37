//! Bulk ingest.

use arrow::array::DictionaryArray;
use arrow::datatypes::Int32Type;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::encode::{DictionaryHandling, FlightDataEncoderBuilder};
use arrow_flight::sql::ProstMessageExt as _;
use arrow_flight::{FlightData, FlightDescriptor};
use ironbark_storage::clock::{Clock, ManualClock};
use prost::Message as _;

use super::super::error::RETRY_AFTER_HEADER;
use super::super::ingest::IDEMPOTENCY_HEADER;
use super::super::wire::IngestResult;
use super::*;

/// The whole result of an ingest, with the refused rows.
async fn ingest_told(client: &mut Client, batches: Vec<RecordBatch>) -> Result<IngestResult, Status> {
    let descriptor = FlightDescriptor::new_cmd(append_to("logs").as_any().encode_to_vec());
    let encoder = FlightDataEncoderBuilder::new().with_flight_descriptor(Some(descriptor));
    let messages: Vec<FlightData> =
        encoder.build(stream::iter(batches.into_iter().map(Ok))).try_collect().await?;
    let mut results = client.0.do_put(stream::iter(messages)).await?;
    let result = results.try_next().await?.unwrap();
    assert!(results.try_next().await?.is_none(), "one result for the stream");
    Ok(IngestResult::decode(result.app_metadata).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_find_their_place() {
    let served = serve().await;
    let mut client = served.client().await;
    assert_eq!(client.ingest(vec![rows(0, 2), rows(2, 3)]).await.unwrap(), 3);
    let shown =
        client.table("SELECT timestamp, source, level, message, tags FROM logs ORDER BY _row_id").await;
    insta::assert_snapshot!(shown, @"
    +----------------------+--------+-------+-----------+---------------------+
    | timestamp            | source | level | message   | tags                |
    +----------------------+--------+-------+-----------+---------------------+
    | 2026-11-23T07:13:20Z | shop-0 | INFO  | request 0 | {level: info, n: 0} |
    | 2026-11-23T07:13:21Z | shop-1 | INFO  | request 1 | {level: info, n: 1} |
    | 2026-11-23T07:13:22Z | shop-2 | INFO  | request 2 | {level: info, n: 2} |
    +----------------------+--------+-------+-----------+---------------------+
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_rows_are_told_and_cost_no_others() {
    let served = serve().await;
    let mut client = served.client().await;
    let odd = RecordBatch::try_from_iter([
        (
            "timestamp",
            Arc::new(StringArray::from(vec!["2026-11-23T07:00:00Z", "soon", "2036-01-01T00:00:00Z"]))
                as ArrayRef,
        ),
        ("message", Arc::new(StringArray::from(vec!["good", "bad", "far"])) as ArrayRef),
    ])
    .unwrap();
    let told = ingest_told(&mut client, vec![odd.clone(), odd]).await.unwrap();
    assert_eq!((told.record_count, told.rejected_count), (2, 4));
    let lines: Vec<String> = told.rejected.iter().map(|row| format!("{} {}", row.row, row.error)).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    2 timestamp "soon" is neither RFC 3339 (2026-11-23T07:15:00.123Z) nor a number of seconds, milliseconds, microseconds or nanoseconds since 1970
    3 timestamp 2036-01-01T00:00:00Z is too far in the future: the latest accepted is 2026-11-24T07:15:00Z; check the sender's clock
    5 timestamp "soon" is neither RFC 3339 (2026-11-23T07:15:00.123Z) nor a number of seconds, milliseconds, microseconds or nanoseconds since 1970
    6 timestamp 2036-01-01T00:00:00Z is too far in the future: the latest accepted is 2026-11-24T07:15:00Z; check the sender's clock
    "#);
    assert_eq!(client.number("SELECT count(*) FROM logs").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_with_a_key_is_stored_once() {
    let served = serve().await;
    let mut client = served.client().await;
    client.0.set_header(IDEMPOTENCY_HEADER, "load-1");
    let first = ingest_told(&mut client, vec![rows(0, 10), rows(10, 15)]).await.unwrap();
    let again = ingest_told(&mut client, vec![rows(0, 10), rows(10, 15)]).await.unwrap();
    assert_eq!((first.record_count, &again), (15, &first));
    // A stream that broke after its first batch is completed by sending it again.
    client.0.set_header(IDEMPOTENCY_HEADER, "load-2");
    ingest_told(&mut client, vec![rows(0, 10)]).await.unwrap();
    assert_eq!(ingest_told(&mut client, vec![rows(0, 10), rows(10, 15)]).await.unwrap().record_count, 15);
    assert_eq!(client.number("SELECT count(*) FROM logs").await, 30);
    refused(ingest_told(&mut client, vec![rows(7, 9)]).await, Code::Aborted, "new key");
    client.0.set_header(IDEMPOTENCY_HEADER, "two words");
    refused(ingest_told(&mut client, vec![rows(7, 9)]).await, Code::InvalidArgument, "visible ASCII");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_batches_are_cut_and_come_back_whole() {
    let served = serve().await;
    let mut client = served.client().await;
    client.0.set_header(IDEMPOTENCY_HEADER, "large");
    let long = "x".repeat(1 << 20);
    let large = || {
        let messages = StringArray::from_iter_values((0..40).map(|n| format!("{n} {long}")));
        RecordBatch::try_from_iter([("message", Arc::new(messages) as ArrayRef)]).unwrap()
    };
    // A client that cuts nothing itself, as ADBC's does.
    let ingest_whole = async |client: &mut Client| {
        let descriptor = FlightDescriptor::new_cmd(append_to("logs").as_any().encode_to_vec());
        let encoder = FlightDataEncoderBuilder::new().with_max_flight_data_size(usize::MAX);
        let encoder = encoder.with_flight_descriptor(Some(descriptor));
        let messages: Vec<FlightData> =
            encoder.build(stream::iter([Ok(large())])).try_collect().await.unwrap();
        assert_eq!(messages.len(), 2, "schema and one batch");
        let mut results = client.0.do_put(stream::iter(messages)).await.unwrap();
        IngestResult::decode(results.try_next().await.unwrap().unwrap().app_metadata).unwrap().record_count
    };
    assert_eq!(ingest_whole(&mut client).await, 40);
    assert_eq!(ingest_whole(&mut client).await, 40);
    assert_eq!(client.number("SELECT count(*) FROM logs").await, 40);
    assert_eq!(
        client.number("SELECT CAST(sum(octet_length(message)) AS BIGINT) FROM logs").await,
        40 * ((1 << 20) + 3) - 10
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_with_a_time_to_retry() {
    let Served { dir, server } = serve().await;
    let mut client = Client::connect(&server).await;
    assert_eq!(client.ingest(vec![rows(0, 3)]).await.unwrap(), 3);
    server.stop().await.unwrap();
    // No disk has so much room, so the log cannot begin its next file.
    let mut config = config(&dir);
    config.engine.disk_reserve_bytes = 1 << 50;
    let server = start(&config).await;
    let mut client = Client::connect(&server).await;
    let refused = client.ingest(vec![rows(3, 5)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    let wait = refused.metadata().get(RETRY_AFTER_HEADER).unwrap().to_str().unwrap();
    assert!(wait.parse::<u64>().is_ok_and(|ms| ms > 0), "{wait}");
    assert_eq!(client.number("SELECT count(*) FROM logs").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_tenants_own_names_are_taken() {
    let served = serve().await;
    let mut client = served.client().await;
    let mut ingest = async |command: CommandStatementIngest| {
        let batches = stream::iter([Ok::<_, FlightError>(rows(0, 1))]);
        client.0.execute_ingest(command, batches).await.map_err(Status::from)
    };
    let catalog = CommandStatementIngest { catalog: Some("acme".to_owned()), ..append_to("logs") };
    refused(ingest(catalog).await, Code::PermissionDenied, TENANT_HEADER);
    let temporary = CommandStatementIngest { temporary: true, ..append_to("logs") };
    refused(ingest(temporary).await, Code::InvalidArgument, "temporary");
    refused(ingest(append_to("Logs")).await, Code::InvalidArgument, "a-z");
    let own = CommandStatementIngest { catalog: Some("default".to_owned()), ..append_to("audit") };
    assert_eq!(ingest(own).await.unwrap(), 1);
}

/// One batch as messages that its client cut nowhere and whose dictionaries it kept.
async fn messages(batch: RecordBatch, codec: Option<CompressionType>) -> Vec<FlightData> {
    let descriptor = FlightDescriptor::new_cmd(append_to("logs").as_any().encode_to_vec());
    let options = IpcWriteOptions::default().try_with_compression(codec).unwrap();
    let encoder = FlightDataEncoderBuilder::new()
        .with_options(options)
        .with_max_flight_data_size(usize::MAX)
        .with_dictionary_handling(DictionaryHandling::Resend)
        .with_flight_descriptor(Some(descriptor));
    encoder.build(stream::iter([Ok(batch)])).try_collect().await.unwrap()
}

async fn put(client: &mut Client, messages: Vec<FlightData>) -> Result<IngestResult, Status> {
    let mut results = client.0.do_put(stream::iter(messages)).await?;
    Ok(IngestResult::decode(results.try_next().await?.unwrap().app_metadata).unwrap())
}

/// `count` rows of a megabyte each that take five in a message; the first ten lie `ahead` of the clock.
fn repeated(count: usize, ahead: i64) -> RecordBatch {
    let texts: Vec<String> = (0..4).map(|n| format!("{n}{}", "x".repeat(1 << 20))).collect();
    let message: DictionaryArray<Int32Type> =
        (0..count).map(|row| texts.get(row % texts.len()).unwrap().as_str()).collect();
    let time = |row| NOW.ns() + if row < 10 { ahead } else { 0 };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("timestamp", Arc::new(Int64Array::from_iter_values((0..count).map(time)))),
        ("message", Arc::new(message)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_cut_into_the_same_pieces_after_the_window_has_moved() {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::at(NOW));
    let ambient = Ambient { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..Ambient::seeded(NOW, 7) };
    let server = Server::start(&config(&dir), Damage::Refuse, ambient).await.unwrap();
    let mut client = Client::connect(&server).await;
    client.0.set_header(IDEMPOTENCY_HEADER, "shifting");
    let day = 86_400_000_000_000;
    let stream = messages(repeated(64, day + 60_000_000_000), Some(CompressionType::ZSTD)).await;
    assert!(stream.iter().map(|message| message.data_body.len()).sum::<usize>() < 1 << 20);
    let first = put(&mut client, stream.clone()).await.unwrap();
    assert_eq!((first.record_count, first.rejected_count), (54, 10));
    clock.advance_ns(120_000_000_000);
    assert_eq!(put(&mut client, stream).await.unwrap(), first);
    assert_eq!(client.number("SELECT count(*) FROM logs").await, 54);
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_message_becomes_is_bounded_before_it_becomes_it() {
    let served = serve().await;
    let mut client = served.client().await;
    let repeated = messages(repeated(1_100, 0), Some(CompressionType::LZ4_FRAME)).await;
    refused(put(&mut client, repeated).await, Code::InvalidArgument, "send fewer rows at once");
    for codec in [CompressionType::ZSTD, CompressionType::LZ4_FRAME] {
        let text = StringArray::from(vec!["x".repeat(70_001)]);
        let batch = RecordBatch::try_from_iter([("message", Arc::new(text) as ArrayRef)]).unwrap();
        let mut bomb = messages(batch, Some(codec)).await;
        let body = bomb[1].data_body.to_vec();
        let at = body.windows(8).rposition(|bytes| bytes == 70_001_i64.to_le_bytes()).unwrap();
        let lengths = [(1_i64 << 50, "Arrow"), (-7, "negative length")];
        for (length, says) in lengths {
            let mut body = body.clone();
            body[at..at + 8].copy_from_slice(&length.to_le_bytes());
            bomb[1].data_body = body.into();
            refused(put(&mut client, bomb.clone()).await, Code::InvalidArgument, says);
        }
    }
    assert_eq!(client.number("SELECT count(*) FROM logs").await, 0);
}
