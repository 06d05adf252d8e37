//! SQL logic tests: what each statement answers, in `tests/slt/*.slt`, over the rows of `tests/slt/rows.ndjson`.
//!
//! ```text
//!   rows.ndjson ─► engine ─┬─ buffered: all rows in memory ────────────────────────────┐
//!                          └─ settled: flushed thrice, compacted, garbage collected ───┴─► every file, equal answers
//! ```
//!
//! Files only read, or create tables, so that each can run on both. `IRONBARK_SLT_UPDATE=1` writes what the buffered
//! run answers into the files; read the difference before you keep it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails where it stands")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use futures::TryStreamExt;
use ironbark_compactor::{Compactor, CompactorConfig};
use ironbark_engine::{Engine, EngineBuilder};
use ironbark_query::{QueryConfig, QueryEngine, Session, StatementKind};
use ironbark_storage::clock::ManualClock;
use ironbark_storage::{
    Ambient, LogBatch, LogBatchBuilder, RowRef, Store, TableRef, TagKind, TagSet, TenantId, TimeWindow,
    Timestamp,
};
use serde_json::Value;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};
use tempfile::TempDir;

/// 2026-11-25T12:00:00Z: when the rows arrive, and what `now()` is.
const NOW_NS: i64 = 1_795_608_000_000_000_000;
/// Lines of `rows.ndjson` that go in at once.
const BATCH_LINES: usize = 40;

/// Where the rows lie when the statements run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Buffered,
    Settled,
}

/// A whole database in this process.
struct Database {
    engine: Arc<Engine>,
    session: Session,
    _dir: TempDir,
}

impl Database {
    async fn new(place: Place) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::memory();
        let now = Timestamp::from_ns(NOW_NS);
        let ambient = Ambient { clock: Arc::new(ManualClock::at(now)), ..Ambient::seeded(now, 1) };
        let builder = EngineBuilder::local(dir.path(), store.clone()).unwrap().ambient(ambient.clone());
        let engine = builder.open().await.unwrap();
        let table = TableRef::logs(TenantId::default());
        for batch in rows() {
            engine.append(&table, batch, None).await.unwrap();
            if place == Place::Settled {
                engine.flush().await.unwrap();
            }
        }
        if place == Place::Settled {
            let compactor = Compactor::new(CompactorConfig::default(), store.clone(), ambient.clone());
            compactor.settle(&table).await.unwrap();
            engine.refresh(&table).await.unwrap();
        }
        let config = QueryConfig { partitions: 2, ..QueryConfig::default() };
        let query = QueryEngine::new(config, store, Arc::clone(&engine) as _, ambient, None).unwrap();
        Self { engine, session: query.session(&TenantId::default()), _dir: dir }
    }

    /// How many segments there are.
    async fn segments(&self) -> usize {
        let stream = self.session.sql("SHOW SEGMENTS").await.unwrap();
        let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
        batches.iter().map(RecordBatch::num_rows).sum()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("slt")
}

/// The rows of `rows.ndjson` in batches, tags flattened as ingestion does.
fn rows() -> Vec<LogBatch> {
    let text = std::fs::read_to_string(folder().join("rows.ndjson")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut builder = LogBatchBuilder::new(Timestamp::from_ns(NOW_NS), TimeWindow::default());
    let mut tags = TagSet::new();
    let mut batches = Vec::new();
    for lines in lines.chunks(BATCH_LINES) {
        for line in lines {
            let row: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| row.get(name).and_then(Value::as_str);
            flatten("", row.get("tags").unwrap_or(&Value::Null), &mut tags);
            let at = chrono::DateTime::parse_from_rfc3339(text("timestamp").unwrap()).unwrap();
            let row = RowRef {
                timestamp: at.timestamp_nanos_opt().map(Timestamp::from_ns),
                source: text("source"),
                level: text("level"),
                message: text("message").unwrap(),
                trace_id: text("trace_id"),
                span_id: text("span_id"),
            };
            builder.push(row, &mut tags).unwrap();
        }
        batches.push(builder.finish().unwrap());
    }
    batches
}

fn flatten(path: &str, value: &Value, tags: &mut TagSet) {
    match value {
        Value::Object(fields) if path.is_empty() || !fields.is_empty() => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, tags);
            }
        }
        Value::Null if path.is_empty() => {}
        Value::Null => tags.push(path, None, TagKind::Null),
        Value::Bool(value) => tags.push(path, Some(&value.to_string()), TagKind::Bool),
        Value::Number(value) => tags.push(path, Some(&value.to_string()), TagKind::Number),
        Value::String(value) => tags.push(path, Some(value), TagKind::String),
        other => tags.push(path, Some(&other.to_string()), TagKind::Json),
    }
}

/// A connection of the runner.
struct Connection(Session);

#[async_trait]
impl AsyncDB for Connection {
    type Error = ironbark_query::Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Self::Error> {
        let statement = self.0.prepare(sql).await?;
        let batches: Vec<RecordBatch> = statement.run(Vec::new()).await?.try_collect().await?;
        if statement.kind() == StatementKind::Update {
            return Ok(DBOutput::StatementComplete(0));
        }
        let types = vec![DefaultColumnType::Text; statement.schema().fields().len()];
        Ok(DBOutput::Rows { types, rows: batches.iter().flat_map(texts).collect() })
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &'static str {
        "ironbark"
    }
}

fn texts(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::new().with_null("NULL");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    let cell = |text: String| if text.is_empty() { "(empty)".to_owned() } else { text.replace('\n', "\\n") };
    (0..batch.num_rows())
        .map(|row| columns.iter().map(|column| cell(column.value(row).to_string())).collect())
        .collect()
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "slt"));
    files.sort();
    files
}

async fn check(place: Place) {
    let database = Database::new(place).await;
    // One segment for each of the three days once all is settled, none before.
    assert_eq!(database.segments().await, if place == Place::Settled { 3 } else { 0 });
    for file in files() {
        let session = database.session.clone();
        let mut runner = Runner::new(|| std::future::ready(Ok(Connection(session.clone()))));
        if place == Place::Buffered && std::env::var_os("IRONBARK_SLT_UPDATE").is_some() {
            let (validator, normalizer) = (sqllogictest::default_validator, sqllogictest::default_normalizer);
            let column_validator = sqllogictest::default_column_validator;
            runner.update_test_file(&file, " ", validator, normalizer, column_validator).await.unwrap();
        } else if let Err(error) = runner.run_file_async(&file).await {
            panic!("{place:?}: {}", error.display(false));
        }
    }
    database.engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn buffered_and_settled_rows_answer_alike() {
    check(Place::Buffered).await;
    check(Place::Settled).await;
}

/// The statements in the fenced SQL of the manual.
fn manual() -> Vec<String> {
    let text = std::fs::read_to_string(folder().join("../../docs/SQL.md")).unwrap();
    let fenced = text.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    fenced.flat_map(|sql| sql.split(";\n")).filter(|sql| !sql.trim().is_empty()).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_examples_of_the_manual_run() {
    let database = Database::new(Place::Buffered).await;
    let statements = manual();
    assert!(statements.len() > 20);
    for sql in statements {
        if let Err(error) = Connection(database.session.clone()).run(&sql).await {
            panic!("{sql}: {error}");
        }
    }
}

#[test]
fn there_are_enough_records() {
    let text: String = files().iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let records = text.lines().filter(|line| line.starts_with("query") || line.starts_with("statement"));
    assert!(records.count() >= 60);
}
