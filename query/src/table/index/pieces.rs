//! Pieces of indexes in memory, bounded in bytes, the least recently used going first.
//!
//! Segments are immutable and their ids never used twice, so nothing in here can become stale. Only pieces that were
//! checked get in. Frequent terms are not here: an index keeps its own.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use ironbark_storage::{Piece, SegmentId};
use parking_lot::Mutex;

/// Most bytes of pieces that are kept.
pub(super) const PIECES_BYTES_MAX: usize = 32 << 20;
/// What an entry costs beside its bytes.
const ENTRY_BYTES: usize = 160;

type Key = (SegmentId, Piece);

/// The cache.
#[derive(Debug, Default)]
pub(crate) struct PieceCache(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    /// Keys by when they were last used.
    by_use: BTreeMap<u64, Key>,
    clock: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    bytes: Bytes,
    used: u64,
}

impl PieceCache {
    pub(super) fn get(&self, id: SegmentId, piece: Piece) -> Option<Bytes> {
        let mut state = self.0.lock();
        let state = &mut *state;
        let entry = state.entries.get_mut(&(id, piece))?;
        state.by_use.remove(&entry.used);
        state.clock += 1;
        entry.used = state.clock;
        state.by_use.insert(entry.used, (id, piece));
        Some(entry.bytes.clone())
    }

    /// Keeps a copy: the bytes may be a part of many more that one request brought.
    pub(super) fn put(&self, id: SegmentId, piece: Piece, bytes: &[u8]) -> Bytes {
        let bytes = Bytes::copy_from_slice(bytes);
        let mut state = self.0.lock();
        state.remove(&(id, piece));
        state.clock += 1;
        let used = state.clock;
        state.bytes += bytes.len() + ENTRY_BYTES;
        state.by_use.insert(used, (id, piece));
        state.entries.insert((id, piece), Entry { bytes: bytes.clone(), used });
        while state.bytes > PIECES_BYTES_MAX {
            let Some((_, oldest)) = state.by_use.pop_first() else { break };
            state.remove(&oldest);
        }
        bytes
    }

    /// Bytes held now.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.0.lock().bytes
    }
}

impl State {
    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.used);
            self.bytes = self.bytes.saturating_sub(entry.bytes.len() + ENTRY_BYTES);
        }
    }
}
