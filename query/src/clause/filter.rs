//! The clause of an SQL condition.
//!
//! ```text
//!   matches(message, '…')                    the tokens that the search needs
//!   message = '…'  message LIKE '…'          the tokens that the literal has for sure
//!   trace_id = '…'  lower(trace_id) = '…'    the whole value; so span_id, and IN lists
//!   AND  OR  IS TRUE                         as they are
//!   everything else, NOT first of all        unknown
//! ```

use datafusion::logical_expr::expr::{InList, Like, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use ironbark_storage::{Term, TermKind};

use super::text::{Beside, Case};
use super::{Clause, kind_of, text};
use crate::search;

/// What all rows that pass the filters of a scan hold: clauses that are known and no conjunctions.
pub(crate) fn conjuncts(filters: &[Expr]) -> Vec<Clause> {
    match Clause::and(filters.iter().map(clause)) {
        Clause::Unknown => Vec::new(),
        Clause::And(operands) => operands,
        other => vec![other],
    }
}

/// A term that a row holds if it passes one of the filters, and only then, with the other filters: an index that
/// counts the rows of the term counts those of this filter.
pub(crate) fn split_term(filters: &[Expr]) -> Option<(Term, Vec<Expr>)> {
    let (place, term) = filters.iter().enumerate().find_map(|(place, expr)| Some((place, exactly(expr)?)))?;
    // A row without a value holds no term of it.
    let is_implied = |expr: &Expr| match expr {
        Expr::IsNotNull(inner) => subject(inner) == Some((term.kind(), Case::Exact)),
        _ => false,
    };
    let others = filters.iter().enumerate().filter(|(other, expr)| *other != place && !is_implied(expr));
    let others = others.map(|(_, expr)| expr.clone()).collect();
    Some((term, others))
}

/// The term that a condition asks for, and nothing else.
fn exactly(expr: &Expr) -> Option<Term> {
    match expr {
        Expr::Alias(alias) => exactly(&alias.expr),
        Expr::IsTrue(inner) => exactly(inner),
        Expr::ScalarFunction(call) => match call.args.first().and_then(subject) {
            Some((TermKind::Message, Case::Exact)) => text::single_token(search::query_of(call)?),
            _ => None,
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let sides = subject(left).zip(literal(right)).or_else(|| subject(right).zip(literal(left)));
            let ((kind, case), value) = sides?;
            let term = Term::new(kind, value);
            let same = case == Case::Lowered && kind != TermKind::Message && term.text() == value;
            // SQL lowers some letters by their neighbours, none of them in ASCII.
            (same && value.is_ascii()).then_some(term)
        }
        _ => None,
    }
}

fn clause(expr: &Expr) -> Clause {
    match expr {
        Expr::Alias(alias) => clause(&alias.expr),
        Expr::IsTrue(inner) => clause(inner),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => Clause::and([clause(left), clause(right)]),
            Operator::Or => Clause::or([clause(left), clause(right)]),
            Operator::Eq => Clause::and([equal(left, right), equal(right, left)]),
            _ => Clause::Unknown,
        },
        Expr::InList(InList { expr, list, negated: false }) => {
            Clause::or(list.iter().map(|item| equal(expr, item)))
        }
        Expr::Like(like) if !like.negated => of_like(like),
        Expr::ScalarFunction(call) => of_call(call),
        _ => Clause::Unknown,
    }
}

fn equal(left: &Expr, right: &Expr) -> Clause {
    let (Some((kind, case)), Some(value)) = (subject(left), literal(right)) else { return Clause::Unknown };
    match (kind, case) {
        (TermKind::Message, case) => text::held(value, case, Beside::Nothing, Beside::Nothing),
        (_, Case::Lowered) if !text::is_lower_everywhere(value) => Clause::Unknown,
        (kind, _) => Clause::Term(Term::new(kind, value)),
    }
}

fn of_call(call: &ScalarFunction) -> Clause {
    let Some((TermKind::Message, case)) = call.args.first().and_then(subject) else { return Clause::Unknown };
    if let Some(query) = search::query_of(call) {
        return if case == Case::Exact { text::of_query(query) } else { Clause::Unknown };
    }
    let before = match call.name() {
        "contains" => Beside::Anything,
        "starts_with" => Beside::Nothing,
        _ => return Clause::Unknown,
    };
    match call.args.as_slice() {
        [_, held] => {
            literal(held).map_or(Clause::Unknown, |held| text::held(held, case, before, Beside::Anything))
        }
        _ => Clause::Unknown,
    }
}

fn of_like(like: &Like) -> Clause {
    let (Some((TermKind::Message, case)), Some(pattern)) = (subject(&like.expr), literal(&like.pattern))
    else {
        return Clause::Unknown;
    };
    let case = if like.case_insensitive { Case::Folded } else { case };
    let pieces = pieces(pattern);
    let last = pieces.len().saturating_sub(1);
    let beside = |at_end| if at_end { Beside::Nothing } else { Beside::Anything };
    let of_piece =
        |(place, piece): (usize, &String)| text::held(piece, case, beside(place == 0), beside(place == last));
    Clause::and(pieces.iter().enumerate().map(of_piece))
}

/// What stands between the wildcards of a pattern. The first and the last piece may be empty.
fn pieces(pattern: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let literal = match c {
            '%' | '_' => None,
            '\\' => Some(chars.next().unwrap_or('\\')),
            c => Some(c),
        };
        match (literal, pieces.last_mut()) {
            (Some(c), Some(piece)) => piece.push(c),
            _ => pieces.push(String::new()),
        }
    }
    pieces
}

/// The indexed column that an expression is, and how its text is compared.
fn subject(expr: &Expr) -> Option<(TermKind, Case)> {
    match expr {
        Expr::Column(column) => Some((kind_of(&column.name)?, Case::Exact)),
        Expr::ScalarFunction(call) if call.name() == "lower" => match call.args.as_slice() {
            [Expr::Column(column)] => Some((kind_of(&column.name)?, Case::Lowered)),
            _ => None,
        },
        _ => None,
    }
}

/// The text that an expression is.
pub(crate) fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}
