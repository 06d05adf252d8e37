//! What may happen in one step of a run, drawn from its seed.

use bytes::Bytes;
use ironbark_engine::disk::sim::Faults;
use ironbark_engine::{Appended, Error, Once};
use ironbark_storage::store::sim::{Fault, Operation};
use ironbark_storage::{DAY_NS, ErrorKind, Tables};

use crate::ledger::{Fate, Keyed, Sent};
use crate::process::End;
use crate::rows::batch;
use crate::world::{Ending, FIRST_DAY, World};

const MINUTE_NS: i64 = 60_000_000_000;
/// Rows of an append.
const ROWS_MAX: u64 = 12;
/// Days on which rows fall.
const DAYS: u64 = 3;

impl World {
    /// One step. Returns what it did, for whoever looks into a failure.
    pub(crate) async fn step(&mut self) -> Result<String, String> {
        self.counts.steps += 1;
        let did = match self.random.below(100) {
            0..40 => self.append_step().await?,
            40..48 => self.repeat_step().await?,
            48..58 => self.flush_step().await,
            58..64 => self.flush_due_step().await,
            64..71 => self.compact_step().await?,
            71..76 => self.wait_step(),
            76..80 => self.end_step().await?,
            80..88 => self.aim_step(),
            88..92 => self.store_weather_step().await,
            92..95 => self.disk_step(),
            95..97 => self.break_step(),
            97..98 => self.shutdown_step().await?,
            _ => self.create_step().await?,
        };
        if self.has_ended() {
            let ending = self.draw_ending();
            self.restart(ending).await?;
            return Ok(format!("{did}; the process ended: {ending:?}"));
        }
        // An operator restarts a server that takes no more rows, sooner or later.
        if self.engine().status().stopped.is_some() && self.random.one_in(3) {
            self.restart(Ending::Kill).await?;
        }
        self.check().await?;
        Ok(did)
    }

    async fn append_step(&mut self) -> Result<String, String> {
        let table = self.random.below(self.tables.len() as u64) as usize;
        let number = self.ledger.sent.len();
        let keyed = self.random.one_in(3);
        let rows = if keyed && self.random.one_in(12) { 0 } else { 1 + self.random.below(ROWS_MAX) };
        let day = FIRST_DAY - self.random.below(DAYS) as i64;
        let rows: Vec<_> =
            (0..rows).map(|row| (self.timestamp(day), self.message(table, number, row))).collect();
        let keyed = keyed.then(|| Keyed { key: format!("key-{number}"), answer: format!("answer {number}") });
        let fate = Fate::Refused;
        let number = self.ledger.send(Sent { table, rows, keyed, fate });
        self.send(number).await
    }

    fn timestamp(&mut self, day: i64) -> i64 {
        // Some rows come from far away, and some from the very edges of a day.
        let day = if self.random.one_in(10) { day - self.random.below(3) as i64 } else { day };
        let within = match self.random.below(8) {
            0 => 0,
            1 => DAY_NS - 1,
            _ => self.random.below(DAY_NS as u64) as i64,
        };
        day * DAY_NS + within
    }

    fn message(&mut self, table: usize, append: usize, row: u64) -> String {
        let length = if self.random.one_in(20) { 3_000 } else { self.random.below(40) as usize };
        format!("t{table}-{append}-{row} {}", "x".repeat(length))
    }

    /// Sends an append that is [`Fate::Refused`] so far, and notes what is known of it then.
    async fn send(&mut self, number: usize) -> Result<String, String> {
        let sent = self.ledger.sent[number].clone();
        let rows = batch(&sent.rows, self.now());
        let once = sent.keyed.as_ref().map(|keyed| once(keyed, number as u128));
        let appended = self.engine().append(&self.tables[sent.table], rows, once).await;
        let fate = match &appended {
            Ok(Appended::Fresh { rows, first_row }) => {
                if *rows != sent.rows.len() as u64 || first_row.is_some() == sent.rows.is_empty() {
                    return Err(format!("append {number} was answered with {appended:?}"));
                }
                self.counts.acked += 1;
                Fate::There { first: first_row.map_or(0, ironbark_storage::RowId::get) }
            }
            Ok(Appended::Repeated { .. }) => {
                return Err(format!("append {number} was never stored and answered with {appended:?}"));
            }
            Err(Error::WalPoisoned { .. } | Error::WalClosed) => {
                self.counts.unknown += 1;
                Fate::Unknown
            }
            Err(error) => {
                self.counts.refused += 1;
                self.counts.disk_full += u64::from(matches!(error, Error::WalDiskFull { .. }));
                self.expect_known(error)?;
                Fate::Refused
            }
        };
        self.ledger.sent[number].fate = fate;
        Ok(format!("append {number} of {} rows to table {}: {appended:?}", sent.rows.len(), sent.table))
    }

    /// Only refusals that a step can explain are fine.
    fn expect_known(&self, error: &Error) -> Result<(), String> {
        match error.kind() {
            ErrorKind::Retry => Ok(()),
            ErrorKind::NotFound if self.created.contains(&false) => Ok(()),
            _ => Err(format!("an append was refused: {error}")),
        }
    }

    async fn repeat_step(&mut self) -> Result<String, String> {
        let keyed = self.ledger.keyed();
        let Some(number) = keyed.get(self.random.below(keyed.len() as u64) as usize).copied() else {
            return Ok("nothing to repeat".to_owned());
        };
        let sent = self.ledger.sent[number].clone();
        let (Some(mut keyed), table) = (sent.keyed.clone(), self.tables[sent.table].clone()) else {
            return Ok("no key".to_owned());
        };
        let original = keyed.answer.clone();
        match sent.fate {
            Fate::Unknown => return Ok(format!("the fate of {number} is open")),
            Fate::Refused => return self.send(number).await.map(|did| format!("again: {did}")),
            Fate::There { .. } => {}
        }
        "another answer".clone_into(&mut keyed.answer);
        let other_body = self.random.one_in(4);
        let hash = if other_body { u128::MAX } else { number as u128 };
        let recalled = self.engine().recall(&table, &keyed.key.parse().unwrap(), hash).await;
        let appended =
            self.engine().append(&table, batch(&sent.rows, self.now()), Some(once(&keyed, hash))).await;
        match (&recalled, &appended) {
            (Err(Error::KeyReused { .. }), Err(_)) if other_body => {}
            (Ok(Some(recalled)), Ok(Appended::Repeated { answer }))
                if !other_body && *answer == original && *recalled == original => {}
            // A table is looked up before the key.
            (Ok(Some(_)), Err(Error::Storage(_))) if !other_body => {}
            _ => return Err(format!("append {number} repeated: {recalled:?}, {appended:?}")),
        }
        self.counts.repeated += 1;
        Ok(format!("append {number} repeated: {appended:?}"))
    }

    async fn flush_step(&mut self) -> String {
        let flushed = self.engine().flush().await;
        self.count_flush(flushed.is_ok());
        format!("flush: {flushed:?}")
    }

    async fn flush_due_step(&mut self) -> String {
        let flushed = self.engine().flush_due().await;
        self.count_flush(flushed.is_ok());
        format!("flush of what is due: {flushed:?}")
    }

    fn count_flush(&mut self, ok: bool) {
        self.counts.flushes += u64::from(ok);
        self.counts.failed_flushes += u64::from(!ok);
    }

    async fn compact_step(&mut self) -> Result<String, String> {
        let process = self.new_process();
        if self.random.one_in(4) {
            process.end_at(self.draw_end(60));
        }
        let compactor = self.compactor(process.clone());
        let done = if self.random.one_in(2) {
            compactor.run_once().await
        } else {
            let table = self.random.below(self.tables.len() as u64) as usize;
            compactor.settle(&self.tables[table]).await
        };
        if let Ok(report) = &done {
            self.counts.merges += report.merges;
            self.counts.collected += report.removed_deleted;
            self.counts.orphans += report.orphans_deleted;
        }
        match &done {
            Err(error) if !matches!(error.kind(), ErrorKind::Retry) => {
                Err(format!("the compactor failed: {error}"))
            }
            _ => Ok(format!("compactor: {done:?}")),
        }
    }

    fn wait_step(&mut self) -> String {
        let minutes = [1, 20, 70, 7 * 60, 25 * 60][self.random.below(5) as usize];
        self.clock.advance_ns(minutes * MINUTE_NS);
        format!("{minutes} minutes pass")
    }

    async fn end_step(&mut self) -> Result<String, String> {
        let ending = self.draw_ending();
        self.restart(ending).await?;
        Ok(format!("{ending:?}"))
    }

    fn draw_end(&mut self, within: u64) -> End {
        let at = 1 + self.random.below(within);
        if self.random.one_in(2) { End::Before(at) } else { End::After(at) }
    }

    /// Chooses the operation at which the process will end.
    fn aim_step(&mut self) -> String {
        let at = 1 + self.random.below(20);
        if self.random.one_in(2) {
            self.set_disk_faults(Faults { crash_at_operation: Some(at), ..Faults::default() });
            return format!("the process will end at operation {at} on the disk");
        }
        let end = self.draw_end(20);
        self.process.end_at(end);
        format!("the process will end at operation {end:?} on the store")
    }

    async fn store_weather_step(&mut self) -> String {
        self.calm().await;
        if self.random.one_in(3) {
            return "the store is calm".to_owned();
        }
        let per_mille = [20, 100, 1_000][self.random.below(3) as usize];
        let late = Fault::Late(1 + self.random.below(30));
        let (operation, fault) = match self.random.below(6) {
            0 => (Operation::Put, Fault::Fail),
            1 | 2 => (Operation::Put, Fault::Ambiguous),
            3 => (Operation::Put, late),
            4 => (Operation::Get, Fault::Fail),
            _ => (Operation::Delete, Fault::Ambiguous),
        };
        // Readers of this test go on reading.
        let per_mille = if operation == Operation::Get { per_mille.min(100) } else { per_mille };
        self.gets_fail = operation == Operation::Get;
        self.sim.chance(operation, fault, per_mille);
        format!("{per_mille} in 1000 {operation:?}: {fault:?}")
    }

    fn disk_step(&mut self) -> String {
        if self.random.one_in(2) {
            self.set_disk_faults(Faults::default());
            return "the disk has space".to_owned();
        }
        let capacity = self.disk_used() + self.random.below(128 << 10);
        self.set_disk_faults(Faults { capacity_bytes: Some(capacity), ..Faults::default() });
        format!("the disk ends at {capacity} bytes")
    }

    fn break_step(&mut self) -> String {
        let at = Some(1 + self.random.below(6));
        let faults = match self.random.below(3) {
            0 => Faults { fail_sync: at, ..Faults::default() },
            1 => Faults { fail_write: at, ..Faults::default() },
            _ => Faults { full_write: at, ..Faults::default() },
        };
        self.set_disk_faults(faults);
        format!("the disk will fail: {faults:?}")
    }

    async fn shutdown_step(&mut self) -> Result<String, String> {
        let ended = self.engine().shutdown().await;
        let was_clean = ended.is_ok() && !self.has_ended();
        let ending = self.draw_ending();
        self.restart(ending).await?;
        let left = self.engine().status().buffer_bytes;
        if was_clean && left > 0 {
            return Err(format!("{left} bytes were replayed after a clean shutdown"));
        }
        Ok(format!("shutdown: {ended:?}"))
    }

    async fn create_step(&mut self) -> Result<String, String> {
        let Some(number) = self.created.iter().position(|created| !created) else {
            return Ok("all tables are there".to_owned());
        };
        let made = self.engine().create_table(&self.tables[number]).await;
        match &made {
            Ok(()) => self.created[number] = true,
            Err(error) if error.kind() == ErrorKind::Retry => {}
            // The answer of an earlier attempt was lost.
            Err(error) if error.kind() == ErrorKind::Conflict => self.created[number] = true,
            Err(error) => return Err(format!("a table cannot be created: {error}")),
        }
        Ok(format!("create: {made:?}"))
    }
}

fn once(keyed: &Keyed, body_hash: u128) -> Once {
    Once { key: keyed.key.parse().unwrap(), body_hash, answer: Bytes::from(keyed.answer.clone()) }
}
