//! Tells tables how many rows a query wants of them, and from which end of time.
//!
//! ```text
//!   Sort: timestamp DESC, fetch=100 ─► filters, projections … ─► TableScan: LogTable
//!        └──────────────── 100 newest ───────────────────────────────▲
//! ```
//!
//! It runs last and over the whole plan, so that no table keeps what an earlier plan wanted of it.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::{Expr, LogicalPlan, Sort, TableScan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use ironbark_storage::column;

use super::TopRows;
use crate::table::LogTable;
use crate::table::source::Source;

/// The rule.
#[derive(Debug)]
pub(crate) struct TellTopRows;

impl OptimizerRule for TellTopRows {
    fn name(&self) -> &'static str {
        "tell_top_rows"
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        plan.transform_down_with_subqueries(|node| match &node {
            LogicalPlan::Sort(sort) => {
                let Some(wanted) = wanted(sort)? else { return Ok(Transformed::no(node)) };
                let told = node.transform_down(|node| tell(node, Some(wanted)))?;
                Ok(Transformed::new(told.data, told.transformed, TreeNodeRecursion::Jump))
            }
            _ => tell(node, None),
        })
    }
}

/// What a sort wants of the one table below it; `None` if rows of the table can get lost on the way.
fn wanted(sort: &Sort) -> Result<Option<TopRows>> {
    let (Some(fetch), Some(leading)) = (sort.fetch, sort.expr.first()) else { return Ok(None) };
    let Some(source) = Source::of(&sort.input)? else { return Ok(None) };
    let by_time = matches!(
        source.in_its_words(leading.expr.clone())?,
        Expr::Column(column) if column.name == column::TIMESTAMP
    );
    let table_knows_all = source.filters.len() == source.scan.filters.len();
    let rows = u64::try_from(fetch).unwrap_or(u64::MAX);
    Ok((by_time && table_knows_all && rows > 0).then_some(TopRows { rows, newest: !leading.asc }))
}

/// The node, if it is a table of logs, told what is wanted of it.
fn tell(node: LogicalPlan, wanted: Option<TopRows>) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
    let provider = source_as_provider(&scan.source)?;
    let Some(logs) = provider.downcast_ref::<LogTable>().filter(|logs| logs.top != wanted) else {
        return Ok(Transformed::no(node));
    };
    let source = provider_as_source(Arc::new(LogTable { top: wanted, ..logs.clone() }));
    Ok(Transformed::yes(LogicalPlan::TableScan(TableScan { source, ..scan.clone() })))
}
