//! Idempotency: the same key and body is stored once and answered alike, for as long as keys are kept.
//!
//! ```text
//!   claim ──► free ──────► Pending ──(durable in the WAL)──► Done ──(24 h, or no room)──► forgotten
//!               ▲             │ dropped without a commit       │
//!               └─────────────┘                                └─► files, before the WAL forgets the record
//! ```
//!
//! Keys are of one table. Rows are never compared: only keys decide. Too many keys are refused. Answers differ in size,
//! by the rows that they name as refused: when all together are over `DONE_BYTES_MAX`, the oldest are forgotten early.

mod file;
mod key;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use ironbark_storage::{TableRef, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;

pub(crate) use file::KeyFiles;
pub use key::IdempotencyKey;

use crate::wal::Lsn;
use crate::{Error, Result};

/// Memory of the keys that are done and their answers, in bytes: a million keys with answers of usual size.
const DONE_BYTES_MAX: usize = 512 << 20;
/// What a key costs beside its texts and its answer, in bytes.
const DONE_OVERHEAD_BYTES: usize = 256;

/// An append that must happen once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// The client's key.
    pub key: IdempotencyKey,
    /// A hash of the request's body: another body under the same key is refused.
    pub body_hash: u128,
    /// What the protocol answers, stored and given again verbatim.
    pub answer: Bytes,
}

type Name = (TableRef, IdempotencyKey);

#[derive(Debug)]
enum Slot {
    Pending { body_hash: u128, done: watch::Receiver<()> },
    Done { body_hash: u128, answer: Bytes, age: Age },
}

/// The order in which keys were done: the time, and a number that keeps those of one moment apart.
type Age = (Timestamp, u64);

/// A key whose append is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DoneKey {
    pub(crate) table: TableRef,
    pub(crate) once: Once,
    pub(crate) at: Timestamp,
}

#[derive(Debug, Default)]
struct State {
    slots: HashMap<Name, Slot>,
    /// Every slot that is done, oldest first.
    done: BTreeMap<Age, Name>,
    /// What those slots take, in bytes.
    done_bytes: usize,
    done_bytes_max: usize,
    /// Keys done so far.
    count: u64,
    /// Keys that only the WAL holds, in its order. Those that were forgotten meanwhile need no file.
    unsaved: VecDeque<(Lsn, Name)>,
}

impl State {
    fn put_done(&mut self, name: Name, body_hash: u128, answer: Bytes, at: Timestamp) {
        self.forget(&name);
        self.count = self.count.saturating_add(1);
        let age = (at, self.count);
        self.done_bytes = self.done_bytes.saturating_add(done_bytes(&name, &answer));
        self.done.insert(age, name.clone());
        self.slots.insert(name, Slot::Done { body_hash, answer, age });
        while self.done_bytes > self.done_bytes_max && self.done.len() > 1 {
            self.forget_oldest();
            metrics::counter!("ironbark_idempotency_keys_forgotten_early_total").increment(1);
        }
    }

    /// Takes away what stands under a name.
    fn forget(&mut self, name: &Name) {
        if let Some(Slot::Done { answer, age, .. }) = self.slots.remove(name) {
            self.done.remove(&age);
            self.done_bytes = self.done_bytes.saturating_sub(done_bytes(name, &answer));
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.done.first_key_value().map(|(_, name)| name.clone());
        if let Some(name) = oldest {
            self.forget(&name);
        }
    }

    fn forget_before(&mut self, before: Timestamp) {
        while self.done.first_key_value().is_some_and(|((at, _), _)| *at < before) {
            self.forget_oldest();
        }
    }
}

/// What a key that is done takes in memory.
fn done_bytes((table, key): &Name, answer: &Bytes) -> usize {
    let texts = [table.tenant.as_str().len(), table.table.as_str().len(), key.as_str().len(), answer.len()];
    texts.into_iter().fold(DONE_OVERHEAD_BYTES, usize::saturating_add)
}

/// The keys of all tables.
#[derive(Debug)]
pub(crate) struct OnceTable {
    state: Arc<Mutex<State>>,
    keys_max: usize,
    keep_ns: i64,
}

/// What a key stands for.
#[derive(Debug)]
pub(crate) enum Claim {
    /// The append is the claimant's to do.
    Mine(Claimed),
    /// It was done: this was the answer.
    Repeated(Bytes),
}

/// The right to append under a key. Dropped without [`Claimed::done`], the key is free again.
#[derive(Debug)]
pub(crate) struct Claimed {
    state: Arc<Mutex<State>>,
    name: Name,
    once: Option<Once>,
    /// Dropping it wakes those who wait.
    _done: watch::Sender<()>,
}

impl Claimed {
    /// The append is durable as this record.
    pub(crate) fn done(mut self, lsn: Lsn, at: Timestamp) {
        let Some(once) = self.once.take() else { return };
        let mut state = self.state.lock();
        state.put_done(self.name.clone(), once.body_hash, once.answer, at);
        state.unsaved.push_back((lsn, self.name.clone()));
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        if self.once.is_some() {
            self.state.lock().slots.remove(&self.name);
        }
    }
}

impl OnceTable {
    pub(crate) fn new(keys_max: usize, keep_ms: u64) -> Self {
        let keep_ns = i64::try_from(keep_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let state = State { done_bytes_max: DONE_BYTES_MAX, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), keys_max, keep_ns }
    }

    /// Takes a key, or gives the answer of the append that took it before; waits while that is still under way.
    pub(crate) async fn claim(&self, table: &TableRef, once: Once, now: Timestamp) -> Result<Claim> {
        let name = (table.clone(), once.key.clone());
        loop {
            let pending = {
                let mut state = self.state.lock();
                if let Some(found) = look(&state, &name, once.body_hash, self.forgotten_before(now))? {
                    found
                } else {
                    if state.slots.len() >= self.keys_max {
                        state.forget_before(self.forgotten_before(now));
                    }
                    if state.slots.len() >= self.keys_max {
                        return Err(Error::TooManyKeys { limit: self.keys_max });
                    }
                    let (sender, done) = watch::channel(());
                    state.forget(&name);
                    state.slots.insert(name.clone(), Slot::Pending { body_hash: once.body_hash, done });
                    let state = Arc::clone(&self.state);
                    return Ok(Claim::Mine(Claimed { state, name, once: Some(once), _done: sender }));
                }
            };
            match pending {
                Found::Answer(answer) => return Ok(Claim::Repeated(answer)),
                // An error says that the other append ended: look again.
                Found::Pending(mut done) => while done.changed().await.is_ok() {},
            }
        }
    }

    /// The answer given before under this key, if there is one; waits while its append is still under way.
    pub(crate) async fn recall(
        &self,
        table: &TableRef,
        key: &IdempotencyKey,
        body_hash: u128,
        now: Timestamp,
    ) -> Result<Option<Bytes>> {
        let name = (table.clone(), key.clone());
        loop {
            let found = look(&self.state.lock(), &name, body_hash, self.forgotten_before(now))?;
            match found {
                None => return Ok(None),
                Some(Found::Answer(answer)) => return Ok(Some(answer)),
                Some(Found::Pending(mut done)) => while done.changed().await.is_ok() {},
            }
        }
    }

    /// Puts a key back that a file or (with its `lsn`) the WAL held.
    pub(crate) fn restore(&self, key: DoneKey, lsn: Option<Lsn>) {
        let mut state = self.state.lock();
        let name = (key.table, key.once.key);
        if let Some(lsn) = lsn {
            state.unsaved.push_back((lsn, name.clone()));
        }
        state.put_done(name, key.once.body_hash, key.once.answer, key.at);
    }

    /// The keys that are in no file yet and whose WAL records are before `floor`.
    pub(crate) fn unsaved_before(&self, floor: Lsn) -> Vec<DoneKey> {
        let state = self.state.lock();
        let before = state.unsaved.iter().take_while(|(lsn, _)| *lsn < floor);
        before.filter_map(|(_, name)| done_key(&state, name)).collect()
    }

    /// Notes that the keys before `floor` are in a file.
    pub(crate) fn saved_before(&self, floor: Lsn) {
        let mut state = self.state.lock();
        while state.unsaved.front().is_some_and(|(lsn, _)| *lsn < floor) {
            state.unsaved.pop_front();
        }
    }

    /// Forgets keys that are older than they must be kept.
    pub(crate) fn forget_expired(&self, now: Timestamp) {
        self.state.lock().forget_before(self.forgotten_before(now));
    }

    /// Keys done before this time are no longer kept.
    pub(crate) fn forgotten_before(&self, now: Timestamp) -> Timestamp {
        now.plus_ns(self.keep_ns.saturating_neg())
    }
}

/// A key that is done, as a file holds it. `None` if it was forgotten.
fn done_key(state: &State, name: &Name) -> Option<DoneKey> {
    let Slot::Done { body_hash, answer, age: (at, _) } = state.slots.get(name)? else { return None };
    let once = Once { key: name.1.clone(), body_hash: *body_hash, answer: answer.clone() };
    Some(DoneKey { table: name.0.clone(), once, at: *at })
}

enum Found {
    Answer(Bytes),
    Pending(watch::Receiver<()>),
}

fn look(state: &State, name: &Name, body_hash: u128, before: Timestamp) -> Result<Option<Found>> {
    let (found_hash, found) = match state.slots.get(name) {
        None => return Ok(None),
        Some(Slot::Done { age, .. }) if age.0 < before => return Ok(None),
        Some(Slot::Done { body_hash, answer, .. }) => (*body_hash, Found::Answer(answer.clone())),
        Some(Slot::Pending { body_hash, done }) => (*body_hash, Found::Pending(done.clone())),
    };
    if found_hash != body_hash {
        return Err(Error::KeyReused { key: name.1.to_string(), table: name.0.to_string() });
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests;
