//! The mask of a message: its text with every word that holds a digit taken out.
//!
//! ```text
//!   GET /api/v2/users/17 finished in 532 ms        a word is a run of letters, digits, `_` and bytes above ASCII
//!       mask   GET /api/■/users/■ finished in ■ ms
//!       slots  v2, 17, 532                         of each: which bytes, and how many
//! ```
//!
//! A mask is made of a message alone, so that equal masks mean equal constant texts wherever they come from. `■` is the
//! byte 0xff, which no UTF-8 text holds. What lies behind the first bytes of a long message is one slot.

use std::ops::Range;

/// Stands for a slot in a mask.
pub(super) const SLOT: u8 = 0xff;
/// What of a message is masked; the rest is one slot.
const MASKED_BYTES_MAX: usize = 512;
/// The most slots of a mask; from there on the rest of a message is one slot.
const SLOTS_MAX: usize = 64;

/// A set of bytes; of those beyond ASCII it has all or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ByteSet {
    ascii: u128,
    beyond: bool,
}

impl ByteSet {
    /// Every byte.
    pub const ALL: Self = Self { ascii: u128::MAX, beyond: true };

    /// The bytes of a text.
    pub fn of(text: &[u8]) -> Self {
        text.iter().fold(Self::default(), |set, byte| match 1u128.checked_shl(u32::from(*byte)) {
            Some(bit) => Self { ascii: set.ascii | bit, ..set },
            None => Self { beyond: true, ..set },
        })
    }

    /// From the set of bytes in ASCII, byte 0 the lowest bit, and whether all others belong to it.
    pub(super) const fn from_parts(ascii: u128, beyond: bool) -> Self {
        Self { ascii, beyond }
    }

    /// What [`Self::from_parts`] takes.
    pub(super) const fn parts(self) -> (u128, bool) {
        (self.ascii, self.beyond)
    }

    /// The bytes of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self { ascii: self.ascii | other.ascii, beyond: self.beyond || other.beyond }
    }

    /// Whether a byte is in it.
    pub fn holds(self, byte: u8) -> bool {
        1u128.checked_shl(u32::from(byte)).map_or(self.beyond, |bit| self.ascii & bit != 0)
    }
}

/// What a byte is: part of a word, and then a digit or not.
const WORD: u8 = 1;
const DIGIT: u8 = 1 << 1;

/// What each byte is.
#[expect(
    clippy::indexing_slicing,
    reason = "there is a place for every byte, and it runs when this is compiled"
)]
const KINDS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0u8;
    loop {
        table[byte as usize] = match byte {
            b'0'..=b'9' => WORD | DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=u8::MAX => WORD,
            _ => 0,
        };
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

/// What may stand in a slot: so many of these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// All bytes that occur.
    pub bytes: ByteSet,
    /// The fewest bytes.
    pub min: u32,
    /// The most bytes.
    pub max: u32,
}

impl Slot {
    /// Of a text.
    pub(super) fn of(text: &[u8]) -> Self {
        Self::with(ByteSet::of(text), text.len())
    }

    fn with(bytes: ByteSet, length: usize) -> Self {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        Self { bytes, min: length, max: length }
    }

    /// What may stand in one or the other.
    #[must_use]
    pub(super) fn union(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.union(other.bytes),
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }
}

/// A mask and its slots, in buffers that are used again.
#[derive(Debug, Default)]
pub(super) struct Masked {
    /// The mask.
    pub(super) text: Vec<u8>,
    /// What stands in its slots, in order.
    pub(super) slots: Vec<Slot>,
}

impl Masked {
    /// Masks a message.
    pub(super) fn fill(&mut self, message: &str) {
        self.text.clear();
        self.slots.clear();
        let (masked, beyond) = message.as_bytes().split_at(message.len().min(MASKED_BYTES_MAX));
        // The word at hand, and where what is not in the mask yet begins.
        let (mut kinds, mut start, mut after) = (0, 0, 0);
        for (at, byte) in masked.iter().enumerate() {
            let kind = kind(*byte);
            if kind & WORD != 0 {
                if kinds == 0 {
                    start = at;
                }
                kinds |= kind;
                continue;
            }
            if kinds & DIGIT != 0 {
                self.word(masked, after, start..at);
                after = at;
                if self.slots.len() == SLOTS_MAX {
                    break;
                }
            }
            kinds = 0;
        }
        if self.slots.len() < SLOTS_MAX {
            if kinds & DIGIT != 0 {
                self.word(masked, after, start..masked.len());
            } else {
                self.text.extend_from_slice(masked.get(after..).unwrap_or_default());
            }
            after = masked.len();
        }
        let left = masked.len() - after + beyond.len();
        if left > 0 {
            self.slots.push(Slot::with(ByteSet::ALL, left));
            self.text.push(SLOT);
        }
    }

    /// A word that becomes a slot, and the constant text before it, which begins at `after`.
    fn word(&mut self, masked: &[u8], after: usize, word: Range<usize>) {
        self.text.extend_from_slice(masked.get(after..word.start).unwrap_or_default());
        self.text.push(SLOT);
        self.slots.push(Slot::of(masked.get(word).unwrap_or_default()));
    }
}

/// Whether a byte of a mask belongs to a word.
pub(super) fn is_word(byte: u8) -> bool {
    byte != SLOT && kind(byte) & WORD != 0
}

fn kind(byte: u8) -> u8 {
    KINDS.get(usize::from(byte)).copied().unwrap_or(0)
}
