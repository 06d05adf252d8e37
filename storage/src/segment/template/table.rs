//! A hash table of numbers. What they are numbers of lies with whoever asks, and so is held once.

/// A table has at least so many places for each number.
const ROOM: usize = 2;
const PLACES_MIN: usize = 64;

/// Numbers by the hashes of what they stand for. The hashes have to start from a random seed.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// The low half of a hash, above the number and one; 0 where nothing is. As many as a power of two.
    places: Vec<u64>,
    used: usize,
}

impl Table {
    /// The number with this hash that is the right one.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = tag(hash);
        loop {
            let found = *self.places.get(self.place(at))?;
            if found == 0 {
                return None;
            }
            if found >> 32 == tag(hash)
                && let Some(number) = number(found)
                && is_it(number)
            {
                return Some(number);
            }
            at += 1;
        }
    }

    /// Adds a number that is not there.
    pub(super) fn insert(&mut self, hash: u64, number: u32) {
        if (self.used + 1) * ROOM > self.places.len() {
            let before = std::mem::take(&mut self.places);
            self.places.resize((before.len() * 2).max(PLACES_MIN), 0);
            for found in before.into_iter().filter(|found| *found != 0) {
                self.put(found);
            }
        }
        self.used += 1;
        self.put(tag(hash) << 32 | (u64::from(number) + 1));
    }

    /// Takes all numbers out.
    pub(super) fn clear(&mut self) {
        self.places.fill(0);
        self.used = 0;
    }

    fn put(&mut self, found: u64) {
        let mut at = found >> 32;
        loop {
            let place = self.place(at);
            match self.places.get_mut(place) {
                Some(place) if *place != 0 => at += 1,
                Some(place) => {
                    *place = found;
                    return;
                }
                None => return,
            }
        }
    }

    fn place(&self, at: u64) -> usize {
        usize::try_from(at).unwrap_or(0) & self.places.len().wrapping_sub(1)
    }
}

fn tag(hash: u64) -> u64 {
    hash & u64::from(u32::MAX)
}

fn number(found: u64) -> Option<u32> {
    u32::try_from(found & u64::from(u32::MAX)).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_what_they_stand_for() {
        let mut table = Table::default();
        // Hashes that collide, in part or in whole.
        let of = |number: u32| u64::from(number % 700) << 33 | u64::from(number % 300);
        assert_eq!(table.find(of(3), |_| true), None);
        for number in 0..1_000 {
            assert_eq!(table.find(of(number), |found| found == number), None);
            table.insert(of(number), number);
        }
        for number in 0..1_000 {
            assert_eq!(table.find(of(number), |found| found == number), Some(number));
        }
        table.clear();
        assert_eq!(table.find(of(3), |_| true), None);
    }
}
