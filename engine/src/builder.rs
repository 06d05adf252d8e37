//! Opening an engine: lock, identity, epoch, recovery, in this order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ironbark_storage::{Ambient, Store, claim_epoch};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::admission::Budget;
use crate::config::EngineConfig;
use crate::disk::{Disk, LocalDisk};
use crate::engine::{Engine, Inner, Upkeep};
use crate::flush::FlushPace;
use crate::home::{self, DirLock};
use crate::ingest::{BufferSink, Intake};
use crate::names::TableNames;
use crate::once::{KeyFiles, OnceTable};
use crate::recovery::Replay;
use crate::table::{TABLES_MAX, TableMap};
use crate::wal::{Fsync, OnDamage, StartAt, WalOptions, recover};
use crate::{Error, Result};

/// Puts an engine together.
#[derive(Debug)]
pub struct EngineBuilder {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    lock: Option<DirLock>,
    store: Store,
    config: EngineConfig,
    ambient: Ambient,
    on_damage: OnDamage,
    upkeep: Upkeep,
}

impl EngineBuilder {
    /// An engine over a directory of this machine, which it locks. Fails with [`Error::Locked`].
    pub fn local(dir: &Path, store: Store) -> Result<Self> {
        let lock = Some(DirLock::take(dir)?);
        Ok(Self { lock, ..Self::on_disk(Arc::new(LocalDisk), dir, store) })
    }

    /// An engine over a disk double; the directory must exist and is not locked.
    pub fn on_disk(disk: Arc<dyn Disk>, dir: &Path, store: Store) -> Self {
        Self {
            dir: dir.to_owned(),
            disk,
            lock: None,
            store,
            config: EngineConfig::default(),
            ambient: Ambient::system(),
            on_damage: OnDamage::Refuse,
            upkeep: Upkeep::Background,
        }
    }

    /// Settings.
    pub fn config(mut self, config: EngineConfig) -> Self {
        self.config = config;
        self
    }

    /// Clock and randomness.
    pub fn ambient(mut self, ambient: Ambient) -> Self {
        self.ambient = ambient;
        self
    }

    /// What to do about a damaged WAL.
    pub fn on_damage(mut self, on_damage: OnDamage) -> Self {
        self.on_damage = on_damage;
        self
    }

    /// Starts no background task and does one thing at a time, so that a test can repeat a run: buffers are flushed
    /// only by [`Engine::flush`] and [`Engine::flush_due`].
    pub fn by_hand(mut self) -> Self {
        self.upkeep = Upkeep::ByHand;
        self
    }

    /// Claims an epoch, recovers what the WAL holds, and starts.
    pub async fn open(self) -> Result<Arc<Engine>> {
        let Self { dir, disk, lock, store, config, ambient, on_damage, upkeep } = self;
        config.check()?;
        let writer = home::identity(&*disk, &dir, &ambient)?;
        let epoch = claim_epoch(&store, writer, &ambient).await?;
        let (key_files, keys) = KeyFiles::open(Arc::clone(&disk), &dir)?;
        let once = Arc::new(OnceTable::new(config.idempotency_keys_max, config.idempotency_ms));
        for key in keys {
            once.restore(key, None);
        }
        let budget = Budget::new(config.buffer_bytes_max, Duration::from_millis(config.append_wait_ms));
        let intake = Arc::new(Intake::new(budget, config.flush_bytes));
        let tables = Arc::new(TableMap::new(store, ambient.clone(), TABLES_MAX));
        let options = wal_options(&dir, &config);
        let mut replay = Replay {
            runtime: Handle::current(),
            tables: Arc::clone(&tables),
            intake: Arc::clone(&intake),
            once: Arc::clone(&once),
            dir,
            writer,
            epochs: BTreeMap::new(),
            rows: 0,
        };
        let salt = u64::try_from(ambient.entropy.next_u128() >> 64).unwrap_or_default();
        let sink = BufferSink { intake: Arc::clone(&intake), epoch };
        let work = move || -> Result<_> {
            let recovery = recover(disk, options, on_damage, &mut |record| replay.record(record))?;
            replay.report(&recovery);
            replay.intake.set_applied(recovery.next_lsn());
            let report = recovery.report().clone();
            let wal = recovery.start(StartAt { epoch: epoch.get(), salt }, Box::new(sink))?;
            Ok((wal, report, replay.epochs))
        };
        let (wal, recovered, epochs) =
            tokio::task::spawn_blocking(work).await.map_err(|_| Error::TaskFailed { task: "recovery" })??;
        let inner = Inner {
            config,
            ambient,
            writer,
            epoch,
            tables,
            names: TableNames::default(),
            intake,
            once,
            key_files: Arc::new(key_files),
            wal: Arc::new(wal),
            epochs: Mutex::new(epochs),
            recovered,
            truncation: Mutex::default(),
            truncating: Arc::default(),
            pace: match upkeep {
                Upkeep::Background => FlushPace::default(),
                Upkeep::ByHand => FlushPace::one_by_one(),
            },
            _lock: lock,
        };
        if upkeep == Upkeep::Background {
            inner.warm_up().await;
        }
        Ok(Engine::start(inner, upkeep))
    }
}

fn wal_options(dir: &Path, config: &EngineConfig) -> WalOptions {
    WalOptions {
        file_bytes: config.wal_file_bytes,
        queue_bytes_max: config.wal_queue_bytes,
        reserve_bytes: config.disk_reserve_bytes,
        fsync: if config.fsync { Fsync::Always } else { Fsync::DangerouslyNever },
        ..WalOptions::new(dir.join(home::WAL_DIR))
    }
}
