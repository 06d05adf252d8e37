//! Full-text search: the query language, and its compilation to SQL expressions.
//!
//! ```text
//!   'timeout level:error -env:dev'
//!        │ parser (lexer, literal)
//!        ▼
//!   TextQuery                       prints canonically (print)
//!        │ compile
//!        ▼
//!   matches(message, 'timeout') AND level = 'ERROR' AND NOT matches(tags['env'], 'dev')
//!        │ functions: matches(); rule: search()
//!        ▼
//!   Matcher (needle, ip)            one text at a time
//! ```
//!
//! `search('…')` in SQL and the search over HTTP both take this way, so they cannot differ. The grammar is
//! described for users in `docs/SEARCH.md`. Nothing here reads data or knows how it is stored.

mod ast;
mod compile;
mod error;
mod functions;
mod ip;
mod lexer;
mod literal;
mod matcher;
mod needle;
mod number;
mod order;
mod parser;
mod print;
mod rule;
mod sweep;
mod time;

pub(crate) use ast::Shape;
pub use ast::{
    Bound, Cidr, Comparison, Field, HostPort, Operand, Pattern, Range, RegexText, Span, Term, TextQuery,
    Value,
};
pub use compile::compile;
pub use error::{Problem, SearchError};
pub(crate) use functions::query_of;
pub use functions::{MATCHES, SEARCH};
#[cfg(test)]
pub(crate) use matcher::Matcher;
pub(crate) use matcher::stars_text;
pub use parser::parse;
pub(crate) use rule::install;

/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 64 * 1024;
/// The deepest nesting of parentheses and negations.
pub const DEPTH_MAX: usize = 64;
/// The most terms of a query, values of `in(…)` included.
pub const TERMS_MAX: usize = 1024;
/// The largest compiled regular expression, in bytes.
pub const REGEX_BYTES_MAX: usize = 1 << 20;
/// The most that all regular expressions of a query (of all searches in an SQL statement) take compiled, in bytes.
pub const REGEX_SUM_BYTES_MAX: usize = 16 << 20;
/// The largest cache of a regular expression while it runs, in bytes.
pub const REGEX_DFA_BYTES_MAX: usize = 2 << 20;

#[cfg(test)]
mod tests;
