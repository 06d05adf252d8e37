//! Property: counting from statistics gives what counting rows gives.

use std::cell::Cell;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::Session;
use crate::fixture::{Fixture, Row, SECOND, START};

const CASES: u32 = 40;

/// Where rows lie.
#[derive(Clone, Debug)]
struct Piece {
    rows: Vec<Row>,
    /// Rows of a row group, or none for a buffer.
    row_group_rows: Option<usize>,
}

/// Around midnight: at, before and after the beginnings of minutes, and within them.
fn time() -> impl Strategy<Value = i64> {
    (-4..4i64, prop::sample::select(vec![-1, 0, 1, 20 * SECOND, 40 * SECOND]))
        .prop_map(|(minute, ns)| START + minute * 60 * SECOND + ns)
}

fn row() -> impl Strategy<Value = Row> {
    let source = prop::sample::select(vec!["", "web", "db"]);
    let level = prop::sample::select(vec!["", "INFO", "WARN", "odd"]);
    let message = prop::sample::select(vec!["x", "X: x y", "y"]);
    (time(), source, level, message)
        .prop_map(|(at, source, level, message)| Row { at, ..Row::new(0, source, level, message) })
}

fn piece() -> impl Strategy<Value = Piece> {
    (prop::collection::vec(row(), 1..16), prop::option::weighted(0.8, 1..8usize), prop::bool::weighted(0.2))
        .prop_map(|(mut rows, row_group_rows, long_sources)| {
            // Too long for the manifest to count them.
            if long_sources {
                for row in &mut rows {
                    row.source = row.source.take().map(|source| source.repeat(300));
                }
            }
            Piece { rows, row_group_rows }
        })
}

fn atom() -> impl Strategy<Value = String> {
    let compared = prop::sample::select(vec!["<", "<=", "=", ">", ">=", "<>", "IS DISTINCT FROM"]);
    let times = (time(), compared).prop_map(|(at, op)| format!("timestamp {op} to_timestamp_nanos({at})"));
    let spans = (time(), time(), prop::sample::select(vec!["", "NOT "])).prop_map(|(from, to, not)| {
        format!("timestamp {not}BETWEEN to_timestamp_nanos({from}) AND to_timestamp_nanos({to})")
    });
    let lists = (time(), time()).prop_map(|(a, b)| {
        format!(
            "timestamp NOT IN (to_timestamp_nanos({a}), to_timestamp_nanos({b}), to_timestamp_nanos(0), NULL)"
        )
    });
    let plain = prop::sample::select(vec![
        "level = 'INFO'",
        "level <> 'INFO'",
        "level IS NULL",
        "level IN ('WARN', 'odd')",
        "upper(level) LIKE '%O%'",
        "source = 'web'",
        "source IS NOT NULL",
        "NOT (source = 'db' AND level = 'WARN')",
        "coalesce(source, level) <> 'web'",
        "date_trunc('minute', timestamp) > to_timestamp_nanos(1795392000000000000)",
        "date_bin(INTERVAL '2 minutes', timestamp) = to_timestamp_nanos(1795392120000000000)",
        "CAST(timestamp AS DATE) = DATE '2026-11-23'",
        "CASE WHEN level = 'INFO' THEN timestamp < '2026-11-23T00:00:20Z' ELSE source = 'db' END",
        "message = 'x'",
        "matches(message, 'x')",
        "matches(message, 'x')",
    ]);
    prop_oneof![4 => times, 2 => spans, 1 => lists, 4 => plain.prop_map(str::to_owned)]
}

fn predicate() -> impl Strategy<Value = String> {
    let any = atom().prop_recursive(2, 6, 2, |inner| {
        (inner.clone(), inner, prop::sample::select(vec!["AND", "AND", "OR", "AND NOT"]))
            .prop_map(|(a, b, op)| format!("({a}) {op} ({b})"))
    });
    prop_oneof![1 => Just("true".to_owned()), 4 => any]
}

/// Columns of the groups, and how to name them.
fn groups() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(
        vec![
            "source",
            "level",
            "date_bin(INTERVAL '1 minute', timestamp)",
            "date_bin(INTERVAL '5 minutes', timestamp, TIMESTAMP '2026-11-22T23:58:00Z')",
            "date_trunc('day', timestamp)",
            "CAST(timestamp AS DATE)",
            "CASE WHEN level = 'INFO' THEN source ELSE date_trunc('hour', timestamp)::varchar END",
            "date_trunc('second', timestamp)",
        ],
        0..3,
    )
}

fn queries(predicate: &str, groups: &[&str]) -> Vec<String> {
    let levels = "count(*) AS a, count(level) AS b, count(*) FILTER (WHERE level <> 'INFO') AS c";
    let sources = "count(source) AS d, count(message) AS e, count(source) FILTER (WHERE source = 'web') AS f";
    let named = groups.iter().enumerate().map(|(at, group)| format!("{group} AS g{at}"));
    let keys = named.collect::<Vec<_>>().join(", ");
    let by = (1..=groups.len()).map(|at| at.to_string()).collect::<Vec<_>>().join(", ");
    let (key, group_by) = if groups.is_empty() {
        (String::new(), String::new())
    } else {
        (format!("{keys}, "), format!(" GROUP BY {by}"))
    };
    let mut queries = vec![
        format!("SELECT {key}{levels} FROM logs WHERE {predicate}{group_by}"),
        format!(
            "SELECT {key}{sources} FROM (SELECT * FROM logs WHERE {predicate}) AS s{group_by} HAVING count(*) > 1"
        ),
    ];
    if !groups.is_empty() {
        queries.push(format!("SELECT DISTINCT {keys} FROM logs WHERE {predicate}"));
    }
    queries
}

async fn answer(session: Session, sql: &str) -> Vec<String> {
    let batches: Result<Vec<RecordBatch>, _> = match session.sql(sql).await {
        Ok(stream) => stream.try_collect().await,
        Err(error) => Err(error),
    };
    let batches = batches.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let text = pretty_format_batches(&batches).unwrap().to_string();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    // An empty answer may come without its columns.
    if batches.iter().all(|batch| batch.num_rows() == 0) { Vec::new() } else { lines }
}

/// How many queries were answered with the help of statistics, and how many of these read nothing.
#[derive(Default)]
struct Seen {
    counted: Cell<usize>,
    in_part: Cell<usize>,
    unread: Cell<usize>,
}

async fn check(pieces: Vec<Piece>, predicate: &str, groups: &[&str], seen: &Seen) {
    let fixture = Fixture::new();
    for piece in pieces {
        match piece.row_group_rows {
            Some(rows) => fixture.segment(&piece.rows, rows).await,
            None => fixture.buffer(&piece.rows),
        }
    }
    for sql in queries(predicate, groups) {
        let counted = answer(fixture.session(), &sql).await;
        let scanned = answer(fixture.scanning_session(), &sql).await;
        let plan = fixture.plan(&sql).await;
        assert_eq!(counted, scanned, "{sql}\n{plan}");
        let add = |cell: &Cell<usize>, holds: bool| cell.set(cell.get() + usize::from(holds));
        add(&seen.counted, plan.contains("StatisticsExec") && !plan.contains(" in 0 cells"));
        add(&seen.in_part, plan.contains("StatisticsExec") && !plan.contains(" 0 segments in part"));
        add(&seen.unread, plan.contains("StatisticsExec") && !plan.contains("DataSourceExec"));
    }
}

#[test]
fn a_statistics_answer_equals_the_scans() {
    let seen = Seen::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(ProptestConfig { cases: CASES, ..ProptestConfig::default() });
    let cases = (prop::collection::vec(piece(), 0..5), predicate(), groups());
    let run = runner.run(&cases, |(pieces, predicate, groups)| {
        runtime.block_on(check(pieces, &predicate, &groups, &seen));
        Ok(())
    });
    run.unwrap();
    // Equal answers say nothing unless statistics gave them.
    let (counted, in_part, unread) = (seen.counted.get(), seen.in_part.get(), seen.unread.get());
    assert!(
        counted > 10 && in_part > 0 && unread > 10,
        "{counted} counted, {in_part} in part, {unread} unread"
    );
}
