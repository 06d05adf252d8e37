//! The tokenizer: what a word is, for the index, for search and for highlighting alike.
//!
//! A token is a run of letters, digits and `_`, compared in lower case. All else separates tokens.
//!
//! ```text
//!   GET /api/v1/Users?id=7 → 10.0.0.1
//!   └┬┘  └┬┘ └┤ └─┬─┘ └┤ ┤   └┤ ┤ ┤ ┤
//!   get  api  v1 users id 7   10 0 0 1
//! ```
//!
//! Letters and digits are those of Unicode ([`char::is_alphanumeric`]); lower case is [`char::to_lowercase`],
//! letter by letter, so that it never depends on the neighbours (a Greek final sigma stays what was written).
//! What this file says is part of the segment format: a change needs a new [`TOKENIZER_VERSION`]. It may not
//! know columns, queries or indexes.

/// The version of the rules above, recorded wherever tokens are stored.
pub const TOKENIZER_VERSION: u16 = 1;

/// Whether a character belongs to a token.
pub fn is_token_char(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { c.is_alphanumeric() }
}

/// Whether an ASCII byte belongs to a token; false for every byte of a longer character.
pub const fn is_token_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// Appends the lower case of `text` to `out`.
pub fn lower_into(text: &str, out: &mut String) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        if let Some(added) = out.get_mut(start..) {
            added.make_ascii_lowercase();
        }
    } else {
        out.extend(text.chars().flat_map(char::to_lowercase));
    }
}

/// The lower case of `text`.
pub fn lower(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    lower_into(text, &mut out);
    out
}

/// One token as it stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'t> {
    /// The token as written, in the text's own case.
    pub text: &'t str,
    /// Where it starts in the text, in bytes.
    pub start: usize,
}

impl Token<'_> {
    /// Where it ends in the text, in bytes, exclusive.
    pub const fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// Whether its lower case is `lowered`. Allocates nothing.
    pub fn equals(&self, lowered: &str) -> bool {
        if self.text.is_ascii() {
            self.text.eq_ignore_ascii_case(lowered)
        } else {
            self.text.chars().flat_map(char::to_lowercase).eq(lowered.chars())
        }
    }

    /// Whether its lower case starts with `lowered`. Allocates nothing.
    pub fn starts_with(&self, lowered: &str) -> bool {
        let mut own = self.text.chars().flat_map(char::to_lowercase);
        lowered.chars().all(|wanted| own.next() == Some(wanted))
    }
}

/// The tokens of a text, in order.
pub fn tokens(text: &str) -> Tokens<'_> {
    Tokens { text, at: 0 }
}

/// The tokens of a text from a byte offset on. An offset inside a token starts in the middle of it; one
/// that is no character boundary or lies behind the end gives no tokens.
pub fn tokens_from(text: &str, offset: usize) -> Tokens<'_> {
    Tokens { text, at: if text.is_char_boundary(offset) { offset } else { text.len() } }
}

/// Iterator over tokens; see [`tokens`].
#[derive(Clone, Debug)]
pub struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

impl Tokens<'_> {
    /// The first position from `at` on whose character is (`wanted`) or is not of a token; else the end.
    fn seek(&self, mut at: usize, wanted: bool) -> usize {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(at) {
            let (is_token, width) = if byte.is_ascii() {
                (is_token_byte(byte), 1)
            } else {
                match self.text.get(at..).and_then(|rest| rest.chars().next()) {
                    Some(c) => (is_token_char(c), c.len_utf8()),
                    None => return bytes.len(),
                }
            };
            if is_token == wanted {
                return at;
            }
            at += width;
        }
        bytes.len()
    }
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        let start = self.seek(self.at, true);
        let end = self.seek(start, false);
        self.at = end;
        self.text.get(start..end).filter(|text| !text.is_empty()).map(|text| Token { text, start })
    }
}

/// [`is_token_byte`] of every byte.
#[expect(
    clippy::indexing_slicing,
    reason = "there is a place for every byte, and it runs when this is compiled"
)]
const IS_TOKEN_BYTE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    loop {
        table[byte as usize] = is_token_byte(byte);
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

/// The tokens of a text in lower case, in order, for whoever hashes all of them. `lent` is a buffer to work in.
pub(crate) fn each_lowered(text: &str, lent: &mut String, mut each: impl FnMut(&[u8])) {
    if !text.is_ascii() {
        for token in tokens(text) {
            lent.clear();
            lower_into(token.text, lent);
            each(lent.as_bytes());
        }
        return;
    }
    // All of the text at once: most of it are tokens, which are short.
    lent.clear();
    lower_into(text, lent);
    let bytes = lent.as_bytes();
    let mut start = None;
    for (at, byte) in bytes.iter().enumerate() {
        if IS_TOKEN_BYTE.get(usize::from(*byte)) == Some(&true) {
            start = start.or(Some(at));
        } else if let Some(start) = start.take() {
            each(bytes.get(start..at).unwrap_or_default());
        }
    }
    if let Some(start) = start {
        each(bytes.get(start..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        tokens(text).map(|token| lower(token.text)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tokens_are_runs_of_letters_digits_and_underscore() {
        assert_eq!(words("GET /api/v1/Users?id=7 from 10.0.0.1"), "get api v1 users id 7 from 10 0 0 1");
        assert_eq!(words("user_id=ÄRGER, straße; МОСКВА→東京42"), "user_id ärger straße москва 東京42");
        assert_eq!(words(" -- \t\u{0}…"), "");
        assert_eq!(words(""), "");
    }

    #[test]
    fn a_token_knows_its_place() {
        let text = "é: Ünï x";
        for token in tokens(text) {
            assert_eq!(&text[token.start..token.end()], token.text);
        }
        assert_eq!(tokens_from(text, 4).map(|t| t.text).collect::<Vec<_>>(), ["Ünï", "x"]);
        assert_eq!(tokens_from(text, 1).next(), None);
        assert_eq!(tokens_from(text, 99).next(), None);
    }

    #[test]
    fn comparison_is_that_of_lower_case() {
        for (text, lowered) in
            [("ABC", "abc"), ("ÄB", "äb"), ("\u{212a}elvin", "kelvin"), ("İx", "i\u{307}x")]
        {
            let token = tokens(text).next().unwrap();
            assert!(token.equals(lowered), "{text}");
            assert!(token.starts_with(lowered) && token.starts_with(""), "{text}");
            assert!(!token.starts_with(&format!("{lowered}y")) && !token.equals("other"), "{text}");
            assert_eq!(lower(text), lowered);
        }
    }

    #[test]
    fn each_char_is_lowered_alone() {
        assert_eq!(words("ΟΔΟΣ"), "οδοσ");
    }
}
