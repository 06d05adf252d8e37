//! What a condition asks of a token index: terms of which a row that passes must hold some.
//!
//! ```text
//!   matches(message, 'read timeout') AND (trace_id = 'A1' OR level = 'ERROR')
//!        │ filter: which terms a condition needs        text: the tokens that a text must hold
//!        ▼
//!   And ─┬─ message:read                  level has no index, so the OR may hold anywhere: it is unknown,
//!        └─ message:timeout               and leaves the AND
//! ```
//!
//! A clause is weaker than the condition it came from: where it does not hold, the condition is not true, and where it
//! does, nothing is said. So an index may over-match, and never misses. Everything in here is pure.

mod filter;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;

use ironbark_storage::{RangeSet, Term, TermKind, column};

pub(crate) use filter::{conjuncts, literal, split_term};

/// The most terms of a clause. More cost more lookups than they save.
const TERMS_MAX: usize = 256;

/// A condition on terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    /// May hold in any row.
    Unknown,
    /// The row holds this term.
    Term(Term),
    /// All of these, two or more. None is unknown or a conjunction.
    And(Vec<Clause>),
    /// One of these at least, two or more. None is unknown or a disjunction.
    Or(Vec<Clause>),
}

impl Clause {
    /// All of the operands. What is unknown, or beyond [`TERMS_MAX`], narrows nothing and is left out.
    fn and(operands: impl IntoIterator<Item = Self>) -> Self {
        let (mut kept, mut terms) = (Vec::new(), 0);
        for operand in operands {
            let operands = match operand {
                Self::Unknown => continue,
                Self::And(inner) => inner,
                other => vec![other],
            };
            for operand in operands {
                if kept.contains(&operand) {
                    continue;
                }
                terms += operand.terms().len();
                if terms <= TERMS_MAX {
                    kept.push(operand);
                }
            }
        }
        if kept.len() > 1 { Self::And(kept) } else { kept.pop().unwrap_or(Self::Unknown) }
    }

    /// One of the operands: unknown as soon as one of them is, or they are too many.
    fn or(operands: impl IntoIterator<Item = Self>) -> Self {
        let (mut kept, mut terms) = (Vec::new(), 0);
        for operand in operands {
            let operands = match operand {
                Self::Unknown => return Self::Unknown,
                Self::Or(inner) => inner,
                other => vec![other],
            };
            for operand in operands {
                if kept.contains(&operand) {
                    continue;
                }
                terms += operand.terms().len();
                if terms > TERMS_MAX {
                    return Self::Unknown;
                }
                kept.push(operand);
            }
        }
        if kept.len() > 1 { Self::Or(kept) } else { kept.pop().unwrap_or(Self::Unknown) }
    }

    /// The same of the tokens of a tag, where this is of those of `message`.
    fn of_tag(self, key: &str) -> Self {
        let all = |operands: Vec<Self>| operands.into_iter().map(|operand| operand.of_tag(key)).collect();
        match self {
            Self::Unknown => Self::Unknown,
            Self::Term(term) => Self::Term(Term::of_tag(key, term.text())),
            Self::And(operands) => Self::And(all(operands)),
            Self::Or(operands) => Self::Or(all(operands)),
        }
    }

    /// Its terms.
    pub(crate) fn terms(&self) -> Vec<&Term> {
        match self {
            Self::Unknown => Vec::new(),
            Self::Term(term) => vec![term],
            Self::And(operands) | Self::Or(operands) => operands.iter().flat_map(Self::terms).collect(),
        }
    }

    /// The ranges, of so many, in which it may hold, from those of its terms.
    pub(crate) fn ranges<E>(
        &self,
        len: u32,
        of_term: &mut impl FnMut(&Term) -> Result<RangeSet, E>,
    ) -> Result<RangeSet, E> {
        match self {
            Self::Unknown => Ok(RangeSet::all(len)),
            Self::Term(term) => of_term(term),
            Self::And(operands) => {
                let mut ranges = RangeSet::all(len);
                for operand in operands {
                    ranges.intersect(&operand.ranges(len, of_term)?);
                }
                Ok(ranges)
            }
            Self::Or(operands) => {
                let mut ranges = RangeSet::none(len);
                for operand in operands {
                    ranges.unite(&operand.ranges(len, of_term)?);
                }
                Ok(ranges)
            }
        }
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, operands: &[Self], word: &str| {
            for (place, operand) in operands.iter().enumerate() {
                let before = if place == 0 { "(" } else { word };
                write!(f, "{before}{operand}")?;
            }
            f.write_str(")")
        };
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::Term(term) if term.kind() == TermKind::Tag => {
                let (key, token) = term.text().split_once('\0').unwrap_or_default();
                write!(f, "tags.{key}:{}", if token.is_empty() { "<odd number>" } else { token })
            }
            Self::Term(term) => write!(f, "{}:{}", column_of(term.kind()), term.text()),
            Self::And(operands) => joined(f, operands, " AND "),
            Self::Or(operands) => joined(f, operands, " OR "),
        }
    }
}

/// The columns that are indexed.
const COLUMNS: [(&str, TermKind); 3] = [
    (column::MESSAGE, TermKind::Message),
    (column::TRACE_ID, TermKind::TraceId),
    (column::SPAN_ID, TermKind::SpanId),
];

fn kind_of(column: &str) -> Option<TermKind> {
    COLUMNS.into_iter().find(|(name, _)| *name == column).map(|(_, kind)| kind)
}

fn column_of(kind: TermKind) -> &'static str {
    COLUMNS.into_iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| name)
}
