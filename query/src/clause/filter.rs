//! The clause of an SQL condition.
//!
//! ```text
//!   matches(message, '…')                    the tokens that the search needs
//!   message = '…'  message LIKE '…'          the tokens that the literal has for sure
//!   trace_id = '…'  lower(trace_id) = '…'    the whole value; so span_id, and IN lists
//!   tags['k'] = '…'  matches(tags['k'], …)   the tokens, as of message, with the key
//!   TRY_CAST(tags['k'] AS DOUBLE) = 5        the token of the number, or any number that is written in an odd way
//!   CASE, coalesce                           one of what they may give
//!   AND  OR  IS TRUE                         as they are
//!   everything else, NOT first of all        unknown
//! ```

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, Like, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use ironbark_storage::{Term, TermKind};

use super::text::{Beside, Case};
use super::{Clause, kind_of, text};
use crate::{search, tags};

/// Up to here no other whole number is the same float.
const WHOLE_MAX: f64 = 9_007_199_254_740_991.0;

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
        Expr::IsNotNull(inner) => {
            subject(inner).is_some_and(|(of, case)| of.kind() == term.kind() && case == Case::Exact)
        }
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
            Some((Subject::Message, Case::Exact)) => text::single_token(search::query_of(call)?),
            _ => None,
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            let sides = subject(left).zip(literal(right)).or_else(|| subject(right).zip(literal(left)));
            let ((Subject::Id(kind), case), value) = sides? else { return None };
            let term = Term::new(kind, value);
            let same = case == Case::Lowered && term.text() == value;
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
        Expr::Case(case) if case.expr.is_none() => {
            let given = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
            Clause::or(given.map(|given| clause(given)))
        }
        Expr::ScalarFunction(call) if call.name() == "coalesce" => Clause::or(call.args.iter().map(clause)),
        Expr::ScalarFunction(call) => of_call(call),
        _ => Clause::Unknown,
    }
}

fn equal(left: &Expr, right: &Expr) -> Clause {
    if let Expr::TryCast(cast) = left {
        return equal_number(&cast.expr, right);
    }
    let (Some((of, case)), Some(value)) = (subject(left), literal(right)) else { return Clause::Unknown };
    match (of, case) {
        (Subject::Id(_), Case::Lowered) if !text::is_lower_everywhere(value) => Clause::Unknown,
        (Subject::Id(kind), _) => Clause::Term(Term::new(kind, value)),
        (of, case) => of.clause(text::held(value, case, Beside::Nothing, Beside::Nothing)),
    }
}

/// A tag as a number: the digits of a whole number are a token of all texts that are this number, but for odd ones.
fn equal_number(text: &Expr, number: &Expr) -> Clause {
    let (Some((Subject::Tag(key), Case::Exact)), Expr::Literal(number, _)) = (subject(text), number) else {
        return Clause::Unknown;
    };
    let digits = match number {
        ScalarValue::Float64(Some(number)) if (0.0..=WHOLE_MAX).contains(number) && number.fract() == 0.0 => {
            format!("{number:.0}")
        }
        ScalarValue::Int64(Some(number)) => number.unsigned_abs().to_string(),
        _ => return Clause::Unknown,
    };
    let terms = [Term::of_tag(key, &digits), Term::of_odd_number(key)];
    Clause::or(terms.map(Clause::Term))
}

fn of_call(call: &ScalarFunction) -> Clause {
    let Some((of, case)) = call.args.first().and_then(subject) else { return Clause::Unknown };
    if matches!(of, Subject::Id(_)) {
        return Clause::Unknown;
    }
    if let Some(query) = search::query_of(call) {
        return if case == Case::Exact { of.clause(text::of_query(query)) } else { Clause::Unknown };
    }
    let before = match call.name() {
        "contains" => Beside::Anything,
        "starts_with" => Beside::Nothing,
        _ => return Clause::Unknown,
    };
    match call.args.as_slice() {
        [_, held] => literal(held)
            .map_or(Clause::Unknown, |held| of.clause(text::held(held, case, before, Beside::Anything))),
        _ => Clause::Unknown,
    }
}

fn of_like(like: &Like) -> Clause {
    let (Some((of, case)), Some(pattern)) = (subject(&like.expr), literal(&like.pattern)) else {
        return Clause::Unknown;
    };
    if matches!(of, Subject::Id(_)) {
        return Clause::Unknown;
    }
    let case = if like.case_insensitive { Case::Folded } else { case };
    let pieces = pieces(pattern);
    let last = pieces.len().saturating_sub(1);
    let beside = |at_end| if at_end { Beside::Nothing } else { Beside::Anything };
    let of_piece =
        |(place, piece): (usize, &String)| text::held(piece, case, beside(place == 0), beside(place == last));
    of.clause(Clause::and(pieces.iter().enumerate().map(of_piece)))
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

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject<'a> {
    /// The tokens of `message`.
    Message,
    /// Those of the tag under a key.
    Tag(&'a str),
    /// The whole of a column.
    Id(TermKind),
}

impl Subject<'_> {
    const fn kind(self) -> TermKind {
        match self {
            Self::Message => TermKind::Message,
            Self::Tag(_) => TermKind::Tag,
            Self::Id(kind) => kind,
        }
    }

    /// A clause on tokens of `message`, made one on tokens of this.
    fn clause(self, of_message: Clause) -> Clause {
        match self {
            Self::Tag(key) => of_message.of_tag(key),
            Self::Message | Self::Id(_) => of_message,
        }
    }
}

/// What of a row an expression is, and how it is compared.
fn subject(expr: &Expr) -> Option<(Subject<'_>, Case)> {
    if let Some(value) = value(expr) {
        return Some((value, Case::Exact));
    }
    match expr {
        Expr::ScalarFunction(call) if call.name() == "lower" => match call.args.as_slice() {
            [inner] => Some((value(inner)?, Case::Lowered)),
            _ => None,
        },
        _ => None,
    }
}

fn value(expr: &Expr) -> Option<Subject<'_>> {
    if let Expr::Column(column) = expr {
        return kind_of(&column.name).map(|kind| match kind {
            TermKind::Message => Subject::Message,
            kind => Subject::Id(kind),
        });
    }
    tags::key_of(expr).map(Subject::Tag)
}

/// The text that an expression is.
pub(crate) fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}
