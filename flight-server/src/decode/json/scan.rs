//! A quick reader of JSON objects that are as programs write them; what it has doubts about is left to `serde_json`.
//!
//! ```text
//!   {"timestamp":"…","message":"a \"b\"","tags":{"host":"h","n":1.50},"list":[1,2]}
//!    └─ key         └─ value: its text, and whether it is a string without escapes
//!                                        └─ entered, or taken whole as a value
//! ```
//!
//! It takes a part of JSON: no escapes in keys, not too deep. All that it takes is JSON, with the texts that `serde_json`
//! finds; that it does not take something says nothing, so errors are found by `serde_json` alone. Records of logs are
//! mostly short strings, of which the ends are found eight bytes at a time, and nothing is looked at twice.

use std::ops::Deref;

/// Deepest nesting within a value.
const DEPTH_MAX: usize = 32;

/// Each byte of a word one.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte of a word.
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// What was met is no JSON, or JSON of a kind that is not taken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt;

/// A value as it stands in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value<'a> {
    text: &'a str,
    /// Known to be a string without escapes.
    plain: bool,
}

impl<'a> Value<'a> {
    /// A value of which nothing is known but that it is JSON.
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, plain: false }
    }

    /// Its text, with the quotes of a string.
    pub(super) fn text(self) -> &'a str {
        self.text
    }

    /// What stands between the quotes, where it is known to be a string without escapes.
    pub(super) fn plain(self) -> Option<&'a str> {
        if self.plain { self.text.get(1..self.text.len().checked_sub(1)?) } else { None }
    }
}

impl Deref for Value<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.text
    }
}

/// A place in an object.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// The object at hand was entered a moment ago.
    entered: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, entered: false }
    }

    /// Enters an object.
    pub(super) fn enter(&mut self) -> Result<(), Doubt> {
        self.expect(b'{')?;
        self.entered = true;
        Ok(())
    }

    /// The next key of the object at hand, after which its value stands; or `None`, and the object is left.
    pub(super) fn key(&mut self) -> Result<Option<&'a str>, Doubt> {
        self.space();
        if self.byte() == Some(b'}') {
            self.at += 1;
            self.entered = false;
            return Ok(None);
        }
        if !std::mem::take(&mut self.entered) {
            self.expect(b',')?;
            self.space();
        }
        let start = self.at.saturating_add(1);
        if !self.string()? {
            return Err(Doubt);
        }
        let key = self.text.get(start..self.at.saturating_sub(1)).ok_or(Doubt)?;
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(Some(key))
    }

    /// Whether the value that stands here is an object.
    pub(super) fn is_object(&self) -> bool {
        self.byte() == Some(b'{')
    }

    /// The value that stands here, whole.
    pub(super) fn value(&mut self) -> Result<Value<'a>, Doubt> {
        let start = self.at;
        let plain = self.pass(0)?;
        let text = self.text.get(start..self.at).ok_or(Doubt)?;
        Ok(Value { text, plain })
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<(), Doubt> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { Err(Doubt) }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), Doubt> {
        if self.byte() != Some(byte) {
            return Err(Doubt);
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Passes a value; whether it is a string without escapes.
    #[inline]
    fn pass(&mut self, depth: usize) -> Result<bool, Doubt> {
        match self.byte() {
            Some(b'"') => return self.string(),
            Some(b'{' | b'[') => self.nested(depth)?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            _ => self.number()?,
        }
        Ok(false)
    }

    fn nested(&mut self, depth: usize) -> Result<(), Doubt> {
        if depth >= DEPTH_MAX {
            return Err(Doubt);
        }
        if self.is_object() {
            self.enter()?;
            while self.key()?.is_some() {
                self.pass(depth + 1)?;
            }
            return Ok(());
        }
        self.expect(b'[')?;
        self.space();
        if self.byte() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            self.pass(depth + 1)?;
            self.space();
            if self.byte() == Some(b']') {
                self.at += 1;
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Doubt> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(Doubt);
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Doubt> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Doubt> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Doubt) }
    }

    /// Passes a string; whether it has no escapes.
    #[inline]
    fn string(&mut self) -> Result<bool, Doubt> {
        self.expect(b'"')?;
        let mut plain = true;
        loop {
            self.at = stop(self.text.as_bytes(), self.at);
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(plain);
                }
                Some(b'\\') => {
                    plain = false;
                    self.escape()?;
                }
                _ => return Err(Doubt),
            }
        }
    }

    /// Passes an escape. Whether its hexadecimal digits are half of a character shows where the text is taken.
    fn escape(&mut self) -> Result<(), Doubt> {
        self.at += 1;
        let escaped = self.byte().ok_or(Doubt)?;
        self.at += 1;
        match escaped {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at.saturating_add(4)).ok_or(Doubt)?;
                self.at += 4;
                if digits.iter().all(u8::is_ascii_hexdigit) { Ok(()) } else { Err(Doubt) }
            }
            _ => Err(Doubt),
        }
    }
}

/// The first byte from `at` on that a string cannot simply hold: a quote, a backslash or a control character; or the
/// end. Borrows between the bytes of a word can only mark bytes above a marked one, and the lowest is what counts.
#[inline]
fn stop(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let (quotes, backslashes) = (word ^ (ONES * u64::from(b'"')), word ^ (ONES * u64::from(b'\\')));
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let marked = (zero(quotes) | zero(backslashes) | control) & HIGHS;
        if marked != 0 {
            return at + (marked.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn whole(text: &str) -> Option<&str> {
        let mut scan = Scan::new(text);
        let value = scan.value().ok()?;
        scan.end().ok()?;
        Some(value.text())
    }

    #[test]
    fn what_is_taken_is_json_and_what_logs_are_made_of_is_taken() {
        for text in [
            r#""""#,
            r#""a""#,
            r#""12345678""#,
            r#""a\"\\\/\b\f\n\r\t\u00e9é b""#,
            r#""\ud800""#,
            "0",
            "-0.50e+12",
            "120",
            "true",
            "false",
            "null",
            "[]",
            "[ ]",
            r#"[1 , "a",[{}], {"a" : [ ] , "b":{"c":null} } ]"#,
            "{}",
            "{ }",
        ] {
            assert_eq!(whole(text), Some(text));
            serde_json::from_str::<&RawValue>(text).unwrap();
        }
        for text in [
            "",
            "\"",
            "\"a",
            "\"\\\"",
            "\"a\u{1}b\"",
            "\"1234567\n\"",
            r#""\x""#,
            r#""\u00g0""#,
            r#""\u00"#,
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "tru",
            "truee",
            "nul",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[",
            "]",
            r#"{"a":1,}"#,
            r#"{,"a":1}"#,
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1"#,
            r"{a:1}",
            r#"{"a":1 "b":2}"#,
            r#"{"a":1}}"#,
            "1 2",
        ] {
            assert_eq!(whole(text), None, "{text}");
            assert!(serde_json::from_str::<&RawValue>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn strings_end_where_they_end_wherever_they_begin() {
        for byte in [b'"', b'\\', 0, 1, 0x1f, b'\n'] {
            for (at, before) in
                (0..20).flat_map(|at| [b'a', 0x7f, 0x80, 0xff, b'!', b'#', b' '].map(|before| (at, before)))
            {
                let mut bytes = vec![before; 40];
                bytes[at] = byte;
                bytes[at + 1] = b'"';
                assert_eq!(stop(&bytes, 0), at);
                assert_eq!(stop(&bytes[..at], 0), at);
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_taken_that_is_no_json(text in r#"[\[\]{}",: \\0-9eE.+\-tfnula\n\x01é]{0,24}"#) {
            if whole(&text).is_some() {
                prop_assert!(serde_json::from_str::<&RawValue>(&text).is_ok(), "{}", text);
            }
        }
    }
}
