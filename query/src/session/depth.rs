//! Bounds how deep a statement goes, so that no text can exhaust a thread's stack.
//!
//! ```text
//!   a OR b OR c OR d        parsed: ((a OR b) OR c) OR d        balanced: (a OR b) OR (c OR d)
//! ```
//!
//! The parser nests a chain of operators as deeply as it is long, and every pass behind it recurses. Chains of AND
//! and OR, which programs write long, are balanced; everything else that goes deep is refused.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Query, SetExpr, Statement as SqlStatement, TableFactor, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Error, Limit, Result};

/// Deepest nesting of expressions once chains of AND and OR are balanced.
const EXPRESSION_DEPTH_MAX: usize = 128;
/// Most conditions in one chain of AND or OR.
const CHAIN_ITEMS_MAX: usize = 1_000;
/// Chains up to this length stay as they are; a balanced one has a shorter left side.
const SPINE_KEPT: usize = 16;
/// Most joined tables, and most queries in one UNION, INTERSECT or EXCEPT.
const RELATIONS_MAX: usize = 64;
/// Most values in one IN list.
const IN_LIST_ITEMS_MAX: usize = 10_000;
/// Most operators in a text.
const OPERATORS_MAX: usize = 20_000;
/// Stack for the passes over a statement that is not bounded yet.
const STACK_BYTES: usize = 64 << 20;

/// Runs `pass` on a stack that is large enough for any statement of at most [`OPERATORS_MAX`] operators.
pub(super) fn with_stack<R>(pass: impl FnOnce() -> R) -> R {
    stacker::grow(STACK_BYTES, pass)
}

/// Refuses a text of too many operators, before it is parsed.
pub(super) fn check_tokens(tokens: &[TokenWithSpan]) -> Result<()> {
    let operator = |token: &&TokenWithSpan| match &token.token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::JOIN
        ),
        Token::Number(..)
        | Token::Char(_)
        | Token::Whitespace(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::Placeholder(_)
        | Token::EOF => false,
        _ => true,
    };
    too_many(tokens.iter().filter(operator).count(), OPERATORS_MAX, "operators")
}

/// Balances chains and refuses what goes too deep.
pub(super) fn bound(statement: &mut SqlStatement) -> Result<()> {
    match statement.visit(&mut Bound::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn too_many(found: usize, limit: usize, what: &'static str) -> Result<()> {
    if found > limit { Err(Error::Limit(Limit::Items { limit, what })) } else { Ok(()) }
}

#[derive(Default)]
struct Bound {
    depth: usize,
}

impl Bound {
    fn expr(&mut self, expr: &mut Expr) -> Result<()> {
        self.depth += 1;
        too_many(self.depth, EXPRESSION_DEPTH_MAX, "levels of nested expressions")?;
        match expr {
            Expr::InList { list, .. } => too_many(list.len(), IN_LIST_ITEMS_MAX, "values in one IN list"),
            Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. } => {
                if spine(expr) <= SPINE_KEPT {
                    return Ok(());
                }
                let null = Expr::Value(Value::Null.into());
                let (op, items) = chain(std::mem::replace(expr, null));
                too_many(items.len(), CHAIN_ITEMS_MAX, "conditions in one chain of AND or OR")?;
                if let Some(balanced) = op.and_then(|op| balanced(items, &op)) {
                    *expr = balanced;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn query(query: &Query) -> Result<()> {
        let mut queries = 1;
        let mut body = query.body.as_ref();
        while let SetExpr::SetOperation { left, .. } = body {
            queries += 1;
            too_many(queries, RELATIONS_MAX, "queries in one UNION, INTERSECT or EXCEPT")?;
            body = left;
        }
        let SetExpr::Select(select) = body else { return Ok(()) };
        let tables: usize = select.from.iter().map(|from| 1 + from.joins.len()).sum();
        too_many(tables, RELATIONS_MAX, "joined tables")
    }
}

/// How deep the left sides of one operator go.
fn spine(mut expr: &Expr) -> usize {
    let mut length = 0;
    let Expr::BinaryOp { op, .. } = expr else { return length };
    while let Expr::BinaryOp { left, op: same, .. } = expr
        && same == op
    {
        length += 1;
        expr = left;
    }
    length
}

/// The conditions of a chain of one operator, in order.
fn chain(expr: Expr) -> (Option<BinaryOperator>, Vec<Expr>) {
    let Expr::BinaryOp { op, .. } = &expr else { return (None, vec![expr]) };
    let op = op.clone();
    let mut items = Vec::new();
    let mut rest = expr;
    loop {
        match rest {
            Expr::BinaryOp { left, op: same, right } if same == op => {
                items.push(*right);
                rest = *left;
            }
            first => {
                items.push(first);
                break;
            }
        }
    }
    items.reverse();
    (Some(op), items)
}

fn balanced(mut items: Vec<Expr>, op: &BinaryOperator) -> Option<Expr> {
    if items.len() < 2 {
        return items.pop();
    }
    let right = items.split_off(items.len() / 2);
    let (left, right) = (Box::new(balanced(items, op)?), Box::new(balanced(right, op)?));
    Some(Expr::BinaryOp { left, op: op.clone(), right })
}

fn flow(checked: Result<()>) -> ControlFlow<Error> {
    checked.map_or_else(ControlFlow::Break, ControlFlow::Continue)
}

impl VisitorMut for Bound {
    type Break = Error;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        flow(self.expr(expr))
    }

    fn post_visit_expr(&mut self, _expr: &mut Expr) -> ControlFlow<Error> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        flow(Self::query(query))
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<Error> {
        match table {
            TableFactor::NestedJoin { table_with_joins, .. } => {
                flow(too_many(1 + table_with_joins.joins.len(), RELATIONS_MAX, "joined tables"))
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
