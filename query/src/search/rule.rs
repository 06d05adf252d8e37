//! The analyzer rule that gives `search('…')` its meaning, before anything is simplified or coerced.
//!
//! ```text
//!   Filter: search('timeout env:prod')            Filter: matches(l.message, 'timeout')
//!     SubqueryAlias: l                      ──►           AND matches(l.tags['env'], 'prod')
//!       TableScan: logs                             SubqueryAlias: l …
//! ```
//!
//! It also compiles the queries of `matches`, so that a mistake is told before the first row. In scope is what
//! the input of the operator gives; a join gives two of everything, so there only `matches` says what is meant.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchemaRef, Result, ScalarValue, TableReference};
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use ironbark_storage::LogSchema;
use ironbark_storage::clock::Clock;

use super::compile::compile;
use super::functions::{MATCHES, SEARCH, compiled_matches_udf, matches_udf, search_udf};
use super::matcher::RegexBudget;
use super::parser::parse_within;
use crate::error::Error;

/// Gives sessions the functions of search and their rule. The clock says what `now` means in a query.
pub(crate) fn install(mut builder: SessionStateBuilder, clock: Arc<dyn Clock>) -> SessionStateBuilder {
    builder.scalar_functions().get_or_insert_default().extend([matches_udf(), search_udf()]);
    let rule = Arc::new(SearchRule { clock });
    builder.analyzer().get_or_insert_with(Analyzer::new).rules.insert(0, rule);
    builder
}

/// Why `search('…')` has no meaning where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum ScopeError {
    #[error(
        "it is not clear which side of the join is meant; say matches({column}, '…') instead of search('…')"
    )]
    Join { column: String },
    #[error("there is no table of logs in FROM; to search any text, say matches(text, '…')")]
    NoLogs,
    #[error(
        "the column {column} is not there any more at this place; search before it is \
         dropped or renamed"
    )]
    Column { column: String },
    #[error(
        "the query of {function}() has to be a literal, as in {function}({example}), or a bound parameter"
    )]
    Literal { function: &'static str, example: &'static str },
    #[error("wrong number of arguments: write {function}({example})")]
    Arguments { function: &'static str, example: &'static str },
}

const SEARCH_EXAMPLE: &str = "'timeout level:error'";
const MATCHES_EXAMPLE: &str = "message, 'timeout'";

impl From<ScopeError> for DataFusionError {
    fn from(error: ScopeError) -> Self {
        Self::External(Box::new(Error::Search { reason: error.to_string() }))
    }
}

#[derive(Debug)]
struct SearchRule {
    clock: Arc<dyn Clock>,
}

impl AnalyzerRule for SearchRule {
    fn name(&self) -> &'static str {
        "expand_search"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut regexes = RegexBudget::default();
        let expanded = plan.transform_up_with_subqueries(|node| self.expand(node, &mut regexes));
        expanded.map(|transformed| transformed.data)
    }
}

impl SearchRule {
    fn expand(&self, node: LogicalPlan, regexes: &mut RegexBudget) -> Result<Transformed<LogicalPlan>> {
        let is_call = |expr: &Expr| Ok(function_name(expr).is_some());
        let mut calls = false;
        for expr in node.expressions() {
            calls |= expr.exists(is_call)?;
        }
        if !calls {
            return Ok(Transformed::no(node));
        }
        let scope = Scope::of(&node);
        let names = NamePreserver::new(&node);
        let rewritten = node.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|expr| self.call(expr, &scope, regexes))?;
            Ok(rewritten.update_data(|expr| name.restore(expr)))
        })?;
        rewritten.map_data(LogicalPlan::recompute_schema)
    }

    /// Puts the meaning in the place of a call; other expressions stay.
    fn call(&self, expr: Expr, scope: &Scope, regexes: &mut RegexBudget) -> Result<Transformed<Expr>> {
        match (function_name(&expr), expr) {
            (Some(SEARCH), Expr::ScalarFunction(call)) => {
                let [query] = call.args.as_slice() else {
                    return Err(ScopeError::Arguments { function: SEARCH, example: SEARCH_EXAMPLE }.into());
                };
                let query = literal(query, SEARCH, SEARCH_EXAMPLE)?;
                let compiled = compile(&parse_within(&query, regexes)?, &query, self.clock.now())?;
                let qualified = compiled.transform_up(|expr| match expr {
                    Expr::Column(column) => {
                        scope.column(&column.name).map(|c| Transformed::yes(Expr::Column(c)))
                    }
                    // What is in it was weighed above, as a part of the whole.
                    Expr::ScalarFunction(call) if call.name() == MATCHES => {
                        compile_matches(call, &mut RegexBudget::default())
                    }
                    other => Ok(Transformed::no(other)),
                });
                scope.check()?;
                Ok(Transformed::yes(qualified?.data))
            }
            (Some(_), Expr::ScalarFunction(call)) => compile_matches(call, regexes),
            (_, other) => Ok(Transformed::no(other)),
        }
    }
}

fn compile_matches(mut call: ScalarFunction, regexes: &mut RegexBudget) -> Result<Transformed<Expr>> {
    let [_, query] = call.args.as_slice() else {
        return Err(ScopeError::Arguments { function: MATCHES, example: MATCHES_EXAMPLE }.into());
    };
    let query = literal(query, MATCHES, MATCHES_EXAMPLE)?;
    call.func = compiled_matches_udf(&query, regexes)?;
    Ok(Transformed::yes(Expr::ScalarFunction(call)))
}

fn function_name(expr: &Expr) -> Option<&'static str> {
    match expr {
        Expr::ScalarFunction(call) => [SEARCH, MATCHES].into_iter().find(|name| *name == call.name()),
        _ => None,
    }
}

fn literal(query: &Expr, function: &'static str, example: &'static str) -> Result<String, ScopeError> {
    match query {
        Expr::Literal(
            ScalarValue::Utf8(Some(text))
            | ScalarValue::LargeUtf8(Some(text))
            | ScalarValue::Utf8View(Some(text)),
            _,
        ) => Ok(text.clone()),
        _ => Err(ScopeError::Literal { function, example }),
    }
}

/// The columns that an operator's expressions can name.
struct Scope {
    schema: Option<DFSchemaRef>,
    joins: bool,
}

impl Scope {
    fn of(node: &LogicalPlan) -> Self {
        match node.inputs().as_slice() {
            [input] => Self { schema: Some(Arc::clone(input.schema())), joins: joins(input) },
            [] => Self { schema: None, joins: false },
            [first, ..] => Self { schema: Some(Arc::clone(first.schema())), joins: true },
        }
    }

    /// Whether there is exactly one table of logs.
    fn check(&self) -> Result<(), ScopeError> {
        let logs = self.columns_of_logs();
        match logs.first() {
            None => Err(ScopeError::NoLogs),
            Some((table, _)) if self.joins => {
                let column = Column::new(table.cloned(), ironbark_storage::column::MESSAGE);
                Err(ScopeError::Join { column: column.flat_name() })
            }
            Some(_) => Ok(()),
        }
    }

    fn columns_of_logs(&self) -> Vec<(Option<&TableReference>, &str)> {
        let shown = LogSchema::shown();
        let columns = self.schema.iter().flat_map(|schema| schema.iter());
        columns
            .filter(|(_, field)| shown.field_with_name(field.name()).is_ok())
            .map(|(table, field)| (table, field.name().as_str()))
            .collect()
    }

    fn column(&self, name: &str) -> Result<Column> {
        self.check()?;
        let found = self.columns_of_logs().into_iter().find(|(_, column)| *column == name);
        match found {
            Some((table, name)) => Ok(Column::new(table.cloned(), name)),
            None => Err(ScopeError::Column { column: name.to_owned() }.into()),
        }
    }
}

/// Whether the columns come from a join, looking through what passes columns on as they are.
fn joins(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(_) => true,
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::Repartition(_) => plan.inputs().into_iter().any(joins),
        _ => false,
    }
}
