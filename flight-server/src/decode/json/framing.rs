//! Where one record ends and the next begins.
//!
//! - A body that begins with `[` is an array: its elements are the records, numbered from 1.
//! - A body whose first line is a whole value is NDJSON: its lines are the records, by their line numbers; empty
//!   lines are passed over.
//! - Anything else is one record.

use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Framing;

/// Calls `record(number, bytes)` for each record of the body.
pub(super) fn records(body: &[u8], framing: Framing, record: &mut dyn FnMut(u64, &[u8])) {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let trimmed = body.trim_ascii();
    if trimmed.is_empty() {
        return;
    }
    if framing == Framing::Detect {
        if trimmed.first() == Some(&b'[') {
            return elements(trimmed, record);
        }
        if !first_line_is_whole(trimmed) {
            return record(1, trimmed);
        }
    }
    lines(body, record);
}

fn lines(body: &[u8], record: &mut dyn FnMut(u64, &[u8])) {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', body).chain(std::iter::once(body.len()));
    for (number, end) in (1..).zip(ends) {
        let line = body.get(start..end).unwrap_or_default().trim_ascii();
        if !line.is_empty() {
            record(number, line);
        }
        start = end.saturating_add(1);
    }
}

/// Whether the first line is a value by itself. A line that is damaged counts as whole when more lines follow that
/// begin as records do: a bad first line must not cost the others.
fn first_line_is_whole(body: &[u8]) -> bool {
    let Some(end) = memchr::memchr(b'\n', body) else { return false };
    let (line, rest) = body.split_at(end);
    if serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok() {
        return true;
    }
    let one_value = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
    !one_value && rest.split(|byte| *byte == b'\n').any(|line| line.trim_ascii().starts_with(b"{\""))
}

struct Elements<'r, 'f>(&'r mut (dyn FnMut(u64, &[u8]) + 'f), u64);

impl<'de> Visitor<'de> for &mut Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<&RawValue>()? {
            self.1 += 1;
            (self.0)(self.1, element.get().as_bytes());
        }
        Ok(())
    }
}

/// The elements of an array. What follows a syntax error cannot be told apart: it is one more record, a bad one.
fn elements(body: &[u8], record: &mut dyn FnMut(u64, &[u8])) {
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut visitor = Elements(record, 0);
    let outcome = json.deserialize_seq(&mut visitor).and_then(|()| json.end());
    if outcome.is_err() {
        let number = visitor.1.saturating_add(1);
        record(number, b"[");
    }
}
