//! The mask of a message: its text with every word that holds a digit taken out (`stretch.rs`).
//!
//! ```text
//!   GET /api/v2/users/17 answered 200 in duration_ms=532
//!       mask   GET /api/■/users/■ answered ■ in duration_ms=③
//!       slots  v2, 17, 200, 532                    of each: which bytes, and how many
//! ```
//!
//! A mask is made of a message alone, so that equal masks mean equal constant texts wherever they come from. `■` is the
//! byte 0xff, which no UTF-8 text holds. The rest of a long message is one slot. `③` is the slot of a number of three digits.
//!
//! What people ask of numbers is how large they are, and mostly of those with a name: `duration_ms=[0-9]{4,}`. So the first
//! numbers behind `=` (in JSON, behind `":`) have slots that say how many digits they have: bytes from 0xf5 on, which do not
//! occur in UTF-8 either. One and two digits are the same: attempts and workers, which hardly anybody asks for by length.

use super::stretch::{self, Stretch, stretches};

/// Stands for a slot in a mask.
pub(super) const SLOT: u8 = 0xff;
/// Stands for a slot of few digits; the next bytes for those of more.
const SLOT_OF_DIGITS: u8 = 0xf5;
/// Up to so many digits are few.
const DIGITS_FEW: u8 = 2;
/// A longer number is more likely an identifier, and its slot is like any other.
const DIGITS_MAX: u8 = 8;
/// Numbers of a message whose lengths are told, the first ones: lengths of many would hardly ever be the same together.
const NUMBERS_MAX: usize = 2;

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

    /// Those in ASCII, byte 0 the lowest bit; `None` if it has others.
    pub const fn ascii(self) -> Option<u128> {
        if self.beyond { None } else { Some(self.ascii) }
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
    /// Whether the mask tells how long some numbers are.
    pub(super) has_lengths: bool,
}

impl Masked {
    /// Masks a message.
    pub(super) fn fill(&mut self, message: &str) {
        self.text.clear();
        self.slots.clear();
        self.has_lengths = false;
        let mut numbers = 0;
        for stretch in stretches(message) {
            match stretch {
                Stretch::Text(text) => self.text.extend_from_slice(text.as_bytes()),
                Stretch::Word(word) => {
                    let is_told = numbers < NUMBERS_MAX && is_number(word) && has_name(&self.text);
                    let slot = if is_told { slot_of_digits(word) } else { SLOT };
                    numbers += usize::from(is_told);
                    self.has_lengths |= slot != SLOT;
                    self.text.push(slot);
                    self.slots.push(Slot::of(word.as_bytes()));
                }
                Stretch::Rest(rest) => {
                    self.text.push(SLOT);
                    self.slots.push(Slot::with(ByteSet::ALL, rest.len()));
                }
            }
        }
    }

    /// The mask without lengths.
    pub(super) fn plain(&self) -> Vec<u8> {
        self.text.iter().map(|byte| if is_slot(*byte) { SLOT } else { *byte }).collect()
    }
}

/// Whether what follows this text is the value of something.
fn has_name(before: &[u8]) -> bool {
    [b"=".as_slice(), b"\":", b"\": "].iter().any(|end| before.ends_with(end))
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// What stands for a number of so many digits.
fn slot_of_digits(number: &str) -> u8 {
    let digits = u8::try_from(number.len()).ok().filter(|digits| *digits <= DIGITS_MAX);
    digits.map_or(SLOT, |digits| SLOT_OF_DIGITS + digits.saturating_sub(DIGITS_FEW))
}

/// Whether a byte of a mask stands for a slot.
pub(super) fn is_slot(byte: u8) -> bool {
    byte >= SLOT_OF_DIGITS
}

/// Whether a byte of a mask belongs to a word.
pub(super) fn is_word(byte: u8) -> bool {
    !is_slot(byte) && stretch::is_word(byte)
}

/// The mask with its words taken out: of masks of one shape, only words differ.
pub(super) fn shape(mask: &[u8]) -> Vec<u8> {
    let mut shape = Vec::with_capacity(mask.len());
    let mut is_within = false;
    for byte in mask {
        if !is_word(*byte) {
            shape.push(*byte);
        } else if !is_within {
            shape.push(SLOT);
        }
        is_within = is_word(*byte);
    }
    shape
}
