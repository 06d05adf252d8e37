//! Parsed ends of segments (footer and page index) in memory, bounded in bytes, the least recently used going first.
//!
//! Segments are immutable and their ids never used twice, so nothing in here can become stale. Readers that ask for
//! the same end at the same time share one request.

use std::fmt;
use std::sync::Arc;

use ironbark_storage::{SegmentId, SegmentTail};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::index::PieceCache;
use super::lru::Lru;

/// An end that is there or being read.
type Slot = Arc<OnceCell<Arc<SegmentTail>>>;

/// The cache.
pub(crate) struct TailCache {
    bytes_max: usize,
    /// Ends that are being read weigh nothing yet.
    tails: Mutex<Lru<SegmentId, Slot>>,
    pieces: PieceCache,
}

impl TailCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, tails: Mutex::new(Lru::new(bytes_max)), pieces: PieceCache::default() }
    }

    /// The end of a segment, from memory or by `read`. Says also whether it had to be read.
    pub(crate) async fn get<E>(
        &self,
        id: SegmentId,
        read: impl Future<Output = Result<SegmentTail, E>>,
    ) -> Result<(Arc<SegmentTail>, Origin), E> {
        let slot = self.slot(id);
        let mut origin = Origin::Memory;
        let tail = slot
            .get_or_try_init(|| {
                origin = Origin::Store;
                async { read.await.map(Arc::new) }
            })
            .await?;
        if origin == Origin::Store {
            self.weigh(id, tail);
        }
        Ok((Arc::clone(tail), origin))
    }

    /// The end of a segment, if it is in memory.
    pub(super) fn known(&self, id: SegmentId) -> Option<Arc<SegmentTail>> {
        self.tails.lock().get(id)?.get().cloned()
    }

    fn slot(&self, id: SegmentId) -> Slot {
        let mut tails = self.tails.lock();
        if let Some(slot) = tails.get(id) {
            return Arc::clone(slot);
        }
        let slot = Slot::default();
        tails.put(id, Arc::clone(&slot), 0);
        slot
    }

    /// Weighs an end that has been read, and again when its index has got its frequent terms.
    pub(super) fn weigh(&self, id: SegmentId, tail: &SegmentTail) {
        self.tails.lock().weigh(id, tail.memory_bytes());
    }

    /// The pieces of the indexes of these segments; they have a bound of their own.
    pub(crate) fn pieces(&self) -> &PieceCache {
        &self.pieces
    }

    /// Bytes held now.
    pub(crate) fn bytes(&self) -> usize {
        self.tails.lock().bytes()
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

impl fmt::Debug for TailCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TailCache({} of {} bytes)", self.bytes(), self.bytes_max)
    }
}
