//! Times in queries: whatever digits they have and however files hold them, answers are those of memory, and comparisons
//! with times between two microseconds still rule out what they can.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use futures::TryStreamExt;
use ironbark_storage::{Day, EncodedSegment, SegmentMeta, read_segment};
use proptest::prelude::*;

use crate::fixture::{Fixture, Row, SECOND, START};

/// The segments of version 2 in the tests' fixtures: one with nanoseconds before 1970, one of whole microseconds.
fn of_version_2() -> [EncodedSegment; 2] {
    let segment = |bytes, meta| {
        let meta: SegmentMeta = serde_json::from_str(meta).unwrap();
        assert_eq!(meta.format_version, 2);
        EncodedSegment { meta, bytes: Bytes::from_static(bytes).into() }
    };
    [
        segment(
            include_bytes!("../../../../tests/fixtures/segment-2/nanoseconds.parquet"),
            include_str!("../../../../tests/fixtures/segment-2/nanoseconds.json"),
        ),
        segment(
            include_bytes!("../../../../tests/fixtures/segment-2/microseconds.parquet"),
            include_str!("../../../../tests/fixtures/segment-2/microseconds.json"),
        ),
    ]
}

fn time(ns: i64) -> String {
    format!("to_timestamp_nanos({ns})")
}

/// Every comparison with these times.
fn conditions(a: i64, b: i64) -> Vec<String> {
    let (one, other) = (time(a), time(b));
    let mut conditions: Vec<String> =
        ["<", "<=", ">", ">=", "=", "<>", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]
            .into_iter()
            .flat_map(|op| {
                [
                    format!("timestamp {op} {one}"),
                    format!("NOT (({other} {op} timestamp) AND level = 'INFO')"),
                ]
            })
            .collect();
    conditions.extend([
        format!("timestamp IN ({one}, {other})"),
        format!("timestamp NOT IN ({one}, {other})"),
        format!("timestamp BETWEEN {one} AND {other}"),
        format!("timestamp NOT BETWEEN {one} AND {other}"),
        format!("timestamp >= {one} OR timestamp < {other} AND level = 'INFO'"),
        format!("(timestamp > {one}) = (level = 'INFO')"),
        format!("CAST(timestamp AS BIGINT) % 1000 < 500 AND timestamp <= {one}"),
        format!("CASE WHEN timestamp <= {one} THEN level = 'INFO' ELSE timestamp > {other} END"),
        format!("CAST(timestamp AS TIMESTAMP(6)) <= CAST({one} AS TIMESTAMP(6))"),
        "timestamp IS NOT NULL AND level = 'INFO'".to_owned(),
        "timestamp IS NULL OR level = 'INFO'".to_owned(),
    ]);
    conditions
}

fn queries(a: i64, b: i64) -> Vec<String> {
    let exact = "CAST(timestamp AS BIGINT) AS ns, level, message, _row_id";
    let of_condition = |(place, condition): (i64, String)| match (place ^ a).rem_euclid(4) {
        0 => format!("SELECT {exact} FROM logs WHERE {condition} ORDER BY timestamp DESC, _row_id LIMIT 3"),
        1 => format!("SELECT count(*), min(timestamp) FROM logs WHERE {condition}"),
        _ => format!("SELECT {exact} FROM logs WHERE {condition} ORDER BY _row_id"),
    };
    let mut queries: Vec<String> = (0..).zip(conditions(a, b)).map(of_condition).collect();
    for order in ["timestamp", "timestamp DESC", "level, timestamp DESC", "timestamp, level"] {
        queries.push(format!("SELECT timestamp, {exact} FROM logs ORDER BY {order}, _row_id LIMIT 4"));
    }
    queries.extend([
        "SELECT min(timestamp), max(timestamp), count(DISTINCT timestamp) FROM logs".to_owned(),
        "SELECT a._row_id, b._row_id FROM logs a JOIN logs b ON a.timestamp = b.timestamp ORDER BY 1, 2"
            .to_owned(),
        "SELECT timestamp, count(*) FROM logs GROUP BY 1 ORDER BY 1".to_owned(),
    ]);
    queries
}

/// Asserts that both answer alike.
async fn check(split: &Fixture, memory: &Fixture, queries: &[String]) {
    for sql in queries {
        let expected = memory.text(sql).await;
        assert!(!expected.contains("Error"), "{sql}\n{expected}");
        for session in [split.session(), split.splitting_session()] {
            let found = async { session.sql(sql).await?.try_collect::<Vec<RecordBatch>>().await };
            let found = found.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            let found = arrow::util::pretty::pretty_format_batches(&found).unwrap().to_string();
            // An empty answer has no columns to print in one of the two.
            if expected.lines().count() > 4 || found.lines().count() > 4 {
                assert_eq!(found, expected, "{sql}\n{}", split.plan(sql).await);
            }
        }
    }
}

#[tokio::test]
async fn segments_of_version_2_answer_as_before() {
    let (fixture, memory) = (Fixture::new(), Fixture::new());
    for segment in of_version_2() {
        let meta = segment.meta.clone();
        fixture.put(segment).await;
        let rows = read_segment(fixture.store.clone(), &fixture.table, &meta);
        let rows: Vec<RecordBatch> = rows.try_collect().await.unwrap();
        memory.buffer_stored(rows.into_iter().map(|rows| (meta.day, rows)).collect());
    }
    let of_both = |table: &Fixture| {
        // Ids of the fixtures' rows are below.
        table.tables.skip_rows(10_000);
        table.stored(&[Row { at: Day::from_days(-1).range().min.ns() + 7 * 1_234_567_891, ..Row::default() }])
    };
    fixture.segment_stored(of_both(&fixture), 10).await;
    memory.buffer_stored(of_both(&memory));
    let first = Day::from_days(-1).range().min.ns();
    for at in
        [first + 7 * 1_234_567_891, first + 7 * 1_234_567_891 - 1, 20_000 * 86_400 * SECOND + 7_000_001_000]
    {
        check(&fixture, &memory, &queries(at, at + 3 * SECOND)).await;
    }
}

/// A segment of three row groups of whole microseconds, or of nanoseconds, 10 rows a row group and a microsecond a row.
async fn three_row_groups(nanoseconds: bool) -> Fixture {
    let fixture = Fixture::new();
    let row = |at: i64| {
        let mut row = Row::new(0, "web", "INFO", &format!("m{at}"));
        row.at += at * 1_000 + if nanoseconds { 1 + at * 7 } else { 0 };
        row
    };
    fixture.segment(&(0..30).map(row).collect::<Vec<_>>(), 10).await;
    fixture
}

/// Row groups that statistics leave of three, rows that are tried one by one, and rows that are found.
async fn work(fixture: &Fixture, condition: &str) -> (String, usize, usize) {
    let sql = format!("SELECT message FROM logs WHERE {condition}");
    let plan = fixture.analyzed(&sql).await;
    let left = plan.split("row_groups_pruned_statistics=").nth(1).map_or("none", |rest| {
        let rest = rest.split(',').next().unwrap_or_default();
        rest.split("→ ").nth(1).unwrap_or_default()
    });
    let tried = crate::fixture::counter(&plan, "pushdown_rows_matched")
        + crate::fixture::counter(&plan, "pushdown_rows_pruned");
    let rows = fixture.query(&sql).await.unwrap().iter().map(RecordBatch::num_rows).sum();
    (left.to_owned(), tried, rows)
}

#[tokio::test]
async fn times_between_microseconds_rule_out_row_groups() {
    let (whole, split) = (three_row_groups(false).await, three_row_groups(true).await);
    let mut found = String::new();
    for (op, ns) in [
        (">=", 20_000),
        (">=", 19_001),
        (">", 19_000),
        (">", 19_999),
        ("<", 10_000),
        ("<", 9_001),
        ("<=", 9_999),
        ("=", 15_000),
        ("=", 15_106),
        ("=", 15_107),
    ] {
        let condition = format!("timestamp {op} {}", time(START + ns));
        let (of_whole, of_split) = (work(&whole, &condition).await, work(&split, &condition).await);
        found.push_str(&format!("{op:2} {ns:6} {of_whole:?} {of_split:?}\n"));
    }
    insta::assert_snapshot!(found, @r#"
    >=  20000 ("1 matched -> 1 fully matched", 10, 10) ("1 matched -> 1 fully matched", 10, 10)
    >=  19001 ("1 matched -> 1 fully matched", 10, 10) ("2 matched", 20, 11)
    >   19000 ("1 matched -> 1 fully matched", 10, 10) ("2 matched", 20, 11)
    >   19999 ("1 matched -> 1 fully matched", 10, 10) ("1 matched -> 1 fully matched", 10, 10)
    <   10000 ("1 matched -> 1 fully matched", 10, 10) ("1 matched -> 1 fully matched", 10, 10)
    <    9001 ("1 matched -> 1 fully matched", 10, 10) ("1 matched", 10, 9)
    <=   9999 ("1 matched -> 1 fully matched", 10, 10) ("1 matched -> 1 fully matched", 10, 10)
    =   15000 ("1 matched", 10, 1) ("1 matched", 10, 0)
    =   15106 ("0 matched", 0, 0) ("1 matched", 10, 1)
    =   15107 ("0 matched", 0, 0) ("1 matched", 10, 0)
    "#);
}

#[tokio::test]
async fn a_bound_between_microseconds_rules_out_row_groups() {
    for nanoseconds in [false, true] {
        let fixture = three_row_groups(nanoseconds).await;
        for (order, expected) in [("DESC", "m29"), ("ASC", "m0")] {
            let sql = format!("SELECT message FROM logs ORDER BY timestamp {order} LIMIT 1");
            assert!(fixture.text(&sql).await.contains(&format!("| {expected} ")), "{sql}");
            let plan = fixture.analyzed(&sql).await;
            let pruned = crate::fixture::counter(&plan, "row_groups_pruned_dynamic_filter");
            assert_eq!(pruned, 2, "{sql}\n{plan}");
        }
    }
}

#[tokio::test]
async fn equal_microseconds_are_told_apart_by_their_digits() {
    let fixture = Fixture::new();
    let row = |digits: i64| {
        let mut row = Row::new(0, "web", "INFO", &digits.to_string());
        row.at += digits;
        row
    };
    fixture.segment(&[700, 2, 999, 0, 500].map(row), 2).await;
    let answer = async |sql: &str| {
        let batches = fixture.query(sql).await.unwrap();
        let values =
            batches.iter().flat_map(|rows| rows.column(0).as_primitive::<Int64Type>().values().to_vec());
        values.map(|ns| ns - START).collect::<Vec<_>>()
    };
    let exact = "SELECT CAST(timestamp AS BIGINT) AS ns FROM logs";
    assert_eq!(answer(&format!("{exact} ORDER BY timestamp DESC LIMIT 2")).await, [999, 700]);
    assert_eq!(answer(&format!("{exact} ORDER BY timestamp LIMIT 3")).await, [0, 2, 500]);
    let between = format!("WHERE timestamp > {} AND timestamp < {}", time(START + 2), time(START + 700));
    assert_eq!(answer(&format!("{exact} {between}")).await, [500]);
}

/// Where rows lie: row groups of so many rows, or a buffer.
type Piece = (Vec<(i64, bool)>, Option<usize>);

/// Times around a point, in steps of nanoseconds or microseconds.
fn pieces() -> impl Strategy<Value = (Vec<Piece>, i64, i64)> {
    let base = prop_oneof![
        2 => Just(START),
        1 => Just(-5_000),
        1 => Just(i64::MIN + 10),
        1 => Just(i64::MAX - 20_000),
        1 => -9_000_000_000_000_000_000i64..9_000_000_000_000_000_000,
    ];
    base.prop_flat_map(|base| {
        let at = (0..12_000i64, prop::sample::select(vec![1, 250, 1_000])).prop_map(move |(step, unit)| {
            let at = base + step - step.rem_euclid(unit);
            if unit == 1_000 { (at.div_euclid(1_000) + 1) * 1_000 } else { at }
        });
        let rows = prop::collection::vec((at.clone(), any::<bool>()), 1..10);
        let whole = prop::collection::vec((0..12i64, any::<bool>()), 1..10).prop_map(move |rows| {
            let micros = base.div_euclid(1_000) + 1;
            rows.into_iter().map(|(step, info)| ((micros + step) * 1_000, info)).collect()
        });
        let piece = (prop_oneof![rows, whole], prop::option::weighted(0.8, 1..5usize));
        (prop::collection::vec(piece, 1..4), at.clone(), at)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn times_are_compared_as_in_memory((pieces, a, b) in pieces()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (fixture, memory) = (Fixture::new(), Fixture::new());
            for (rows, row_group_rows) in pieces {
                let rows = rows.into_iter().map(|(at, info)| Row {
                    at,
                    ..Row::new(0, "web", if info { "INFO" } else { "WARN" }, "m")
                });
                let stored = fixture.stored(&rows.collect::<Vec<_>>());
                memory.buffer_stored(stored.clone());
                match row_group_rows {
                    Some(rows) => fixture.segment_stored(stored, rows).await,
                    None => fixture.buffer_stored(stored),
                }
            }
            check(&fixture, &memory, &queries(a, b)).await;
        });
    }
}
