//! Cuts a message into what its template keeps and what changes from one message to the next: words that hold a digit.
//!
//! ```text
//!   GET /api/v2/users/17 finished in 532 ms        a word is a run of letters, digits, `_` and bytes above ASCII
//!   ─────────══───────══─────────────═══───        ─ text, ═ word
//! ```
//!
//! What lies behind the first bytes or words of a message is its rest. Masks and SQL's `pattern()` are both made of this; it
//! depends on the message alone.

/// What of a message is looked at, in bytes; the rest is not cut.
pub(super) const MESSAGE_BYTES_MAX: usize = 512;
/// The most words with a digit; behind them begins the rest.
pub(super) const WORDS_MAX: usize = 64;

/// A stretch of a message, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch<'a> {
    /// Words without a digit and what stands between words.
    Text(&'a str),
    /// A word that holds a digit.
    Word(&'a str),
    /// All that follows; the last stretch.
    Rest(&'a str),
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

fn kind(byte: u8) -> u8 {
    KINDS.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Whether a byte belongs to a word.
#[cfg(test)]
pub(super) fn is_word(byte: u8) -> bool {
    kind(byte) & WORD != 0
}

/// Cuts a message: one behind the other its stretches are the message, and two of a kind never meet.
pub fn stretches(message: &str) -> impl Iterator<Item = Stretch<'_>> {
    let looked_at = message.floor_char_boundary(MESSAGE_BYTES_MAX);
    let (left, beyond) = message.split_at_checked(looked_at).unwrap_or((message, ""));
    Stretches { message, left, beyond: beyond.len(), word: None, words: 0 }
}

struct Stretches<'a> {
    message: &'a str,
    /// What is looked at and not told yet.
    left: &'a str,
    /// Bytes that are not looked at.
    beyond: usize,
    /// The word at the start of what is left, if the text before it was just told.
    word: Option<usize>,
    words: usize,
}

impl<'a> Stretches<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        // Words begin and end next to bytes of ASCII, so never within a character.
        let (taken, left) = self.left.split_at_checked(bytes).unwrap_or((self.left, ""));
        self.left = left;
        taken
    }

    fn rest(&mut self) -> Option<Stretch<'a>> {
        let bytes = std::mem::take(&mut self.left).len() + std::mem::take(&mut self.beyond);
        let rest = self.message.get(self.message.len().checked_sub(bytes)?..)?;
        (!rest.is_empty()).then_some(Stretch::Rest(rest))
    }
}

impl<'a> Iterator for Stretches<'a> {
    type Item = Stretch<'a>;

    fn next(&mut self) -> Option<Stretch<'a>> {
        if self.left.is_empty() || (self.words == WORDS_MAX && self.word.is_none()) {
            return self.rest();
        }
        let (start, length) = match self.word.take() {
            Some(length) => (0, length),
            None => word_with_digit(self.left.as_bytes()),
        };
        if start > 0 {
            self.word = (length > 0).then_some(length);
            return Some(Stretch::Text(self.take(start)));
        }
        self.words += 1;
        Some(Stretch::Word(self.take(length)))
    }
}

/// Start and length of the first word that holds a digit; the end and 0 if there is none.
fn word_with_digit(text: &[u8]) -> (usize, usize) {
    let (mut kinds, mut start) = (0, 0);
    for (at, byte) in text.iter().enumerate() {
        let kind = kind(*byte);
        if kind & WORD != 0 {
            if kinds == 0 {
                start = at;
            }
            kinds |= kind;
            continue;
        }
        if kinds & DIGIT != 0 {
            return (start, at - start);
        }
        kinds = 0;
    }
    if kinds & DIGIT != 0 { (start, text.len() - start) } else { (text.len(), 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_digits_are_cut_out() {
        use Stretch::{Rest, Text, Word};
        let cut = |message| stretches(message).collect::<Vec<_>>();
        assert_eq!(cut(""), []);
        assert_eq!(cut("none"), [Text("none")]);
        assert_eq!(cut("größe3 größe"), [Word("größe3"), Text(" größe")]);
        assert_eq!(cut("a=b1-2"), [Text("a="), Word("b1"), Text("-"), Word("2")]);
        let numbers = "1 ".repeat(WORDS_MAX + 1);
        assert_eq!(cut(&numbers).len(), 2 * WORDS_MAX);
        assert_eq!(cut(&numbers).last(), Some(&Rest(" 1 ")));
        assert_eq!(cut(&numbers[..2 * WORDS_MAX]).last(), Some(&Rest(" ")));
        assert_eq!(cut(&numbers[..2 * WORDS_MAX - 1]).last(), Some(&Word("1")));
        let long = format!("{}é", "x".repeat(MESSAGE_BYTES_MAX - 1));
        assert_eq!(cut(&long), [Text(&long[..MESSAGE_BYTES_MAX - 1]), Rest("é")]);
    }
}
