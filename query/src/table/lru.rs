//! A map that is bounded by what its values weigh, the least recently used going first.
//!
//! It locks nothing and reads nothing; what a value weighs is for its users to say.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// The map.
#[derive(Debug)]
pub(super) struct Lru<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// Keys by when they were last used.
    by_use: BTreeMap<u64, K>,
    clock: u64,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    used: u64,
    bytes: usize,
}

impl<K: Copy + Eq + Hash, V> Lru<K, V> {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { entries: HashMap::new(), by_use: BTreeMap::new(), clock: 0, bytes: 0, bytes_max }
    }

    /// What is under a key, which is a use of it.
    pub(super) fn get(&mut self, key: K) -> Option<&V> {
        let entry = self.entries.get_mut(&key)?;
        self.by_use.remove(&entry.used);
        self.clock += 1;
        entry.used = self.clock;
        self.by_use.insert(entry.used, key);
        Some(&entry.value)
    }

    /// Puts a value under a key, in the place of the one that was there.
    pub(super) fn put(&mut self, key: K, value: V, bytes: usize) {
        self.remove(key);
        self.clock += 1;
        self.by_use.insert(self.clock, key);
        self.entries.insert(key, Entry { value, used: self.clock, bytes: 0 });
        self.weigh(key, bytes);
    }

    /// Says what the value under a key weighs now, if it is still there.
    pub(super) fn weigh(&mut self, key: K, bytes: usize) {
        if let Some(entry) = self.entries.get_mut(&key) {
            self.bytes = self.bytes - entry.bytes + bytes;
            entry.bytes = bytes;
        }
        while self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.by_use.pop_first() else { return };
            self.remove(oldest);
        }
    }

    fn remove(&mut self, key: K) {
        if let Some(entry) = self.entries.remove(&key) {
            self.by_use.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }

    /// What all values weigh.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
