//! What an operator may ask of an open database: flush it, check it. The protocols carry the answers as JSON.

use std::sync::Arc;

use ironbark_engine::{EngineStatus, FlushReport};
use ironbark_storage::{Finding, TableRef, list_tables};
use serde::Serialize;

use crate::compaction;
use crate::node::Node;

/// Problems that a check tells; all are counted.
const PROBLEMS_TOLD_MAX: usize = 1_000;

/// Why an operator's wish failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The write path failed.
    #[error(transparent)]
    Engine(#[from] ironbark_engine::Error),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] ironbark_storage::Error),
    /// The compactor failed.
    #[error(transparent)]
    Compaction(#[from] compaction::Error),
}

/// What a flush did.
#[derive(Debug, Serialize)]
pub(crate) struct Flushed {
    /// From buffers to segments.
    pub(crate) flushed: FlushReport,
    /// Whether compaction was waited for: `settled`, `not waited for` or `off in this process`.
    pub(crate) compaction: &'static str,
}

/// Commits the rows in memory to segments; with `wait` also compacts until nothing more is to be done.
pub(crate) async fn flush(node: &Node, wait: bool) -> Result<Flushed, Error> {
    let flushed = node.engine.flush().await?;
    if !wait {
        return Ok(Flushed { flushed, compaction: "not waited for" });
    }
    let mut compaction = "settled";
    for table in list_tables(&node.store).await? {
        if !node.compaction.settle(&table).await? {
            compaction = "off in this process";
            break;
        }
        node.engine.refresh(&table).await?;
    }
    Ok(Flushed { flushed, compaction })
}

/// What a check found.
#[derive(Debug, Serialize)]
pub(crate) struct Checked {
    /// Whether everything is as it must be.
    pub(crate) ok: bool,
    /// Tables looked at.
    pub(crate) tables: u64,
    /// Segments looked at.
    pub(crate) segments: u64,
    /// Rows in them.
    pub(crate) rows: u64,
    /// Bytes of them.
    pub(crate) bytes: u64,
    /// Objects that no manifest names: a flush under way leaves some for a moment, the compactor collects the rest.
    pub(crate) orphans: u64,
    /// Problems found.
    pub(crate) problems_count: u64,
    /// The first of them.
    pub(crate) problems: Vec<String>,
    /// The write path.
    pub(crate) engine: EngineStatus,
}

/// Looks whether every manifest can be read, and every segment that it names is there with its size and its tail.
pub(crate) async fn check(node: &Arc<Node>) -> Result<Checked, Error> {
    let engine = node.engine.status();
    let mut checked = Checked {
        ok: true,
        tables: 0,
        segments: 0,
        rows: 0,
        bytes: 0,
        orphans: 0,
        problems_count: 0,
        problems: Vec::new(),
        engine,
    };
    if let Some(stopped) = checked.engine.stopped.clone() {
        checked.found(stopped);
    }
    for table in list_tables(&node.store).await? {
        checked.tables += 1;
        check_table(node, table, &mut checked).await;
    }
    Ok(checked)
}

impl Checked {
    fn found(&mut self, problem: String) {
        self.ok = false;
        self.problems_count += 1;
        if self.problems.len() < PROBLEMS_TOLD_MAX {
            self.problems.push(problem);
        }
    }
}

async fn check_table(node: &Arc<Node>, table: TableRef, checked: &mut Checked) {
    let report = match ironbark_storage::check_table(&node.store, &table, &node.ambient).await {
        Ok(report) => report,
        Err(error) => return checked.found(error.to_string()),
    };
    checked.segments += report.segments;
    checked.rows += report.rows;
    checked.bytes += report.bytes;
    checked.orphans += report.orphans_count;
    for Finding { object, problem } in &report.findings {
        checked.found(format!("{object}: {problem}; restore the object from a copy"));
    }
    // The report names only the first of many.
    let named = u64::try_from(report.findings.len()).unwrap_or(u64::MAX);
    checked.problems_count += report.findings_count.saturating_sub(named);
}
