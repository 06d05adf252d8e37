//! The mask of a message: its text with every word that holds a digit taken out.
//!
//! ```text
//!   GET /api/v2/users/17 finished in 532 ms        a word is a run of letters, digits, `_` and bytes above ASCII
//!       mask   GET /api/■/users/■ finished in ■ ms
//!       slots  v2, 17, 532                         of each: which kinds of characters, how many bytes
//! ```
//!
//! A mask is made of a message alone, so that equal masks mean equal constant texts wherever they come from. `■` is the
//! byte 0xff, which no UTF-8 text holds. What lies behind the first bytes of a long message is one slot.

/// Stands for a slot in a mask.
pub(super) const SLOT: u8 = 0xff;
/// What of a message is masked; the rest is one slot.
const MASKED_BYTES_MAX: usize = 512;
/// The most slots of a mask; from there on the rest of a message is one slot.
const SLOTS_MAX: usize = 64;

/// Kinds of characters that a slot holds, a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Classes(u8);

impl Classes {
    /// `0` to `9`.
    pub const DIGIT: Self = Self(1);
    /// `a` to `f`.
    pub const LOWER_HEX: Self = Self(1 << 1);
    /// `g` to `z`.
    pub const LOWER: Self = Self(1 << 2);
    /// `A` to `F`.
    pub const UPPER_HEX: Self = Self(1 << 3);
    /// `G` to `Z`.
    pub const UPPER: Self = Self(1 << 4);
    /// `_`.
    pub const UNDERSCORE: Self = Self(1 << 5);
    /// All other ASCII characters.
    pub const OTHER: Self = Self(1 << 6);
    /// Bytes of characters beyond ASCII.
    pub const NOT_ASCII: Self = Self(1 << 7);
    /// Everything.
    pub const ANY: Self = Self(0xff);

    /// The kind of a byte.
    pub const fn of(byte: u8) -> Self {
        match byte {
            b'0'..=b'9' => Self::DIGIT,
            b'a'..=b'f' => Self::LOWER_HEX,
            b'g'..=b'z' => Self::LOWER,
            b'A'..=b'F' => Self::UPPER_HEX,
            b'G'..=b'Z' => Self::UPPER,
            b'_' => Self::UNDERSCORE,
            0x80..=0xff => Self::NOT_ASCII,
            _ => Self::OTHER,
        }
    }

    /// Both together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a byte is of one of these kinds.
    pub const fn holds(self, byte: u8) -> bool {
        self.0 & Self::of(byte).0 != 0
    }

    /// As it is stored.
    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    pub(super) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    const fn is_word(self) -> bool {
        self.0 & Self::OTHER.0 == 0
    }
}

/// [`Classes::of`] every byte.
#[expect(
    clippy::indexing_slicing,
    reason = "there is a place for every byte, and it runs when this is compiled"
)]
const CLASSES: [Classes; 256] = {
    let mut table = [Classes(0); 256];
    let mut byte = 0u8;
    loop {
        table[byte as usize] = Classes::of(byte);
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

/// What may stand in a slot: so many bytes of these kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The kinds of all of its bytes.
    pub classes: Classes,
    /// The fewest bytes.
    pub min: u32,
    /// The most bytes.
    pub max: u32,
}

impl Slot {
    /// Of a text.
    pub(super) fn of(text: &[u8]) -> Self {
        let classes = text.iter().fold(Classes::default(), |classes, byte| classes.union(class(*byte)));
        Self::with(classes, text.len())
    }

    fn with(classes: Classes, bytes: usize) -> Self {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Self { classes, min: bytes, max: bytes }
    }

    /// What may stand in one or the other.
    #[must_use]
    pub(super) fn union(self, other: Self) -> Self {
        Self {
            classes: self.classes.union(other.classes),
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
        let (mut rest, beyond) = message.as_bytes().split_at(message.len().min(MASKED_BYTES_MAX));
        while !rest.is_empty() && self.slots.len() < SLOTS_MAX {
            let between = rest.iter().position(|byte| class(*byte).is_word()).unwrap_or(rest.len());
            let (others, from) = rest.split_at(between);
            self.text.extend_from_slice(others);
            let mut classes = Classes::default();
            let end = from.iter().position(|byte| {
                let class = class(*byte);
                let ends = !class.is_word();
                if !ends {
                    classes = classes.union(class);
                }
                ends
            });
            let (word, after) = from.split_at(end.unwrap_or(from.len()));
            if classes.0 & Classes::DIGIT.0 != 0 {
                self.slots.push(Slot::with(classes, word.len()));
                self.text.push(SLOT);
            } else {
                self.text.extend_from_slice(word);
            }
            rest = after;
        }
        let left = rest.len() + beyond.len();
        if left > 0 {
            self.slots.push(Slot::with(Classes::ANY, left));
            self.text.push(SLOT);
        }
    }
}

/// Whether a byte of a mask belongs to a word.
pub(super) fn is_word(byte: u8) -> bool {
    byte != SLOT && class(byte).is_word()
}

fn class(byte: u8) -> Classes {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(Classes::ANY)
}
