//! The analyzer rule behind type coercion: it compiles the literals of log functions, so that a mistake is told before
//! the first row, and says `time_bucket` as `date_bin`, which the rest of planning knows.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::grok::Groks;
use super::{bucket, call};

/// The rule.
#[derive(Debug)]
pub(super) struct CompileCalls;

impl CompileCalls {
    pub(super) fn rule() -> Arc<dyn AnalyzerRule + Send + Sync> {
        Arc::new(Self)
    }
}

impl AnalyzerRule for CompileCalls {
    fn name(&self) -> &'static str {
        "compile_log_functions"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut groks = Groks::default();
        let rewritten = plan.transform_up_with_subqueries(|node| rewritten(node, &mut groks));
        rewritten.map(|transformed| transformed.data)
    }
}

fn rewritten(node: LogicalPlan, groks: &mut Groks) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&node);
    let rewritten = node.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(|expr| rewritten_call(expr, groks))?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })?;
    if rewritten.transformed { rewritten.map_data(LogicalPlan::recompute_schema) } else { Ok(rewritten) }
}

fn rewritten_call(expr: Expr, groks: &mut Groks) -> Result<Transformed<Expr>> {
    let Expr::ScalarFunction(call) = &expr else { return Ok(Transformed::no(expr)) };
    if let Some(bin) = bucket::date_bin_of(call)? {
        return Ok(Transformed::yes(bin));
    }
    Ok(match call::compiled(call, groks)? {
        Some(compiled) => Transformed::yes(Expr::ScalarFunction(compiled)),
        None => Transformed::no(expr),
    })
}
