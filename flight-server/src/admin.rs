//! What an operator may ask of an open database: flush it, check it. The protocols carry the answers as JSON.

use std::sync::Arc;

use futures::StreamExt as _;
use ironbark_engine::{EngineStatus, FlushReport};
use ironbark_storage::{ManifestLog, Partition, TableRef, list_tables};
use object_store::ObjectStoreExt as _;
use serde::Serialize;

use crate::compaction;
use crate::node::Node;

/// Objects that are looked at at once.
const LOOKS_AT_ONCE: usize = 16;
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
    /// Problems found.
    pub(crate) problems_count: u64,
    /// The first of them.
    pub(crate) problems: Vec<String>,
    /// The write path.
    pub(crate) engine: EngineStatus,
}

/// Looks whether every manifest can be read and every segment that it names is there with its size.
pub(crate) async fn check(node: &Arc<Node>) -> Result<Checked, Error> {
    let engine = node.engine.status();
    let mut checked = Checked {
        ok: true,
        tables: 0,
        segments: 0,
        rows: 0,
        bytes: 0,
        problems_count: 0,
        problems: Vec::new(),
        engine,
    };
    if let Some(stopped) = checked.engine.stopped.clone() {
        checked.found(stopped);
    }
    for table in list_tables(&node.store).await? {
        checked.tables += 1;
        check_table(node, table, &mut checked).await?;
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

async fn check_table(node: &Arc<Node>, table: TableRef, checked: &mut Checked) -> Result<(), Error> {
    let log = ManifestLog::new(&node.store, table.clone(), node.ambient.clone());
    let manifest = match log.load().await {
        Ok(manifest) => manifest,
        Err(error) => {
            checked.found(error.to_string());
            return Ok(());
        }
    };
    let objects = node.store.tenant(&table.tenant);
    let looks = manifest.segments().cloned().map(|segment| {
        let objects = Arc::clone(&objects);
        let partition = Partition { table: table.clone(), day: segment.day };
        let key = ironbark_storage::key::segment(&partition, segment.id);
        async move {
            let found = objects.head(&key).await;
            (segment, key, found)
        }
    });
    let mut looks = futures::stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(LOOKS_AT_ONCE);
    while let Some((segment, key, found)) = looks.next().await {
        checked.segments += 1;
        checked.rows += segment.rows;
        checked.bytes += segment.bytes;
        match found {
            Ok(object) if object.size == segment.bytes => {}
            Ok(object) => checked.found(format!(
                "segment {key} has {} bytes, the manifest says {}: restore the object from a copy",
                object.size, segment.bytes
            )),
            Err(object_store::Error::NotFound { .. }) => {
                checked.found(format!("segment {key} is missing: restore the object from a copy"));
            }
            Err(error) => checked.found(format!("segment {key}: {error}")),
        }
    }
    Ok(())
}
