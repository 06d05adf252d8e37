//! Terms of more than one range while an index is built: where each occurs is written down one behind the other, and put
//! together by terms at the end.
//!
//! ```text
//!   range 7   … (term 4, range 7, 12 rows) (term 9, range 7, 3 rows)       one log for all: nothing is looked for
//!   range 8   … (term 2, range 8, 1 row) (term 4, range 8, 5 rows)
//!   at the end    term 2: 8    term 4: 7 8, 17 rows    term 9: 7
//! ```

use super::format::RARE_RANGES_MAX;
use super::frequent::Frequent;

/// Occurrences are kept in pieces of so many: one vector for all would be copied, and half empty, each time that it grows.
const PIECE_OCCURRENCES: usize = 4_096;

/// That a term is in a range.
#[derive(Clone, Copy, Debug)]
struct Occurrence {
    term: u32,
    range: u16,
    rows: u16,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct RepeatedTerms {
    /// Where the keys of terms end among the texts.
    ends: Vec<u32>,
    texts: Vec<u8>,
    /// Ascending by range for each term, in pieces.
    occurrences: Vec<Vec<Occurrence>>,
}

impl RepeatedTerms {
    /// Adds a term with its key in the dictionary. Returns its number; `None` where there is too much text.
    pub(super) fn add(&mut self, key: &[u8]) -> Option<u32> {
        let number = u32::try_from(self.ends.len()).ok()?;
        let end = u32::try_from(self.texts.len() + key.len()).ok()?;
        self.texts.extend_from_slice(key);
        self.ends.push(end);
        Some(number)
    }

    /// So many rows of a range hold a term. Ranges ascend.
    pub(super) fn push(&mut self, term: u32, range: u16, rows: u16) {
        if self.occurrences.last().is_none_or(|piece| piece.len() >= PIECE_OCCURRENCES) {
            self.occurrences.push(Vec::with_capacity(PIECE_OCCURRENCES));
        }
        if let Some(piece) = self.occurrences.last_mut() {
            piece.push(Occurrence { term, range, rows });
        }
    }

    /// The ranges of each term.
    pub(super) fn gather(self) -> GatheredTerms {
        let mut starts = vec![0u32; self.ends.len() + 1];
        for occurrence in self.occurrences.iter().flatten() {
            if let Some(next) = starts.get_mut(occurrence.term as usize + 1) {
                *next += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let (mut next, mut rows) = (starts.clone(), vec![0u32; self.ends.len()]);
        let mut ranges = vec![0; self.occurrences.iter().map(Vec::len).sum()];
        for occurrence in self.occurrences.into_iter().flatten() {
            let term = occurrence.term as usize;
            if let (Some(next), Some(rows)) = (next.get_mut(term), rows.get_mut(term)) {
                if let Some(range) = ranges.get_mut(*next as usize) {
                    *range = occurrence.range;
                }
                *next += 1;
                *rows = rows.saturating_add(u32::from(occurrence.rows));
            }
        }
        GatheredTerms { ends: self.ends, texts: self.texts, starts, ranges, rows }
    }
}

/// Terms with their ranges.
#[derive(Debug)]
pub(super) struct GatheredTerms {
    ends: Vec<u32>,
    texts: Vec<u8>,
    /// Where the ranges of each term begin, and where those of the last one end.
    starts: Vec<u32>,
    ranges: Vec<u16>,
    rows: Vec<u32>,
}

impl GatheredTerms {
    /// The ranges of a term that has few; `None` if it is frequent.
    pub(super) fn rare(&self, term: u32) -> Option<&[u16]> {
        self.ranges(term as usize).filter(|ranges| ranges.len() <= RARE_RANGES_MAX)
    }

    /// All terms that are frequent.
    pub(super) fn frequent(&self) -> Vec<Frequent> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let keys = starts.zip(&self.ends).map(|(start, end)| self.texts.get(*start as usize..*end as usize));
        let terms = keys.zip(&self.rows).enumerate().filter_map(|(term, (key, rows))| {
            let ranges = self.ranges(term).filter(|ranges| ranges.len() > RARE_RANGES_MAX)?;
            let ranges = ranges.iter().copied().map(u32::from).collect();
            Some(Frequent { key: key?.to_vec(), rows: u64::from(*rows), ranges })
        });
        terms.collect()
    }

    fn ranges(&self, term: usize) -> Option<&[u16]> {
        let (start, end) = (self.starts.get(term)?, self.starts.get(term + 1)?);
        self.ranges.get(*start as usize..*end as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_get_their_ranges_in_order() {
        let mut terms = RepeatedTerms::default();
        let numbers = [b"\0often".as_slice(), b"\0", b"\0rare"].map(|key| terms.add(key).unwrap());
        let [often, both, rare] = numbers;
        // More than a piece.
        let last = u16::try_from(PIECE_OCCURRENCES).unwrap();
        for range in 0..=last {
            terms.push(often, range, 3);
            if range < 8 {
                terms.push(rare, range, 1);
            }
            if range > last - 9 {
                terms.push(both, range, 8_192);
            }
        }
        let terms = terms.gather();
        assert_eq!(
            numbers.map(|number| terms.rare(number)),
            [None, None, Some(&[0, 1, 2, 3, 4, 5, 6, 7][..])]
        );
        let frequent: Vec<_> =
            terms.frequent().into_iter().map(|term| (term.key, term.rows, term.ranges)).collect();
        let expected = [
            (b"\0often".to_vec(), 3 * (u64::from(last) + 1), (0..=u32::from(last)).collect::<Vec<u32>>()),
            (b"\0".to_vec(), 9 * 8_192, (u32::from(last) - 8..=u32::from(last)).collect()),
        ];
        assert_eq!(frequent, expected);
    }
}
