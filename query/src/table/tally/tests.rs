//! Tests of counts from statistics: what is read for which count, and that the answers are the scan's.

mod equal;

use futures::TryStreamExt;

use crate::fixture::{Fixture, Row, SECOND, START};

/// Three segments of ten minutes, a row every ten seconds, and a buffer behind them.
async fn half_an_hour() -> Fixture {
    let fixture = Fixture::new();
    let row = |n: i64| {
        let source = if n % 3 == 0 { "db" } else { "web" };
        let level = if n % 10 == 0 { "ERROR" } else { "INFO" };
        Row::new(n * 10, source, level, &format!("m{n}"))
    };
    for part in 0..3 {
        let rows: Vec<_> = (part * 60..(part + 1) * 60).map(row).collect();
        fixture.segment(&rows, 20).await;
    }
    fixture.buffer(&[Row::new(1_800, "", "WARN", "b0"), Row::new(1_801, "web", "", "b1")]);
    fixture
}

/// The lines of a plan about statistics and reading.
async fn reads(fixture: &Fixture, sql: &str) -> String {
    let plan = fixture.plan(sql).await;
    let shown = |line: &&str| line.contains("StatisticsExec") || line.contains("DataSourceExec");
    let cut =
        |line: &str| line.trim_start().split(", pruning_predicate").next().unwrap_or_default().to_owned();
    plan.lines().filter(shown).map(cut).collect::<Vec<_>>().join("\n")
}

/// Asserts that counting rows gives the same.
async fn same(fixture: &Fixture, sql: &str) -> String {
    let counted = fixture.text(sql).await;
    let stream = fixture.scanning_session().sql(sql).await.unwrap();
    let batches: Vec<arrow::array::RecordBatch> = stream.try_collect().await.unwrap();
    let scanned = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    assert_eq!(counted, scanned, "{sql}");
    counted
}

#[tokio::test]
async fn sources_with_the_most_errors_come_from_the_manifest() {
    let fixture = half_an_hour().await;
    let sql = "SELECT source, count(*) AS n FROM logs WHERE level = 'ERROR' GROUP BY source ORDER BY n DESC, 1 LIMIT 10";
    insta::assert_snapshot!(same(&fixture, sql).await, @r#"
    +--------+----+
    | source | n  |
    +--------+----+
    | web    | 12 |
    | db     | 6  |
    +--------+----+
    "#);
    insta::assert_snapshot!(fixture.plan(sql).await, @r#"
    SortPreservingMergeExec: [n@1 DESC, source@0 ASC NULLS LAST], fetch=10
      ProjectionExec: expr=[source@0 as source, count(Int64(1))@1 as n]
        SortExec: TopK(fetch=10), expr=[count(Int64(1))@1 DESC, source@0 ASC NULLS LAST], preserve_partitioning=[true]
          AggregateExec: mode=FinalPartitioned, gby=[source@0 as source], aggr=[tally(logs._weight) as count(Int64(1))]
            RepartitionExec: partitioning=Hash([source@0], 2), input_partitions=1
              AggregateExec: mode=Partial, gby=[source@0 as source], aggr=[tally(logs._weight) as count(Int64(1))]
                StatisticsExec: counted: 18 rows of 3 segments in 6 cells, 0 segments in part; read: 0 rows of 0 segments, 0 batches
    "#);
}

#[tokio::test]
async fn a_histogram_comes_from_the_tails() {
    let fixture = half_an_hour().await;
    let sql = "SELECT date_bin(INTERVAL '5 minutes', timestamp) AS slot, level, count(*) AS n FROM logs \
               WHERE timestamp >= '2026-11-23T00:00:00Z' AND timestamp < '2026-11-24' GROUP BY 1, 2 ORDER BY 1, 2";
    insta::assert_snapshot!(same(&fixture, sql).await, @r#"
    +----------------------+-------+----+
    | slot                 | level | n  |
    +----------------------+-------+----+
    | 2026-11-23T00:00:00Z | ERROR | 3  |
    | 2026-11-23T00:00:00Z | INFO  | 27 |
    | 2026-11-23T00:05:00Z | ERROR | 3  |
    | 2026-11-23T00:05:00Z | INFO  | 27 |
    | 2026-11-23T00:10:00Z | ERROR | 3  |
    | 2026-11-23T00:10:00Z | INFO  | 27 |
    | 2026-11-23T00:15:00Z | ERROR | 3  |
    | 2026-11-23T00:15:00Z | INFO  | 27 |
    | 2026-11-23T00:20:00Z | ERROR | 3  |
    | 2026-11-23T00:20:00Z | INFO  | 27 |
    | 2026-11-23T00:25:00Z | ERROR | 3  |
    | 2026-11-23T00:25:00Z | INFO  | 27 |
    | 2026-11-23T00:30:00Z | WARN  | 1  |
    | 2026-11-23T00:30:00Z |       | 1  |
    +----------------------+-------+----+
    "#);
    insta::assert_snapshot!(reads(&fixture, sql).await, @r#"
    StatisticsExec: counted: 182 rows of 3 segments, 1 batches in 50 cells, 0 segments in part; read: 0 rows of 0 segments, 0 batches
    "#);
}

#[tokio::test]
async fn a_filter_that_cuts_a_minute_reads_this_minute() {
    let fixture = half_an_hour().await;
    let sql = "SELECT level, count(*) AS n FROM logs WHERE timestamp > '2026-11-23T00:05:25Z' \
               AND timestamp < '2026-11-23T00:12:00Z' GROUP BY level ORDER BY 1";
    insta::assert_snapshot!(same(&fixture, sql).await, @r#"
    +-------+----+
    | level | n  |
    +-------+----+
    | ERROR | 4  |
    | INFO  | 35 |
    +-------+----+
    "#);
    insta::assert_snapshot!(reads(&fixture, sql).await, @r#"
    StatisticsExec: counted: 36 rows of 1 segments in 4 cells, 1 segments in part; read: 6 rows of 0 segments, 0 batches
    DataSourceExec: file_groups={1 group: [[…01.parquet]]}, projection=[level, 1 as _weight], file_type=parquet, predicate=timestamp@0 > 1795392325000000000 AND timestamp@0 < 1795392720000000000 AND timestamp@0 >= 1795392300000000000 AND timestamp@0 <= 1795392359999999999
    "#);
    // The same for a source: the tails know nothing of it, so the cut segments are read.
    let sql = sql.replace("GROUP BY", "AND source = 'db' GROUP BY");
    same(&fixture, &sql).await;
    insta::assert_snapshot!(reads(&fixture, &sql).await, @r#"
    StatisticsExec: counted: 0 rows of 0 segments in 0 cells, 0 segments in part; read: 120 rows of 2 segments, 0 batches
    DataSourceExec: file_groups={2 groups: [[…02.parquet, …01.parquet], […01.parquet]]}, projection=[level, 1 as _weight], file_type=parquet, predicate=timestamp@0 > 1795392325000000000 AND timestamp@0 < 1795392720000000000 AND source@2 = db
    "#);
}

#[tokio::test]
async fn a_filter_of_many_times_reads_the_segments() {
    let fixture = half_an_hour().await;
    let times: Vec<_> =
        (0..30).map(|n| format!("to_timestamp_nanos({})", START + n * 60 * SECOND + 5)).collect();
    let sql = format!(
        "SELECT level, count(*) AS n FROM logs WHERE timestamp NOT IN ({}) GROUP BY 1 ORDER BY 1",
        times.join(", ")
    );
    same(&fixture, &sql).await;
    insta::assert_snapshot!(reads(&fixture, &sql).await, @r#"
    StatisticsExec: counted: 2 rows of 0 segments, 1 batches in 2 cells, 0 segments in part; read: 180 rows of 3 segments, 0 batches
    DataSourceExec: file_groups={2 groups: [[…03.parquet, …01.parquet], […02.parquet]]}, projection=[level, 1 as _weight], file_type=parquet, predicate=timestamp@0 NOT IN (SET) ([1795392000000000005, 1795392060000000005, 1795392120000000005, 1795392180000000005, 1795392240000000005, 1795392300000000005, 1795392360000000005, 1795392420000000005, 1795392480000000005, 1795392540000000005, 1795392600000000005, 1795392660000000005, 1795392720000000005, 1795392780000000005, 1795392840000000005, 1795392900000000005, 1795392960000000005, 1795393020000000005, 1795393080000000005, 1795393140000000005, 1795393200000000005, 1795393260000000005, 1795393320000000005, 1795393380000000005, 1795393440000000005, 1795393500000000005, 1795393560000000005, 1795393620000000005, 1795393680000000005, 1795393740000000005])
    "#);
}

#[tokio::test]
async fn counts_of_some_and_distinct_values_are_answered_too() {
    let fixture = half_an_hour().await;
    for sql in [
        "SELECT DISTINCT source FROM logs ORDER BY 1",
        "SELECT level, count(DISTINCT source) AS n FROM logs GROUP BY 1 ORDER BY 1",
        "SELECT count(*) AS n FROM logs WHERE level = 'ERROR'",
        "SELECT count(*) AS n FROM logs WHERE level = 'nothing'",
        "SELECT source, count(level) AS a, count(message) AS b, count(*) FILTER (WHERE level <> 'INFO') AS c FROM logs GROUP BY 1 ORDER BY 1",
        "SELECT upper(l.level) AS u, count(*) AS n FROM (SELECT level, source AS s FROM logs) AS l WHERE s LIKE 'w%' GROUP BY 1 HAVING count(*) > 2 ORDER BY 1",
        "SELECT timestamp::date AS day, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1",
        "SELECT (SELECT count(*) FROM logs WHERE level = 'INFO') - (SELECT count(*) FROM logs WHERE level = 'ERROR') AS n",
        "SELECT a.source, a.n, b.n AS m FROM (SELECT source, count(*) AS n FROM logs GROUP BY 1) AS a JOIN \
         (SELECT source, count(*) AS n FROM logs WHERE level = 'ERROR' GROUP BY 1) AS b ON a.source = b.source ORDER BY 1",
    ] {
        same(&fixture, sql).await;
        let reads = reads(&fixture, sql).await;
        assert!(reads.contains("StatisticsExec") && !reads.contains("parquet"), "{sql}\n{reads}");
    }
}

#[tokio::test]
async fn what_statistics_do_not_know_is_counted_by_the_scan() {
    let fixture = half_an_hour().await;
    for sql in [
        "SELECT level, count(DISTINCT source) AS n, count(*) AS m FROM logs GROUP BY 1 ORDER BY 1",
        "SELECT level, count(*) AS n, max(timestamp) AS t FROM logs GROUP BY 1 ORDER BY 1",
        "SELECT level, count(*) AS n FROM logs WHERE message < 'm1' GROUP BY 1 ORDER BY 1",
        "SELECT level, count(tags['x']) AS n FROM logs GROUP BY 1 ORDER BY 1",
        "SELECT date_bin(INTERVAL '90 seconds', timestamp) AS t, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1",
        "SELECT date_bin(INTERVAL '1 minute', timestamp, '2026-01-01T00:00:30Z') AS t, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1",
        "SELECT date_trunc('second', timestamp) AS t, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1 LIMIT 3",
        "SELECT level, count(*) AS n FROM logs WHERE random() < 2 GROUP BY 1 ORDER BY 1",
        "SELECT level, count(*) AS n FROM (SELECT * FROM logs ORDER BY timestamp LIMIT 7) GROUP BY 1 ORDER BY 1",
        "SELECT level, source, count(*) AS n FROM logs GROUP BY GROUPING SETS ((level), (source)) ORDER BY 1, 2, 3",
        "SELECT level, count(*) AS n FROM logs WHERE timestamp + INTERVAL '1 second' < '2026-11-23T00:10:00Z' GROUP BY 1 ORDER BY 1",
    ] {
        same(&fixture, sql).await;
        let plan = fixture.plan(sql).await;
        assert!(!plan.contains("StatisticsExec"), "{sql}\n{plan}");
    }
}

#[tokio::test]
async fn rows_that_hold_a_frequent_word_are_counted_by_the_index() {
    let fixture = Fixture::new();
    let row = |n: i64| {
        let text = if n % 3 == 0 { "Timeout: timeout" } else { "timeouts" };
        Row::new(n * 10, "web", "INFO", &format!("{text} {n}"))
    };
    // Row groups of one row, so that nine rows are enough to be frequent.
    fixture.segment(&(0..30).map(row).collect::<Vec<_>>(), 1).await;
    fixture.segment(&(30..60).map(row).collect::<Vec<_>>(), 1).await;
    fixture.buffer(&[Row::new(900, "web", "INFO", "TIMEOUT"), Row::new(901, "web", "INFO", "other")]);
    let counted = [
        "SELECT count(*) AS n FROM logs WHERE matches(message, 'timeout')",
        "SELECT count(*) AS n FROM logs WHERE search('TimeOut') AND timestamp < '2026-11-24'",
        "SELECT count(*) AS n FROM logs WHERE search('nowhere')",
    ];
    for sql in counted {
        same(&fixture, sql).await;
        let reads = reads(&fixture, sql).await;
        assert!(reads.contains("StatisticsExec") && !reads.contains("parquet"), "{sql}\n{reads}");
    }
    insta::assert_snapshot!(same(&fixture, counted[0]).await, @r#"
    +----+
    | n  |
    +----+
    | 21 |
    +----+
    "#);
    insta::assert_snapshot!(reads(&fixture, counted[0]).await, @r#"
    StatisticsExec: counted: 20 rows of 2 segments in 2 cells, 0 segments in part; read: 2 rows of 0 segments, 1 batches
    DataSourceExec: buffers: partitions=1, batches=1/1, rows=2/2, words: message:timeout 1/1, unindexed=1
    "#);
    let cut = "SELECT count(*) AS n FROM logs WHERE search('timeout') AND timestamp < '2026-11-23T00:02:03Z'";
    insta::assert_snapshot!(same(&fixture, cut).await, @r#"
    +---+
    | n |
    +---+
    | 5 |
    +---+
    "#);
    for sql in [
        cut,
        "SELECT count(*) AS n FROM logs WHERE search('12')",
        "SELECT count(*) AS n FROM logs WHERE search('timeout level:info')",
        "SELECT count(*) AS n FROM logs WHERE search('timeout 12')",
        "SELECT count(*) AS n FROM logs WHERE search('-timeout')",
        "SELECT count(*) AS n FROM logs WHERE search('timeout*')",
        "SELECT count(*) AS n FROM logs WHERE search('\"timeout: timeout\"')",
        "SELECT level, count(*) AS n FROM logs WHERE search('timeout') GROUP BY level",
        "SELECT count(*) FILTER (WHERE level = 'INFO') AS n FROM logs WHERE search('timeout')",
    ] {
        same(&fixture, sql).await;
    }
}

#[tokio::test]
async fn a_damaged_tail_is_told_by_the_scan() {
    use object_store::{ObjectStoreExt, PutPayload};
    let fixture = half_an_hour().await;
    let key = "default/default/default/logs/2026-11-23/00000000-0000-0000-0000-000000000002.parquet";
    let key = object_store::path::Path::from(key);
    let mut bytes = fixture.store.get(&key).await.unwrap().bytes().await.unwrap().to_vec();
    let place = bytes.len() - 100;
    bytes[place] ^= 1;
    fixture.store.put(&key, PutPayload::from(bytes)).await.unwrap();
    let histogram = "SELECT date_trunc('hour', timestamp) AS t, count(*) AS n FROM logs GROUP BY 1";
    let error = fixture.error(histogram).await;
    assert!(error.starts_with("Storage(Corrupt)") && error.contains("000002.parquet is damaged"), "{error}");
    // The manifest alone answers this one.
    fixture.query("SELECT source, count(*) FROM logs GROUP BY 1").await.unwrap();
}

/// Two segments of requests, a buffer, and a segment of another alphabet.
async fn requests() -> Fixture {
    let fixture = Fixture::new();
    let row = |n: i64| {
        let source = if n % 3 == 0 { "db" } else { "web" };
        let level = if n % 10 == 0 { "ERROR" } else { "INFO" };
        let message = match n % 4 {
            0 => format!("ReplicaStreamer connection refused, duration_ms={}", n * n * 7),
            1 => format!("user {n} logged in"),
            2 => "cache flushed".to_owned(),
            _ => format!("größe {n}"),
        };
        Row::new(n * 10, source, level, &message)
    };
    fixture.segment(&(0..60).map(row).collect::<Vec<_>>(), 20).await;
    fixture.segment(&(60..120).map(row).collect::<Vec<_>>(), 20).await;
    fixture.buffer(&(120..124).map(row).collect::<Vec<_>>());
    fixture
}

#[tokio::test]
async fn rows_are_counted_by_what_their_templates_say() {
    let fixture = requests().await;
    let mut lines = Vec::new();
    for condition in [
        "message LIKE '%eplicaStreame%'",
        "message LIKE '%eplicaStreame%' AND level = 'ERROR'",
        "message NOT LIKE '%eplicaStreame%'",
        "search('\"connection refused\"') AND timestamp < '2026-11-23T00:05:00Z'",
        "message ~ 'duration_ms=[0-9]{5,}'",
        "message ~ 'duration_ms=[0-9]+'",
        "search('flushed OR level:ERROR')",
        "NOT (message LIKE '%flushed%' AND level = 'ERROR')",
        "message LIKE '%größe%'",
        "message = 'cache flushed'",
    ] {
        let sql = format!("SELECT count(*) AS n FROM logs WHERE {condition}");
        same(&fixture, &sql).await;
        let plan = fixture.plan(&sql).await;
        let counted = plan.lines().find(|line| line.contains("StatisticsExec")).unwrap_or("none").trim();
        lines.push(format!("{condition}\n    {counted}"));
    }
    insta::assert_snapshot!(lines.join("\n"), @r#"
    message LIKE '%eplicaStreame%'
        StatisticsExec: counted: 30 rows of 2 segments in 2 cells, 2 segments in part; read: 34 rows of 0 segments, 1 batches
    message LIKE '%eplicaStreame%' AND level = 'ERROR'
        StatisticsExec: counted: 6 rows of 2 segments in 2 cells, 0 segments in part; read: 4 rows of 0 segments, 1 batches
    message NOT LIKE '%eplicaStreame%'
        StatisticsExec: counted: 60 rows of 2 segments in 2 cells, 2 segments in part; read: 34 rows of 0 segments, 1 batches
    search('"connection refused"') AND timestamp < '2026-11-23T00:05:00Z'
        StatisticsExec: counted: 5 rows of 1 segments in 1 cells, 1 segments in part; read: 15 rows of 0 segments, 0 batches
    message ~ 'duration_ms=[0-9]{5,}'
        StatisticsExec: counted: 15 rows of 1 segments in 1 cells, 2 segments in part; read: 49 rows of 0 segments, 1 batches
    message ~ 'duration_ms=[0-9]+'
        StatisticsExec: counted: 30 rows of 2 segments in 2 cells, 2 segments in part; read: 34 rows of 0 segments, 1 batches
    search('flushed OR level:ERROR')
        StatisticsExec: counted: 36 rows of 2 segments in 2 cells, 2 segments in part; read: 34 rows of 0 segments, 1 batches
    NOT (message LIKE '%flushed%' AND level = 'ERROR')
        StatisticsExec: counted: 114 rows of 2 segments in 2 cells, 0 segments in part; read: 4 rows of 0 segments, 1 batches
    message LIKE '%größe%'
        none
    message = 'cache flushed'
        StatisticsExec: counted: 30 rows of 2 segments in 2 cells, 0 segments in part; read: 4 rows of 0 segments, 1 batches
    "#);
}

#[tokio::test]
async fn groups_of_counted_messages_are_those_of_the_scan() {
    let fixture = requests().await;
    for condition in ["message LIKE '%refused%'", "message ~ 'ms=[0-9]{4}'", "search('cache OR user')"] {
        for groups in ["level", "source, level", "date_bin(INTERVAL '5 minutes', timestamp), level"] {
            let sql = format!(
                "SELECT {groups}, count(*) AS n, count(*) FILTER (WHERE level = 'ERROR') AS e FROM logs \
                 WHERE {condition} GROUP BY {groups} ORDER BY {groups}"
            );
            same(&fixture, &sql).await;
        }
    }
    // Times of rows that surely pass are read without their messages.
    let by_time = "SELECT date_bin(INTERVAL '1 minute', timestamp) AS t, count(*) AS n FROM logs \
                   WHERE message LIKE '%refused%' GROUP BY 1 ORDER BY 1";
    let plan = fixture.plan(by_time).await;
    let scan = plan.lines().find(|line| line.contains("parquet")).unwrap();
    assert!(scan.contains("projection=[timestamp,") && !scan.contains("predicate"), "{plan}");
}
