//! Needles: words that occur a known number of times in the whole corpus, planted at the end of messages.

use std::collections::BTreeSet;

use super::random::Random;

/// How often a needle occurs, and how many such needles there are.
const KINDS: [(u64, usize); 3] = [(1, 40), (10, 20), (1_000, 20)];
/// At least so many rows for each row with a needle; kinds that would need more are left out.
const ROWS_PER_NEEDLE_ROW_MIN: u64 = 20;
/// Letters and digits after the first letter, which no hexadecimal number has.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz0123456789";
const LENGTH: usize = 11;

/// A planted word.
#[derive(Debug, Clone, serde::Serialize, PartialEq, Eq)]
pub struct Needle {
    /// The word: lower-case letters and digits, one token.
    pub word: String,
    /// Rows that contain it.
    pub hits: u64,
}

/// Which rows get which needle.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) needles: Vec<Needle>,
    /// Row and needle, last row first: they are taken from the end.
    rows: Vec<(u64, usize)>,
}

impl Plan {
    /// Needles for a corpus of `rows` rows, no two in one row.
    pub(crate) fn new(rows: u64, seed: u64) -> Self {
        let mut random = Random::branch(seed, 3);
        let mut plan = Self { needles: Vec::new(), rows: Vec::new() };
        let mut taken = BTreeSet::new();
        let mut budget = rows / ROWS_PER_NEEDLE_ROW_MIN;
        for (hits, count) in KINDS {
            for _ in 0..count {
                let Some(left) = budget.checked_sub(hits) else { break };
                budget = left;
                plan.plant(hits, rows, &mut taken, &mut random);
            }
        }
        plan.rows.sort_unstable_by(|one, other| other.cmp(one));
        plan
    }

    fn plant(&mut self, hits: u64, rows: u64, taken: &mut BTreeSet<u64>, random: &mut Random) {
        let letters = (0..LENGTH).filter_map(|_| random.pick(LETTERS)).map(|letter| char::from(*letter));
        let word: String = std::iter::once('z').chain(letters).collect();
        let needle = self.needles.len();
        self.needles.push(Needle { word, hits });
        let mut planted = 0;
        while planted < hits {
            let row = random.below(rows);
            if taken.insert(row) {
                self.rows.push((row, needle));
                planted += 1;
            }
        }
    }

    /// The needle of a row. Rows are asked for in order.
    pub(crate) fn needle(&mut self, row: u64) -> Option<&Needle> {
        let (_, needle) = self.rows.pop_if(|(planted, _)| *planted == row)?;
        self.needles.get(needle)
    }
}

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn each_needle_has_its_rows() {
        let mut plan = Plan::new(150_000, 9);
        let mut found = std::collections::BTreeMap::new();
        for row in 0..150_000 {
            if let Some(needle) = plan.needle(row) {
                *found.entry(needle.word.clone()).or_insert(0) += 1;
            }
        }
        let expected = plan.needles.iter().map(|needle| (needle.word.clone(), needle.hits)).collect();
        assert_eq!(found, expected);
        assert_eq!(plan.needles.len(), 67);
    }

    #[test]
    fn a_small_corpus_has_only_rare_needles() {
        let plan = Plan::new(1_000, 9);
        assert!(plan.needles.iter().all(|needle| needle.hits <= 10), "{:?}", plan.needles);
        assert!(plan.needles.len() >= 20);
    }
}
