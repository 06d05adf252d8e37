//! Random numbers that are the same on every machine and in every version: a corpus is known by its seed. Whole numbers
//! only, because floating-point functions differ between platforms. Not for secrets.

/// A stream of random numbers (the `SplitMix64` step: an odd constant added, then mixed).
#[derive(Debug, Clone)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Self { state: seed };
        random.bits();
        random
    }

    /// A stream of its own for one purpose, so that a change to one does not move the others.
    pub(crate) fn branch(seed: u64, purpose: u64) -> Self {
        let mut parent = Self::new(seed ^ purpose.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        Self::new(parent.bits())
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number in `start..=last`.
    pub(crate) fn between(&mut self, start: u64, last: u64) -> u64 {
        start + self.below(last.saturating_sub(start) + 1)
    }

    /// True `times` in `of`.
    pub(crate) fn chance(&mut self, times: u64, of: u64) -> bool {
        self.below(of) < times
    }

    /// One of a list, each as likely.
    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.index(list.len()))
    }

    /// A number below `end`, as an index.
    pub(crate) fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap_or(0)
    }
}

/// Choices of different weight.
#[derive(Debug, Clone)]
pub(crate) struct Weighted {
    sums: Vec<u64>,
}

impl Weighted {
    /// By weights.
    pub(crate) fn new(weights: impl IntoIterator<Item = u64>) -> Self {
        let mut sum = 0;
        let sums = weights.into_iter().map(|weight| {
            sum += weight;
            sum
        });
        Self { sums: sums.collect() }
    }

    /// By Zipf's law: the n-th is 1/n as likely as the first.
    pub(crate) fn zipf(count: u64) -> Self {
        Self::new((1..=count).map(|rank| 1_000_000 / rank))
    }

    /// A random index, 0 if there are none.
    pub(crate) fn index(&self, random: &mut Random) -> usize {
        let point = random.below(self.sums.last().copied().unwrap_or(0));
        self.sums.partition_point(|sum| *sum <= point)
    }
}

#[cfg(test)]
mod tests {
    use super::{Random, Weighted};

    #[test]
    fn a_seed_is_a_stream() {
        let mut random = Random::new(7);
        assert_eq!([random.bits(), random.bits()], [0x044C_3CD7_F43C_661C, 0xE698_4080_BAB1_2A02]);
    }

    #[test]
    fn weights_are_kept() {
        let weighted = Weighted::new([1, 0, 3]);
        let mut random = Random::new(1);
        let mut counts = [0; 3];
        for _ in 0..4_000 {
            counts[weighted.index(&mut random)] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((900..1_100).contains(&counts[0]), "{counts:?}");
    }
}
