//! The cache of slabs: in memory, and below it on a local disk, both bounded.
//!
//! ```text
//!   get ─► memory ─► disk (checksum, whole key) ─► nothing: the caller asks the store and puts what it got
//!   put ─► memory
//!     └──► disk, in the background; dropped where the disk does not keep up or is nearly full
//! ```
//!
//! Segments never change and their ids are never used twice, so nothing in here can become stale. Nothing that goes wrong with the
//! disk fails a query: a slab that cannot be read is not there, and a disk that fails often is left alone.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use foyer::{
    BlockEngineConfig, DeviceBuilder, FsDeviceBuilder, HybridCache, HybridCacheBuilder, HybridCachePolicy,
    PsyncIoEngineConfig, RecoverMode, Source, StorageFilter,
};
use ironbark_storage::{Ambient, Timestamp};
use parking_lot::RwLock;

use super::disk::{self, CacheDir, FREE_BYTES_MIN, FreeSpace, Generation, Layout};
use super::entry::{SlabBytes, SlabKey, weight};
use crate::QueryConfig;

/// Longest time that a start waits for what an earlier process left on disk, in milliseconds.
const OPEN_MS_MAX: u64 = 10_000;
/// Longest time that a read from disk may take, in milliseconds; the store is asked instead.
const READ_MS_MAX: u64 = 2_000;
/// Longest time that a stop waits for the last writes to disk, in milliseconds.
const CLOSE_MS_MAX: u64 = 5_000;
/// Reads from disk that may fail before it is left alone until the next generation.
const FAILURES_MAX: usize = 32;
/// How often it is looked whether the generation has become too old, in milliseconds.
const AGE_CHECK_MS: u64 = 60_000;
/// Slabs that wait to be written to disk, in bytes; what comes while they are so many is kept in memory alone. Two buffers of this
/// size are in use.
const WRITE_BUFFER_BYTES: usize = 32 << 20;
/// Files whose content is looked through at once at a start.
const RECOVERIES_MAX: usize = 8;

type Slabs = HybridCache<SlabKey, SlabBytes>;
type AnyError = Box<dyn Error + Send + Sync>;

/// From which tier a slab came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    Memory,
    Disk,
}

/// Bounded memory, and a bounded disk below it, for bytes of segments. One for a process.
#[derive(Debug)]
pub struct RangeCache {
    memory_bytes_max: usize,
    disk: Option<DiskSettings>,
    age_ms: u64,
    ambient: Ambient,
    current: RwLock<Current>,
    failures: AtomicUsize,
}

#[derive(Debug)]
struct DiskSettings {
    dir: CacheDir,
    layout: Layout,
}

/// The generation in use.
#[derive(Clone, Debug)]
struct Current {
    slabs: Slabs,
    born: Timestamp,
    /// `None` without a disk.
    dir: Option<PathBuf>,
}

impl RangeCache {
    /// Opens the cache as the settings say, with what an earlier process left on disk; `None` where they turn it off.
    /// `default_dir` is for a disk cache whose directory is not set. What hinders the disk is told in the log, and the
    /// cache is then in memory alone.
    pub async fn open(config: &QueryConfig, default_dir: &Path, ambient: &Ambient) -> Option<Arc<Self>> {
        let memory_bytes_max = config.range_cache_bytes;
        if memory_bytes_max == 0 {
            return None;
        }
        let root = config.disk_cache_dir.as_deref().unwrap_or(default_dir);
        let disk = match config.disk_cache_bytes {
            0 => None,
            bytes => CacheDir::take(root)
                .map(|dir| DiskSettings { dir, layout: Layout::of(bytes) })
                .inspect_err(|error| without_disk(root, error))
                .ok(),
        };
        let now = ambient.clock.now();
        let current = match in_memory(memory_bytes_max, now).await {
            Ok(current) => RwLock::new(current),
            Err(error) => {
                tracing::warn!(%error, "no cache of byte ranges");
                return None;
            }
        };
        let (age_ms, failures) = (config.disk_cache_age_ms, AtomicUsize::new(0));
        let cache =
            Arc::new(Self { memory_bytes_max, disk, age_ms, ambient: ambient.clone(), current, failures });
        if cache.disk.is_some() {
            cache.renew().await;
        }
        tokio::spawn(watch_age(Arc::downgrade(&cache)));
        Some(cache)
    }

    /// Begins a generation: what is on disk if it is young enough, else nothing.
    async fn renew(&self) {
        let now = self.ambient.clock.now();
        let opened = match &self.disk {
            None => in_memory(self.memory_bytes_max, now).await,
            Some(disk) => match self.on_disk(disk, now).await {
                Ok(opened) => Ok(opened),
                Err(error) => {
                    without_disk(disk.dir.root(), &error);
                    in_memory(self.memory_bytes_max, now).await
                }
            },
        };
        match opened {
            Ok(opened) => self.replace(opened).await,
            Err(error) => tracing::warn!(%error, "the cache of byte ranges stays as it is"),
        }
    }

    async fn on_disk(&self, disk: &DiskSettings, now: Timestamp) -> Result<Current, AnyError> {
        let Generation { dir, born } = disk.dir.generation(disk.layout, now, self.age_ms)?;
        let slabs = on_disk(&dir, disk.layout, self.memory_bytes_max);
        let slabs = tokio::time::timeout(Duration::from_millis(OPEN_MS_MAX), slabs).await??;
        Ok(Current { slabs, born, dir: Some(dir) })
    }

    async fn replace(&self, next: Current) {
        let before = std::mem::replace(&mut *self.current.write(), next);
        self.failures.store(0, Ordering::Relaxed);
        close(&before.slabs).await;
    }

    /// Begins a new generation if this one is too old. Bytes of segments that were deleted since go with the old one.
    pub(super) async fn renew_if_old(&self) {
        let born = self.current.read().born;
        if disk::is_old(born, self.ambient.clock.now(), self.age_ms) {
            self.renew().await;
        }
    }

    /// A slab, and where it was.
    pub(super) async fn get(self: &Arc<Self>, key: &SlabKey) -> Option<(Bytes, Tier)> {
        let slabs = self.slabs();
        let read = slabs.get(key);
        let found = tokio::time::timeout(Duration::from_millis(READ_MS_MAX), read).await;
        let found = match found {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                self.failed(&error.to_string());
                None
            }
            Err(_) => {
                self.failed("the disk does not answer");
                None
            }
        }?;
        let tier = if found.source() == Source::Disk { Tier::Disk } else { Tier::Memory };
        Some((found.value().0.clone(), tier))
    }

    pub(super) fn put(&self, key: SlabKey, bytes: Bytes) {
        self.slabs().insert(key, SlabBytes(bytes));
    }

    pub(super) fn remove(&self, key: &SlabKey) {
        self.slabs().remove(key);
    }

    fn slabs(&self) -> Slabs {
        self.current.read().slabs.clone()
    }

    /// Counts a failure of the disk; after too many of them the cache goes on in memory alone.
    fn failed(self: &Arc<Self>, error: &str) {
        metrics::counter!("ironbark_query_range_cache_failures_total").increment(1);
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::debug!(%error, failures, "a slab cannot be read from the disk cache; the store is asked");
        if failures == FAILURES_MAX {
            tracing::warn!(%error, "the disk cache fails too often and is left alone");
            let this = Arc::clone(self);
            tokio::spawn(async move {
                // Born as the one on disk, which is then deleted when it would have been.
                let born = this.current.read().born;
                if let Ok(next) = in_memory(this.memory_bytes_max, born).await {
                    this.replace(next).await;
                }
            });
        }
    }

    /// Writes what waits for the disk, for a bounded time. Later reads and writes go to memory.
    pub async fn close(&self) {
        close(&self.slabs()).await;
    }

    /// Memory that slabs take now, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.slabs().memory().usage()
    }

    /// Disk that slabs take now, in bytes. Looks at the disk.
    pub fn disk_bytes(&self) -> u64 {
        let dir = self.current.read().dir.clone();
        dir.map_or(0, |dir| disk::disk_bytes(&dir))
    }

    /// Waits until the disk has what was put.
    #[cfg(test)]
    pub(super) async fn written(&self) {
        self.slabs().storage().wait().await;
    }
}

async fn watch_age(cache: Weak<RangeCache>) {
    loop {
        tokio::time::sleep(Duration::from_millis(AGE_CHECK_MS)).await;
        let Some(cache) = cache.upgrade() else { return };
        cache.renew_if_old().await;
    }
}

async fn close(slabs: &Slabs) {
    match tokio::time::timeout(Duration::from_millis(CLOSE_MS_MAX), slabs.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the disk cache is not closed cleanly"),
        Err(_) => tracing::warn!("the disk cache takes too long to close"),
    }
}

fn builder(
    memory_bytes: usize,
) -> foyer::HybridCacheBuilderPhaseStorage<SlabKey, SlabBytes, foyer::DefaultHasher> {
    HybridCacheBuilder::new()
        .with_name("ironbark_ranges")
        .with_policy(HybridCachePolicy::WriteOnInsertion)
        .with_flush_on_close(false)
        .memory(memory_bytes)
        .with_weighter(weight)
        .storage()
        .with_io_engine_config(PsyncIoEngineConfig::new())
}

async fn in_memory(memory_bytes: usize, born: Timestamp) -> Result<Current, AnyError> {
    Ok(Current { slabs: builder(memory_bytes).build().await?, born, dir: None })
}

async fn on_disk(dir: &Path, layout: Layout, memory_bytes: usize) -> Result<Slabs, AnyError> {
    let (file_bytes, files) = (usize::try_from(layout.file_bytes)?, usize::try_from(layout.files)?);
    let device = FsDeviceBuilder::new(dir).with_capacity(file_bytes.saturating_mul(files)).build()?;
    let filter = StorageFilter::new().with_condition(FreeSpace::new(dir, FREE_BYTES_MIN));
    let engine = BlockEngineConfig::new(device)
        .with_block_size(file_bytes)
        .with_buffer_pool_size(WRITE_BUFFER_BYTES)
        .with_submit_queue_size_threshold(WRITE_BUFFER_BYTES)
        .with_recover_concurrency(RECOVERIES_MAX)
        .with_admission_filter(filter);
    Ok(builder(memory_bytes).with_engine_config(engine).with_recover_mode(RecoverMode::Quiet).build().await?)
}

fn without_disk(dir: &Path, error: &dyn std::fmt::Display) {
    metrics::counter!("ironbark_query_range_cache_failures_total").increment(1);
    tracing::warn!(dir = %dir.display(), %error, "no disk cache; byte ranges are cached in memory alone");
}
