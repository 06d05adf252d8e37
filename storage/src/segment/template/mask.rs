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

use super::lexicon::Lexicon;
use super::scan::{self, Kind};
use super::stretch::{MESSAGE_BYTES_MAX, WORDS_MAX};

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

/// The bit of each byte of ASCII, in the low or the high half of 128: all numbers and ids of messages are looked up here.
#[expect(
    clippy::indexing_slicing,
    reason = "there is a place for every byte, and it runs when this is compiled"
)]
static BITS: [(u64, u64); 256] = {
    let mut table = [(0, 0); 256];
    let mut byte = 0;
    while byte < 64 {
        table[byte].0 = 1 << byte;
        table[byte + 64].1 = 1 << byte;
        byte += 1;
    }
    table
};

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
        let (mut low, mut high, mut all) = (0, 0, 0);
        for byte in text {
            let (in_low, in_high) = BITS.get(usize::from(*byte)).copied().unwrap_or_default();
            low |= in_low;
            high |= in_high;
            all |= byte;
        }
        Self { ascii: u128::from(high) << 64 | u128::from(low), beyond: !all.is_ascii() }
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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

/// Stands for a slot among the words of a mask.
pub(super) const SLOT_WORD: u32 = u32::MAX;

/// Where a word with a digit stands in a message: where it begins and where it ends.
pub(in crate::segment) type Place = (u16, u16);

/// A mask and its slots, in buffers that are used again.
#[derive(Debug, Default)]
pub(super) struct Masked {
    /// What stands between its words and slots, with a slot for each of these; see `shapes.rs`.
    pub(super) shape: Vec<u8>,
    /// Its words by their numbers, and [`SLOT_WORD`] for each slot, in order.
    pub(super) words: Vec<u32>,
    /// Those of the mask before.
    before: Vec<u32>,
    /// What stands in its slots, in order.
    pub(super) slots: Vec<Slot>,
    /// Where the words with digits stand.
    pub(super) places: Vec<Place>,
    /// Whether these are all of them.
    pub(super) is_whole: bool,
    /// Whether the mask tells how long some numbers are.
    pub(super) has_lengths: bool,
}

impl Masked {
    /// Masks a message. Returns whether there were numbers for all of its words. They are found faster if they are those of the
    /// message before and that was said.
    pub(super) fn fill(&mut self, message: &str, lexicon: &mut Lexicon, is_like_before: bool) -> bool {
        self.shape.clear();
        std::mem::swap(&mut self.words, &mut self.before);
        self.words.clear();
        self.slots.clear();
        self.places.clear();
        self.has_lengths = false;
        let (bytes, looked_at) = (message.as_bytes(), message.floor_char_boundary(MESSAGE_BYTES_MAX));
        let text = bytes.get(..looked_at).unwrap_or(bytes);
        // What is not in the mask yet begins behind the last word.
        let (mut after, mut numbers, mut is_known) = (0, 0, true);
        scan::words(text, |place, kind| {
            let between = text.get(after..place.start).unwrap_or_default();
            let word = text.get(place.clone()).unwrap_or_default();
            after = place.end;
            self.push_between(between);
            if kind == Kind::Letters {
                let guess = self.before.get(self.words.len()).filter(|_| is_like_before);
                let number = lexicon.number(word, guess.copied());
                is_known = number.is_some();
                self.words.extend(number);
                self.shape.push(SLOT);
                return is_known;
            }
            let is_told = kind == Kind::Number && numbers < NUMBERS_MAX && has_name(between);
            numbers += usize::from(is_told);
            let slot = if is_told { slot_of_digits(word) } else { SLOT };
            self.push_slot(slot, Slot::of(word));
            // What is looked at is not so long.
            self.places.extend(u16::try_from(place.start).ok().zip(u16::try_from(place.end).ok()));
            self.places.len() < WORDS_MAX
        });
        let looked_at = if self.places.len() < WORDS_MAX { text.len() } else { after };
        self.push_between(text.get(after..looked_at).unwrap_or_default());
        let rest = bytes.len().saturating_sub(looked_at);
        self.is_whole = rest == 0;
        if rest > 0 {
            self.push_slot(SLOT, Slot::with(ByteSet::ALL, rest));
        }
        is_known
    }

    fn push_between(&mut self, between: &[u8]) {
        match between {
            [byte] => self.shape.push(*byte),
            bytes => self.shape.extend_from_slice(bytes),
        }
    }

    fn push_slot(&mut self, in_shape: u8, slot: Slot) {
        self.has_lengths |= in_shape != SLOT;
        self.shape.push(in_shape);
        self.words.push(SLOT_WORD);
        self.slots.push(slot);
    }
}

/// Whether what follows this text is the value of something.
fn has_name(before: &[u8]) -> bool {
    [b"=".as_slice(), b"\":", b"\": "].iter().any(|end| before.ends_with(end))
}

/// What stands for a number of so many digits.
fn slot_of_digits(number: &[u8]) -> u8 {
    let digits = u8::try_from(number.len()).ok().filter(|digits| *digits <= DIGITS_MAX);
    digits.map_or(SLOT, |digits| SLOT_OF_DIGITS + digits.saturating_sub(DIGITS_FEW))
}

/// Whether a byte of a mask stands for a slot.
pub(super) fn is_slot(byte: u8) -> bool {
    byte >= SLOT_OF_DIGITS
}
