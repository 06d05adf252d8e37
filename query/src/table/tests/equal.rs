//! Property: a table split in any way over segments and buffers answers like one table in memory.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use ironbark_storage::LogSchema;
use proptest::prelude::*;

use crate::fixture::{Fixture, Row, SECOND, START};

/// Where rows lie.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) rows: Vec<Row>,
    /// Rows of a row group, or none for a buffer.
    pub(super) row_group_rows: Option<usize>,
    /// Whether frequent tags get columns of their own.
    pub(super) promoted: bool,
}

pub(in crate::table) fn row() -> impl Strategy<Value = Row> {
    let source = prop::sample::select(vec!["", "web", "db", "a'b"]);
    let level = prop::sample::select(vec!["", "INFO", "WARN", "odd"]);
    let message = prop::sample::select(vec![
        "",
        "started",
        "Failed: timeout",
        "x%y_z",
        "ünï",
        "x TIMEOUT y",
        "ΟΔΟΣ Straße",
        "took 7 ms",
        "took 123 ms",
        "took a7b ms",
    ]);
    let trace = prop::sample::select(vec!["", "", "A1", "a1", "b2", "ΟΔΟΣ"]);
    let key = prop::sample::select(vec!["env", "a.b", "A", "zz 'ü\""]);
    let value = prop::sample::select(vec!["prod", "9", "10", "", "NULL"]);
    let tags = prop::collection::btree_map(key, value, 0..4);
    // Three days in steps of six hours, with many equal times.
    (0..12i64, source, level, message, trace, tags).prop_map(|(step, source, level, message, trace, tags)| {
        let mut row = Row::new(0, source, level, message).trace(trace);
        row.at = START + step * 6 * 3600 * SECOND;
        tags.into_iter().fold(row, |row, (key, value)| match value {
            "NULL" => row.typed(key, "", 'z'),
            _ => row.tag(key, value),
        })
    })
}

fn piece() -> impl Strategy<Value = Piece> {
    (prop::collection::vec(row(), 1..12), prop::option::of(1..5usize), prop::bool::weighted(0.7))
        .prop_map(|(rows, row_group_rows, promoted)| Piece { rows, row_group_rows, promoted })
}

fn atom() -> impl Strategy<Value = String> {
    let time =
        (0..13i64, prop::sample::select(vec!["<", "<=", "=", ">", ">=", "<>"])).prop_map(|(step, op)| {
            format!("timestamp {op} to_timestamp_nanos({})", START + step * 6 * 3600 * SECOND)
        });
    let text = |column: &'static str, values: Vec<&'static str>| {
        let forms = vec!["= '{}'", "<> '{}'", "IN ('{}', 'db')", "LIKE '{}%'", "NOT LIKE '%{}'", "> '{}'"];
        (prop::sample::select(forms), prop::sample::select(values))
            .prop_map(move |(form, value)| format!("{column} {}", form.replace("{}", value)))
    };
    let plain = prop::sample::select(vec![
        "source IS NULL",
        "level IS NOT NULL",
        "tags['env'] IS NULL",
        "tags['a']['b'] > '9'",
        "CAST(tags['env'] AS VARCHAR) = tags['a.b']",
        "cardinality(map_keys(tags)) > 0",
        "tags['A'] || tags['env'] = 'prod9' OR source = 'web'",
        "cardinality(map_keys(tags)) > 1 AND tags['env'] <> '9'",
        "tags['zz ''ü\"'] IS NULL OR tags['none'] = 'x'",
        "tags[source] IS NULL",
        "_row_id % 2 = 0",
        "source || level = 'webINFO'",
        "ingested_at >= '2026-11-23T00:00:00Z'",
    ]);
    let searched = prop::sample::select(vec![
        "matches(message, 'timeout')",
        "matches(message, '-failed')",
        "matches(message, 'failed timeout OR straße')",
        "matches(message, '\"x timeout\"')",
        "matches(message, 'nothing')",
        "matches(message, 'οδο*')",
        "matches(message, 'x-tim* OR *meou*')",
        "search('timeout trace_id:a1')",
        "search('trace_id:in(a1, οδος)')",
        "search('started OR source:db')",
        "search('y_z -level:info')",
        "trace_id = 'A1'",
        "lower(trace_id) = 'a1'",
        "lower(trace_id) = 'οδος'",
        "trace_id IN ('b2', 'none')",
        "trace_id IS NULL",
        "message LIKE '%: timeout'",
        "message ILIKE '%X timeout Y%'",
        "lower(message) = 'x timeout y'",
    ]);
    prop_oneof![
        3 => time,
        4 => searched.prop_map(str::to_owned),
        2 => text("source", vec!["web", "db", "a''b", "nobody"]),
        2 => text("level", vec!["INFO", "WARN", "x"]),
        1 => text("message", vec!["started", "x%y", "ü"]),
        1 => text("tags['env']", vec!["prod", "9", "10"]),
        1 => plain.prop_map(str::to_owned),
    ]
}

pub(in crate::table) fn predicate() -> impl Strategy<Value = String> {
    atom().prop_recursive(3, 8, 2, |inner| {
        (inner.clone(), inner, prop::sample::select(vec!["AND", "OR", "AND NOT"]))
            .prop_map(|(a, b, op)| format!("({a}) {op} ({b})"))
    })
}

pub(in crate::table) fn queries(predicate: &str) -> Vec<String> {
    vec![
        format!("SELECT * FROM logs WHERE {predicate} ORDER BY _row_id"),
        format!("SELECT message, tags['env'] FROM logs WHERE {predicate} ORDER BY timestamp DESC, _row_id DESC LIMIT 5"),
        format!("SELECT message FROM logs WHERE {predicate} ORDER BY timestamp, _row_id LIMIT 3 OFFSET 2"),
        format!("SELECT message FROM (SELECT * FROM logs WHERE {predicate} ORDER BY timestamp DESC, _row_id LIMIT 4) WHERE level = 'INFO' ORDER BY timestamp LIMIT 2"),
        format!("SELECT max(message) AS m, source FROM logs WHERE {predicate} GROUP BY source, timestamp ORDER BY timestamp, m, source LIMIT 3"),
        format!("SELECT a.message FROM logs a JOIN logs b ON a.timestamp = b.timestamp AND a._row_id <> b._row_id WHERE b.level IN (SELECT level FROM logs WHERE {predicate}) ORDER BY a.timestamp DESC, a._row_id, b._row_id LIMIT 4"),
        format!("SELECT count(*), count(source), min(timestamp), max(timestamp), max(level) FROM logs WHERE {predicate}"),
        format!("SELECT tags['env'], tags['A'], count(*) FROM logs WHERE {predicate} GROUP BY 1, 2 ORDER BY 1, 2"),
        format!("SELECT DISTINCT tags['env'] AS e FROM logs WHERE {predicate} ORDER BY e LIMIT 2"),
        format!("SELECT source, level, count(*) FROM logs WHERE {predicate} GROUP BY 1, 2 ORDER BY 1, 2"),
        format!("SELECT a.message FROM logs a JOIN logs b ON a._row_id = b._row_id WHERE b.source IN (SELECT source FROM logs WHERE {predicate}) ORDER BY a._row_id"),
        "SELECT count(*), count(level), min(timestamp), max(timestamp), min(source), max(source), min(_row_id) FROM logs".to_owned(),
    ]
}

/// DataFusion's own table in memory, with our functions but none of our scan.
fn model(fixture: &Fixture, batches: &[RecordBatch]) -> SessionContext {
    let state = SessionStateBuilder::new_from_existing(fixture.engine.base.clone())
        .with_config(SessionConfig::new().with_target_partitions(1))
        .build();
    let context = SessionContext::new_with_state(state);
    let shown = LogSchema::shown();
    let places: Vec<usize> =
        shown.fields().iter().map(|field| LogSchema::stored().index_of(field.name()).unwrap()).collect();
    let batches = batches.iter().map(|batch| batch.project(&places).unwrap()).collect();
    let table = MemTable::try_new(shown, vec![batches]).unwrap();
    context.register_table("logs", Arc::new(table)).unwrap();
    context
}

pub(super) async fn check(pieces: Vec<Piece>, predicate: &str) {
    let fixture = Fixture::new();
    let mut all = Vec::new();
    for piece in pieces {
        let stored = fixture.stored(&piece.rows);
        all.extend(stored.iter().map(|(_, batch)| batch.clone()));
        match piece.row_group_rows {
            Some(rows) if piece.promoted => fixture.segment_stored(stored, rows).await,
            Some(rows) => fixture.segment_stored_in_map(stored, rows).await,
            None => fixture.buffer_stored(stored),
        }
    }
    let model = model(&fixture, &all);
    for sql in queries(predicate) {
        let expected = model.sql(&sql).await.unwrap().collect().await.unwrap();
        let expected = pretty_format_batches(&expected).unwrap().to_string();
        // The second session reads each segment in several partitions, and finds its end in memory.
        for session in [fixture.session(), fixture.splitting_session()] {
            let found = async { session.sql(&sql).await?.try_collect::<Vec<_>>().await };
            let found = found.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            let found = pretty_format_batches(&found).unwrap().to_string();
            // An empty answer has no columns to print in one of the two.
            if expected.lines().count() > 4 || found.lines().count() > 4 {
                assert_eq!(found, expected, "{sql}\n{}", fixture.plan(&sql).await);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn pruning_only_narrows(
        pieces in prop::collection::vec(piece(), 0..6),
        predicate in predicate(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(pieces, &predicate));
    }
}
