//! What can be wrong with a search query, and where.
//!
//! A [`SearchError`] keeps the query, so that it can show the place: one line by `Display`, three lines with
//! a caret by [`SearchError::render`].

use std::fmt;

use datafusion::error::DataFusionError;

use super::ast::Span;
use super::{DEPTH_MAX, QUERY_BYTES_MAX, REGEX_SUM_BYTES_MAX, TERMS_MAX};
use crate::error::Error;

/// How many characters of the query [`SearchError::render`] shows on each side of the place.
const RENDER_CONTEXT_CHARS: usize = 60;

/// A search query that cannot be run. The caller has to change the query.
#[derive(Debug, Clone)]
pub struct SearchError {
    query: String,
    span: Span,
    problem: Problem,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Something else has to stand here.
    #[error("expected {what}, found {found}")]
    Expected {
        /// What may stand here.
        what: String,
        /// What stands here.
        found: String,
    },
    /// A bracket or quote has no partner.
    #[error("this {opened} is never closed, expected {closer}")]
    Unclosed {
        /// The opening sign.
        opened: &'static str,
        /// The missing sign.
        closer: &'static str,
    },
    /// A value that makes sense only behind a field.
    #[error("{what} needs a field, as in {example}; to search for the text itself, put it in quotes")]
    FieldNeeded {
        /// The value's kind.
        what: &'static str,
        /// How it is written.
        example: &'static str,
    },
    /// A field where only one column is searched.
    #[error(
        "`{field}:` names a field, but this searches one column only; put the text in quotes, or use search('…')"
    )]
    FieldNotAllowed {
        /// The field.
        field: String,
    },
    /// `tags:` without a name.
    #[error("expected the name of a tag, as in `tags.env:prod`")]
    TagNameNeeded,
    /// The regex crate refused the expression.
    #[error("this regular expression is not valid: {reason}")]
    Regex {
        /// Its reason, on one line.
        reason: String,
    },
    /// More than [`REGEX_SUM_BYTES_MAX`].
    #[error(
        "with this one, the regular expressions and patterns of the query take more than {REGEX_SUM_BYTES_MAX} bytes \
         compiled; search with fewer or simpler ones"
    )]
    RegexesTooLarge,
    /// An IP block whose prefix does not fit.
    #[error(
        "`/{prefix}` is no prefix length, expected a number from 0 to {bits_max}; to search for the text itself, put it in quotes"
    )]
    Prefix {
        /// What stands behind the slash.
        prefix: String,
        /// 32 or 128.
        bits_max: u8,
    },
    /// A time column compared with something else.
    #[error(
        "`{text}` is no time, expected one like 2026-01-31, \"2026-01-31T12:00:00Z\", 1769860800 or now-1h"
    )]
    Time {
        /// What was given.
        text: String,
    },
    /// The column of levels compared with something else.
    #[error("`{text}` is no level, expected trace, debug, info, warn, error or fatal")]
    Level {
        /// What was given.
        text: String,
    },
    /// A whole-number column compared with something else.
    #[error("`{text}` is no whole number, and `{field}` holds nothing else")]
    WholeNumber {
        /// What was given.
        text: String,
        /// The column.
        field: String,
    },
    /// A value of a kind that the column cannot be asked for.
    #[error("`{field}` holds {holds} and cannot be searched by {what}, expected {expected}")]
    Unfit {
        /// The column.
        field: String,
        /// What it holds.
        holds: &'static str,
        /// The value's kind.
        what: &'static str,
        /// What would fit.
        expected: &'static str,
    },
    /// More than [`QUERY_BYTES_MAX`].
    #[error("the query has {bytes} bytes, the limit is {QUERY_BYTES_MAX}")]
    TooLong {
        /// Its size.
        bytes: usize,
    },
    /// More than [`DEPTH_MAX`].
    #[error("parentheses and NOT are nested deeper than the limit of {DEPTH_MAX}")]
    TooDeep,
    /// More than [`TERMS_MAX`].
    #[error("the query has more than {TERMS_MAX} terms")]
    TooManyTerms,
}

impl SearchError {
    pub(super) fn new(query: &str, span: Span, problem: Problem) -> Self {
        Self { query: query.to_owned(), span, problem }
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Where it is wrong: the first character, counted from 1.
    pub fn column(&self) -> usize {
        self.span.start.saturating_add(1)
    }

    /// The message, the query and a caret under the place:
    ///
    /// ```text
    /// column 8: expected a value, found the end of the query
    ///   status:
    ///          ^
    /// ```
    ///
    /// A long query is cut to the surroundings of the place.
    pub fn render(&self) -> String {
        let from = self.span.start.saturating_sub(RENDER_CONTEXT_CHARS);
        let width = self.span.end.saturating_sub(self.span.start).clamp(1, RENDER_CONTEXT_CHARS);
        let shown: Vec<char> = self
            .query
            .chars()
            .skip(from)
            .take(self.span.start - from + width + RENDER_CONTEXT_CHARS)
            .collect();
        let before = if from > 0 { "… " } else { "" };
        let after = if from + shown.len() < self.query.chars().count() { " …" } else { "" };
        let line: String = shown.iter().map(|c| if c.is_control() { ' ' } else { *c }).collect();
        let indent = " ".repeat(before.chars().count() + self.span.start - from);
        format!("{self}\n  {before}{line}{after}\n  {indent}{}", "^".repeat(width))
    }
}

impl fmt::Display for SearchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column(), self.problem)
    }
}

impl std::error::Error for SearchError {}

impl From<SearchError> for Error {
    fn from(error: SearchError) -> Self {
        Self::Search { reason: error.to_string() }
    }
}

impl From<SearchError> for DataFusionError {
    fn from(error: SearchError) -> Self {
        Self::External(Box::new(Error::from(error)))
    }
}
