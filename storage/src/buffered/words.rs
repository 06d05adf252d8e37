//! Which terms buffered rows hold: the index of a segment for rows that have none yet, in memory only.
//!
//! ```text
//!   term ──hash──► in 4 rows or more? ─┬─ counted: its hash, and how many rows hold it
//!                                      └─ rare:    6 bits of one line of 512, at most 12 bits for each rare term
//! ```
//!
//! Nearly all terms are ids that occur once: they cost 1.5 bytes each. A look at the bits finds one rare term in 200
//! that is not there, never misses one that is, and rows are always looked at again.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::LazyLock;

use arrow::array::cast::AsArray;
use arrow::array::{Array, RecordBatch, StringArray};

use crate::segment::{Ready, term_hash};
use crate::token::each_lowered;
use crate::{Term, TermKind, column, lower_into};

/// Terms of so many rows are counted.
pub(super) const COUNTED_ROWS_MIN: u32 = 4;
/// Bits for each rare term.
const BITS_OF_TERM: usize = 12;
/// Words of a line, which is looked up at once.
const LINE_WORDS: usize = 8;
/// Bits that a term sets in its line, each of nine bits of its hash.
const PROBES: u32 = 6;
/// Words of rows that would take more than this share of the rows' own memory are not kept.
const MEMORY_SHARE_MAX: usize = 8;
/// Rows of unusual length have fewer words than this for each.
const WORDS_OF_ROW: usize = 4;

/// The seed of the hashes in this process. It is random, so that nobody can log texts that collide; what is found does
/// not depend on it.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0u8));

/// How many of some rows hold a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// None does.
    Never,
    /// So many do.
    Rows(u64),
    /// A few may.
    Perhaps,
}

/// The terms of rows in memory.
#[derive(Debug)]
pub struct BufferedWords {
    /// Hashes, ascending, and numbers of rows.
    counted: Vec<(u64, u32)>,
    rare: Vec<u64>,
}

/// A term in the rows so far.
#[derive(Clone, Copy, Debug)]
struct Seen {
    rows: u32,
    /// The last row that was counted.
    row: u32,
}

type ByHash = HashMap<u64, Seen, BuildHasherDefault<Ready>>;

impl BufferedWords {
    /// The words of rows; `None` where they are not worth their memory.
    pub(super) fn of(rows: &RecordBatch) -> Option<Self> {
        let bytes_max = rows.get_array_memory_size() / MEMORY_SHARE_MAX;
        Self::made(rows).filter(|words| words.bytes() <= bytes_max)
    }

    /// The words of rows of the stored schema, whatever they take.
    pub(super) fn made(rows: &RecordBatch) -> Option<Self> {
        let text = |name: &str| rows.column_by_name(name)?.as_string_opt::<i32>();
        let (messages, traces) = (text(column::MESSAGE)?, text(column::TRACE_ID)?);
        let spans = text(column::SPAN_ID)?;
        let mut seen = ByHash::default();
        seen.reserve(rows.num_rows().saturating_mul(WORDS_OF_ROW));
        let (seed, mut lowered) = (*SEED, String::new());
        for row in 0..rows.num_rows() {
            let number = u32::try_from(row).ok()?;
            if messages.is_valid(row) {
                each_lowered(messages.value(row), &mut lowered, |token| {
                    note(&mut seen, term_hash(seed, TermKind::Message, token), number);
                });
            }
            for (kind, values) in [(TermKind::TraceId, traces), (TermKind::SpanId, spans)] {
                if let Some(value) = whole(values, row, &mut lowered) {
                    note(&mut seen, term_hash(seed, kind, value), number);
                }
            }
        }
        let words = Self::finish(&seen);
        gauge().increment(as_gauge(words.bytes()));
        Some(words)
    }

    fn finish(seen: &ByHash) -> Self {
        let is_counted = |seen: &Seen| seen.rows >= COUNTED_ROWS_MIN;
        let mut counted: Vec<_> =
            seen.iter().filter(|(_, seen)| is_counted(seen)).map(|(hash, seen)| (*hash, seen.rows)).collect();
        counted.sort_unstable();
        let lines = ((seen.len() - counted.len()) * BITS_OF_TERM).div_ceil(LINE_WORDS * 64).max(1);
        let mut words = Self { counted, rare: vec![0; lines * LINE_WORDS] };
        for hash in seen.iter().filter(|(_, seen)| !is_counted(seen)).map(|(hash, _)| *hash) {
            let line = words.line(hash);
            for (word, bit) in probes(hash) {
                if let Some(word) = words.rare.get_mut(line + word) {
                    *word |= bit;
                }
            }
        }
        words
    }

    /// Whether anything is known of terms of a kind.
    pub const fn knows(kind: TermKind) -> bool {
        match kind {
            TermKind::Message | TermKind::TraceId | TermKind::SpanId => true,
            TermKind::Gram | TermKind::Tag => false,
        }
    }

    /// What is known of a term.
    pub fn held(&self, term: &Term) -> Held {
        if !Self::knows(term.kind()) {
            return Held::Perhaps;
        }
        let hash = term.hash(*SEED);
        if let Ok(place) = self.counted.binary_search_by_key(&hash, |(hash, _)| *hash) {
            return self.counted.get(place).map_or(Held::Perhaps, |(_, rows)| Held::Rows(u64::from(*rows)));
        }
        let line = self.line(hash);
        let has = |(word, bit)| self.rare.get(line + word).is_none_or(|word: &u64| word & bit != 0);
        if probes(hash).all(has) { Held::Perhaps } else { Held::Never }
    }

    /// Where the line of a hash begins.
    fn line(&self, hash: u64) -> usize {
        let lines = (self.rare.len() / LINE_WORDS) as u64;
        // The upper half of the hash picks the line: below 2^32 lines the product fits.
        let line = ((hash >> 32) * lines) >> 32;
        usize::try_from(line).unwrap_or(0) * LINE_WORDS
    }

    /// The memory that they take.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.counted.as_slice()) + size_of_val(self.rare.as_slice())
    }
}

impl Drop for BufferedWords {
    fn drop(&mut self) {
        gauge().decrement(as_gauge(self.bytes()));
    }
}

fn note(seen: &mut ByHash, hash: u64, row: u32) {
    let term = seen.entry(hash).or_insert(Seen { rows: 0, row: u32::MAX });
    if term.row != row {
        *term = Seen { rows: term.rows + 1, row };
    }
}

/// The lower case of a whole value.
fn whole<'a>(values: &StringArray, row: usize, lowered: &'a mut String) -> Option<&'a [u8]> {
    if values.is_null(row) {
        return None;
    }
    lowered.clear();
    lower_into(values.value(row), lowered);
    Some(lowered.as_bytes())
}

/// The words of a line and the bits in them that a hash sets.
fn probes(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    (0..PROBES).map(move |probe| {
        let place = (hash >> (9 * probe)) & 0x1ff;
        (usize::try_from(place / 64).unwrap_or(0), 1 << (place % 64))
    })
}

fn gauge() -> metrics::Gauge {
    metrics::gauge!("ironbark_buffer_words_bytes")
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn as_gauge(bytes: usize) -> f64 {
    bytes as f64
}
