//! The token index of a segment: which ranges of its rows can hold a term.
//!
//! ```text
//!   range      8,192 rows of a row group (its last has fewer); counted through the whole segment
//!   term       a token of `message`, or the whole of a `trace_id` or `span_id`, or three letters in a row of a token
//!              that its template does not say; in lower case
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
mod words;

#[cfg(test)]
mod tests;

pub use format::{INDEX_FORMAT_VERSION, RANGE_ROWS};
pub use grams::grams;
pub use ranges::RangeSet;
pub use reader::{Hits, Piece, TokenIndex};

pub(super) use builder::IndexBuilder;

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
}

impl TermKind {
    /// The number that stands for it in the format: part of the hash, and first byte of a frequent term.
    const fn code(self) -> u8 {
        match self {
            Self::Message => 0,
            Self::TraceId => 1,
            Self::SpanId => 2,
            Self::Gram => 3,
        }
    }
}

/// The hash of a term. Part of the format. The seed is random, so that nobody can log texts that collide.
fn term_hash(seed: u64, kind: TermKind, lowered: &[u8]) -> u64 {
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

    /// What it is.
    pub const fn kind(&self) -> TermKind {
        self.kind
    }

    /// Its text in lower case.
    pub fn text(&self) -> &str {
        &self.lowered
    }

    fn hash(&self, seed: u64) -> u64 {
        term_hash(seed, self.kind, self.lowered.as_bytes())
    }

    /// Its key among the frequent terms.
    fn key(&self) -> Vec<u8> {
        frequent::key(self.kind, self.lowered.as_bytes())
    }
}
