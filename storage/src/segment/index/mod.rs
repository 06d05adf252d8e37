//! The token index of a segment: which ranges of its rows can hold a term.
//!
//! ```text
//!   range      8,192 rows of a row group (its last has fewer); counted through the whole segment
//!   term       a token of `message`, or the whole of a `trace_id` or `span_id`, or three letters in a row of a token
//!              that its template does not say, or a tag's key with a token of its value; in lower case
//!
//!            term ──hash──► in more than 8 ranges?
//!                            ├─ frequent: its text, how many rows hold it (exact), and its ranges (exact)
//!                            └─ rare:     16 bits of its hash and a range, once for each range that holds it
//! ```
//!
//! Nearly all terms are ids that occur once. A text costs them ten bytes, sixteen bits of a hash two, and all that
//! these lose is that one lookup in sixty finds a range too many. So an index may over-match, and never misses: rows
//! are always looked at again. Only the count of a frequent term is exact.
//!
//! Letters in a row answer for substrings: templates (`template/`) decide for what all messages of theirs have in common, and these
//! say what may stand in their slots.
//!
//! Everything here is sync and reads no store: [`TokenIndex`] says which bytes to bring for a term, and takes them.

mod bits;
mod builder;
mod format;
mod frequent;
mod grams;
mod ranges;
mod rare;
mod reader;
mod repeated;
mod seen;
mod words;

#[cfg(test)]
mod tests;

pub use format::{INDEX_FORMAT_VERSION, RANGE_ROWS};
pub use grams::grams;
pub use ranges::RangeSet;
pub use reader::{Hits, Piece, TokenIndex};

pub(super) use builder::IndexBuilder;
pub(crate) use builder::Ready;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What kind of term an index is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TermKind {
    /// A token of `message`; see [`crate::tokens`].
    Message,
    /// The whole of a `trace_id`.
    TraceId,
    /// The whole of a `span_id`.
    SpanId,
    /// Three letters in a row of a token in a slot; see [`grams`].
    Gram,
    /// A token of a tag's value, with the tag's key; see [`Term::of_tag`].
    Tag,
}

impl TermKind {
    /// The number that stands for it in the format: part of the hash, and first byte of a frequent term.
    const fn code(self) -> u8 {
        match self {
            Self::Message => 0,
            Self::TraceId => 1,
            Self::SpanId => 2,
            Self::Gram => 3,
            Self::Tag => 4,
        }
    }
}

/// Stands between the key of a tag and a token of its value.
const AFTER_KEY: char = '\0';

/// Whether a text may be a number that equals another one whose digits are no token of it: `1e3`, `007`, `.5`, and decimals
/// so long that they are rounded. Of other numbers the whole part is a token. Part of the format.
pub fn is_odd_number(text: &str) -> bool {
    let is_of_number = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.bytes().all(is_of_number) {
        return false;
    }
    let number = text.trim_start_matches(['+', '-']);
    let has = |bytes: &[u8]| number.bytes().any(|byte| bytes.contains(&byte));
    let is_padded = number.len() > 1 && number.starts_with('0') && !number.starts_with("0.");
    is_padded || number.starts_with('.') || has(b"eE") || (has(b".") && number.len() > EXACT_DIGITS_MAX)
}

/// Decimals with more digits may be rounded when they are read as a float.
const EXACT_DIGITS_MAX: usize = 15;

/// The hash of a term. Part of the format. The seed is random, so that nobody can log texts that collide.
pub(crate) fn term_hash(seed: u64, kind: TermKind, lowered: &[u8]) -> u64 {
    let code = u64::from(kind.code());
    // Of texts of up to three bytes XXH3 mixes only the lowest 32 bits with the seed: a seed that differs in these makes
    // the hash of another text, and words of three letters would count for grams.
    let apart = if kind == TermKind::Gram { code << 32 } else { code };
    xxh3_64_with_seed(lowered, seed.wrapping_add(apart))
}

/// Something to look for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Term {
    kind: TermKind,
    lowered: String,
}

impl Term {
    /// A token or a whole value, in any case.
    pub fn new(kind: TermKind, text: &str) -> Self {
        Self { kind, lowered: crate::lower(text) }
    }

    /// A token of the value under a key. Only of keys that have no column of their own in the segment: see [`crate::PromotedTags`].
    pub fn of_tag(key: &str, token: &str) -> Self {
        Self::new(TermKind::Tag, &format!("{key}{AFTER_KEY}{token}"))
    }

    /// What a row holds whose value under this key may be a number that is written in another way than in digits alone:
    /// see [`is_odd_number`]. It may equal a number whose digits are no token of it.
    pub fn of_odd_number(key: &str) -> Self {
        Self::of_tag(key, "")
    }

    /// Whether it is of the tag with this key, whatever the case.
    pub fn is_of_tag(&self, key: &str) -> bool {
        let rest = self.lowered.strip_prefix(&crate::lower(key));
        self.kind == TermKind::Tag && rest.is_some_and(|rest| rest.starts_with(AFTER_KEY))
    }

    /// What it is.
    pub const fn kind(&self) -> TermKind {
        self.kind
    }

    /// Its text in lower case.
    pub fn text(&self) -> &str {
        &self.lowered
    }

    pub(crate) fn hash(&self, seed: u64) -> u64 {
        term_hash(seed, self.kind, self.lowered.as_bytes())
    }

    /// Its key among the frequent terms.
    fn key(&self) -> Vec<u8> {
        frequent::key(self.kind, self.lowered.as_bytes())
    }
}
