//! Decides what the first `:` of a word means: field and value, or text that just holds a colon.
//!
//! ```text
//!   http://shop/x  scheme://…           text
//!   std::io  fe80::1  :x                text: nothing, or another colon, beside it
//!   10.0.0.1:80  12:30:05  2026-01-31T10:00   text: the left side is digits, dots, dashes
//!   localhost:8080  /path:3             text
//!   db-1:5432  api.example.com:443      host and port: also a tag of that name (http.status:500)
//!   status:500  tags.db-1:5432          field and value
//! ```
//!
//! A backslash anywhere on the left makes it a field, one before the colon makes it text.

use super::ast::{Field, HostPort};
use super::lexer::{Glyph, Word, text_of};

/// What a word with or without a colon is.
#[derive(Debug)]
pub(super) enum Reading {
    /// Text, colons and all.
    Text,
    /// A host and a port, or a tag and a number.
    HostPort(HostPort),
    /// A field; its value starts `offset` glyphs into the word.
    Field { name: Vec<Glyph>, value: Vec<Glyph> },
}

/// Reads a word that stands where a field may stand.
pub(super) fn read(word: &Word) -> Reading {
    let Some(colon) = word.glyphs.iter().position(|glyph| glyph.is(':')) else {
        return Reading::Text;
    };
    let (left, right) = word.glyphs.split_at_checked(colon).unwrap_or((&word.glyphs, &[]));
    let right = right.get(1..).unwrap_or(&[]);
    let field = || Reading::Field { name: left.to_vec(), value: right.to_vec() };
    if left.iter().any(|glyph| glyph.escaped) {
        return field();
    }
    let name = text_of(left);
    let is_text = name.is_empty()
        || name.starts_with('/')
        || right.first().is_some_and(|glyph| glyph.is(':'))
        || right.iter().take(2).filter(|glyph| glyph.is('/')).count() == 2
        || is_number_like(&name)
        || (name == "localhost" && port(right).is_some())
        || is_ipv6(word);
    if is_text {
        return Reading::Text;
    }
    match port(right) {
        Some(port) if is_host_name(&name) => Reading::HostPort(HostPort { host: name, port }),
        _ => field(),
    }
}

/// The field that the left side of a colon names: `@` is dropped, `tags.` makes it a tag. `None` without a name.
pub(super) fn field_name(glyphs: &[Glyph]) -> Option<Field> {
    const TAGS: &str = "tags.";
    let rest = match glyphs.split_first() {
        Some((first, rest)) if first.is('@') => rest,
        _ => glyphs,
    };
    let prefix = rest.iter().zip(TAGS.chars());
    let is_tag = rest.len() >= TAGS.len()
        && prefix.clone().all(|(glyph, c)| !glyph.escaped && glyph.c.eq_ignore_ascii_case(&c));
    let name = text_of(if is_tag { rest.get(TAGS.len()..)? } else { rest });
    match (name.is_empty(), is_tag) {
        (true, _) => None,
        (false, true) => Some(Field::Tag(name)),
        (false, false) => Some(Field::Named(name)),
    }
}

/// Whether no field would be called so: an IPv4 address, a date or a time of day up to its first colon.
fn is_number_like(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | 'T'))
}

/// Whether it could be a host name that is clearly more than one word.
fn is_host_name(name: &str) -> bool {
    name.contains(['.', '-'])
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("tags."))
}

/// Whether it is an IPv6 address, maybe with a prefix length.
fn is_ipv6(word: &Word) -> bool {
    let text = word.text();
    let address = text.split_once('/').map_or(text.as_str(), |(address, _)| address);
    !word.has_escapes() && address.parse::<std::net::Ipv6Addr>().is_ok()
}

fn port(glyphs: &[Glyph]) -> Option<u16> {
    let digits = glyphs.iter().all(|glyph| !glyph.escaped && glyph.c.is_ascii_digit());
    if digits { text_of(glyphs).parse().ok() } else { None }
}
