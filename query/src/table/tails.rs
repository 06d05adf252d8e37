//! Parsed ends of segments (footer and page index) in memory, bounded in bytes, the least recently used going first.
//!
//! Segments are immutable and their ids never used twice, so nothing in here can become stale. Readers that ask for
//! the same end at the same time share one request.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use ironbark_storage::{SegmentId, SegmentTail};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::index::PieceCache;

/// An end that is there or being read.
type Slot = Arc<OnceCell<Arc<SegmentTail>>>;

/// The cache.
pub(crate) struct TailCache {
    bytes_max: usize,
    state: Mutex<State>,
    pieces: PieceCache,
}

#[derive(Default)]
struct State {
    entries: HashMap<SegmentId, Entry>,
    /// Ids by when they were last used.
    by_use: BTreeMap<u64, SegmentId>,
    clock: u64,
    bytes: usize,
}

struct Entry {
    slot: Slot,
    used: u64,
    /// 0 while it is being read.
    bytes: usize,
}

impl TailCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, state: Mutex::default(), pieces: PieceCache::default() }
    }

    /// The end of a segment, from memory or by `read`. Says also whether it had to be read.
    pub(crate) async fn get<E>(
        &self,
        id: SegmentId,
        read: impl Future<Output = Result<SegmentTail, E>>,
    ) -> Result<(Arc<SegmentTail>, Origin), E> {
        let slot = self.state.lock().touch(id);
        let mut origin = Origin::Memory;
        let tail = slot
            .get_or_try_init(|| {
                origin = Origin::Store;
                async { read.await.map(Arc::new) }
            })
            .await?;
        if origin == Origin::Store {
            self.state.lock().weigh(id, tail.memory_bytes(), self.bytes_max);
        }
        Ok((Arc::clone(tail), origin))
    }

    /// Weighs an end again, whose index has got its frequent terms.
    pub(super) fn weigh_again(&self, id: SegmentId, tail: &SegmentTail) {
        self.state.lock().weigh(id, tail.memory_bytes(), self.bytes_max);
    }

    /// The pieces of the indexes of these segments; they have a bound of their own.
    pub(super) fn pieces(&self) -> &PieceCache {
        &self.pieces
    }

    /// Bytes held now.
    pub(crate) fn bytes(&self) -> usize {
        self.state.lock().bytes
    }
}

/// Where an end came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was in the cache.
    Memory,
    /// It cost a request.
    Store,
}

impl State {
    fn touch(&mut self, id: SegmentId) -> Slot {
        self.clock += 1;
        let clock = self.clock;
        let entry =
            self.entries.entry(id).or_insert_with(|| Entry { slot: Slot::default(), used: clock, bytes: 0 });
        self.by_use.remove(&entry.used);
        entry.used = clock;
        self.by_use.insert(clock, id);
        Arc::clone(&entry.slot)
    }

    fn weigh(&mut self, id: SegmentId, bytes: usize, bytes_max: usize) {
        if let Some(entry) = self.entries.get_mut(&id) {
            self.bytes = self.bytes - entry.bytes + bytes;
            entry.bytes = bytes;
        }
        while self.bytes > bytes_max {
            let Some((_, id)) = self.by_use.pop_first() else { return };
            if let Some(entry) = self.entries.remove(&id) {
                self.bytes -= entry.bytes;
            }
        }
    }
}

impl fmt::Debug for TailCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TailCache({} of {} bytes)", self.bytes(), self.bytes_max)
    }
}
