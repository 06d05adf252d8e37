//! A store that fails on purpose: the double with which tests find out what their code believes of a network.
//!
//! It is deterministic: the same seed, the same operations in the same order, the same faults. It lives in memory and
//! is for tests only.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use parking_lot::Mutex;

use super::copy::copy_by_put;
use crate::Store;
use crate::clock::{Entropy, SeededEntropy};

/// Puts on their way at once; further ones fail at once.
const LATE_PUTS_MAX: usize = 1024;

/// What a fault may hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Any put, the completion of a multipart upload and a copy.
    Put,
    /// Any read of an object or of its metadata.
    Get,
    /// Any listing.
    List,
    /// The deletion of one object.
    Delete,
}

/// What happens to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has no effect and fails.
    Fail,
    /// It takes effect, and then fails with a time-out.
    Ambiguous,
    /// It fails with a time-out, and takes effect after this many further operations of any kind. Only puts and
    /// deletions can be late; others just fail.
    Late(u64),
    /// It takes effect after this time.
    Delay(Duration),
}

/// A store in memory with scripted and random faults. Clones share everything.
#[derive(Clone, Debug)]
pub struct SimStore(Arc<Sim>);

#[derive(Debug)]
struct Sim {
    objects: InMemory,
    plan: Mutex<Plan>,
}

#[derive(Debug)]
struct Plan {
    entropy: SeededEntropy,
    done: HashMap<Operation, u64>,
    /// Faults by operation and the number of it that they hit.
    scripted: HashMap<(Operation, u64), Fault>,
    /// Faults by operation and their chance in a thousand.
    chances: Vec<(Operation, Fault, u32)>,
    late: Vec<(u64, LateEffect)>,
    list_lag: u64,
    turns_max: u32,
    /// The operation with which an object came.
    born: HashMap<Path, u64>,
}

#[derive(Debug)]
enum LateEffect {
    Put(Path, PutPayload, PutOptions),
    Delete(Path),
}

impl SimStore {
    /// An empty store without faults.
    pub fn new(seed: u64) -> Self {
        let plan = Plan {
            entropy: SeededEntropy::new(seed),
            done: HashMap::new(),
            scripted: HashMap::new(),
            chances: Vec::new(),
            late: Vec::new(),
            list_lag: 0,
            turns_max: 0,
            born: HashMap::new(),
        };
        Self(Arc::new(Sim { objects: InMemory::new(), plan: Mutex::new(plan) }))
    }

    /// The store as the system sees it.
    pub fn store(&self) -> Store {
        Store::from_object_store(Arc::new(self.clone()), Path::default(), "sim:")
    }

    /// Hits the `nth` operation of a kind from now on; 1 is the next.
    pub fn script(&self, operation: Operation, nth: u64, fault: Fault) {
        let mut plan = self.0.plan.lock();
        let at = plan.count(operation) + nth;
        plan.scripted.insert((operation, at), fault);
    }

    /// Hits operations of a kind with a chance of `per_mille` in a thousand, on top of earlier chances.
    pub fn chance(&self, operation: Operation, fault: Fault, per_mille: u32) {
        self.0.plan.lock().chances.push((operation, fault, per_mille));
    }

    /// Lets listings miss what was put within the last so many operations.
    pub fn list_lag(&self, operations: u64) {
        self.0.plan.lock().list_lag = operations;
    }

    /// Lets every operation wait for up to so many turns of other tasks, drawn from the seed: tasks on one thread are
    /// then interleaved anew with each seed.
    pub fn shuffle(&self, turns_max: u32) {
        self.0.plan.lock().turns_max = turns_max;
    }

    /// Ends all faults and lets late effects take place now.
    pub async fn calm(&self) {
        let late = {
            let mut plan = self.0.plan.lock();
            plan.scripted.clear();
            plan.chances.clear();
            plan.list_lag = 0;
            std::mem::take(&mut plan.late)
        };
        for (_, effect) in late {
            self.0.take_effect(effect).await;
        }
    }

    /// How many operations of a kind there were.
    pub fn count(&self, operation: Operation) -> u64 {
        self.0.plan.lock().count(operation)
    }
}

impl Plan {
    fn count(&self, operation: Operation) -> u64 {
        self.done.get(&operation).copied().unwrap_or(0)
    }

    fn total(&self) -> u64 {
        self.done.values().sum()
    }

    /// Counts an operation and decides on its fault.
    fn next(&mut self, operation: Operation) -> Option<Fault> {
        *self.done.entry(operation).or_insert(0) += 1;
        let scripted = self.scripted.remove(&(operation, self.count(operation)));
        let hit = self.chances.iter().filter(|(kind, ..)| *kind == operation);
        let drawn = hit.filter(|(.., chance)| self.entropy.next_u128() % 1000 < u128::from(*chance));
        // The draws go on after a hit, so that a fault changes nothing about the draws that follow.
        let drawn = drawn.fold(None, |first, (_, fault, _)| first.or(Some(*fault)));
        scripted.or(drawn)
    }

    fn turns(&mut self) -> u128 {
        if self.turns_max == 0 { 0 } else { self.entropy.next_u128() % u128::from(self.turns_max + 1) }
    }

    fn is_listed(&self, key: &Path) -> bool {
        let born = self.born.get(key).copied().unwrap_or(0);
        born + self.list_lag <= self.total()
    }
}

impl Sim {
    /// Begins an operation: late effects that are due take place, and a fault may be due.
    async fn begin(&self, operation: Operation) -> Option<Fault> {
        let turns = self.plan.lock().turns();
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        let (fault, due) = {
            let mut plan = self.plan.lock();
            let fault = plan.next(operation);
            let now = plan.total();
            let (due, late) = std::mem::take(&mut plan.late).into_iter().partition(|(at, _)| *at <= now);
            plan.late = late;
            (fault, due)
        };
        let due: Vec<(u64, LateEffect)> = due;
        for (_, effect) in due {
            self.take_effect(effect).await;
        }
        match fault {
            Some(Fault::Delay(time)) => {
                tokio::time::sleep(time).await;
                None
            }
            fault => fault,
        }
    }

    async fn take_effect(&self, effect: LateEffect) {
        // Nobody waits for the outcome any more.
        match effect {
            LateEffect::Put(key, payload, options) => drop(self.put_now(&key, payload, options).await),
            LateEffect::Delete(key) => drop(self.objects.delete(&key).await),
        }
    }

    async fn put_now(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let put = self.objects.put_opts(key, payload, options).await?;
        let mut plan = self.plan.lock();
        let now = plan.total();
        plan.born.insert(key.clone(), now);
        Ok(put)
    }

    fn postpone(&self, operations: u64, effect: LateEffect) {
        let mut plan = self.plan.lock();
        if plan.late.len() < LATE_PUTS_MAX {
            let due = plan.total() + operations;
            plan.late.push((due, effect));
        }
    }

    async fn put(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        match self.begin(Operation::Put).await {
            Some(Fault::Fail) => Err(failure()),
            Some(Fault::Late(operations)) => {
                self.postpone(operations, LateEffect::Put(key.clone(), payload, options));
                Err(failure())
            }
            Some(Fault::Ambiguous) => {
                self.put_now(key, payload, options).await?;
                Err(failure())
            }
            Some(Fault::Delay(_)) | None => self.put_now(key, payload, options).await,
        }
    }

    async fn delete(&self, key: Path) -> Result<Path> {
        match self.begin(Operation::Delete).await {
            Some(Fault::Fail) => return Err(failure()),
            Some(Fault::Late(operations)) => {
                self.postpone(operations, LateEffect::Delete(key));
                return Err(failure());
            }
            Some(Fault::Ambiguous) => {
                self.objects.delete(&key).await?;
                return Err(failure());
            }
            Some(Fault::Delay(_)) | None => {}
        }
        self.objects.delete(&key).await?;
        Ok(key)
    }

    async fn read(&self, operation: Operation) -> Result<()> {
        match self.begin(operation).await {
            Some(Fault::Fail | Fault::Ambiguous | Fault::Late(_)) => Err(failure()),
            Some(Fault::Delay(_)) | None => Ok(()),
        }
    }
}

fn failure() -> object_store::Error {
    object_store::Error::Generic { store: "sim", source: "the request timed out".into() }
}

impl fmt::Display for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sim:")
    }
}

#[async_trait]
impl ObjectStore for SimStore {
    async fn put_opts(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put(key, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        key: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(SimUpload { sim: Arc::clone(&self.0), key: key.clone(), pieces: Vec::new() }))
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.read(Operation::Get).await?;
        self.0.objects.get_opts(key, options).await
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let sim = Arc::clone(&self.0);
        keys.then(move |key| {
            let sim = Arc::clone(&sim);
            async move { sim.delete(key?).await }
        })
        .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (sim, prefix) = (Arc::clone(&self.0), prefix.cloned());
        let begun = async move {
            sim.read(Operation::List).await?;
            let listed: Vec<ObjectMeta> = sim.objects.list(prefix.as_ref()).try_collect().await?;
            let plan = sim.plan.lock();
            let shown = listed.into_iter().filter(|object| plan.is_listed(&object.location)).map(Ok);
            Ok::<_, object_store::Error>(stream::iter(shown.collect::<Vec<Result<ObjectMeta>>>()))
        };
        begun.into_stream().try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.read(Operation::List).await?;
        let mut listed = self.0.objects.list_with_delimiter(prefix).await?;
        let plan = self.0.plan.lock();
        listed.objects.retain(|object| plan.is_listed(&object.location));
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        copy_by_put(self, from, to, options).await
    }
}

/// An upload that becomes one put when it is completed.
#[derive(Debug)]
struct SimUpload {
    sim: Arc<Sim>,
    key: Path,
    pieces: Vec<PutPayload>,
}

#[async_trait]
impl MultipartUpload for SimUpload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        self.pieces.push(payload);
        futures::future::ready(Ok(())).boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let pieces = std::mem::take(&mut self.pieces);
        let payload = pieces.into_iter().flatten().collect();
        self.sim.put(&self.key, payload, PutOptions::default()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.pieces.clear();
        Ok(())
    }
}
