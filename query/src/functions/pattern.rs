//! `pattern(message)`: the message without what changes from one to the next of the same template.
//!
//! ```text
//!   GET /api/v2/users/17 finished in 532 ms
//!   GET /api/<*>/users/<*> finished in <*> ms
//! ```
//!
//! Words that hold a digit are placeholders, as in the masks of a segment's templates (`stretches` of storage says which
//! these are), but of whatever length. What lies behind the first bytes or the last placeholder is one more. So a
//! pattern is made of a message alone, in one pass, and equal templates give equal patterns.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use ironbark_storage::{Stretch, stretches};

use super::call::{Kernel, Spec};
use super::texts::{TextOut, Texts};

/// Stands for what changes.
const PLACEHOLDER: &str = "<*>";

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

fn write_pattern(message: &str, out: &mut String) {
    for stretch in stretches(message) {
        out.push_str(match stretch {
            Stretch::Text(text) => text,
            Stretch::Word(_) | Stretch::Rest(_) => PLACEHOLDER,
        });
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
        assert_eq!(pattern("duration_ms=5"), pattern("duration_ms=12345"));
        assert_ne!(pattern("took 5 ms"), pattern("took 5 s"));
    }

    /// What of a message is looked at, in bytes.
    const MESSAGE_BYTES_MAX: usize = 512;
    /// The most placeholders but for the one for the rest.
    const PLACEHOLDERS_MAX: usize = 64;

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
