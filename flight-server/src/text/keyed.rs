//! Values behind a name: `ts=…`, `time="…"`, `"level":"…"`.
//!
//! This is not a parser of logfmt or JSON: it finds where the first value of one of a few names begins, and
//! reads nothing else. A name inside a JSON string is told by the backslash before its quote, and skipped.

/// How much of a line is searched for names, in bytes.
const KEYED_BYTES_MAX: usize = 4096;

/// Whether the line is a JSON object, as far as its first character tells.
pub(super) fn is_json(line: &str) -> bool {
    line.trim_start().starts_with('{')
}

/// Whether the line begins with `name=`.
pub(super) fn is_logfmt(line: &str) -> bool {
    let name = line.bytes().take_while(|byte| is_name(*byte)).count();
    name > 0 && line.as_bytes().get(name) == Some(&b'=')
}

/// The offsets at which the values of `names` begin, past an opening quote, in the order of the line. Names compare
/// without case.
pub(super) fn values<'a>(line: &'a str, names: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    let bytes = line.as_bytes();
    let window = bytes.get(..bytes.len().min(KEYED_BYTES_MAX)).unwrap_or_default();
    memchr::memchr2_iter(b'=', b':', window).filter_map(move |sign| {
        let name = name_before(line, sign)?;
        let wanted = names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
        wanted.then(|| value_start(bytes, sign + 1))
    })
}

/// The name that ends at the sign: bare before `=`, quoted before `:`.
fn name_before(line: &str, sign: usize) -> Option<&str> {
    let before = line.get(..sign)?;
    let (end, quoted) = match line.as_bytes().get(sign)? {
        b':' => (before.trim_end().strip_suffix('"')?, true),
        _ => (before, false),
    };
    let length = end.bytes().rev().take_while(|byte| is_name(*byte)).count();
    let (head, name) = end.split_at_checked(end.len() - length)?;
    let opened = match head.as_bytes() {
        [.., b'\\'] | [.., b'\\', b'"'] => false,
        [.., b'"'] => true,
        [] | [.., b' ' | b'\t' | b',' | b'{' | b'(' | b'[' | b'|' | b';'] => !quoted,
        _ => false,
    };
    (opened && !name.is_empty()).then_some(name)
}

fn value_start(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at) == Some(&b' ') {
        at += 1;
    }
    if bytes.get(at) == Some(&b'"') { at + 1 } else { at }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@' | b'$')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
        values(line, &[name]).next().and_then(|at| line.get(at..))
    }

    #[test]
    fn the_value_begins_behind_its_sign_and_quote() {
        assert_eq!(value("ts=12 level=info", "level"), Some("info"));
        assert_eq!(value("level=\"info\"", "level"), Some("info\""));
        assert_eq!(value(r#"{"a":1,"level": "info"}"#, "level"), Some("info\"}"));
        assert_eq!(value(r#"{"ts":17}"#, "ts"), Some("17}"));
    }

    #[test]
    fn names_inside_other_names_and_strings_do_not_count() {
        assert_eq!(value("loglevel=info", "level"), None);
        assert_eq!(value("max-level=info", "level"), None);
        assert_eq!(value(r#"{"msg":"{\"level\":\"error\"}"}"#, "level"), None);
        assert_eq!(value("at level: info", "level"), None);
    }
}
