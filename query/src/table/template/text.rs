//! Conditions on a text as regular expressions, which decide every text in ASCII as the condition does.
//!
//! ```text
//!   search: conn refused        (?i)(?:\A|[^0-9A-Z_])conn[^0-9A-Z_]+refused(?:[^0-9A-Z_]|\z)
//!   LIKE 'a%b_'                 \A a .* b . \z
//! ```
//!
//! What a condition means is told in `search/matcher.rs`; the tests hold both together. Letters beyond ASCII compare in ways of
//! their own, so a literal that has any is left to the scan.

use std::fmt::Write;

use ironbark_storage::{is_token_byte, tokens};

use crate::search::{self, Operand, Pattern, Shape, Value};

/// A byte of no token, and one of a token.
const NO_TOKEN: &str = "[^0-9A-Za-z_]";
const ANYTHING: &str = "(?s:.)";

/// A regular expression over bytes in ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AsciiRegex {
    pub(super) pattern: String,
    pub(super) ignore_case: bool,
    /// Whether `.`, classes and boundaries are those of Unicode, as somebody wrote them.
    pub(super) unicode: bool,
}

/// How a literal lies in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Anywhere,
    Start,
    End,
    Whole,
}

impl AsciiRegex {
    fn ours(pattern: String, ignore_case: bool) -> Self {
        Self { pattern, ignore_case, unicode: false }
    }

    /// A regular expression as users write it.
    pub(super) fn given(pattern: &str, ignore_case: bool) -> Self {
        Self { pattern: pattern.to_owned(), ignore_case, unicode: true }
    }

    /// The text holds this one.
    pub(super) fn holds(literal: &str, place: Place, ignore_case: bool) -> Option<Self> {
        let text = escaped(literal)?;
        let pattern = match place {
            Place::Anywhere => text,
            Place::Start => format!(r"\A{text}"),
            Place::End => format!(r"{text}\z"),
            Place::Whole => format!(r"\A{text}\z"),
        };
        Some(Self::ours(pattern, ignore_case))
    }

    /// SQL's LIKE.
    pub(super) fn like(pattern: &str, ignore_case: bool) -> Option<Self> {
        let mut regex = r"\A".to_owned();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => write!(regex, "{ANYTHING}*").ok()?,
                '_' => regex.push_str(ANYTHING),
                '\\' => regex.push_str(&escaped(chars.next().unwrap_or('\\').encode_utf8(&mut [0; 4]))?),
                c => regex.push_str(&escaped(c.encode_utf8(&mut [0; 4]))?),
            }
        }
        regex.push_str(r"\z");
        Some(Self::ours(regex, ignore_case))
    }

    /// What a search asks of a text, as alternatives; `None` for what is left to the scan.
    pub(super) fn of_search(value: &Value) -> Option<Vec<Self>> {
        let one = |regex: Option<Self>| regex.map(|regex| vec![regex]);
        match value {
            Value::Word(text) | Value::Phrase(text) => one(words(text)),
            Value::HostPort(host_port) => one(words(&format!("{}:{}", host_port.host, host_port.port))),
            Value::In(items) => items.iter().map(Operand::text).map(words).collect(),
            Value::Exact(text) if text.is_empty() => one(Self::holds("", Place::Whole, false)),
            Value::Exact(text) => one(Self::holds(text, Place::Anywhere, false)),
            Value::Pattern(pattern) => one(of_pattern(pattern)),
            Value::Regex(regex) => one(Some(Self::given(&regex.pattern, regex.ignore_case))),
            Value::Present | Value::Cidr(_) | Value::Compare(..) | Value::Range(_) => None,
        }
    }
}

fn escaped(literal: &str) -> Option<String> {
    literal.is_ascii().then(|| regex::escape(literal))
}

/// These tokens in a row, and what may stand beside and between them.
fn tokens_in_a_row(text: &str, goes_on: bool) -> Option<String> {
    let all = tokens(text).map(|token| escaped(token.text)).collect::<Option<Vec<_>>>()?;
    let end = if goes_on { String::new() } else { format!(r"(?:{NO_TOKEN}|\z)") };
    Some(format!(r"(?:\A|{NO_TOKEN}){}{end}", all.join(&format!("{NO_TOKEN}+"))))
}

/// The tokens of a text in a row; a text without tokens as it is.
fn words(text: &str) -> Option<AsciiRegex> {
    if text.is_empty() {
        return AsciiRegex::holds("", Place::Whole, true);
    }
    if !text.is_ascii() || tokens(text).next().is_none() {
        return AsciiRegex::holds(text, Place::Anywhere, true);
    }
    tokens_in_a_row(text, false).map(|pattern| AsciiRegex::ours(pattern, true))
}

fn of_pattern(pattern: &Pattern) -> Option<AsciiRegex> {
    let ends_in_token = |text: &str| text.bytes().next_back().is_some_and(is_token_byte);
    match pattern.shape() {
        Shape::Start(start) if !start.is_ascii() || tokens(start).next().is_none() => {
            AsciiRegex::holds(start, Place::Anywhere, true)
        }
        Shape::Start(start) => {
            tokens_in_a_row(start, ends_in_token(start)).map(|pattern| AsciiRegex::ours(pattern, true))
        }
        Shape::End(end) => {
            let after = if ends_in_token(end) { format!(r"(?:{NO_TOKEN}|\z)") } else { String::new() };
            Some(AsciiRegex::ours(escaped(end)? + &after, true))
        }
        Shape::Inner(inner) => AsciiRegex::holds(inner, Place::Anywhere, true),
        Shape::Pieces(pieces) => {
            let regex = search::stars_text(pieces);
            Some(AsciiRegex::given(&regex.pattern, regex.ignore_case))
        }
    }
}
