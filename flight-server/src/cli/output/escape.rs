//! Keeps log lines from commanding a terminal.
//!
//! A log line may hold anything that anybody sent: escape sequences that move the cursor, rename the window or hide
//! text, and marks that turn the direction of writing. They are shown as text.

use std::borrow::Cow;

/// Shows all control characters, line ends and tabs included.
pub(crate) fn all(text: &str) -> Cow<'_, str> {
    escape(text, is_control)
}

/// Shows control characters but for tabs and line ends.
pub(crate) fn but_space(text: &str) -> Cow<'_, str> {
    escape(text, |character| is_control(character) && !matches!(character, '\n' | '\t'))
}

fn is_control(character: char) -> bool {
    let turns =
        matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || turns || matches!(character, '\u{2028}' | '\u{2029}')
}

fn escape(text: &str, shown: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&shown) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            character if !shown(character) => escaped.push(character),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            character => escaped.extend(character.escape_unicode()),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_text() {
        assert_eq!(all("plain äö€ 🦀"), "plain äö€ 🦀");
        assert_eq!(all("a\u{1b}[2Jb\r\n\tc\u{202e}\u{9b}\0"), "a\\u{1b}[2Jb\\r\\n\\tc\\u{202e}\\u{9b}\\u{0}");
        assert_eq!(but_space("a\n\tb\u{7}"), "a\n\tb\\u{7}");
        assert!(matches!(all("plain"), Cow::Borrowed(_)));
    }
}
