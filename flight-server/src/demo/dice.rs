//! Draws for the demo's story: the same seed draws the same.

use ironbark_storage::clock::{Entropy, SeededEntropy};

/// A source of draws.
#[derive(Debug)]
pub(super) struct Dice(SeededEntropy);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// 128 random bits.
    pub(super) fn bits(&self) -> u128 {
        self.0.next_u128()
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&self, bound: u64) -> u64 {
        u64::try_from(self.bits() % u128::from(bound.max(1))).unwrap_or_default()
    }

    /// One of these.
    pub(super) fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        from.get(usize::try_from(self.below(from.len() as u64)).unwrap_or_default())
    }

    /// One of these words.
    pub(super) fn word<'a>(&self, from: &[&'a str]) -> &'a str {
        self.pick(from).copied().unwrap_or_default()
    }

    /// True once in so many draws.
    pub(super) fn once_in(&self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Mostly about `typical`, at times many times as much: a latency.
    pub(super) fn skewed(&self, typical: u64) -> u64 {
        let base = typical / 2 + self.below(typical.max(2));
        if self.once_in(40) { base.saturating_mul(2 + self.below(12)) } else { base }
    }
}
