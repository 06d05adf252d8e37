//! What can be wrong with a call of a log function. All of it is the request's fault, and is told before any row is read.

use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;

use super::grok::{GROUPS_MAX, PATTERNS_MAX};
use crate::error::Error;

/// Why a call has no meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Mistake {
    #[error("{function}() was given {given} argument{}; write it as in {example}", if *.given == 1 { "" } else { "s" })]
    Arguments { function: &'static str, given: usize, example: &'static str },
    #[error(
        "{function}() reads text, not {given}; cast it to VARCHAR first, as in {function}(CAST(x AS VARCHAR)…)"
    )]
    NoText { function: &'static str, given: DataType },
    #[error("{what} of {function}() has to be a literal text, as in {example}, or a bound parameter")]
    NoLiteral { function: &'static str, what: &'static str, example: &'static str },
    #[error("extract_json(): column {column} of the path {path}: {problem}")]
    Path { path: String, column: usize, problem: &'static str },
    #[error(
        "cidr_match(): {text} is no block of addresses; write an address, a slash and the number of leading bits that \
         count, as in 10.0.0.0/8 or 2001:db8::/32"
    )]
    Cidr { text: String },
    #[error(
        "extract_kv(): the key is empty; write the name that stands before =, as in extract_kv(message, 'status')"
    )]
    EmptyKey,
    #[error("grok(): column {column} of the pattern: there is no pattern {name}")]
    GrokName { name: String, column: usize, suggestion: Option<String> },
    #[error("grok(): column {column} of the pattern: %{{ is not closed; write %{{NAME}} or %{{NAME:field}}")]
    GrokOpen { column: usize },
    #[error(
        "grok(): the pattern names no field; write %{{NAME:field}} for what is to be taken out, as in %{{IP:client}}"
    )]
    GrokFieldless,
    #[error("grok(): the pattern is no regular expression: {reason}")]
    GrokRegex { reason: String },
    #[error("grok(): the pattern is too large or has more than {GROUPS_MAX} groups; write it shorter")]
    GrokTooLarge,
    #[error("the statement has more than {PATTERNS_MAX} different patterns of grok(); split it")]
    GrokMany,
    #[error(
        "{what} of {function}() has to be a literal, as in {example}; parameters and columns cannot stand here"
    )]
    TableLiteral { function: &'static str, what: &'static str, example: &'static str },
    #[error("{function}(): {what} has to be a whole number from {min} to {max}, not {text}")]
    Number { function: &'static str, what: &'static str, text: String, min: i64, max: i64 },
    #[error("{function}(): there is no table {name}")]
    Table { function: &'static str, name: String, suggestion: Option<String> },
    #[error("{function}(): name a column, as in 'source', or a tag, as in 'env' or 'tags.env'")]
    NoField { function: &'static str },
    #[error("rate(): the step has to have one length in seconds: write it in days or less")]
    Months,
    #[error("grok(): the pattern has no field {name}, only {fields}")]
    GrokField { name: String, fields: String, suggestion: Option<String> },
    #[error(
        "{function}(): {text} is no length of time; write a number and one of ns, us, ms, s, m, h, d, w, as in '5m' or '1h30m'"
    )]
    Step { function: &'static str, text: String },
}

impl Mistake {
    /// The name that was probably meant.
    fn suggestion(&self) -> Option<String> {
        match self {
            Self::GrokName { suggestion, .. }
            | Self::GrokField { suggestion, .. }
            | Self::Table { suggestion, .. } => suggestion.clone(),
            _ => None,
        }
    }
}

impl From<Mistake> for Error {
    fn from(mistake: Mistake) -> Self {
        Self::Plan { reason: mistake.to_string(), place: None, suggestion: mistake.suggestion() }
    }
}

impl From<Mistake> for DataFusionError {
    fn from(mistake: Mistake) -> Self {
        Self::External(Box::new(Error::from(mistake)))
    }
}
