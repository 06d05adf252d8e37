//! Prints a [`TextQuery`] in the canonical form, which parses back to the same value.
//!
//! Words are printed as they are where they read back as the same term, else with backslashes: the parser
//! itself is asked, so that its rules are written down once.

use std::fmt;

use super::ast::{Bound, Field, Operand, RegexText, Term, TextQuery, Value};
use super::parser::parse;

impl fmt::Display for TextQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => Ok(()),
            Self::And(operands) => joined(f, operands, " AND ", |operand| matches!(operand, Self::Or(_))),
            Self::Or(operands) => joined(f, operands, " OR ", |_| false),
            Self::Not(operand) => {
                let grouped = matches!(**operand, Self::And(_) | Self::Or(_));
                f.write_str("NOT ")?;
                one(f, operand, grouped)
            }
            Self::Term(term) => write!(f, "{term}"),
        }
    }
}

fn joined(
    f: &mut fmt::Formatter<'_>,
    operands: &[TextQuery],
    operator: &str,
    grouped: impl Fn(&TextQuery) -> bool,
) -> fmt::Result {
    for (i, operand) in operands.iter().enumerate() {
        if i > 0 {
            f.write_str(operator)?;
        }
        one(f, operand, grouped(operand))?;
    }
    Ok(())
}

fn one(f: &mut fmt::Formatter<'_>, operand: &TextQuery, grouped: bool) -> fmt::Result {
    if grouped { write!(f, "({operand})") } else { write!(f, "{operand}") }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = print(self, &|text| text.to_owned());
        if !reads_ahead(&self.value) && parse(&plain).is_ok_and(|read| read == TextQuery::Term(self.clone()))
        {
            return f.write_str(&plain);
        }
        f.write_str(&print(self, &escape))
    }
}

/// Whether its text without a backslash could be taken for a part of what follows: `/a AND b/`.
fn reads_ahead(value: &Value) -> bool {
    match value {
        Value::Word(text) => text.starts_with('/'),
        Value::Pattern(pattern) => pattern.pieces().first().is_some_and(|piece| piece.starts_with('/')),
        _ => false,
    }
}

fn print(term: &Term, word: &dyn Fn(&str) -> String) -> String {
    let field = match &term.field {
        None => String::new(),
        Some(Field::Named(name)) => format!("{}:", word(name)),
        Some(Field::Tag(name)) => format!("tags.{}:", word(name)),
    };
    format!("{field}{}", print_value(&term.value, word))
}

fn print_value(value: &Value, word: &dyn Fn(&str) -> String) -> String {
    let operand = |operand: &Operand| match operand {
        Operand::Word(text) => word(text),
        Operand::Quoted(text) => quote(text),
    };
    match value {
        Value::Present => "*".to_owned(),
        Value::Word(text) => word(text),
        Value::Phrase(text) => quote(text),
        Value::Pattern(pattern) => {
            pattern.pieces().iter().map(|piece| word(piece)).collect::<Vec<_>>().join("*")
        }
        Value::Regex(RegexText { pattern, ignore_case }) => {
            format!("/{}/{}", pattern.replace('/', "\\/"), if *ignore_case { "i" } else { "" })
        }
        Value::Exact(text) => format!("={}", quote(text)),
        Value::Cidr(cidr) => format!("{}/{}", cidr.address(), cidr.prefix_bits()),
        Value::HostPort(host_port) => format!("{}:{}", host_port.host, host_port.port),
        Value::Compare(comparison, with) => format!("{}{}", comparison.as_str(), operand(with)),
        Value::Range(range) => {
            let end = |bound: &Bound| match bound {
                Bound::Open => "*".to_owned(),
                Bound::Inclusive(end) | Bound::Exclusive(end) => operand(end),
            };
            let open = if matches!(range.low, Bound::Exclusive(_)) { '{' } else { '[' };
            let close = if matches!(range.high, Bound::Exclusive(_)) { '}' } else { ']' };
            format!("{open}{} TO {}{close}", end(&range.low), end(&range.high))
        }
        Value::In(items) => format!("in({})", items.iter().map(operand).collect::<Vec<_>>().join(", ")),
    }
}

/// In quotes.
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// With backslashes before all that could mean something, wherever it stands.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 2);
    for (i, c) in text.chars().enumerate() {
        if i == 0 || !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-')) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
