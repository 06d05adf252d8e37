//! A search query on one text, compiled: says of a text whether it matches.
//!
//! ```text
//!   TextQuery ──compile──► Matcher   And ─┬─ Token "timeout"
//!   (no fields)                           ├─ Phrase "conn" "reset" "by"…
//!                                         └─ Not ── Regex
//! ```
//!
//! This is the meaning of words, phrases, patterns, regular expressions and IP blocks; everything that
//! searches text comes here. A match allocates nothing but, for texts that are not ASCII, one reused buffer.

use memchr::memmem::Finder;
use regex::{Regex, RegexBuilder};

use ironbark_storage as storage;
use storage::{Tokens, lower, tokens, tokens_from};

use super::ast::{Cidr, Operand, Pattern, RegexText, Shape, Term, TextQuery, Value};
use super::error::{Problem, SearchError};
use super::ip::holds_address_in;
use super::needle::{Edge, Needle};
use super::{REGEX_BYTES_MAX, REGEX_DFA_BYTES_MAX, REGEX_SUM_BYTES_MAX};

/// A compiled query on one text.
#[derive(Debug)]
pub(crate) struct Matcher(Node);

#[derive(Debug)]
enum Node {
    Always,
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    /// There is a text, whatever it says.
    Present,
    /// The text is empty.
    Empty,
    Needle(Needle),
    Phrase(Phrase),
    Exact(Box<Finder<'static>>),
    Regex(Regex),
    Cidr(Cidr),
}

impl Matcher {
    /// Compiles the part of the language that is about one text.
    ///
    /// # Errors
    /// If the query names a field; `query` is its text, for the message.
    pub(crate) fn compile(parsed: &TextQuery, query: &str) -> Result<Self, SearchError> {
        node(parsed, query).map(Self)
    }

    /// Whether the text matches. No text (`None`) holds nothing, so that only negations match it. `lent` is a
    /// buffer to work in; it may hold anything.
    pub(crate) fn is_match(&self, text: Option<&str>, lent: &mut String) -> bool {
        self.0.is_match(text, lent)
    }
}

impl Matcher {
    /// A needle that every text holds that matches, if there is one.
    pub(super) fn needle(&self) -> Option<&Needle> {
        self.0.needle()
    }
}

impl Node {
    fn needle(&self) -> Option<&Needle> {
        match self {
            Self::And(nodes) => nodes.iter().find_map(Self::needle),
            Self::Needle(needle) => Some(needle),
            Self::Phrase(phrase) => Some(&phrase.first),
            _ => None,
        }
    }

    fn is_match(&self, text: Option<&str>, lent: &mut String) -> bool {
        match (self, text) {
            (Self::Always, _) | (Self::Present, Some(_)) => true,
            (Self::And(nodes), _) => nodes.iter().all(|node| node.is_match(text, lent)),
            (Self::Or(nodes), _) => nodes.iter().any(|node| node.is_match(text, lent)),
            (Self::Not(node), _) => !node.is_match(text, lent),
            (_, None) => false,
            (Self::Empty, Some(text)) => text.is_empty(),
            (Self::Needle(needle), Some(text)) => needle.is_in(text, lent),
            (Self::Phrase(phrase), Some(text)) => phrase.is_in(text),
            (Self::Exact(finder), Some(text)) => finder.find(text.as_bytes()).is_some(),
            (Self::Regex(regex), Some(text)) => regex.is_match(text),
            (Self::Cidr(block), Some(text)) => holds_address_in(text, *block),
        }
    }
}

fn node(parsed: &TextQuery, query: &str) -> Result<Node, SearchError> {
    let all = |operands: &[TextQuery]| {
        operands.iter().map(|operand| node(operand, query)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match parsed {
        TextQuery::Everything => Node::Always,
        TextQuery::And(operands) => Node::And(all(operands)?),
        TextQuery::Or(operands) => Node::Or(all(operands)?),
        TextQuery::Not(operand) => Node::Not(Box::new(node(operand, query)?)),
        TextQuery::Term(term) => match &term.field {
            None => leaf(term, query)?,
            Some(field) => {
                let problem = Problem::FieldNotAllowed { field: field.name().to_owned() };
                return Err(SearchError::new(query, term.span, problem));
            }
        },
    })
}

fn leaf(term: &Term, query: &str) -> Result<Node, SearchError> {
    let error = |problem| SearchError::new(query, term.span, problem);
    Ok(match &term.value {
        Value::Present => Node::Present,
        Value::Word(text) | Value::Phrase(text) => words(text),
        Value::HostPort(host_port) => words(&format!("{}:{}", host_port.host, host_port.port)),
        Value::Pattern(pattern) => stars(pattern).map_err(|reason| error(Problem::Regex { reason }))?,
        Value::Regex(regex) => {
            Node::Regex(build_regex(regex).map_err(|reason| error(Problem::Regex { reason }))?)
        }
        Value::Exact(text) if text.is_empty() => Node::Empty,
        Value::Exact(text) => Node::Exact(Box::new(Finder::new(text).into_owned())),
        Value::Cidr(block) => Node::Cidr(*block),
        Value::In(items) => Node::Or(items.iter().map(Operand::text).map(words).collect()),
        Value::Compare(..) => {
            return Err(error(Problem::FieldNeeded { what: "a comparison", example: "`status:>=500`" }));
        }
        Value::Range(_) => {
            return Err(error(Problem::FieldNeeded { what: "a range", example: "`status:[400 TO 499]`" }));
        }
    })
}

/// The tokens of the text in a row. A text without tokens is looked for as it is.
fn words(text: &str) -> Node {
    match Phrase::new(text, Edge::Token) {
        Some(phrase) => phrase.into_node(),
        None => Needle::new(text, Edge::Free, Edge::Free).map_or(Node::Empty, Node::Needle),
    }
}

/// `pre*` is tokens in a row of which the last goes on; `*in*` is text anywhere; in all other patterns a star
/// stands for letters, digits and `_`, and an end without a star is the end of a token.
fn stars(pattern: &Pattern) -> Result<Node, String> {
    let needle = |text: &str, start, end| Needle::new(text, start, end).map_or(Node::Present, Node::Needle);
    Ok(match pattern.shape() {
        Shape::Start(start) => match Phrase::new(start, Edge::Free) {
            Some(phrase) => phrase.into_node(),
            None => needle(start, Edge::Free, Edge::Free),
        },
        Shape::End(end) => needle(end, Edge::Free, Edge::Token),
        Shape::Inner(inner) => needle(inner, Edge::Free, Edge::Free),
        Shape::Pieces(pieces) => Node::Regex(build_regex(&stars_text(pieces))?),
    })
}

/// The regular expression of a pattern of several pieces.
pub(crate) fn stars_text(pieces: &[String]) -> RegexText {
    const TOKEN_CHAR: &str = r"[\p{Alphabetic}\p{N}_]";
    const NOT_TOKEN_CHAR: &str = r"[^\p{Alphabetic}\p{N}_]";
    let is_token_end = |c: Option<char>| c.is_some_and(storage::is_token_char);
    let starts_in_token = is_token_end(pieces.first().and_then(|piece| piece.chars().next()));
    let ends_in_token = is_token_end(pieces.last().and_then(|piece| piece.chars().next_back()));
    let before = if starts_in_token { format!("(?:^|{NOT_TOKEN_CHAR})") } else { String::new() };
    let after = if ends_in_token { format!("(?:{NOT_TOKEN_CHAR}|$)") } else { String::new() };
    let escaped: Vec<_> = pieces.iter().map(|piece| regex::escape(piece)).collect();
    let pattern = format!("{before}{}{after}", escaped.join(&format!("{TOKEN_CHAR}*")));
    RegexText { pattern, ignore_case: true }
}

/// Builds a regular expression within the limits; the error is the reason, on one line.
fn build_regex(regex: &RegexText) -> Result<Regex, String> {
    try_build(regex, REGEX_BYTES_MAX).map_err(|error| reason(&error))
}

fn try_build(regex: &RegexText, bytes_max: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&regex.pattern)
        .case_insensitive(regex.ignore_case)
        .size_limit(bytes_max)
        .dfa_size_limit(REGEX_DFA_BYTES_MAX)
        .build()
}

fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("compiled it exceeds the limit of {limit} bytes"),
        other => {
            let text = other.to_string();
            let reason = text.lines().last().unwrap_or_default();
            reason.strip_prefix("error: ").unwrap_or(reason).to_owned()
        }
    }
}

/// The smallest size at which a regular expression is weighed, in bytes.
const WEIGHED_BYTES_MIN: usize = 4 << 10;

/// What the regular expressions of a query may still take together. They do not tell their size, so each is built
/// with larger and larger limits, and weighs as much as the first that it fits into.
#[derive(Debug)]
pub(super) struct RegexBudget {
    left: usize,
}

impl Default for RegexBudget {
    fn default() -> Self {
        Self { left: REGEX_SUM_BYTES_MAX }
    }
}

impl RegexBudget {
    /// Takes what the value will cost once it is compiled; most cost nothing.
    pub(super) fn take(&mut self, value: &Value) -> Result<(), Problem> {
        match value {
            Value::Regex(regex) => self.weigh(regex),
            Value::Pattern(pattern) => match pattern.shape() {
                Shape::Pieces(pieces) => self.weigh(&stars_text(pieces)),
                Shape::Start(_) | Shape::End(_) | Shape::Inner(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn weigh(&mut self, regex: &RegexText) -> Result<(), Problem> {
        let mut bytes = WEIGHED_BYTES_MIN;
        while bytes <= self.left {
            match try_build(regex, bytes) {
                Ok(_) => {
                    self.left = self.left.saturating_sub(bytes);
                    return Ok(());
                }
                Err(regex::Error::CompiledTooBig(_)) if bytes < REGEX_BYTES_MAX => {
                    bytes = bytes.saturating_mul(2);
                }
                Err(error) => return Err(Problem::Regex { reason: reason(&error) }),
            }
        }
        Err(Problem::RegexesTooLarge)
    }
}

/// Tokens that have to follow each other; whatever stands between them.
#[derive(Debug)]
struct Phrase {
    first: Needle,
    /// In lower case.
    rest: Vec<String>,
    /// Whether the last token has to end where it ends here.
    end: Edge,
}

impl Phrase {
    /// The tokens of the text, `None` if there are none.
    fn new(text: &str, end: Edge) -> Option<Self> {
        let mut all = tokens(text);
        let first = all.next()?;
        let rest: Vec<String> = all.map(|token| lower(token.text)).collect();
        // `foo-*` asks for the token foo, not for one that goes on.
        let ends_in_token = text.chars().next_back().is_some_and(storage::is_token_char);
        let end = if ends_in_token { end } else { Edge::Token };
        let first_end = if rest.is_empty() { end } else { Edge::Token };
        Some(Self { first: Needle::new(first.text, Edge::Token, first_end)?, rest, end })
    }

    fn into_node(self) -> Node {
        if self.rest.is_empty() { Node::Needle(self.first) } else { Node::Phrase(self) }
    }

    fn is_in(&self, text: &str) -> bool {
        if text.is_ascii() {
            let mut from = 0;
            while let Some(start) = self.first.find_ascii(text.as_bytes(), from) {
                from = start + self.first.lowered().len();
                if self.rest_follows(tokens_from(text, from)) {
                    return true;
                }
            }
            return false;
        }
        let mut all = tokens(text);
        while let Some(token) = all.next() {
            if token.equals(self.first.lowered()) && self.rest_follows(all.clone()) {
                return true;
            }
        }
        false
    }

    fn rest_follows(&self, mut following: Tokens<'_>) -> bool {
        let Some((last, middle)) = self.rest.split_last() else {
            return true;
        };
        middle.iter().all(|wanted| following.next().is_some_and(|token| token.equals(wanted)))
            && following.next().is_some_and(|token| match self.end {
                Edge::Token => token.equals(last),
                Edge::Free => token.starts_with(last),
            })
    }
}

#[cfg(test)]
mod tests;
