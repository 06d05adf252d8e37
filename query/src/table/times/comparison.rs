//! What a comparison of a time with a literal says of the file's microseconds.
//!
//! ```text
//!   times of a microsecond u     u.000 ├──────────────────┤ u.999      only u.000 where the file has no digits below
//!   literal                            ×  at its microsecond and digits
//!
//!   microseconds before u, u itself, after u: the comparison holds for all times of them, for some, or for none
//! ```
//!
//! Before and after are decided by the operator alone. Where it holds for some times of `u`, the comparison of microseconds
//! lets all of `u` through, and the comparison of times has to stay.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::conjunction;
use datafusion::physical_expr::expressions::{
    BinaryExpr, InListExpr, IsNotNullExpr, IsNullExpr, Literal, lit,
};
use datafusion::physical_expr_common::physical_expr::PhysicalExprRef;

use super::microseconds;

/// Nanoseconds of a microsecond.
const MICROSECOND_NS: i64 = 1_000;
/// Lists of more literals are not looked into: no statistics are asked for so many.
const LITERALS_MAX: usize = 20;

/// Of which microseconds a comparison holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Never,
    Always,
    /// Of those that compare so with this one.
    Compared(Operator, i64),
}

/// How many of the times of a microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    Nothing,
    Some,
    All,
}

/// The same condition with its microseconds compared, if it compares a time with literals or NULL.
pub(super) fn of_times(expr: &PhysicalExprRef) -> Option<PhysicalExprRef> {
    if let Some(list) = expr.downcast_ref::<InListExpr>() {
        return of_list(list);
    }
    if let Some(null) = expr.downcast_ref::<IsNullExpr>() {
        return Some(Arc::new(IsNullExpr::new(Arc::clone(microseconds(null.arg())?.0))));
    }
    if let Some(some) = expr.downcast_ref::<IsNotNullExpr>() {
        return Some(Arc::new(IsNotNullExpr::new(Arc::clone(microseconds(some.arg())?.0))));
    }
    let binary = expr.downcast_ref::<BinaryExpr>()?;
    let (time, operator, literal) = match (nanoseconds(binary.left()), nanoseconds(binary.right())) {
        (None, Some(literal)) => (binary.left(), *binary.op(), literal),
        (Some(literal), None) => (binary.right(), binary.op().swap()?, literal),
        _ => return None,
    };
    compared(time, operator, literal, expr)
}

fn of_list(list: &InListExpr) -> Option<PhysicalExprRef> {
    let (each, between) =
        if list.negated() { (Operator::NotEq, Operator::And) } else { (Operator::Eq, Operator::Or) };
    let literals: Vec<i64> = list.list().iter().map(nanoseconds).collect::<Option<_>>()?;
    if literals.len() > LITERALS_MAX {
        return None;
    }
    let one = |(literal, value): (i64, &PhysicalExprRef)| {
        let plain = BinaryExpr::new(Arc::clone(list.expr()), each, Arc::clone(value));
        compared(list.expr(), each, literal, &(Arc::new(plain) as _))
    };
    let all: Vec<_> = literals.into_iter().zip(list.list()).map(one).collect::<Option<_>>()?;
    all.into_iter().reduce(|one, next| Arc::new(BinaryExpr::new(one, between, next)))
}

/// A comparison of a time with nanoseconds; `plain` is the comparison itself.
fn compared(
    time: &PhysicalExprRef,
    operator: Operator,
    literal: i64,
    plain: &PhysicalExprRef,
) -> Option<PhysicalExprRef> {
    let (column, has_digits) = microseconds(time)?;
    let (condition, decides) = of_microseconds(operator, literal, has_digits)?;
    let known = match condition {
        Condition::Never => lit(false),
        Condition::Always => lit(true),
        Condition::Compared(operator, micros) => {
            let micros = lit(ScalarValue::TimestampMicrosecond(Some(micros), Some(Arc::from("UTC"))));
            Arc::new(BinaryExpr::new(Arc::clone(column), operator, micros))
        }
    };
    Some(match (condition, decides) {
        (_, true) => known,
        (Condition::Always, false) => Arc::clone(plain),
        (_, false) => conjunction([known, Arc::clone(plain)]),
    })
}

/// What a comparison with these nanoseconds says of microseconds, and whether it says no more than that. `None` for what
/// does not compare.
fn of_microseconds(operator: Operator, literal: i64, has_digits: bool) -> Option<(Condition, bool)> {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    let (micros, digits) = (literal.div_euclid(MICROSECOND_NS), literal.rem_euclid(MICROSECOND_NS));
    let last = if has_digits { MICROSECOND_NS - 1 } else { 0 };
    // Of the times that lie in the literal's microsecond, from digits 0 to the last.
    let ends = |first: bool, last: bool| match (first, last) {
        (true, true) => Share::All,
        (false, false) => Share::Nothing,
        _ => Share::Some,
    };
    let equal = match (has_digits, digits) {
        (true, _) => Share::Some,
        (false, 0) => Share::All,
        (false, _) => Share::Nothing,
    };
    let (before, at, after) = match operator {
        Lt => (true, ends(0 < digits, last < digits), false),
        LtEq => (true, ends(true, last <= digits), false),
        Gt => (false, ends(false, last > digits), true),
        GtEq => (false, ends(digits == 0, last >= digits), true),
        // No time is NULL.
        Eq | IsNotDistinctFrom => (false, equal, false),
        NotEq | IsDistinctFrom => (true, equal.inverted(), true),
        _ => return None,
    };
    let condition = match (before, at != Share::Nothing, after) {
        (true, true, true) => Condition::Always,
        (false, false, false) => Condition::Never,
        (true, true, false) => Condition::Compared(LtEq, micros),
        (true, false, false) => Condition::Compared(Lt, micros),
        (false, true, true) => Condition::Compared(GtEq, micros),
        (false, false, true) => Condition::Compared(Gt, micros),
        (false, true, false) => Condition::Compared(Eq, micros),
        (true, false, true) => Condition::Compared(NotEq, micros),
    };
    Some((condition, at != Share::Some))
}

impl Share {
    fn inverted(self) -> Self {
        match self {
            Self::Nothing => Self::All,
            Self::Some => Self::Some,
            Self::All => Self::Nothing,
        }
    }
}

/// A literal time.
fn nanoseconds(expr: &PhysicalExprRef) -> Option<i64> {
    match expr.downcast_ref::<Literal>()?.value() {
        ScalarValue::TimestampNanosecond(ns, _) => *ns,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds<T: Ord>(operator: Operator, left: &T, right: &T) -> bool {
        match operator {
            Operator::Lt => left < right,
            Operator::LtEq => left <= right,
            Operator::Gt => left > right,
            Operator::GtEq => left >= right,
            Operator::Eq | Operator::IsNotDistinctFrom => left == right,
            _ => left != right,
        }
    }

    #[test]
    fn microseconds_let_through_what_times_do() {
        use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
        let literals = [-2_001, -2_000, -1_999, -1_000, -999, -1, 0, 1, 500, 998, 999, 1_000, 1_001, 2_999];
        for operator in [Lt, LtEq, Gt, GtEq, Eq, NotEq, IsDistinctFrom, IsNotDistinctFrom] {
            for (literal, has_digits) in literals.into_iter().flat_map(|at| [(at, false), (at, true)]) {
                let (condition, decides) = of_microseconds(operator, literal, has_digits).unwrap();
                let says = |micros: i64| match condition {
                    Condition::Never => false,
                    Condition::Always => true,
                    Condition::Compared(operator, than) => holds(operator, &micros, &than),
                };
                let digits = if has_digits { 0..1_000 } else { 0..1 };
                for micros in -4..5 {
                    let is = |below: i64| holds(operator, &(micros * 1_000 + below), &literal);
                    let (any, all) = (digits.clone().any(is), digits.clone().all(is));
                    let context = format!("{micros} µs {operator} {literal} ns, digits: {has_digits}");
                    assert_eq!(says(micros), any, "{context}");
                    assert!(!decides || any == all, "{context}");
                }
                let undecided = digits.clone().any(|below| {
                    let at = literal.div_euclid(1_000) * 1_000;
                    holds(operator, &(at + below), &literal) != holds(operator, &at, &literal)
                });
                assert_eq!(decides, !undecided, "{operator} {literal} {has_digits}");
            }
        }
    }

    #[test]
    fn the_ends_of_time_have_microseconds() {
        let ends = |operator, literal| of_microseconds(operator, literal, true).unwrap();
        let (first, last) = (i64::MIN.div_euclid(1_000), i64::MAX.div_euclid(1_000));
        assert_eq!(ends(Operator::GtEq, i64::MIN), (Condition::Compared(Operator::GtEq, first), false));
        assert_eq!(ends(Operator::LtEq, i64::MAX), (Condition::Compared(Operator::LtEq, last), false));
        assert_eq!(of_microseconds(Operator::Plus, 0, true), None);
    }
}
