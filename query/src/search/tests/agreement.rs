//! The search request and `search('…')` in SQL, on buffers and segments: the same rows, and where they are read.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;

use crate::fixture::{Fixture, Row};
use crate::{SearchRequest, Session};

/// Half of the rows in segments of one day each, half in memory.
async fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let rows = |from: i64| -> Vec<Row> {
        let row = |i: i64| {
            let source = ["web", "api", "api-gateway", ""][usize::try_from(i % 4).unwrap()];
            let level = ["info", "warning", "err"][usize::try_from(i % 3).unwrap()];
            let message = ["GET /cart timeout", "retry Timeout=5", "connect to db-1:5432", "straße ok"];
            let row = Row::new(i * 3600, source, level, message[usize::try_from(i % 5 % 4).unwrap()]);
            let row = if i % 2 == 0 {
                row.tag("env", ["prod", "dev"][usize::try_from(i % 4 / 2).unwrap()])
            } else {
                row
            };
            if i % 3 == 0 { row.typed("http.status", &(100 * (i % 7)).to_string(), 'n') } else { row }
        };
        (from..from + 40).map(row).collect()
    };
    fixture.segment(&rows(0), 16).await;
    fixture.buffer(&rows(40));
    fixture
}

fn ids(batches: &[RecordBatch]) -> Vec<i64> {
    let ids = batches.iter().map(|batch| batch.column_by_name("_row_id").unwrap());
    ids.flat_map(|ids| ids.as_primitive::<Int64Type>().values().to_vec()).collect()
}

async fn by_request(session: &Session, query: &str) -> Vec<i64> {
    let mut found = Vec::new();
    let mut request = SearchRequest { query: query.to_owned(), limit: 7, ..SearchRequest::default() };
    loop {
        let page = session.search(&request).await.unwrap();
        found.extend(ids(&page.batches));
        match page.cursor {
            None => return found,
            cursor => request.cursor = cursor,
        }
    }
}

#[tokio::test]
async fn search_and_sql_agree() {
    let fixture = fixture().await;
    let mut sizes = Vec::new();
    for query in [
        "",
        "timeout",
        "-timeout",
        "env:prod timeout",
        "-env:prod",
        "http.status:>=300",
        "http.status:300 OR source:api*",
        "level:>=warn",
        "source:in(api, web) -level:error",
        "db-1:5432",
        "STRASSE OR straße",
        "timestamp:>=2026-11-24",
        "*imeo*",
        "/GET .cart/",
        "nothing",
    ] {
        let order = "ORDER BY timestamp DESC, _row_id DESC";
        let sql = format!("SELECT _row_id FROM logs WHERE search('{query}') {order}");
        let by_sql = ids(&fixture.query(&sql).await.unwrap());
        assert_eq!(by_request(&fixture.session(), query).await, by_sql, "{query}");
        sizes.push(format!("{query}: {}", by_sql.len()));
    }
    insta::assert_snapshot!(sizes.join("\n"), @r#"
    : 80
    timeout: 48
    -timeout: 32
    env:prod timeout: 12
    -env:prod: 60
    http.status:>=300: 15
    http.status:300 OR source:api*: 42
    level:>=warn: 53
    source:in(api, web) -level:error: 27
    db-1:5432: 16
    STRASSE OR straße: 16
    timestamp:>=2026-11-24: 56
    *imeo*: 48
    /GET .cart/: 32
    nothing: 0
    "#);
}

#[tokio::test]
async fn searches_reach_the_scan() {
    let fixture = fixture().await;
    insta::assert_snapshot!(
        fixture.plan("SELECT message FROM logs WHERE search('timeout level:error env:prod timestamp:<2026-11-24')").await, @r#"
    FilterExec: matches(__datafusion_extracted_1@0, prod), projection=[message@3]
      RepartitionExec: partitioning=RoundRobinBatch(2), input_partitions=1
        TokenIndexExec: message:timeout 2/2; tags.env:prod 2/2; templates: sure=0, undecided=6 rows; kept segments=1/1, row_groups=2/2, ranges=2/2, rows=6/24
          DataSourceExec: file_groups={1 group: [[…01.parquet]]}, projection=[tag(tags@5, env) as __datafusion_extracted_1, timestamp, level, message], file_type=parquet, predicate=promoted(matches(tag(tags@5, env), prod)) AND level@3 IS NOT NULL AND level@3 = ERROR AND timestamp@0 < 1795478400000000000 AND matches(message@4, timeout), pruning_predicate=level_null_count@1 != row_count@0 AND level_null_count@1 != row_count@0 AND level_min@2 <= ERROR AND ERROR <= level_max@3 AND timestamp_null_count@5 != row_count@0 AND timestamp_min@4 < 1795478400000000000, required_guarantees=[level in (ERROR)]
    "#);
}

#[tokio::test]
async fn mistakes_are_the_requests_fault() {
    let fixture = fixture().await;
    insta::assert_snapshot!(fixture.error("SELECT 1 FROM logs WHERE search('level:')").await, @r#"Request: search: column 7: expected a value after `level:`, found the end of the query"#);
    let request = SearchRequest { query: "level:".to_owned(), limit: 1, ..SearchRequest::default() };
    insta::assert_snapshot!(fixture.session().search(&request).await.unwrap_err(), @r#"search: column 7: expected a value after `level:`, found the end of the query"#);
}

#[tokio::test]
async fn queries_may_be_parameters() {
    let fixture = fixture().await;
    let statement =
        fixture.session().prepare("SELECT count(*) AS n FROM logs WHERE search(?)").await.unwrap();
    let stream = statement.run(vec![datafusion::scalar::ScalarValue::from("env:prod")]).await.unwrap();
    let batches: Vec<RecordBatch> = futures::TryStreamExt::try_collect(stream).await.unwrap();
    assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().value(0), 20);
}
