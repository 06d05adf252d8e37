//! `pattern(message)`: the message without what changes from one to the next of the same template.
//!
//! ```text
//!   GET /api/v2/users/17 finished in 532 ms
//!   GET /api/<*>/users/<*> finished in <*> ms
//! ```
//!
//! A word is a run of ASCII letters, digits, `_` and bytes above ASCII; one that holds a digit is a placeholder. What
//! lies behind the first bytes or the last placeholder is one more. So a pattern is made of a message alone, in one
//! pass, and equal templates give equal patterns.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;

use super::call::{Kernel, Spec};
use super::texts::{TextOut, Texts};

/// Stands for what changes.
const PLACEHOLDER: &str = "<*>";
/// What of a message is looked at, in bytes; the rest is one placeholder.
const MESSAGE_BYTES_MAX: usize = 512;
/// The most placeholders but for the one for the rest.
const PLACEHOLDERS_MAX: usize = 64;

const NAME: &str = "pattern";

pub(super) static PATTERN: Spec = Spec {
    name: NAME,
    example: "pattern(message)",
    literals: 0..=0,
    called: &[],
    answer: |_| DataType::Utf8,
    compile: |_, _| Ok(Arc::new(Pattern)),
};

#[derive(Debug)]
struct Pattern;

impl Kernel for Pattern {
    fn run(&self, texts: Texts<'_>) -> Result<ArrayRef> {
        let mut out = TextOut::new(NAME, texts);
        let mut lent = String::new();
        for text in texts.iter() {
            match text {
                Some(text) => {
                    lent.clear();
                    write_pattern(text, &mut lent);
                    out.push(Some(&lent))?;
                }
                None => out.push(None)?,
            }
        }
        Ok(out.finish())
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Splits before the first byte for which `stops`, which is true of ASCII or of bytes above it alone: so never within
/// a character.
fn split(text: &str, stops: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(stops).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn write_pattern(message: &str, out: &mut String) {
    let looked_at = message.floor_char_boundary(MESSAGE_BYTES_MAX);
    let (mut rest, beyond) = message.split_at_checked(looked_at).unwrap_or((message, ""));
    let mut placeholders = 0;
    while !rest.is_empty() && placeholders < PLACEHOLDERS_MAX {
        let (between, from) = split(rest, is_word);
        let (word, after) = split(from, |byte| !is_word(byte));
        out.push_str(between);
        if word.bytes().any(|byte| byte.is_ascii_digit()) {
            placeholders += 1;
            out.push_str(PLACEHOLDER);
        } else {
            out.push_str(word);
        }
        rest = after;
    }
    if !(rest.is_empty() && beyond.is_empty()) {
        out.push_str(PLACEHOLDER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(message: &str) -> String {
        let mut out = String::new();
        write_pattern(message, &mut out);
        out
    }

    #[test]
    fn words_with_digits_are_placeholders() {
        for (message, expected) in [
            ("", ""),
            ("no digits here", "no digits here"),
            ("GET /api/v2/users/17 finished in 532 ms", "GET /api/<*>/users/<*> finished in <*> ms"),
            ("user_17 10.0.0.1:80", "<*> <*>.<*>.<*>.<*>:<*>"),
            ("größe3 größe", "<*> größe"),
            ("日本3語 done", "<*> done"),
            ("٣ arabic digits are letters", "٣ arabic digits are letters"),
            ("a-1b", "a-<*>"),
            (" 1 ", " <*> "),
            ("<*>", "<*>"),
        ] {
            assert_eq!(pattern(message), expected, "{message}");
        }
    }

    #[test]
    fn messages_of_one_template_are_equal() {
        assert_eq!(pattern("took 5 ms for a1"), pattern("took 12345 ms for b2c3"));
        assert_ne!(pattern("took 5 ms"), pattern("took 5 s"));
    }

    #[test]
    fn the_rest_of_a_long_message_is_one_placeholder() {
        let at_most = "ab ".repeat(171).trim_end().to_owned();
        assert_eq!(at_most.len(), MESSAGE_BYTES_MAX);
        assert_eq!(pattern(&at_most), at_most);
        assert_eq!(pattern(&format!("{at_most} {}", "x".repeat(1 << 20))), format!("{at_most}<*>"));
        // The character at the border belongs to the rest.
        let wide = format!("{}é and more", "x".repeat(MESSAGE_BYTES_MAX - 1));
        assert_eq!(pattern(&wide), format!("{}<*>", "x".repeat(MESSAGE_BYTES_MAX - 1)));
    }

    #[test]
    fn there_are_at_most_so_many_placeholders() {
        let numbers = "1 ".repeat(PLACEHOLDERS_MAX).trim_end().to_owned();
        assert_eq!(pattern(&numbers).matches(PLACEHOLDER).count(), PLACEHOLDERS_MAX);
        let more = format!("{numbers} x 1 y 2");
        assert_eq!(pattern(&more), format!("{}{PLACEHOLDER}", pattern(&numbers)));
    }
}
