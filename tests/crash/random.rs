//! Choices that can be made again: a `SplitMix64` generator. Good enough to spread moments and sizes, and for nothing
//! else.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::ops::Range;

/// A generator.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Seeded by `IRONBARK_CRASH_SEED`, or differently in every run; the seed is printed.
    pub(crate) fn from_environment() -> Self {
        let given = std::env::var("IRONBARK_CRASH_SEED").ok();
        let seed = given.map_or_else(
            || RandomState::new().build_hasher().finish(),
            |text| text.parse().expect("IRONBARK_CRASH_SEED is a number"),
        );
        println!("IRONBARK_CRASH_SEED={seed}");
        Self(seed)
    }

    /// A generator whose choices do not depend on how often this one is asked later.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn within(&mut self, range: &Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }
}
