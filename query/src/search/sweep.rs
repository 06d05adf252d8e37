//! Finds a needle in all texts of a column at once, so that a row that does not hold it costs no call.
//!
//! ```text
//!   texts      conn=42 ok│GET /health 200│… needle=zx7…│…      one after the other in memory
//!   64 starts  └──────────────────────────────┘
//!              is (start + 3) an `x` and (start + 4) a `7`, in either case?    for 64 starts with a few instructions
//!                └─ for some: compare the whole needle there ─► the row that it lies in ─► asked by itself
//! ```
//!
//! What is found is only a candidate: a needle may begin in one text and end in the next, and edges of tokens are not
//! looked at. Texts that are not ASCII are not for this.

use super::needle::{Needle, rarity};

/// Starts that are looked at together. Compilers turn the loop over these into vector instructions.
const STARTS: usize = 64;
/// The bit that tells capital letters from small ones.
const CASE: u8 = 0x20;

/// A needle as it is swept for.
#[derive(Debug)]
pub(super) struct Sweep<'n> {
    needle: &'n [u8],
    /// Places and values of its two rarest bytes, with the bit of the case set.
    rare: [(usize, u8); 2],
}

impl<'n> Sweep<'n> {
    /// `None` for a needle of one byte, and for one that no ASCII text holds.
    pub(super) fn new(needle: &'n Needle) -> Option<Self> {
        let needle = needle.lowered().as_bytes();
        if !needle.is_ascii() {
            return None;
        }
        let mut places: Vec<_> = needle.iter().copied().enumerate().collect();
        places.sort_by_key(|(_, byte)| std::cmp::Reverse(rarity(*byte)));
        let [first, second, ..] = places.as_slice() else { return None };
        Some(Self { needle, rare: [*first, *second].map(|(place, byte)| (place, byte | CASE)) })
    }

    /// The first place at or behind `from` where the needle stands in any case.
    pub(super) fn find(&self, texts: &[u8], from: usize) -> Option<usize> {
        let end = texts.len().checked_sub(self.needle.len())? + 1;
        let mut at = from;
        while at < end {
            match self.may_start_in(texts, at) {
                Some(false) => {}
                Some(true) => {
                    let starts = at..end.min(at + STARTS);
                    if let Some(found) = starts.into_iter().find(|start| self.is_at(texts, *start)) {
                        return Some(found);
                    }
                }
                // The end of the texts is near.
                None => return (at..end).find(|start| self.is_at(texts, *start)),
            }
            at += STARTS;
        }
        None
    }

    /// Whether both rare bytes are in their places for any of the starts; `None` where the texts end before.
    fn may_start_in(&self, texts: &[u8], at: usize) -> Option<bool> {
        let [(one_at, one), (other_at, other)] = self.rare;
        let ones = texts.get(at + one_at..)?.first_chunk::<STARTS>()?;
        let others = texts.get(at + other_at..)?.first_chunk::<STARTS>()?;
        let mut any = 0;
        for (here, there) in ones.iter().zip(others) {
            any |= u8::from(here | CASE == one) & u8::from(there | CASE == other);
        }
        Some(any != 0)
    }

    fn is_at(&self, texts: &[u8], start: usize) -> bool {
        let [(place, rare), _] = self.rare;
        texts.get(start + place).is_some_and(|byte| byte | CASE == rare)
            && texts
                .get(start..start + self.needle.len())
                .is_some_and(|text| text.eq_ignore_ascii_case(self.needle))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::search::needle::Edge;

    fn all(needle: &str, text: &str) -> Option<Vec<usize>> {
        let needle = Needle::new(needle, Edge::Free, Edge::Free)?;
        let sweep = Sweep::new(&needle)?;
        let mut found = Vec::new();
        while let Some(at) = sweep.find(text.as_bytes(), found.last().map_or(0, |last| last + 1)) {
            found.push(at);
        }
        Some(found)
    }

    #[test]
    fn needles_of_one_byte_and_of_other_letters_are_left_to_others() {
        assert_eq!(all("x", "xx"), None);
        assert_eq!(all("größe", "Größe"), None);
        assert_eq!(all("ab", ""), Some(vec![]));
        assert_eq!(all("_z", "a_Z\u{7f}z"), Some(vec![1]));
    }

    proptest! {
        #[test]
        fn every_place_is_found(needle in "[aAbB_1@ ]{2,5}", text in "[aAbB_1@` ]{0,300}") {
            let (lowered, wanted) = (text.to_ascii_lowercase(), needle.to_ascii_lowercase());
            let expected: Vec<_> =
                (0..text.len()).filter(|at| lowered[*at..].starts_with(&wanted)).collect();
            prop_assert_eq!(all(&needle, &text), Some(expected));
        }
    }
}
