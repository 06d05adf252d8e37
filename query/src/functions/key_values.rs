//! `extract_kv(message [, 'key'])`: the `key=value` pairs of a message, as logfmt and much else writes them.
//!
//! ```text
//!   level=warn msg="disk \"a\" full" (uid=0), tries=3
//!   level: warn   msg: disk "a" full   uid: 0   tries: 3
//! ```
//!
//! A key is a run of letters, digits, `_`, `.`, `-`, `@` and bytes above ASCII right before a `=`. A value ends at white
//! space, a comma or a semicolon, or is in quotes, where a backslash escapes. The first of several equal keys counts.
//! One pass, whatever the message is.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use ironbark_storage::LogSchema;

use super::call::{Kernel, Spec};
use super::mistake::Mistake;
use super::texts::{MapOut, TextOut, Texts};

const NAME: &str = "extract_kv";
/// A set of keys that has grown beyond this is not kept for the next message.
const KEYS_KEPT_MAX: usize = 1024;
/// Hexadecimal digits of `\u00e9`.
const UNICODE_DIGITS: usize = 4;

pub(super) static EXTRACT_KV: Spec = Spec {
    name: NAME,
    example: "extract_kv(message, 'status')",
    literals: 0..=1,
    called: &["the key"],
    answer: |literals| if literals == 0 { LogSchema::tags_type() } else { DataType::Utf8 },
    compile: |literals, _| match literals {
        [] => Ok(Arc::new(All)),
        ["", ..] => Err(Mistake::EmptyKey),
        [key, ..] => Ok(Arc::new(One((*key).to_owned()))),
    },
};

/// All pairs.
#[derive(Debug)]
struct All;

impl Kernel for All {
    fn run(&self, texts: Texts<'_>) -> Result<ArrayRef> {
        let mut out = MapOut::new(NAME, texts);
        let mut seen = HashSet::new();
        for text in texts.iter() {
            for (key, value) in Pairs::of(text.unwrap_or_default()) {
                if seen.insert(key) {
                    out.entry(key, &value.text())?;
                }
            }
            out.end_row(text.is_some())?;
            if seen.capacity() > KEYS_KEPT_MAX {
                seen = HashSet::new();
            }
            seen.clear();
        }
        out.finish()
    }
}

/// The value of one key.
#[derive(Debug)]
struct One(String);

impl Kernel for One {
    fn run(&self, texts: Texts<'_>) -> Result<ArrayRef> {
        let mut out = TextOut::new(NAME, texts);
        for text in texts.iter() {
            let found = Pairs::of(text.unwrap_or_default()).find(|(key, _)| *key == self.0);
            out.push(found.map(|(_, value)| value.text()).as_deref())?;
        }
        Ok(out.finish())
    }
}

/// A value as it stands in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value<'a> {
    Plain(&'a str),
    /// What is between the quotes.
    Quoted(&'a str),
}

impl<'a> Value<'a> {
    /// The text that is meant. Only escapes cost a copy.
    fn text(self) -> Cow<'a, str> {
        match self {
            Self::Quoted(inside) if inside.contains('\\') => Cow::Owned(unescaped(inside)),
            Self::Plain(text) | Self::Quoted(text) => Cow::Borrowed(text),
        }
    }
}

/// A backslash that says nothing known stands for itself.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut pieces = text.chars();
    while let Some(sign) = pieces.next() {
        if sign != '\\' {
            out.push(sign);
            continue;
        }
        let rest = pieces.as_str();
        match pieces.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some(sign @ ('"' | '\'' | '\\' | '/')) => out.push(sign),
            Some('u') => match unicode(pieces.as_str()) {
                Some((sign, after)) => {
                    out.push(sign);
                    pieces = after.chars();
                }
                None => out.push_str("\\u"),
            },
            _ => {
                out.push('\\');
                pieces = rest.chars();
            }
        }
    }
    out
}

fn unicode(text: &str) -> Option<(char, &str)> {
    let (digits, after) = text.split_at_checked(UNICODE_DIGITS)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
    Some((char::from_u32(number)?, after))
}

/// The pairs of a message, in order.
struct Pairs<'a> {
    text: &'a str,
    /// Everything before is done with.
    at: usize,
}

impl<'a> Pairs<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What stands behind `=`, and how many bytes it takes.
    fn value(rest: &'a str) -> (Value<'a>, usize) {
        if let Some(quote @ (b'"' | b'\'')) = rest.bytes().next() {
            let inside = rest.get(1..).unwrap_or_default();
            let mut escaped = false;
            let end = inside.bytes().position(|byte| {
                let ends = byte == quote && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            });
            // A message that was cut off has no second quote.
            let value = end.and_then(|end| inside.get(..end)).unwrap_or(inside);
            return (Value::Quoted(value), value.len() + 1 + usize::from(end.is_some()));
        }
        let ends = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b';');
        let end = rest.bytes().position(ends).unwrap_or(rest.len());
        let value = rest.get(..end).unwrap_or_default();
        (Value::Plain(without_closing(value)), end)
    }
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@') || !byte.is_ascii()
}

/// The value without what closes something that was opened before it.
fn without_closing(value: &str) -> &str {
    let count = |sign: u8| value.bytes().filter(|byte| *byte == sign).count();
    let surplus = |opens: u8, closes: u8| count(closes).saturating_sub(count(opens));
    let (mut round, mut square, mut curly) = (surplus(b'(', b')'), surplus(b'[', b']'), surplus(b'{', b'}'));
    let (mut double, mut single) = (count(b'"') % 2, count(b'\'') % 2);
    let kept = value.bytes().rev().position(|last| {
        let left = match last {
            b')' => &mut round,
            b']' => &mut square,
            b'}' => &mut curly,
            b'"' => &mut double,
            b'\'' => &mut single,
            _ => return true,
        };
        let stays = *left == 0;
        *left = left.saturating_sub(1);
        stays
    });
    kept.and_then(|cut| value.get(..value.len() - cut)).unwrap_or_default()
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.text.get(self.at..)?;
            let sign = memchr::memchr(b'=', rest.as_bytes())?;
            let (before, after) = rest.split_at_checked(sign)?;
            let after = after.get(1..)?;
            self.at += sign + 1;
            let key_bytes = before.bytes().rev().take_while(|byte| is_key(*byte)).count();
            let key = before.get(before.len() - key_bytes..)?.trim_start_matches(['-', '.', '@']);
            let more = after.bytes().take_while(|byte| *byte == b'=').count();
            if key.is_empty() || more > 0 {
                // A comparison, as in a == b.
                self.at += more;
                continue;
            }
            let (value, bytes) = Self::value(after);
            self.at += bytes;
            return Some((key, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> String {
        let pairs: Vec<_> = Pairs::of(text).map(|(key, value)| format!("{key}→{}", value.text())).collect();
        pairs.join(" | ")
    }

    #[test]
    fn pairs_are_found() {
        for (text, expected) in [
            ("", ""),
            ("no pairs", ""),
            ("a=1 b=2", "a→1 | b→2"),
            (r#"level=warn msg="disk \"a\" full" n=3"#, r#"level→warn | msg→disk "a" full | n→3"#),
            ("k='v w' x=1", "k→v w | x→1"),
            ("a= b=", "a→ | b→"),
            (r#"a="" b=''"#, "a→ | b→"),
            ("by (uid=0), user=root; euid=1.", "uid→0 | user→root | euid→1."),
            ("f(x=g(1)) [y=[2]] {z={3}}", "x→g(1) | y→[2] | z→{3}"),
            ("http.status=200 --port=80 @t=1", "http.status→200 | port→80 | t→1"),
            ("if a == b or c != d, e >= f", ""),
            ("x=y==", "x→y=="),
            ("url=http://h/?q=1&r=2 end=1", "url→http://h/?q=1&r=2 | end→1"),
            ("größe=5µm 日=本", "größe→5µm | 日→本"),
            ("=1 =", ""),
            (r#"cut="off here"#, "cut→off here"),
            (r#"a="b\\" c=1"#, r"a→b\ | c→1"),
            (r#"a="x\n\t\u00e9\q\u12\ud800\""#, "a→x\n\té\\q\\u12\\ud800\""),
            ("k: v", ""),
            ("a=1,b=2;c=3", "a→1 | b→2 | c→3"),
            ("line=1\nnext=2\r\n", "line→1 | next→2"),
        ] {
            assert_eq!(pairs(text), expected, "{text}");
        }
    }

    #[test]
    fn hostile_messages_take_one_pass() {
        let mib = 1 << 20;
        assert_eq!(Pairs::of(&"=".repeat(mib)).count(), 0);
        assert_eq!(Pairs::of(&"a=\"".repeat(mib / 3)).count(), (mib / 3).div_ceil(2));
        assert_eq!(Pairs::of(&"a".repeat(mib)).count(), 0);
        assert_eq!(Pairs::of(&"a= ".repeat(mib / 3)).count(), mib / 3);
        let closing = format!("a={}", ")".repeat(mib));
        assert_eq!(pairs(&closing), "a→");
        let escapes = format!("a=\"{}", "\\".repeat(mib));
        assert_eq!(Pairs::of(&escapes).count(), 1);
    }
}
