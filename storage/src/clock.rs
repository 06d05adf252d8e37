//! The only doors to the wall clock and to randomness.
//!
//! Everything else takes an [`Ambient`], so that a test can replay a run exactly.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::Timestamp;

/// Tells the time of day.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now. It may step backwards when the operating system's clock is set.
    fn now(&self) -> Timestamp;
}

/// Gives numbers that nobody can foretell (or, in tests, that a seed foretells).
pub trait Entropy: fmt::Debug + Send + Sync {
    /// The next 128 random bits.
    fn next_u128(&self) -> u128;
}

/// The outside world that is not a disk or a network: time and randomness.
#[derive(Clone, Debug)]
pub struct Ambient {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl Ambient {
    /// The operating system's clock and randomness.
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
    }

    /// A clock that stands at `now` and randomness from a seed.
    pub fn seeded(now: Timestamp, seed: u64) -> Self {
        Self { clock: Arc::new(ManualClock::at(now)), entropy: Arc::new(SeededEntropy::new(seed)) }
    }

    /// A random version 4 UUID.
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.entropy.next_u128().to_le_bytes()).into_uuid()
    }
}

/// The operating system's clock.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_ns(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// The operating system's randomness.
#[derive(Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that draws randomness")]
    fn next_u128(&self) -> u128 {
        // Two UUIDs, because six bits of each are fixed.
        let [a, b] = [uuid::Uuid::new_v4().as_u128(), uuid::Uuid::new_v4().as_u128()];
        a ^ b.rotate_left(64)
    }
}

/// A clock that moves only when told.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.ns()))
    }

    /// Moves the clock by a span in nanoseconds.
    pub fn advance_ns(&self, ns: i64) {
        self.0.fetch_add(ns, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ns(self.0.load(Ordering::SeqCst))
    }
}

/// Randomness that a seed foretells: splitmix64.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// Starts the sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn next_u128(&self) -> u128 {
        (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself() {
        let draw = |seed| {
            let ambient = Ambient::seeded(Timestamp::from_ns(7), seed);
            (ambient.uuid(), ambient.uuid(), ambient.clock.now())
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1).0, draw(2).0);
        assert_ne!(draw(1).0, draw(1).1);
    }
}
