//! What is known of all terms of a segment while its index is built: a table of their hashes, in order.
//!
//! ```text
//!   hash    0x18…  0x3a…  0x3b…  ·  0x7f…  ·  ·  0xd1…  ·       a hash begins to look for its place by its highest bits,
//!   place   0      1      2      3  4      5  6  7      8       and all hashes stand in order
//! ```
//!
//! There is one for each id of the segment, and each time another one is asked for: a hash, what is known of it and the
//! free places behind it lie in one line of memory. In order they come back, so that nobody has to sort them.

/// Of four places at most three are used.
const PLACES_A_GROUP: usize = 4;
const USED_A_GROUP: usize = 3;
/// The bits of the first number of places.
const BITS_MIN: u32 = 10;

/// A term of the ranges so far. Small, because there is one for each id of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// In one range, and in how many of its rows.
    Once { range: u16, rows: u16 },
    /// In more; its number among the repeated terms.
    Repeated(u32),
}

type Place = (u64, Option<Seen>);
const FREE: Place = (0, None);

/// See the module. Hashes have to start from a random seed.
#[derive(Debug)]
pub(super) struct SeenTerms {
    /// Of as many bits as say where to begin; a few more stand behind them. The last one is free.
    places: Vec<Place>,
    bits: u32,
    used: usize,
}

impl SeenTerms {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self::of_bits(BITS_MIN)
    }

    fn of_bits(bits: u32) -> Self {
        let places = 1usize.checked_shl(bits).unwrap_or(usize::MAX);
        let mut all = vec![FREE; places];
        all.push(FREE);
        Self { places: all, bits, used: 0 }
    }

    /// What is known of a term. If nothing is, this will be from now on.
    pub(super) fn add(&mut self, hash: u64, new: Seen) -> Option<&mut Seen> {
        if self.used * PLACES_A_GROUP >= self.places.len() * USED_A_GROUP {
            self.grow();
        }
        let start = self.start(hash);
        let mut after = self.places.iter().skip(start);
        let at = start + after.position(|(known, seen)| seen.is_none() || *known >= hash)?;
        if self.places.get(at).is_some_and(|(known, seen)| *known == hash && seen.is_some()) {
            return self.places.get_mut(at)?.1.as_mut();
        }
        let mut next = (hash, Some(new));
        for place in self.places.iter_mut().skip(at) {
            std::mem::swap(place, &mut next);
            if next.1.is_none() {
                break;
            }
        }
        self.used += 1;
        self.end_free();
        None
    }

    /// All hashes, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Seen)> {
        self.places.iter().filter_map(|(hash, seen)| Some((*hash, (*seen)?)))
    }

    /// All hashes, in order.
    pub(super) fn into_iter(self) -> impl Iterator<Item = (u64, Seen)> {
        self.places.into_iter().filter_map(|(hash, seen)| Some((hash, seen?)))
    }

    fn start(&self, hash: u64) -> usize {
        usize::try_from(hash >> (u64::BITS - self.bits)).unwrap_or(usize::MAX)
    }

    fn end_free(&mut self) {
        if self.places.last().is_some_and(|(_, seen)| seen.is_some()) {
            self.places.push(FREE);
        }
    }

    fn grow(&mut self) {
        let before = std::mem::replace(self, Self::of_bits(self.bits + 1));
        self.used = before.used;
        let mut next = 0;
        for (hash, seen) in before.into_iter() {
            let at = self.start(hash).max(next);
            if let Some(place) = self.places.get_mut(at) {
                *place = (hash, Some(seen));
            }
            next = at + 1;
            self.end_free();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map_in_order(
            groups in prop::collection::vec((any::<u64>(), 0..64u32, 1..40u64), 1..200),
        ) {
            let (mut terms, mut expected) = (SeenTerms::new(), BTreeMap::new());
            let hashes = groups.iter().flat_map(|(hash, shift, count)| {
                // Some begin alike, or with the highest bits, or are 0.
                (0..*count).map(move |number| (hash | !(u64::MAX >> (shift % 3 * 20))).wrapping_add(number << shift))
            });
            for (number, hash) in (0..).zip(hashes.chain([0, u64::MAX, 0])) {
                let seen = Seen::Repeated(number);
                let before = terms.add(hash, seen).map(|known| std::mem::replace(known, seen));
                prop_assert_eq!(expected.insert(hash, seen), before);
            }
            prop_assert!(terms.iter().eq(expected.iter().map(|(hash, seen)| (*hash, *seen))));
            prop_assert!(terms.into_iter().eq(expected));
        }
    }
}
