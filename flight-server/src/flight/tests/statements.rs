//! Statements, prepared statements, sessions, cancellation.

use arrow::ipc::CompressionType;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, Any, CommandPreparedStatementQuery, CommandStatementQuery,
    ProstMessageExt as _, TicketStatementQuery,
};
use arrow_flight::{CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightDescriptor};
use prost::Message as _;

use super::super::prepared::STATEMENTS_PER_TENANT_MAX;
use super::super::wire::{
    OptionValue, PreparedResult, SessionOptionValue, SessionOptions, SetSessionOptionsResult, StatementTicket,
};
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_fetched_again_and_sees_new_rows() {
    let served = serve().await;
    let mut client = served.client().await;
    client.ingest(vec![rows(0, 5)]).await.unwrap();
    let info = client
        .0
        .execute("SELECT message, tags['n'] AS n FROM logs ORDER BY n".to_owned(), None)
        .await
        .unwrap();
    let count = |batches: Vec<RecordBatch>| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    assert_eq!(count(client.fetch(info.clone()).await.unwrap()), 5);
    client.ingest(vec![rows(5, 6)]).await.unwrap();
    assert_eq!(count(client.fetch(info).await.unwrap()), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_told_without_running() {
    let served = serve().await;
    let mut client = served.client().await;
    let query =
        CommandStatementQuery { query: "SELECT message, _row_id FROM logs".to_owned(), transaction_id: None };
    let descriptor = FlightDescriptor::new_cmd(query.as_any().encode_to_vec());
    let answer = client.0.inner_mut().get_schema(descriptor).await.unwrap().into_inner();
    let schema = arrow::datatypes::Schema::try_from(answer).unwrap();
    insta::assert_snapshot!(schema, @r#"Field { "message": Utf8 }, Field { "_row_id": Int64 }"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_statements_are_refused_when_they_are_planned() {
    let served = serve().await;
    let mut client = served.client().await;
    for (sql, code, says) in [
        ("SELECT message FORM logs", Code::InvalidArgument, "line 1, column"),
        ("SELECT messag FROM logs", Code::InvalidArgument, "message"),
        ("COPY logs TO '/tmp/x'", Code::PermissionDenied, "COPY"),
    ] {
        let planned = client.0.execute(sql.to_owned(), None).await.map_err(Status::from);
        refused(planned, code, says);
    }
    refused(client.query("SELECT CAST(message AS INT) FROM logs WHERE ?").await, Code::InvalidArgument, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_bound_to_prepared_statements() {
    let served = serve().await;
    let mut client = served.client().await;
    client.ingest(vec![rows(0, 30)]).await.unwrap();
    let sql = "SELECT count(*) FROM logs WHERE source = ? AND CAST(tags['n'] AS BIGINT) < ?";
    let mut prepared = client.0.prepare(sql.to_owned(), None).await.unwrap();
    insta::assert_snapshot!(prepared.parameter_schema().unwrap(), @r#"Field { "$1": nullable Utf8 }, Field { "$2": nullable Int64 }"#);
    let mut bind = |source: &str, below: i64| {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("1", Arc::new(StringArray::from(vec![source]))),
            ("2", Arc::new(Int64Array::from(vec![below]))),
        ];
        prepared.set_parameters(RecordBatch::try_from_iter(columns).unwrap()).unwrap();
        let mut prepared = prepared.clone();
        async move { prepared.execute().await.unwrap() }
    };
    let few = bind("shop-0", 10).await;
    let all = bind("shop-0' OR 'a' = 'a", 100).await;
    let value = |batches: Vec<RecordBatch>| batches[0].column(0).as_primitive::<Int64Type>().value(0);
    // What was bound is in the ticket: a later binding does not change it, nor does closing the statement.
    assert_eq!(value(client.fetch(all).await.unwrap()), 0);
    prepared.close().await.unwrap();
    assert_eq!(value(client.fetch(few).await.unwrap()), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_are_told_from_queries() {
    let served = serve().await;
    let mut client = served.client().await;
    let mut is_update = async |sql: &str| {
        let request = ActionCreatePreparedStatementRequest { query: sql.to_owned(), transaction_id: None };
        let answer =
            client.action("CreatePreparedStatement", &request.as_any().encode_to_vec()).await.unwrap();
        let any = Any::decode(answer.as_slice()).unwrap();
        let result = PreparedResult::decode(any.value).unwrap();
        (result.is_update, result.dataset_schema.is_empty())
    };
    assert_eq!(is_update("CREATE TABLE audit").await, (Some(true), true));
    assert_eq!(is_update("SHOW TABLES").await, (Some(false), false));
    assert_eq!(client.0.execute_update("CREATE TABLE audit".to_owned(), None).await.unwrap(), 0);
    assert_eq!(client.number("SELECT count(*) FROM audit").await, 0);
    let again = client.0.execute_update("CREATE TABLE audit".to_owned(), None).await.map_err(Status::from);
    refused(again, Code::AlreadyExists, "audit");
    let query = client.0.execute_update("SELECT 1".to_owned(), None).await.map_err(Status::from);
    refused(query, Code::InvalidArgument, "executeQuery");
    // A driver that only knows queries gets an empty result.
    assert_eq!(client.query("CREATE TABLE billing").await.unwrap().len(), 0);
    assert_eq!(client.number("SELECT count(*) FROM billing").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_query_is_cancelled_by_its_info() {
    let served = serve().await;
    let mut client = served.client().await;
    client.ingest(vec![rows(0, 2_000)]).await.unwrap();
    let sql = "SELECT a.message FROM logs a CROSS JOIN logs b CROSS JOIN logs c WHERE a.message || b.message = c.message";
    let info = client.0.execute(sql.to_owned(), None).await.unwrap();
    let request = CancelFlightInfoRequest::new(info.clone()).encode_to_vec();
    refused(client.action("CancelFlightInfo", &request).await, Code::NotFound, "not fetched yet");
    let mut rows = client.0.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    let mut other = served.client().await;
    let answer = other.action("CancelFlightInfo", &request).await.unwrap();
    let result = CancelFlightInfoResult::decode(answer.as_slice()).unwrap();
    assert_eq!(result.status(), CancelStatus::Cancelled);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), rows.try_next()).await.unwrap();
    refused(ended.map_err(Status::from), Code::Cancelled, "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_confirm_the_tenants_names() {
    let served = serve().await;
    let mut client = served.client_of("acme/web/prod").await;
    let option = |text: &str| SessionOptionValue { value: Some(OptionValue::Text(text.to_owned())) };
    let given = [("catalog", "acme"), ("schema", "default_default"), ("colour", "red")];
    let given = given.map(|(name, value)| (name.to_owned(), option(value)));
    let request = SessionOptions { session_options: given.into() };
    let answer = client.action("SetSessionOptions", &request.encode_to_vec()).await.unwrap();
    let errors = SetSessionOptionsResult::decode(answer.as_slice()).unwrap().errors;
    let mut errors: Vec<(&str, i32)> =
        errors.iter().map(|(name, error)| (name.as_str(), error.value)).collect();
    errors.sort_unstable();
    assert_eq!(errors, [("colour", 1), ("schema", 2)]);
    let answer = client.action("GetSessionOptions", b"").await.unwrap();
    let options = SessionOptions::decode(answer.as_slice()).unwrap().session_options;
    assert_eq!(options["schema"], option("web_prod"));
    assert_eq!(client.action("CloseSession", b"").await.unwrap(), [8, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_bounded_by_what_they_become() {
    let served = serve().await;
    let mut client = served.client().await;
    let mut prepared = client.0.prepare("SELECT octet_length(?)".to_owned(), None).await.unwrap();
    let answer = {
        let request = ActionCreatePreparedStatementRequest {
            query: "SELECT octet_length(?)".to_owned(),
            transaction_id: None,
        };
        client.action("CreatePreparedStatement", &request.as_any().encode_to_vec()).await.unwrap()
    };
    let handle = PreparedResult::decode(Any::decode(answer.as_slice()).unwrap().value).unwrap();
    let handle = handle.prepared_statement_handle;
    let command = CommandPreparedStatementQuery { prepared_statement_handle: handle };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let long = StringArray::from(vec!["x".repeat(2 << 20)]);
    let values = RecordBatch::try_from_iter([("1", Arc::new(long) as ArrayRef)]).unwrap();
    let packed = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).unwrap();
    let encoder =
        FlightDataEncoderBuilder::new().with_options(packed).with_flight_descriptor(Some(descriptor));
    let messages: Vec<_> = encoder.build(stream::iter([Ok(values)])).try_collect().await.unwrap();
    assert!(messages.iter().map(|message| message.data_body.len()).sum::<usize>() < 10_000);
    let bound = client.0.do_put(stream::iter(messages)).await.map(|_| ()).map_err(Status::from);
    refused(bound, Code::InvalidArgument, "decompressed");
    // A ticket is the client's to forge: the length of a body in it is not believed either.
    let short =
        RecordBatch::try_from_iter([("1", Arc::new(StringArray::from(vec!["y"])) as ArrayRef)]).unwrap();
    prepared.set_parameters(short).unwrap();
    let info = prepared.execute().await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let query: TicketStatementQuery = Any::decode(ticket.ticket).unwrap().unpack().unwrap().unwrap();
    let mut forged = StatementTicket::decode(query.statement_handle).unwrap();
    let mut parameters = forged.parameters.to_vec();
    let body = 64_i64.to_le_bytes();
    let places: Vec<usize> =
        (0..parameters.len() - 8).filter(|at| parameters[*at..*at + 8] == body).collect();
    for at in places {
        parameters[at..at + 8].copy_from_slice(&(1_i64 << 60).to_le_bytes());
    }
    assert_ne!(forged.parameters, parameters);
    forged.parameters = parameters.into();
    let query = TicketStatementQuery { statement_handle: forged.encode_to_vec().into() };
    let fetched = client.0.do_get(arrow_flight::Ticket::new(query.as_any().encode_to_vec())).await;
    refused(fetched.map(|_| ()).map_err(Status::from), Code::InvalidArgument, "the ticket is not one of");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_of_parameters_have_one_deadline() {
    let dir = TempDir::new().unwrap();
    let mut config = config(&dir);
    config.query.timeout_ms = 700;
    let server = start(&config).await;
    let mut client = Client::connect(&server).await;
    client.ingest(vec![rows(0, 500)]).await.unwrap();
    let sql =
        "SELECT count(*) FROM logs a JOIN logs b ON a.source = b.source WHERE a.message || b.message <> ?";
    let mut prepared = client.0.prepare(sql.to_owned(), None).await.unwrap();
    let values = Arc::new(StringArray::from(vec!["nothing"; 1_000])) as ArrayRef;
    prepared.set_parameters(RecordBatch::try_from_iter([("1", values)]).unwrap()).unwrap();
    let info = prepared.execute().await.unwrap();
    refused(client.fetch(info).await, Code::DeadlineExceeded, "700ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_statements_cost_no_other_tenant_its_own() {
    let served = serve().await;
    let mut quiet = served.client_of("acme/web/prod").await;
    let mut kept = quiet.0.prepare("SELECT 1".to_owned(), None).await.unwrap();
    let mut greedy = served.client().await;
    let mut first = greedy.0.prepare("SELECT 1".to_owned(), None).await.unwrap();
    for _ in 0..STATEMENTS_PER_TENANT_MAX {
        greedy.0.prepare("SELECT 1".to_owned(), None).await.unwrap();
    }
    refused(first.execute().await.map_err(Status::from), Code::NotFound, "prepare it again");
    quiet.fetch(kept.execute().await.unwrap()).await.unwrap();
}
