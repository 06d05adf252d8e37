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
pub(crate) const TABLES_MAX: usize = 65_536;
/// One in so many tables goes when there is no room for another, so that room is not looked for each time.
const EVICTED_SHARE: usize = 16;
/// A table without rows in memory that nobody asked for during this time goes, in nanoseconds.
const EVICT_IDLE_NS: i64 = 3_600_000_000_000;

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
    asked_at_ns: AtomicI64,
}

impl Table {
    fn new(name: TableRef, ambient: &Ambient, manifest: Arc<Manifest>, log: ManifestLog) -> Self {
        let now = ambient.clock.now();
        let (buffers, backoff) = (TableBuffers::default(), Backoff::default());
        let state = Mutex::new(TableState { manifest, buffers, backoff, read_at: now });
        let (used_at_ns, asked_at_ns) = (AtomicI64::new(now.ns()), AtomicI64::new(now.ns()));
        Self { name, log, state, commit: tokio::sync::Mutex::new(()), used_at_ns, asked_at_ns }
    }

    /// Notes that somebody reads the table now.
    pub(crate) fn touch(&self, now: Timestamp) {
        self.used_at_ns.store(now.ns(), Ordering::Relaxed);
    }

    /// When somebody last read it.
    pub(crate) fn used_at(&self) -> Timestamp {
        Timestamp::from_ns(self.used_at_ns.load(Ordering::Relaxed))
    }

    /// When somebody last read it or wrote to it.
    fn asked_at(&self) -> Timestamp {
        Timestamp::from_ns(self.asked_at_ns.load(Ordering::Relaxed))
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

/// The tables in use. One that nobody holds and that has no rows in memory may go at any time: its next use reads
/// its manifest again. Idempotency keys are kept elsewhere and stay.
#[derive(Debug)]
pub(crate) struct TableMap {
    store: Store,
    ambient: Ambient,
    tables_max: usize,
    tables: Mutex<HashMap<TableRef, Arc<Table>>>,
}

impl TableMap {
    pub(crate) fn new(store: Store, ambient: Ambient, tables_max: usize) -> Self {
        Self { store, ambient, tables_max, tables: Mutex::default() }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// A table that exists, read from the store at its first use. `logs` exists for every tenant.
    pub(crate) async fn get(&self, name: &TableRef) -> Result<Arc<Table>> {
        let now = self.ambient.clock.now();
        if let Some(table) = self.tables.lock().get(name) {
            table.asked_at_ns.store(now.ns(), Ordering::Relaxed);
            return Ok(Arc::clone(table));
        }
        let log = ManifestLog::new(&self.store, name.clone(), self.ambient.clone());
        let manifest = log.load().await?;
        if manifest.version() == 0 && !name.table.is_default() {
            let (tenant, table) = (name.tenant.to_string(), name.table.to_string());
            return Err(ironbark_storage::Error::TableNotFound { tenant, table }.into());
        }
        let mut tables = self.tables.lock();
        if tables.len() >= self.tables_max && !tables.contains_key(name) {
            evict_oldest(&mut tables, (self.tables_max / EVICTED_SHARE).max(1));
            if tables.len() >= self.tables_max {
                return Err(Error::TooManyTables { limit: self.tables_max });
            }
        }
        let made = || Arc::new(Table::new(name.clone(), &self.ambient, manifest, log));
        Ok(Arc::clone(tables.entry(name.clone()).or_insert_with(made)))
    }

    /// All tables in use.
    pub(crate) fn all(&self) -> Vec<Arc<Table>> {
        self.tables.lock().values().cloned().collect()
    }

    /// Lets go of the tables that nobody asked for since long ago.
    pub(crate) fn evict_idle(&self, now: Timestamp) {
        let before = now.plus_ns(-EVICT_IDLE_NS);
        self.tables.lock().retain(|_, table| table.asked_at() >= before || !is_evictable(table));
    }
}

/// Whether the map alone knows the table, and nothing would be lost with it. New holders come through the map only,
/// so under its lock this stays true.
fn is_evictable(table: &Arc<Table>) -> bool {
    Arc::strong_count(table) == 1 && table.state.lock().buffers.open_partitions() == 0
}

/// Lets go of the tables that were not asked for longest, at most `count`.
fn evict_oldest(tables: &mut HashMap<TableRef, Arc<Table>>, count: usize) {
    let evictable = tables.values().filter(|table| is_evictable(table));
    let mut ages: Vec<_> = evictable.map(|table| (table.asked_at(), table.name.clone())).collect();
    if let Some(last) = ages.len().min(count).checked_sub(1) {
        ages.select_nth_unstable_by_key(last, |(asked_at, _)| *asked_at);
    }
    for (_, name) in ages.iter().take(count) {
        tables.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use ironbark_storage::clock::{Clock, ManualClock, SeededEntropy};

    use super::*;

    fn name(number: usize) -> TableRef {
        TableRef::logs(format!("acme/web/t{number}").parse().unwrap())
    }

    #[tokio::test]
    async fn tables_that_nobody_uses_make_room_for_others() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_ns(1)));
        let ambient = Ambient { clock: Arc::clone(&clock) as _, entropy: Arc::new(SeededEntropy::new(1)) };
        let tables = TableMap::new(Store::memory(), ambient, 4);
        for number in 0..100 {
            clock.advance_ns(1);
            tables.get(&name(number)).await.expect("idle tables make room");
        }
        clock.advance_ns(1);
        tables.get(&name(96)).await.unwrap();
        tables.get(&name(100)).await.unwrap();
        let kept = tables.all();
        assert_eq!(kept.len(), 4);
        assert!(
            !kept.iter().any(|table| table.name == name(97)),
            "the one that was not asked for longest goes"
        );
        let refused = tables.get(&name(101)).await.unwrap_err();
        insta::assert_snapshot!(refused, @"4 tables of this server are being read or have rows in memory, and no more can be; retry in a few seconds, when rows have come to their segments. If that does not help, write to fewer tables at once");
        assert!(refused.retry_after().is_some());
        drop(kept);
        let held = tables.get(&name(100)).await.unwrap();
        clock.advance_ns(EVICT_IDLE_NS + 1);
        tables.evict_idle(clock.now());
        assert_eq!(tables.all().len(), 1, "one that somebody holds stays");
        drop(held);
    }
}
