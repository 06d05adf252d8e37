//! Hashes for maps that live as long as one segment is written, with keys that come from logs.
//!
//! A segment asks these maps for every row, and the hash of the standard library is most of what an answer costs. This
//! one starts from the segment's random seed, so that nobody can log texts that collide. It may not be stored: what is
//! written depends on no hash of this file.

use std::hash::{BuildHasher, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// An odd number without a pattern in its bits.
pub(super) const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// Two numbers as one, of which each bit depends on all of theirs. One of them has to be random.
pub(super) fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    let half = |number: u128| u64::try_from(number & u128::from(u64::MAX)).unwrap_or(0);
    half(product >> u64::BITS) ^ half(product)
}

/// Makes hashers of one seed, which has to be random.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seeded(pub(super) u64);

impl BuildHasher for Seeded {
    type Hasher = SeededHasher;

    fn build_hasher(&self) -> SeededHasher {
        SeededHasher(self.0)
    }
}

/// What the parts of a key so far add up to.
#[derive(Debug)]
pub(super) struct SeededHasher(u64);

impl SeededHasher {
    fn mix(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(MIX);
        // Maps look at the low bits first, and a product is best in its high ones.
        self.0 = mixed ^ (mixed >> 32);
    }
}

impl Hasher for SeededHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(u64::from(number));
    }

    fn write_u16(&mut self, number: u16) {
        self.mix(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(u64::try_from(number).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_spread_and_seeds_differ() {
        let hash = |seed, key: (u32, Option<&str>)| Seeded(seed).hash_one(key);
        let names = [None, Some(""), Some("a"), Some("b"), Some("a longer name, of more than sixteen bytes")];
        let keys = (0..1_000).flat_map(|number| names.map(|name| (number, name)));
        let hashes: Vec<u64> = keys.map(|key| hash(7, key)).collect();
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), 5_000);
        let mut low = [0; 16];
        let mut high = [0; 16];
        for hash in &hashes {
            low[usize::try_from(hash % 16).unwrap()] += 1;
            high[usize::try_from(hash >> 60).unwrap()] += 1;
        }
        let even = |counts: &[i32]| counts.iter().all(|count| (230..400).contains(count));
        assert!(even(&low) && even(&high), "{low:?} {high:?}");
        assert_ne!(hash(7, (1, Some("a"))), hash(8, (1, Some("a"))));
    }
}
