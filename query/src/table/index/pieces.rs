//! Pieces of indexes in memory, bounded in bytes, the least recently used going first.
//!
//! Segments are immutable and their ids never used twice, so nothing in here can become stale. Only pieces that were
//! checked get in. Frequent terms are not here: an index keeps its own.

use bytes::Bytes;
use ironbark_storage::{Piece, SegmentId};
use parking_lot::Mutex;

use crate::table::lru::Lru;

/// Most bytes of pieces that are kept.
pub(super) const PIECES_BYTES_MAX: usize = 32 << 20;
/// What an entry costs beside its bytes.
const ENTRY_BYTES: usize = 160;

/// The cache.
#[derive(Debug)]
pub(crate) struct PieceCache(Mutex<Lru<(SegmentId, Piece), Bytes>>);

impl Default for PieceCache {
    fn default() -> Self {
        Self(Mutex::new(Lru::new(PIECES_BYTES_MAX)))
    }
}

impl PieceCache {
    pub(super) fn get(&self, id: SegmentId, piece: Piece) -> Option<Bytes> {
        self.0.lock().get((id, piece)).cloned()
    }

    /// Keeps a copy: the bytes may be a part of many more that one request brought.
    pub(super) fn put(&self, id: SegmentId, piece: Piece, bytes: &[u8]) -> Bytes {
        let bytes = Bytes::copy_from_slice(bytes);
        self.0.lock().put((id, piece), bytes.clone(), bytes.len() + ENTRY_BYTES);
        bytes
    }

    /// Bytes held now.
    pub(crate) fn bytes(&self) -> usize {
        self.0.lock().bytes()
    }
}
