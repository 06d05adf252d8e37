//! Finds one piece of text without case, with or without token boundaries at its ends.
//!
//! Logs are nearly always ASCII, and nearly every row does not match. So the search jumps with `memchr2` to
//! the needle's rarest byte, in either case, and compares only there. Other texts go the slow way: token by
//! token, or lowered into a buffer that the caller lends.

use ironbark_storage as storage;
use storage::{is_token_byte, is_token_char, lower, lower_into, tokens};

/// Letters and digits from frequent to rare in logs; what is not listed is rarer still.
const FREQUENT_FIRST: &[u8] = b"e0t1aoinrs2l-d./c:53um4p6789fgbhy_wvkxjqz";

/// How rare a byte is in logs, in lower case.
pub(super) fn rarity(byte: u8) -> usize {
    FREQUENT_FIRST.iter().position(|&frequent| frequent == byte).unwrap_or(FREQUENT_FIRST.len())
}

/// What has to be beside an end of the needle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// Anything.
    Free,
    /// The end of a token, if the needle ends in one; else anything.
    Token,
}

/// A piece of text to look for. Never empty.
#[derive(Debug, Clone)]
pub(super) struct Needle {
    lowered: String,
    rare_at: usize,
    rare: [u8; 2],
    start: Edge,
    end: Edge,
    /// Whether it is one token with a boundary at its start, so that the tokens of a text can be asked.
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Token,
    TokenPrefix,
    Text,
}

impl Needle {
    /// Lowers the text. `None` if it is empty.
    pub(super) fn new(text: &str, start: Edge, end: Edge) -> Option<Self> {
        let lowered = lower(text);
        let (rare_at, rare) = lowered.bytes().enumerate().max_by_key(|(_, b)| rarity(*b))?;
        let kind = match (start, end) {
            _ if !text.chars().all(is_token_char) => Kind::Text,
            (Edge::Token, Edge::Token) => Kind::Token,
            (Edge::Token, Edge::Free) => Kind::TokenPrefix,
            _ => Kind::Text,
        };
        Some(Self { rare_at, rare: [rare, rare.to_ascii_uppercase()], lowered, start, end, kind })
    }

    /// The text in lower case.
    pub(super) fn lowered(&self) -> &str {
        &self.lowered
    }

    /// Whether the text holds it. `lent` is a buffer for texts that are not ASCII.
    pub(super) fn is_in(&self, text: &str, lent: &mut String) -> bool {
        if text.is_ascii() {
            return self.find_ascii(text.as_bytes(), 0).is_some();
        }
        match self.kind {
            Kind::Token => tokens(text).any(|token| token.equals(&self.lowered)),
            Kind::TokenPrefix => tokens(text).any(|token| token.starts_with(&self.lowered)),
            Kind::Text => {
                lent.clear();
                lower_into(text, lent);
                self.is_in_lowered(lent)
            }
        }
    }

    /// The first place at or behind `from` in an ASCII text.
    pub(super) fn find_ascii(&self, text: &[u8], from: usize) -> Option<usize> {
        let needle = self.lowered.as_bytes();
        let mut at = from.checked_add(self.rare_at)?;
        loop {
            let hit = at + memchr::memchr2(self.rare[0], self.rare[1], text.get(at..)?)?;
            let start = hit - self.rare_at;
            let end = start + needle.len();
            if text.get(start..end)?.eq_ignore_ascii_case(needle) && self.edges_hold(text, start, end) {
                return Some(start);
            }
            at = hit + 1;
        }
    }

    fn edges_hold(&self, text: &[u8], start: usize, end: usize) -> bool {
        let is_token = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|b| is_token_byte(*b));
        let start_holds =
            self.start == Edge::Free || !is_token(Some(start)) || !is_token(start.checked_sub(1));
        let end_holds = self.end == Edge::Free || !is_token(end.checked_sub(1)) || !is_token(Some(end));
        start_holds && end_holds
    }

    fn is_in_lowered(&self, text: &str) -> bool {
        let token_before =
            |at| text.get(..at).is_some_and(|t| t.chars().next_back().is_some_and(is_token_char));
        let token_at = |at| text.get(at..).is_some_and(|t| t.chars().next().is_some_and(is_token_char));
        let holds = |start: usize| {
            let end = start + self.lowered.len();
            let start_holds = self.start == Edge::Free || !token_at(start) || !token_before(start);
            let end_holds = self.end == Edge::Free || !token_before(end) || !token_at(end);
            start_holds && end_holds
        };
        // Hits may overlap: in "ébbb" the second "bb" ends the token, not the first.
        let finder = memchr::memmem::Finder::new(self.lowered.as_bytes());
        let mut from = 0;
        while let Some(hit) = text.as_bytes().get(from..).and_then(|rest| finder.find(rest)) {
            if holds(from + hit) {
                return true;
            }
            from += hit + 1;
        }
        false
    }
}
