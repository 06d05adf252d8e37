//! One table as the engine holds it: its manifest, its buffers, and the one task at a time that commits.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ironbark_storage::{Ambient, Manifest, ManifestLog, Snapshot, Store, TableRef, Timestamp};
use parking_lot::Mutex;

use crate::backoff::Backoff;
use crate::buffer::TableBuffers;
use crate::{Error, Result};

/// Tables in use that the engine keeps in memory.
const TABLES_MAX: usize = 65_536;

/// A manifest that was not read again for this long is read again before a snapshot is taken, in nanoseconds: segments
/// that it names may be gone after the compactor's grace. A clock that jumps, as after a sleep, counts too.
const STALE_NS: u64 = 300_000_000_000;

#[derive(Debug)]
pub(crate) struct TableState {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) buffers: TableBuffers,
    /// When the background task may flush the table again.
    pub(crate) backoff: Backoff,
    /// When the manifest was last known to be the newest.
    read_at: Timestamp,
}

impl TableState {
    /// Takes a manifest that was the newest at `read_at`, unless a later one is known.
    pub(crate) fn learn(&mut self, manifest: Arc<Manifest>, read_at: Timestamp) {
        if manifest.version() >= self.manifest.version() {
            self.manifest = manifest;
        }
        self.read_at = read_at;
    }
}

/// A table in use.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: TableRef,
    pub(crate) log: ManifestLog,
    /// Held for moments, never over an await.
    pub(crate) state: Mutex<TableState>,
    /// Held while this process commits.
    pub(crate) commit: tokio::sync::Mutex<()>,
    used_at_ns: AtomicI64,
}

impl Table {
    fn new(name: TableRef, ambient: &Ambient, manifest: Arc<Manifest>, log: ManifestLog) -> Self {
        let now = ambient.clock.now();
        let (buffers, backoff) = (TableBuffers::default(), Backoff::default());
        let state = Mutex::new(TableState { manifest, buffers, backoff, read_at: now });
        let used_at_ns = AtomicI64::new(now.ns());
        Self { name, log, state, commit: tokio::sync::Mutex::new(()), used_at_ns }
    }

    /// Notes that somebody reads the table now.
    pub(crate) fn touch(&self, now: Timestamp) {
        self.used_at_ns.store(now.ns(), Ordering::Relaxed);
    }

    /// When somebody last read it.
    pub(crate) fn used_at(&self) -> Timestamp {
        Timestamp::from_ns(self.used_at_ns.load(Ordering::Relaxed))
    }

    /// The table at this moment. The manifest and the buffers are taken under one lock.
    pub(crate) fn snapshot(&self, now: Timestamp) -> Snapshot {
        let state = self.state.lock();
        Snapshot::compose(Arc::clone(&state.manifest), state.buffers.views(), now)
    }

    /// Reads commits of others.
    pub(crate) async fn refresh(&self, now: Timestamp) -> Result<()> {
        let known = Arc::clone(&self.state.lock().manifest);
        let newest = self.log.refresh(&known).await?;
        self.state.lock().learn(newest, now);
        Ok(())
    }

    /// Whether the manifest is too old for a snapshot.
    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        let read_at = self.state.lock().read_at;
        now.ns().saturating_sub(read_at.ns()).unsigned_abs() > STALE_NS
    }
}

/// The tables in use.
#[derive(Debug)]
pub(crate) struct TableMap {
    store: Store,
    ambient: Ambient,
    tables: Mutex<HashMap<TableRef, Arc<Table>>>,
}

impl TableMap {
    pub(crate) fn new(store: Store, ambient: Ambient) -> Self {
        Self { store, ambient, tables: Mutex::default() }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// A table that exists, read from the store at its first use. `logs` exists for every tenant.
    pub(crate) async fn get(&self, name: &TableRef) -> Result<Arc<Table>> {
        if let Some(table) = self.tables.lock().get(name) {
            return Ok(Arc::clone(table));
        }
        let log = ManifestLog::new(&self.store, name.clone(), self.ambient.clone());
        let manifest = log.load().await?;
        if manifest.version() == 0 && !name.table.is_default() {
            let (tenant, table) = (name.tenant.to_string(), name.table.to_string());
            return Err(ironbark_storage::Error::TableNotFound { tenant, table }.into());
        }
        let mut tables = self.tables.lock();
        if tables.len() >= TABLES_MAX && !tables.contains_key(name) {
            return Err(Error::TooManyTables { limit: TABLES_MAX });
        }
        let made = || Arc::new(Table::new(name.clone(), &self.ambient, manifest, log));
        Ok(Arc::clone(tables.entry(name.clone()).or_insert_with(made)))
    }

    /// All tables in use.
    pub(crate) fn all(&self) -> Vec<Arc<Table>> {
        self.tables.lock().values().cloned().collect()
    }
}
