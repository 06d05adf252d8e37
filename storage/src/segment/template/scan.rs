//! Finds the words of a text, eight bytes at a time. What a word is, `stretch.rs` says.
//!
//! ```text
//!   bytes    u s e r   1 7   l e f t         a bit each for 64 bytes, made of eight numbers of eight bytes
//!   word     1 1 1 1 0 1 1 0 1 1 1 1
//!   digit    0 0 0 0 0 1 1 0 0 0 0 0
//!   edge     1 0 0 0 1 1 0 1 1 0 0 0 1       where words begin and end
//! ```

use std::ops::Range;

/// What a word is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It holds no digit.
    Letters,
    /// It holds a digit and something else.
    Mixed,
    /// Digits alone.
    Number,
}

/// Bytes that are looked at together.
const WINDOW_BYTES: usize = 64;
/// The highest bit of each of eight bytes.
const HIGH: u64 = 0x8080_8080_8080_8080;
/// One in each of eight bytes.
const ONES: u64 = 0x0101_0101_0101_0101;

/// Which of some bytes belong to words, and which are digits: a bit for each, the lowest for the first.
#[derive(Clone, Copy, Debug, Default)]
struct Bits {
    word: u64,
    digit: u64,
}

impl Bits {
    /// Of eight bytes.
    fn of_eight(bytes: [u8; 8]) -> Self {
        let number = u64::from_le_bytes(bytes);
        let low = number & !HIGH;
        // The highest bit of each byte of these is set if the byte is in the range; no sum goes beyond its byte.
        let within = |bytes: u64, first: u8, last: u8| {
            let from = bytes + ONES * u64::from(0x80 - first);
            from & !(bytes + ONES * u64::from(0x7f - last))
        };
        let digit = within(low, b'0', b'9') & !number;
        let letter = within(low | (ONES * 0x20), b'a', b'z');
        let underscore = HIGH - (low ^ (ONES * u64::from(b'_')));
        Self { word: gather(digit | letter | underscore | number), digit: gather(digit) }
    }

    /// Of at most [`WINDOW_BYTES`] bytes.
    fn of_window(bytes: &[u8]) -> Self {
        let (mut bits, mut at) = (Self::default(), 0);
        let (eights, rest) = bytes.as_chunks();
        for eight in eights {
            bits.put(Self::of_eight(*eight), at);
            at += 8;
        }
        if !rest.is_empty() {
            // Zeros are no words.
            let mut eight = [0; 8];
            for (own, byte) in eight.iter_mut().zip(rest) {
                *own = *byte;
            }
            bits.put(Self::of_eight(eight), at);
        }
        bits
    }

    fn put(&mut self, eight: Self, at: u32) {
        self.word |= eight.word << at;
        self.digit |= eight.digit << at;
    }
}

/// The highest bits of eight bytes, that of the first one the lowest.
const fn gather(bytes: u64) -> u64 {
    // Each bit is moved to its place in the highest byte.
    ((bytes & HIGH) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// A word whose end was not found yet.
#[derive(Clone, Copy)]
struct Open {
    start: usize,
    has_digit: bool,
    has_other: bool,
}

impl Open {
    /// Takes in the bytes of a window that belong to it.
    fn take_in(&mut self, span: u64, digit: u64) {
        self.has_digit |= span & digit != 0;
        self.has_other |= span & !digit != 0;
    }

    fn kind(self) -> Kind {
        match (self.has_digit, self.has_other) {
            (false, _) => Kind::Letters,
            (true, true) => Kind::Mixed,
            (true, false) => Kind::Number,
        }
    }
}

/// Calls `found` for each word in order, until it returns false.
pub(super) fn words(text: &[u8], mut found: impl FnMut(Range<usize>, Kind) -> bool) {
    let mut open: Option<Open> = None;
    for (base, window) in (0..).step_by(WINDOW_BYTES).zip(text.chunks(WINDOW_BYTES)) {
        let Bits { word, digit } = Bits::of_window(window);
        let mut edges = word ^ (word << 1 | u64::from(open.is_some()));
        // Where the word at hand begins in this window.
        let mut from = 0;
        while edges != 0 {
            let at = edges.trailing_zeros();
            edges &= edges - 1;
            let place = base + at as usize;
            match open.take() {
                None => {
                    open = Some(Open { start: place, has_digit: false, has_other: false });
                    from = at;
                }
                Some(mut ended) => {
                    ended.take_in(u64::MAX << from & !(u64::MAX << at), digit);
                    if !found(ended.start..place, ended.kind()) {
                        return;
                    }
                }
            }
        }
        if let Some(open) = &mut open {
            open.take_in(u64::MAX << from & word, digit);
        }
    }
    if let Some(ended) = open {
        found(ended.start..text.len(), ended.kind());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::stretch::is_word;
    use super::*;

    fn one_by_one(text: &[u8]) -> Vec<(Range<usize>, Kind)> {
        let mut found = Vec::new();
        let mut at = 0;
        for word in text.split(|byte| !is_word(*byte)) {
            let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
            let kind = match digits {
                0 => Kind::Letters,
                _ if digits == word.len() => Kind::Number,
                _ => Kind::Mixed,
            };
            if !word.is_empty() {
                found.push((at..at + word.len(), kind));
            }
            at += word.len() + 1;
        }
        found
    }

    fn at_once(text: &[u8]) -> Vec<(Range<usize>, Kind)> {
        let mut found = Vec::new();
        words(text, |word, kind| {
            found.push((word, kind));
            true
        });
        found
    }

    #[test]
    fn each_byte_is_what_it_is_alone() {
        for byte in 0..=u8::MAX {
            for text in [vec![byte], vec![b' ', byte, b' '], [b"0123456".as_slice(), &[byte]].concat()] {
                assert_eq!(at_once(&text), one_by_one(&text), "{text:?}");
            }
        }
    }

    #[test]
    fn it_ends_where_it_is_told() {
        let mut count = 0;
        words(b"a b c", |_, _| {
            count += 1;
            count < 2
        });
        assert_eq!(count, 2);
    }

    proptest! {
        #[test]
        fn windows_make_no_difference(
            runs in prop::collection::vec(("[a-zA-Z_é]{0,40}|[0-9]{0,70}", "[ -/:-@{~]{0,9}"), 0..20),
        ) {
            let text: String = runs.into_iter().flat_map(|(word, between)| [word, between]).collect();
            prop_assert_eq!(at_once(text.as_bytes()), one_by_one(text.as_bytes()));
        }
    }
}
