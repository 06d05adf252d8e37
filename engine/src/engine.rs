//! The engine: one handle over admission, WAL, buffers and flush.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use ironbark_storage::{
    Ambient, Epoch, LogBatch, Manifest, ManifestEdit, ManifestLog, RowId, Snapshot, TableName, TableRef,
    Tables, TenantId, WriterId, list_some_tables, list_tenant_tables,
};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::backoff::Backoff;
use crate::config::EngineConfig;
use crate::error::StopReason;
use crate::flush::{FlushPace, FlushReport, Urgency};
use crate::home::DirLock;
use crate::ingest::{Intake, Pending};
use crate::names::{Answer, TableNames};
use crate::once::{Claim, IdempotencyKey, KeyFiles, Once, OnceTable};
use crate::table::{TABLES_MAX, Table, TableMap};
use crate::wal::{Lsn, NewRecord, RecoveryReport, Wal};
use crate::{Error, Result, record};

/// Batches of more bytes are encoded on a thread that may work long: compression takes a millisecond for some 600 KB.
const ENCODE_INLINE_BYTES_MAX: usize = 256 * 1024;
/// How often the flusher looks for what is due, in milliseconds.
const FLUSH_TICK_MS: u64 = 200;
/// What a client that met too many partitions is told to wait, in milliseconds.
const PARTITIONS_RETRY_MS: u64 = 1_000;
/// A table that nobody read for this long is not refreshed, in nanoseconds.
const REFRESH_IDLE_NS: i64 = 300_000_000_000;
/// Manifests that are read again at once.
const REFRESHES_AT_ONCE_MAX: usize = 8;
/// Tenants whose manifests are read at the start.
const WARM_TENANTS_MAX: usize = 256;
/// The start waits for these manifests at most so long.
const WARM_UP_MS: u64 = 2_000;
/// Days that the rows of one append may fall on.
pub(crate) const DAYS_PER_APPEND_MAX: usize = 4096;

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is durable and visible.
    Fresh {
        /// Rows stored.
        rows: u64,
        /// The id of the first row; the others follow. `None` without rows.
        first_row: Option<RowId>,
    },
    /// It was done before under the same key: this was the answer.
    Repeated {
        /// [`Once::answer`] of the first append.
        answer: Bytes,
    },
}

/// The write path as an operator sees it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct EngineStatus {
    /// This start's epoch.
    pub epoch: Epoch,
    /// Rows in memory, in bytes of the budget.
    pub buffer_bytes: u64,
    /// The budget.
    pub buffer_bytes_max: u64,
    /// Partitions in memory, live and frozen.
    pub open_partitions: usize,
    /// Bytes of WAL files.
    pub wal_bytes: u64,
    /// Why appends are refused until an operator acts, if they are.
    pub stopped: Option<String>,
}

pub(crate) struct Inner {
    pub(crate) config: EngineConfig,
    pub(crate) ambient: Ambient,
    pub(crate) writer: WriterId,
    pub(crate) epoch: Epoch,
    pub(crate) tables: Arc<TableMap>,
    pub(crate) names: TableNames,
    pub(crate) intake: Arc<Intake>,
    pub(crate) once: Arc<OnceTable>,
    pub(crate) key_files: Arc<KeyFiles>,
    pub(crate) wal: Arc<Wal<Pending>>,
    /// The last record of each epoch that the WAL held at the start.
    pub(crate) epochs: Mutex<BTreeMap<Epoch, Lsn>>,
    pub(crate) recovered: RecoveryReport,
    /// When the background task may truncate the WAL again.
    pub(crate) truncation: Mutex<Backoff>,
    /// Held while the WAL is truncated and its keys are saved.
    pub(crate) truncating: Arc<Mutex<()>>,
    pub(crate) pace: FlushPace,
    pub(crate) _lock: Option<DirLock>,
}

/// The write path of one data directory. See the crate's documentation for what it promises.
pub struct Engine {
    inner: Arc<Inner>,
    stop: watch::Sender<bool>,
    tasks: tokio::sync::Mutex<Vec<JoinHandle<()>>>,
}

/// Who flushes what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upkeep {
    /// A task of the engine's own.
    Background,
    /// The caller, by [`Engine::flush_due`].
    ByHand,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("epoch", &self.inner.epoch).finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn start(inner: Inner, upkeep: Upkeep) -> Arc<Self> {
        let inner = Arc::new(inner);
        let (stop, stopped) = watch::channel(false);
        let tasks = match upkeep {
            Upkeep::Background => vec![
                tokio::spawn(run_flusher(Arc::clone(&inner), stopped.clone())),
                tokio::spawn(run_refresher(Arc::clone(&inner), stopped)),
            ],
            Upkeep::ByHand => Vec::new(),
        };
        Arc::new(Self { inner, stop, tasks: tokio::sync::Mutex::new(tasks) })
    }

    /// Makes a batch durable, visible and, under a key, unrepeatable. It is stored whole or not at all; when this
    /// returns, it is on the local disk. Dropping the future does not undo an append that has begun.
    ///
    /// Refused before anything is stored: unknown table, memory or disk full, key used with another body.
    pub async fn append(&self, table: &TableRef, batch: LogBatch, once: Option<Once>) -> Result<Appended> {
        let inner = &self.inner;
        if let Some(reason) = inner.intake.stopped() {
            return Err(Error::Stopped(reason));
        }
        let table = inner.tables.get(table).await?;
        let claimed = match once {
            None => None,
            Some(once) => match inner.once.claim(&table.name, once.clone(), inner.ambient.clock.now()).await?
            {
                Claim::Repeated(answer) => return Ok(Appended::Repeated { answer }),
                Claim::Mine(claimed) => Some((claimed, once)),
            },
        };
        if batch.num_rows() == 0 && claimed.is_none() {
            return Ok(Appended::Fresh { rows: 0, first_row: None });
        }
        inner.check_days(&batch)?;
        let memory = inner.intake.budget.reserve(batch.memory_bytes()).await?;
        let rows =
            u32::try_from(batch.num_rows()).map_err(|_| Error::BatchTooLarge { rows: batch.num_rows() })?;
        let (claimed, once) = claimed.unzip();
        let payload = encode(&table.name, &batch, once).await?;
        let new = NewRecord { kind: record::KIND_ROWS, rows, payload };
        let committed = inner.wal.append(new, Pending { table, batch, memory, claimed })?.await?;
        if let Some(reason @ StopReason::Unbuffered) = inner.intake.stopped() {
            return Err(Error::Stopped(reason));
        }
        metrics::counter!("ironbark_appended_rows_total").increment(u64::from(rows));
        let first_row = if rows == 0 { None } else { Some(RowId::new(inner.epoch, committed.first_seq)?) };
        Ok(Appended::Fresh { rows: u64::from(rows), first_row })
    }

    /// The answer that was given under a key, if any: lets a protocol answer before it decodes the body. Waits while
    /// the append of that key is under way.
    pub async fn recall(
        &self,
        table: &TableRef,
        key: &IdempotencyKey,
        body_hash: u128,
    ) -> Result<Option<Bytes>> {
        self.inner.once.recall(table, key, body_hash, self.inner.ambient.clock.now()).await
    }

    /// Waits a moment until the memory has room for a batch of about so many bytes, and fails if it stays full: lets a
    /// protocol refuse a body before it decodes it. What is not refused here may be refused by the append.
    pub async fn room_for(&self, batch_bytes: usize) -> Result<()> {
        self.inner.intake.budget.room_for(batch_bytes).await
    }

    /// Commits all rows that are in memory now to segments. Fails with the first table's error after every table had
    /// its turn; rows that could not be committed stay visible and durable, and the background task tries them again.
    pub async fn flush(&self) -> Result<FlushReport> {
        for table in self.inner.tables.all() {
            table.state.lock().buffers.freeze_all();
        }
        self.inner.flush_frozen(Urgency::Now).await
    }

    /// One round of what the background task does: commits the rows of buffers that are old, large or too many.
    pub async fn flush_due(&self) -> Result<FlushReport> {
        self.inner.freeze_due();
        self.inner.flush_frozen(Urgency::Now).await
    }

    /// Reads what other processes committed to a table.
    pub async fn refresh(&self, table: &TableRef) -> Result<()> {
        let now = self.inner.ambient.clock.now();
        self.inner.tables.get(table).await?.refresh(now).await
    }

    /// The write path as it is now.
    pub fn status(&self) -> EngineStatus {
        let inner = &self.inner;
        EngineStatus {
            epoch: inner.epoch,
            buffer_bytes: inner.intake.budget.used(),
            buffer_bytes_max: inner.intake.budget.limit(),
            open_partitions: inner.intake.open_partitions(),
            wal_bytes: inner.wal.bytes_on_disk(),
            stopped: inner.stopped().map(|error| error.to_string()),
        }
    }

    /// What the recovery at the start found.
    pub fn recovered(&self) -> &RecoveryReport {
        &self.inner.recovered
    }

    /// Flushes, ends the tasks and closes the WAL. Appends that come later are refused. Rows that could not be
    /// flushed stay in the WAL; the error says why.
    pub async fn shutdown(&self) -> Result<()> {
        // Nobody listens any more if the tasks have ended.
        let _ = self.stop.send(true);
        for task in self.tasks.lock().await.drain(..) {
            if task.await.is_err() {
                tracing::error!("a task of the engine ended by a panic");
            }
        }
        let wal = Arc::clone(&self.inner.wal);
        let close = tokio::task::spawn_blocking(move || wal.close());
        close.await.map_err(|_| Error::TaskFailed { task: "WAL close" })?;
        self.flush().await.map(|_| ())
    }
}

impl Inner {
    /// Why appends are refused until the process is restarted, if they are.
    fn stopped(&self) -> Option<Error> {
        self.intake.stopped().map(Error::Stopped).or_else(|| self.wal.stopped())
    }

    /// Refuses a batch that would open too many partitions, and any batch while too many are open.
    fn check_days(&self, batch: &LogBatch) -> Result<()> {
        let days = batch.days();
        if days > DAYS_PER_APPEND_MAX {
            return Err(Error::TooManyDays { days, limit: DAYS_PER_APPEND_MAX });
        }
        let limit = self.config.open_partitions_max.saturating_mul(2).max(DAYS_PER_APPEND_MAX);
        let open = self.intake.open_partitions();
        if open > limit {
            self.intake.frozen.notify_one();
            return Err(Error::TooManyPartitions { open, limit, retry_after_ms: PARTITIONS_RETRY_MS });
        }
        Ok(())
    }

    /// The names of a tenant's tables as the store has them now.
    async fn read_names(&self, tenant: &TenantId) -> ironbark_storage::Result<Vec<TableName>> {
        let now = self.ambient.clock.now();
        let listed = list_tenant_tables(self.tables.store(), tenant).await;
        if listed.is_err() {
            self.names.still_old(tenant);
        }
        let names = with_logs(listed?);
        self.names.put(tenant, names.clone(), now);
        Ok(names)
    }

    /// Reads the manifests of tables that will be asked for, so that first queries do not wait for them. It gives up when
    /// the time is over or the store fails: the first use of a table reads its manifest too.
    pub(crate) async fn warm_up(&self) {
        let learn = async {
            let now = self.ambient.clock.now();
            let tables = list_some_tables(self.tables.store(), WARM_TENANTS_MAX).await?;
            for of_tenant in tables.chunk_by(|one, next| one.tenant == next.tenant) {
                let names = of_tenant.iter().map(|table| table.table.clone()).collect();
                of_tenant.first().inspect(|table| self.names.put(&table.tenant, with_logs(names), now));
            }
            let loads = tables.iter().map(|table| self.tables.get(table));
            let loaded = stream::iter(loads)
                .buffer_unordered(REFRESHES_AT_ONCE_MAX)
                .try_fold(0, async |sum, _| Ok(sum + 1));
            loaded.await
        };
        match tokio::time::timeout(Duration::from_millis(WARM_UP_MS), learn).await {
            Ok(Ok::<u64, Error>(tables)) => tracing::debug!(tables, "manifests are read"),
            Ok(Err(error)) => tracing::warn!(%error, "manifests are not read yet; queries will do so"),
            Err(_) => {
                tracing::info!(limit_ms = WARM_UP_MS, "manifests are not all read yet; queries will do so");
            }
        }
    }

    /// Reads the manifests of tables again that somebody reads.
    async fn refresh_used(&self) {
        let now = self.ambient.clock.now();
        let is_used = |table: &Arc<Table>| now.ns().saturating_sub(table.used_at().ns()) <= REFRESH_IDLE_NS;
        let refresh = |table: Arc<Table>| async move {
            if let Err(error) = table.refresh(now).await {
                tracing::warn!(table = %table.name, %error, "the manifest could not be read again");
            }
        };
        let refreshes: Vec<_> = self.tables.all().into_iter().filter(is_used).map(refresh).collect();
        stream::iter(refreshes).buffer_unordered(REFRESHES_AT_ONCE_MAX).collect::<()>().await;
        self.once.forget_expired(now);
        self.tables.evict_idle(now);
    }
}

/// Every tenant has `logs`, also before its first row.
fn with_logs(mut names: Vec<TableName>) -> Vec<TableName> {
    names.push(TableName::default());
    names.sort();
    names.dedup();
    names
}

async fn run_flusher(inner: Arc<Inner>, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = inner.intake.frozen.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(FLUSH_TICK_MS)) => {}
        }
        inner.freeze_due();
        // Failures are logged, and tables that failed pause.
        let _ = inner.flush_frozen(Urgency::Background).await;
    }
}

async fn run_refresher(inner: Arc<Inner>, mut stopped: watch::Receiver<bool>) {
    let pause = Duration::from_millis(inner.config.manifest_refresh_ms);
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep(pause) => {}
        }
        tokio::select! {
            _ = stopped.changed() => return,
            () = inner.refresh_used() => {}
        }
    }
}

/// The payload of an append's record.
async fn encode(table: &TableRef, batch: &LogBatch, once: Option<Once>) -> Result<Vec<Bytes>> {
    if batch.memory_bytes() <= ENCODE_INLINE_BYTES_MAX {
        return Ok(record::encode(table, batch, once.as_ref())?);
    }
    let (table, batch) = (table.clone(), batch.clone());
    let encoded = tokio::task::spawn_blocking(move || record::encode(&table, &batch, once.as_ref())).await;
    Ok(encoded.map_err(|_| Error::TaskFailed { task: "encoding" })??)
}

#[async_trait]
impl Tables for Engine {
    async fn tables(&self, tenant: &TenantId) -> ironbark_storage::Result<Vec<TableName>> {
        match self.inner.names.get(tenant, self.inner.ambient.clock.now()) {
            Answer::Fresh(names) => Ok(names),
            Answer::Aging(names) => {
                let (inner, tenant) = (Arc::clone(&self.inner), tenant.clone());
                tokio::spawn(async move {
                    if let Err(error) = inner.read_names(&tenant).await {
                        tracing::warn!(%tenant, %error, "the names of tables could not be read again");
                    }
                });
                Ok(names)
            }
            Answer::Unknown => self.inner.read_names(tenant).await,
        }
    }

    async fn create_table(&self, table: &TableRef) -> ironbark_storage::Result<()> {
        let exists = || {
            let (tenant, table) = (table.tenant.to_string(), table.table.to_string());
            ironbark_storage::Error::TableExists { tenant, table }
        };
        if table.table.is_default() {
            return Err(exists());
        }
        let log = ManifestLog::new(self.inner.tables.store(), table.clone(), self.inner.ambient.clone());
        let empty = Arc::new(Manifest::empty(table.clone()));
        let created = log.commit(&empty, ManifestEdit::Create).await;
        self.inner.names.forget(&table.tenant);
        created.map(|_| ())
    }

    async fn snapshot(&self, table: &TableRef) -> ironbark_storage::Result<Snapshot> {
        match self.inner.tables.get(table).await {
            Ok(found) => {
                let now = self.inner.ambient.clock.now();
                found.touch(now);
                // While the store cannot be reached, rows in memory are still worth a look.
                if found.is_stale(now)
                    && let Err(error) = found.refresh(now).await
                {
                    tracing::warn!(%table, %error, "the manifest could not be read again");
                }
                Ok(found.snapshot(now))
            }
            Err(Error::Storage(error)) => Err(error),
            Err(_) => Err(ironbark_storage::Error::Limit {
                what: "the number of tables in use",
                limit: TABLES_MAX as u64,
                unit: "tables",
                advice: "retry in a few seconds; if that does not help, write to fewer tables at once",
            }),
        }
    }
}

#[cfg(test)]
mod tests;
