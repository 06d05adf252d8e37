//! Compiles a [`TextQuery`] to an expression over the columns of a table of logs.
//!
//! ```text
//!   field            holds          word, phrase                      compared
//!   (none), message  text           matches(message, …)               as text
//!   source, *_id     a name         lower(source) = 'whole value'     as text
//!   level            a level        level = 'WARN'                    by severity
//!   timestamp, …_at  a time         timestamp >= … AND <= …           as time
//!   _row_id          whole number   _row_id = 7                       as number
//!   anything else    a tag's text   matches(tags['k'], …), or         as number, if it is compared with one,
//!                                   equal as numbers                  else as text
//! ```
//!
//! Every leaf is true or false, never NULL: a field that is missing has no value to match, and `NOT` of that is
//! true. Plain comparisons stand in their plainest form, so that pruning by statistics understands them.

use datafusion::arrow::datatypes::Field;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions::string::expr_fn::lower;
use datafusion::logical_expr::expr::Like;
use datafusion::logical_expr::{Expr, Operator, binary_expr, lit, not};
use datafusion::prelude::ident;
use ironbark_storage::{LogSchema, Timestamp, column};

use super::ast::{self, Operand, Pattern, Span, Term, TextQuery, Value};
use super::error::{Problem, SearchError};
use super::functions::matches_udf;
use super::number::{Kind, Number};
use super::{order, time};
use crate::tags;

/// Compiles a parsed query; the columns of the expression are not qualified.
///
/// `text` is the query as it was written, for errors; `now` is what `now` means in it.
///
/// # Errors
/// If a value does not fit its column, with its place.
pub fn compile(query: &TextQuery, text: &str, now: Timestamp) -> Result<Expr, SearchError> {
    Compiler { text, now }.query(query)
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    Name,
    Level,
    Time,
    RowId,
}

/// The column of this name, without case, and what it holds.
fn column_named(name: &str) -> Option<(&'static str, Holds)> {
    const COLUMNS: [(&str, Holds); 8] = [
        (column::TIMESTAMP, Holds::Time),
        (column::INGESTED_AT, Holds::Time),
        (column::SOURCE, Holds::Name),
        (column::LEVEL, Holds::Level),
        (column::MESSAGE, Holds::Text),
        (column::TRACE_ID, Holds::Name),
        (column::SPAN_ID, Holds::Name),
        (column::ROW_ID, Holds::RowId),
    ];
    COLUMNS.into_iter().find(|(column, _)| column.eq_ignore_ascii_case(name))
}

/// What is known while a query is compiled.
#[derive(Debug, Clone, Copy)]
struct Compiler<'q> {
    text: &'q str,
    now: Timestamp,
}

impl Compiler<'_> {
    fn query(&self, query: &TextQuery) -> Result<Expr, SearchError> {
        let all = |operands: &[TextQuery]| {
            operands.iter().map(|operand| self.query(operand)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match query {
            TextQuery::Everything => lit(true),
            TextQuery::And(operands) => balanced(all(operands)?, Operator::And),
            TextQuery::Or(operands) => balanced(all(operands)?, Operator::Or),
            TextQuery::Not(operand) => not(self.query(operand)?),
            TextQuery::Term(term) => self.term(term)?,
        })
    }

    fn term(&self, term: &Term) -> Result<Expr, SearchError> {
        let message = || ident(column::MESSAGE);
        match (&term.field, &term.value) {
            (None, Value::Present) => Ok(lit(true)),
            (None, Value::HostPort(host_port)) => {
                let in_message = matches(message(), &term.value);
                let number = Value::Word(host_port.port.to_string());
                Ok(in_message.or(tag_value(&host_port.host, &number)))
            }
            (None, value) => Ok(matches(message(), value)),
            (Some(ast::Field::Tag(name)), value) => Ok(tag_value(name, value)),
            (Some(ast::Field::Named(name)), value) => match column_named(name) {
                Some((column, holds)) => self.column(column, holds, value, term.value_span),
                None if name.eq_ignore_ascii_case(column::TAGS) => {
                    Err(self.error(term.span, Problem::TagNameNeeded))
                }
                None => Ok(tag_value(name, value)),
            },
        }
    }

    fn column(
        &self,
        name: &'static str,
        holds: Holds,
        value: &Value,
        span: Span,
    ) -> Result<Expr, SearchError> {
        if *value == Value::Present {
            return Ok(ident(name).is_not_null());
        }
        match holds {
            Holds::Text => Ok(text_column(name, value)),
            Holds::Name => Ok(name_column(name, value)),
            Holds::Level => order::level_column(name, value).map_err(|problem| self.error(span, problem)),
            Holds::Time => {
                let read = |text: &str| {
                    time::parse(text, self.now).ok_or_else(|| Problem::Time { text: text.to_owned() })
                };
                order::time_column(name, value, &read).map_err(|problem| self.error(span, problem))
            }
            Holds::RowId => order::row_id_column(name, value).map_err(|problem| self.error(span, problem)),
        }
    }

    fn error(&self, span: Span, problem: Problem) -> SearchError {
        SearchError::new(self.text, span, problem)
    }
}

/// Joins expressions to a tree of small depth.
pub(super) fn balanced(mut operands: Vec<Expr>, operator: Operator) -> Expr {
    match operands.len() {
        0 => lit(operator == Operator::And),
        1 => operands.swap_remove(0),
        n => {
            let right = operands.split_off(n / 2);
            binary_expr(balanced(operands, operator), operator, balanced(right, operator))
        }
    }
}

/// `matches(text, 'value')`.
pub(super) fn matches(text: Expr, value: &Value) -> Expr {
    let term = Term { field: None, value: value.clone(), span: Span::default(), value_span: Span::default() };
    matches_udf().call(vec![text, lit(TextQuery::Term(term).to_string())])
}

/// True only if the column has a value and the condition holds. The condition stays a conjunct of its own.
pub(super) fn known(name: &str, condition: Expr) -> Expr {
    let nullable = LogSchema::shown().field_with_name(name).is_ok_and(Field::is_nullable);
    if nullable { ident(name).is_not_null().and(condition) } else { condition }
}

fn tag_value(name: &str, value: &Value) -> Expr {
    let tag = || tags::tag(ident(column::TAGS), name);
    match value {
        Value::Present => tag().is_not_null(),
        Value::Word(text) => match Number::parse(text) {
            Some(number) => {
                let kind = number.kind();
                coalesce(vec![kind.cast(tag()).eq(number.literal(kind)), matches(tag(), value)])
            }
            None => matches(tag(), value),
        },
        Value::Exact(text) => tag().eq(lit(text.as_str())).is_true(),
        Value::In(items) => tag_in(&tag, items),
        Value::Compare(..) | Value::Range(_) => order::tag_order(&tag, value),
        _ => matches(tag(), value),
    }
}

fn text_column(name: &'static str, value: &Value) -> Expr {
    match value {
        Value::Compare(..) | Value::Range(_) => known(name, order::text_order(&|| ident(name), value)),
        value => matches(ident(name), value),
    }
}

fn name_column(name: &'static str, value: &Value) -> Expr {
    match value {
        Value::Word(text) | Value::Phrase(text) => {
            known(name, lower(ident(name)).eq(lit(text.to_lowercase())))
        }
        Value::Exact(text) => known(name, ident(name).eq(lit(text.as_str()))),
        Value::Pattern(pattern) => known(name, like(ident(name), pattern)),
        Value::In(items) => known(name, lower(ident(name)).in_list(lowered(items), false)),
        Value::Compare(..) | Value::Range(_) => known(name, order::text_order(&|| ident(name), value)),
        value => matches(ident(name), value),
    }
}

/// The whole value against the pattern, without case.
pub(super) fn like(text: Expr, pattern: &Pattern) -> Expr {
    let escape = |piece: &String| piece.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let pattern = pattern.pieces().iter().map(escape).collect::<Vec<_>>().join("%");
    Expr::Like(Like::new(false, Box::new(text), Box::new(lit(pattern)), None, true))
}

fn lowered(items: &[Operand]) -> Vec<Expr> {
    items.iter().map(|item| lit(item.text().to_lowercase())).collect()
}

/// The whole value is one of these: as text without case, or as a number.
fn tag_in(tag: &dyn Fn() -> Expr, items: &[Operand]) -> Expr {
    // An id is compared as text: as a float it would equal its neighbours.
    let floats = items.iter().filter_map(Number::of).filter(|number| number.kind() == Kind::Float);
    let numbers: Vec<_> = floats.map(|number| number.literal(Kind::Float)).collect();
    let as_text = lower(tag()).in_list(lowered(items), false).is_true();
    if numbers.is_empty() {
        return as_text;
    }
    as_text.or(Kind::Float.cast(tag()).in_list(numbers, false).is_true())
}
