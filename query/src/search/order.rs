//! Values that have an order: times, levels, row ids, numbers in tags, texts; compared, in ranges, in lists.
//!
//! This makes expressions of one column and one value. Which field it is, and where a problem stands in the
//! query, is known to the compiler.

use std::ops::{Bound as Limit, RangeBounds};

use datafusion::functions::string::expr_fn::lower;
use datafusion::logical_expr::{Expr, Operator, lit};
use datafusion::prelude::ident;
use datafusion::scalar::ScalarValue;
use ironbark_storage::{Level, TimeRange, Timestamp};

use super::ast::{Bound, Comparison, Operand, Value};
use super::compile::{balanced, known, like, matches};
use super::error::Problem;
use super::number::{Kind, Number};

const LEVELS: [Level; 6] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal];

/// The limits that a comparison or a range asks for; none for other values.
fn limits(value: &Value) -> (Limit<&Operand>, Limit<&Operand>) {
    let limit = |bound| match bound {
        &Bound::Open => Limit::Unbounded,
        Bound::Inclusive(operand) => Limit::Included(operand),
        Bound::Exclusive(operand) => Limit::Excluded(operand),
    };
    match value {
        Value::Compare(Comparison::Less, with) => (Limit::Unbounded, Limit::Excluded(with)),
        Value::Compare(Comparison::LessOrEqual, with) => (Limit::Unbounded, Limit::Included(with)),
        Value::Compare(Comparison::Greater, with) => (Limit::Excluded(with), Limit::Unbounded),
        Value::Compare(Comparison::GreaterOrEqual, with) => (Limit::Included(with), Limit::Unbounded),
        Value::Range(range) => (limit(&range.low), limit(&range.high)),
        _ => (Limit::Unbounded, Limit::Unbounded),
    }
}

/// The limits with each operand read by `read`.
fn read_limits<T>(
    value: &Value,
    read: impl Fn(&Operand) -> Result<T, Problem>,
) -> Result<(Limit<T>, Limit<T>), Problem> {
    let one = |limit| match limit {
        Limit::Included(operand) => read(operand).map(Limit::Included),
        Limit::Excluded(operand) => read(operand).map(Limit::Excluded),
        Limit::Unbounded => Ok(Limit::Unbounded),
    };
    let (low, high) = limits(value);
    Ok((one(low)?, one(high)?))
}

/// `low <= value AND value <= high`, as far as there are limits.
fn between(value: &dyn Fn() -> Expr, low: Limit<Expr>, high: Limit<Expr>) -> Expr {
    let low = match low {
        Limit::Included(low) => Some(value().gt_eq(low)),
        Limit::Excluded(low) => Some(value().gt(low)),
        Limit::Unbounded => None,
    };
    let high = match high {
        Limit::Included(high) => Some(value().lt_eq(high)),
        Limit::Excluded(high) => Some(value().lt(high)),
        Limit::Unbounded => None,
    };
    match (low, high) {
        (None, None) => value().is_not_null(),
        (low, high) => balanced(low.into_iter().chain(high).collect(), Operator::And),
    }
}

/// A text between texts, by its bytes. NULL for NULL.
pub(super) fn text_order(text: &dyn Fn() -> Expr, value: &Value) -> Expr {
    let (low, high) = limits(value);
    let literal = |operand: &Operand| lit(operand.text());
    between(text, low.map(literal), high.map(literal))
}

/// A tag between numbers if all its limits are some, else between texts.
pub(super) fn tag_order(tag: &dyn Fn() -> Expr, value: &Value) -> Expr {
    let (low, high) = limits(value);
    let operands: Vec<_> = [low, high].into_iter().filter_map(operand_of).collect();
    let numbers: Option<Vec<_>> = operands.iter().map(|operand| Number::of(operand)).collect();
    let Some(numbers) = numbers.filter(|numbers| !numbers.is_empty()) else {
        return text_order(tag, value).is_true();
    };
    let kind = Kind::of_all(&numbers);
    let limit = |limit: Limit<&Operand>, infinity: f64| match (limit, kind) {
        // The text "NaN" becomes a float above all others: a limit of infinity keeps it out.
        (Limit::Unbounded, Kind::Float) => Limit::Included(lit(infinity)),
        (limit, _) => limit.map(|operand| Number::of(operand).map_or(lit(f64::NAN), |n| n.literal(kind))),
    };
    let cast = || kind.cast(tag());
    between(&cast, limit(low, f64::NEG_INFINITY), limit(high, f64::INFINITY)).is_true()
}

fn operand_of(limit: Limit<&Operand>) -> Option<&Operand> {
    match limit {
        Limit::Included(operand) | Limit::Excluded(operand) => Some(operand),
        Limit::Unbounded => None,
    }
}

fn unfit(field: &str, holds: &'static str, value: &Value, expected: &'static str) -> Problem {
    let what = match value {
        Value::Pattern(_) => "a pattern with `*`",
        Value::Regex(_) => "a regular expression",
        Value::Cidr(_) => "a block of IP addresses",
        Value::HostPort(_) => "a host and port",
        _ => "this",
    };
    Problem::Unfit { field: field.to_owned(), holds, what, expected }
}

/// A time, as wide as it was written, against a column of times.
pub(super) fn time_column(
    name: &str,
    value: &Value,
    read: &dyn Fn(&str) -> Result<TimeRange, Problem>,
) -> Result<Expr, Problem> {
    let literal = |time: Timestamp| {
        Expr::Literal(ScalarValue::TimestampNanosecond(Some(time.ns()), Some("UTC".into())), None)
    };
    let within = |low, high| between(&|| ident(name), low, high);
    let during = |text: &str| {
        let range = read(text)?;
        Ok(within(Limit::Included(literal(range.min)), Limit::Included(literal(range.max))))
    };
    match value {
        Value::Word(text) | Value::Phrase(text) | Value::Exact(text) => during(text),
        Value::In(items) => {
            let spans: Result<_, _> = items.iter().map(|item| during(item.text())).collect();
            Ok(balanced(spans?, Operator::Or))
        }
        Value::Compare(..) | Value::Range(_) => {
            let (low, high) = read_limits(value, |operand| read(operand.text()))?;
            let low = match low {
                Limit::Included(range) => Limit::Included(literal(range.min)),
                Limit::Excluded(range) => Limit::Excluded(literal(range.max)),
                Limit::Unbounded => Limit::Unbounded,
            };
            let high = match high {
                Limit::Included(range) => Limit::Included(literal(range.max)),
                Limit::Excluded(range) => Limit::Excluded(literal(range.min)),
                Limit::Unbounded => Limit::Unbounded,
            };
            Ok(within(low, high))
        }
        _ => Err(unfit(name, "times", value, "a time or a range of times")),
    }
}

/// A whole number against the row id.
pub(super) fn row_id_column(name: &str, value: &Value) -> Result<Expr, Problem> {
    let read = |text: &str| match text.parse::<i64>() {
        Ok(id) => Ok(lit(id)),
        Err(_) => Err(Problem::WholeNumber { text: text.to_owned(), field: name.to_owned() }),
    };
    match value {
        Value::Word(text) | Value::Phrase(text) | Value::Exact(text) => Ok(ident(name).eq(read(text)?)),
        Value::In(items) => {
            let ids: Result<_, _> = items.iter().map(|item| read(item.text())).collect();
            Ok(ident(name).in_list(ids?, false))
        }
        Value::Compare(..) | Value::Range(_) => {
            let (low, high) = read_limits(value, |operand| read(operand.text()))?;
            Ok(between(&|| ident(name), low, high))
        }
        _ => Err(unfit(name, "whole numbers", value, "a number or a range of numbers")),
    }
}

/// A level in any spelling against the column of levels; compared by severity. A text that is no level is
/// compared with what was stored as it came.
pub(super) fn level_column(name: &str, value: &Value) -> Result<Expr, Problem> {
    let is = |text: &str| match Level::parse(text) {
        Some(level) => ident(name).eq(lit(level.as_str())),
        None => lower(ident(name)).eq(lit(text.to_lowercase())),
    };
    let condition = match value {
        Value::Word(text) | Value::Phrase(text) => is(text),
        Value::In(items) => balanced(items.iter().map(|item| is(item.text())).collect(), Operator::Or),
        Value::Exact(text) => ident(name).eq(lit(text.as_str())),
        Value::Pattern(pattern) => like(ident(name), pattern),
        Value::Compare(..) | Value::Range(_) => {
            let limits = read_limits(value, |operand| {
                let text = operand.text();
                Level::parse(text).ok_or_else(|| Problem::Level { text: text.to_owned() })
            })?;
            let wanted = LEVELS.into_iter().filter(|level| limits.contains(level));
            let wanted: Vec<_> = wanted.map(|level| lit(level.as_str())).collect();
            if wanted.is_empty() {
                return Ok(lit(false));
            }
            ident(name).in_list(wanted, false)
        }
        value => return Ok(matches(ident(name), value)),
    };
    Ok(known(name, condition))
}
