//! A set of row ranges of one segment.

/// Which of a segment's ranges may hold what is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet {
    /// How many ranges the segment has.
    len: u32,
    words: Vec<u64>,
}

const WORD_BITS: u32 = 64;

impl RangeSet {
    /// None of `len` ranges.
    pub fn none(len: u32) -> Self {
        Self { len, words: vec![0; len.div_ceil(WORD_BITS) as usize] }
    }

    /// All of `len` ranges.
    pub fn all(len: u32) -> Self {
        let mut set = Self { len, words: vec![u64::MAX; len.div_ceil(WORD_BITS) as usize] };
        let spare = len.next_multiple_of(WORD_BITS) - len;
        if let Some(last) = set.words.last_mut() {
            *last >>= spare;
        }
        set
    }

    /// How many ranges the segment has.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether no range is in it.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// How many ranges are in it.
    pub fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Adds a range; one that the segment does not have is left out.
    pub fn insert(&mut self, range: u32) {
        if range < self.len
            && let Some(word) = self.words.get_mut((range / WORD_BITS) as usize)
        {
            *word |= 1 << (range % WORD_BITS);
        }
    }

    /// Whether a range is in it.
    pub fn contains(&self, range: u32) -> bool {
        self.words.get((range / WORD_BITS) as usize).is_some_and(|word| word >> (range % WORD_BITS) & 1 == 1)
    }

    /// Keeps what is also in `other`, a set of the same segment.
    pub fn intersect(&mut self, other: &Self) {
        debug_assert_eq!(self.len, other.len, "sets of different segments");
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    /// Adds what is in `other`, a set of the same segment.
    pub fn unite(&mut self, other: &Self) {
        debug_assert_eq!(self.len, other.len, "sets of different segments");
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// The ranges in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len).filter(|range| self.contains(*range))
    }
}
