//! The simulated world: one store, one disk, one clock, and one server process after another over them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ironbark_compactor::{Compactor, CompactorConfig};
use ironbark_engine::disk::Disk;
use ironbark_engine::disk::sim::{Faults, SimDisk, SimRandom};
use ironbark_engine::{Engine, EngineBuilder, EngineConfig, Error, ErrorKind};
use ironbark_storage::clock::{Clock, ManualClock, SeededEntropy};
use ironbark_storage::store::sim::SimStore;
use ironbark_storage::{Ambient, DAY_NS, Store, TableRef, Tables, Timestamp, key};
use object_store::ObjectStore;
use object_store::path::Path as Key;

use crate::ledger::{Ledger, SeenRow};
use crate::process::{End, Process, PutTimes};
use crate::rows::{READ_TRIES_MAX, Reader};

pub(crate) const DATA_DIR: &str = "/data";
/// The simulated day on which a run starts.
pub(crate) const FIRST_DAY: i64 = 20_000;
const HOUR_NS: i64 = DAY_NS / 24;
/// Failed starts after which the store is left in peace.
const BAD_STARTS_MAX: u32 = 4;

/// What a run did, to see that it did enough.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) steps: u64,
    pub(crate) acked: u64,
    pub(crate) unknown: u64,
    pub(crate) refused: u64,
    pub(crate) disk_full: u64,
    pub(crate) repeated: u64,
    pub(crate) flushes: u64,
    pub(crate) failed_flushes: u64,
    pub(crate) kills: u64,
    pub(crate) power_losses: u64,
    pub(crate) merges: u64,
    pub(crate) collected: u64,
    pub(crate) orphans: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.acked += other.acked;
        self.unknown += other.unknown;
        self.refused += other.refused;
        self.disk_full += other.disk_full;
        self.repeated += other.repeated;
        self.flushes += other.flushes;
        self.failed_flushes += other.failed_flushes;
        self.kills += other.kills;
        self.power_losses += other.power_losses;
        self.merges += other.merges;
        self.collected += other.collected;
        self.orphans += other.orphans;
    }
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is killed: the machine goes on.
    Kill,
    /// The machine loses its power.
    PowerLoss,
}

pub(crate) struct World {
    pub(crate) random: SimRandom,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ambient: Ambient,
    pub(crate) sim: SimStore,
    pub(crate) disk: SimDisk,
    /// What the disk always does wrong: nothing, unless the run must fail.
    pub(crate) lies: Faults,
    pub(crate) config: EngineConfig,
    pub(crate) tables: Vec<TableRef>,
    /// Whether the table is there for sure; `logs` always is.
    pub(crate) created: Vec<bool>,
    /// Whether the run comes to its end: then nothing more goes wrong.
    is_concluding: bool,
    /// Whether reads of the store fail now and then.
    pub(crate) gets_fail: bool,
    pub(crate) engine: Option<Arc<Engine>>,
    pub(crate) process: Process,
    pub(crate) ledger: Ledger,
    pub(crate) counts: Counts,
    times: PutTimes,
    reader: Reader,
}

impl World {
    pub(crate) fn new(seed: u64, lies: Faults) -> Self {
        let mut random = SimRandom::new(seed);
        let clock = Arc::new(ManualClock::at(Timestamp::from_ns(FIRST_DAY * DAY_NS + 9 * HOUR_NS)));
        let entropy = Arc::new(SeededEntropy::new(random.next_u64()));
        let ambient = Ambient { clock: Arc::clone(&clock) as _, entropy };
        let sim = SimStore::new(random.next_u64());
        let disk = SimDisk::new(DATA_DIR);
        disk.set_faults(lies);
        let tenants =
            ["acme/web/prod", "acme/web/test"].map(|tenant| TableRef::logs(tenant.parse().unwrap()));
        let [logs, other] = tenants;
        let audit = TableRef { table: "audit".parse().unwrap(), ..logs.clone() };
        let tables = [logs, other, audit].into_iter().take(1 + random.below(3) as usize).collect::<Vec<_>>();
        let created = tables.iter().map(|table| table.table.is_default()).collect();
        let config = EngineConfig {
            wal_file_bytes: [8, 16, 64][random.below(3) as usize] << 10,
            disk_reserve_bytes: 64 << 10,
            buffer_bytes_max: [64 << 10, 4 << 20][random.below(2) as usize],
            flush_bytes: [8 << 10, 1 << 20][random.below(2) as usize],
            append_wait_ms: 0,
            flush_age_ms: [0, 3_600_000][random.below(2) as usize],
            open_partitions_max: [2, 512][random.below(2) as usize],
            // Runs take simulated weeks, and a key that is forgotten may be used anew.
            idempotency_ms: 400 * 24 * 3_600_000,
            ..EngineConfig::default()
        };
        let times = PutTimes::default();
        let process = Process::new(Arc::new(sim.clone()), Arc::clone(&clock) as _, Arc::clone(&times));
        Self {
            random,
            clock,
            ambient,
            sim,
            disk,
            lies,
            config,
            tables,
            created,
            is_concluding: false,
            gets_fail: false,
            engine: None,
            process,
            ledger: Ledger::default(),
            counts: Counts::default(),
            times,
            reader: Reader::default(),
        }
    }

    pub(crate) fn engine(&self) -> Arc<Engine> {
        Arc::clone(self.engine.as_ref().unwrap())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A store as a new process has it.
    pub(crate) fn new_process(&self) -> Process {
        Process::new(Arc::new(self.sim.clone()), Arc::clone(&self.clock) as _, Arc::clone(&self.times))
    }

    pub(crate) fn set_disk_faults(&self, faults: Faults) {
        let Faults { lying_file_sync, lying_dir_sync, .. } = self.lies;
        self.disk.set_faults(Faults { lying_file_sync, lying_dir_sync, ..faults });
    }

    /// Bytes of all files.
    pub(crate) fn disk_used(&self) -> u64 {
        const UNLIMITED: u64 = 1 << 50;
        UNLIMITED - self.disk.free_bytes(DATA_DIR.as_ref()).unwrap_or(UNLIMITED)
    }

    /// Whether the process has ended by itself, at an operation that was chosen before.
    pub(crate) fn has_ended(&self) -> bool {
        self.process.is_dead() || self.disk.list(DATA_DIR.as_ref()).is_err()
    }

    /// Ends the process, if it has not ended yet, and starts the next one, which may end while it starts.
    pub(crate) async fn restart(&mut self, ending: Ending) -> Result<(), String> {
        let mut ending = ending;
        for start in 0.. {
            self.end(ending);
            let calm = self.is_concluding || start >= BAD_STARTS_MAX;
            if calm {
                self.calm().await;
            }
            match self.start(calm).await {
                Ok(engine) => {
                    self.engine = Some(engine);
                    self.check().await?;
                    self.ledger.settle();
                    return Ok(());
                }
                Err(_) if self.has_ended() => {}
                Err(error) if error.kind() == ErrorKind::Retry && !calm => {}
                Err(error) => return Err(format!("the engine does not start: {error}")),
            }
            ending = self.draw_ending();
        }
        Ok(())
    }

    /// Ends the faults of the store.
    pub(crate) async fn calm(&mut self) {
        self.sim.calm().await;
        self.gets_fail = false;
    }

    pub(crate) fn draw_ending(&mut self) -> Ending {
        if self.random.one_in(2) { Ending::Kill } else { Ending::PowerLoss }
    }

    fn end(&mut self, ending: Ending) {
        // First the disk, so that nothing of the old process reaches it any more.
        self.disk = match ending {
            Ending::Kill => self.disk.kill(),
            Ending::PowerLoss => self.disk.crash(self.random.next_u64()),
        };
        match ending {
            Ending::Kill => self.counts.kills += 1,
            Ending::PowerLoss => self.counts.power_losses += 1,
        }
        self.engine = None;
        self.set_disk_faults(Faults::default());
        self.process = self.new_process().with_disk(self.disk.clone(), self.lies);
    }

    async fn start(&mut self, calm: bool) -> Result<Arc<Engine>, Error> {
        if !calm && self.random.one_in(4) {
            let at = 1 + self.random.below(12);
            match self.random.below(3) {
                0 => self.process.end_at(End::Before(at)),
                1 => self.process.end_at(End::After(at)),
                _ => self.set_disk_faults(Faults { crash_at_operation: Some(at), ..Faults::default() }),
            }
        }
        let store = Store::from_object_store(Arc::new(self.process.clone()), Key::default(), "sim:");
        EngineBuilder::on_disk(Arc::new(self.disk.clone()), DATA_DIR.as_ref(), store)
            .config(self.config.clone())
            .ambient(self.ambient.clone())
            .by_hand()
            .open()
            .await
    }

    /// Compares what every reader sees with the ledger.
    pub(crate) async fn check(&mut self) -> Result<(), String> {
        let objects: Arc<dyn ObjectStore> = Arc::new(self.sim.clone());
        let mut seen: BTreeMap<usize, Vec<SeenRow>> = BTreeMap::new();
        for (number, table) in self.tables.clone().iter().enumerate().filter(|(at, _)| self.created[*at]) {
            let snapshot = match self.engine().snapshot(table).await {
                Ok(snapshot) => snapshot,
                // The first look at a table needs the store: without it there is nothing to compare.
                Err(error) if error.kind() == ErrorKind::Retry => return Ok(()),
                Err(error) => return Err(format!("no snapshot of {table}: {error}")),
            };
            if snapshot.table() != table {
                return Err(format!("a snapshot of {} instead of {table}", snapshot.table()));
            }
            let read = match self.reader.read(&objects, &snapshot).await {
                // The engine may have failed to notice that a segment was replaced.
                Err(_) if self.gets_fail => {
                    let mut tried = 0;
                    while let Err(error) = self.engine().refresh(table).await {
                        tried += 1;
                        if tried > READ_TRIES_MAX || self.process.is_dead() {
                            return if self.process.is_dead() { Ok(()) } else { Err(error.to_string()) };
                        }
                    }
                    let snapshot = self.engine().snapshot(table).await.map_err(|error| error.to_string())?;
                    self.reader.read(&objects, &snapshot).await?
                }
                read => read?,
            };
            seen.insert(number, read);
        }
        self.ledger.check(&seen)
    }

    /// The end of a run: without faults everything can be flushed, merged and read again, and no garbage stays.
    pub(crate) async fn conclude(&mut self) -> Result<(), String> {
        self.is_concluding = true;
        self.restart(Ending::PowerLoss).await?;
        self.engine().flush().await.map_err(|error| format!("the last flush failed: {error}"))?;
        let status = self.engine().status();
        if (status.buffer_bytes, status.open_partitions) != (0, 0) {
            return Err(format!("memory is in use after a flush: {status:?}"));
        }
        let compactor = self.compactor(self.new_process());
        for table in self.tables.clone() {
            compactor.settle(&table).await.map_err(|error| format!("cannot settle {table}: {error}"))?;
        }
        for _ in 0..2 {
            self.clock.advance_ns(25 * HOUR_NS);
            let report = compactor.run_once().await.map_err(|error| format!("the last round: {error}"))?;
            if !report.failures.is_empty() {
                return Err(format!("the last round: {report:?}"));
            }
            self.counts.collected += report.removed_deleted;
            self.counts.orphans += report.orphans_deleted;
        }
        self.restart(Ending::PowerLoss).await?;
        self.reader.forget();
        self.check().await?;
        self.check_objects().await
    }

    /// Every segment object is named by a manifest.
    async fn check_objects(&self) -> Result<(), String> {
        use futures::TryStreamExt;
        let mut named = std::collections::HashSet::new();
        for table in &self.tables {
            let snapshot = match self.engine().snapshot(table).await {
                Ok(snapshot) => snapshot,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error.to_string()),
            };
            if !snapshot.buffers().is_empty() {
                return Err(format!("{table} has buffers after everything was flushed"));
            }
            named.extend(snapshot.manifest().segments().map(|segment| segment.id));
        }
        let objects: Vec<_> = self.sim.list(None).try_collect().await.map_err(|error| error.to_string())?;
        let garbage = objects
            .iter()
            .find(|object| key::parse_segment(&object.location).is_some_and(|(_, id)| !named.contains(&id)));
        garbage.map_or(Ok(()), |object| Err(format!("{} is garbage that stays", object.location)))
    }

    pub(crate) fn compactor(&self, process: Process) -> Compactor {
        let mut config = CompactorConfig { quiet_ms: 60_000, ..CompactorConfig::default() };
        config.policy.inputs_min = 2;
        let store = Store::from_object_store(Arc::new(process), Key::default(), "sim:");
        Compactor::new(config, store, self.ambient.clone())
    }
}
