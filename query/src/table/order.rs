//! Tells the scan of segments which rows are wanted first, where DataFusion stops too early.
//!
//! ```text
//!   SortExec(TopK) ─► projection, filter … ─► UnionExec ─► buffers
//!        └──── the wanted order ──────────────────┴──────► segments: files and row groups in that order
//! ```
//!
//! DataFusion hands a sort's order down to scans, but not through a union or a filter, which every table with both
//! buffers and segments has. With the order the scan begins at the right end of time; TopK's bound then rules out
//! the other files and row groups unread. The sort stays: only the order of reading changes.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, SortOrderPushdownResult};

/// The rule.
#[derive(Debug)]
pub(crate) struct OrderSegments;

impl PhysicalOptimizerRule for OrderSegments {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| {
            let Some(sort) = node.downcast_ref::<SortExec>() else { return Ok(Transformed::no(node)) };
            if sort.fetch().is_none() {
                return Ok(Transformed::no(node));
            }
            let Some(input) = ordered(sort.input(), sort.expr())? else { return Ok(Transformed::no(node)) };
            Ok(Transformed::yes(replace_children_if_necessary(node, vec![input])?))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "order_segments"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with its scans in the wanted order, or `None` if there is nothing to change.
fn ordered(
    plan: &Arc<dyn ExecutionPlan>,
    order: &[PhysicalSortExpr],
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let Some(order) = below(projection, order) else { return Ok(None) };
        return replace(plan, projection.input(), &order);
    }
    if let Some(union) = plan.downcast_ref::<UnionExec>() {
        let inputs = union.inputs().iter().map(|input| {
            let new = ordered(input, order)?;
            Ok((new.is_some(), new.unwrap_or_else(|| Arc::clone(input))))
        });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        if !inputs.iter().any(|(changed, _)| *changed) {
            return Ok(None);
        }
        return Ok(Some(UnionExec::try_new(inputs.into_iter().map(|(_, input)| input).collect())?));
    }
    let passes =
        plan.is::<FilterExec>() || plan.is::<CoalescePartitionsExec>() || plan.is::<RepartitionExec>();
    if passes && let [input] = plan.children().as_slice() {
        return replace(plan, input, order);
    }
    match plan.try_pushdown_sort(order)? {
        SortOrderPushdownResult::Inexact { inner } => Ok(Some(inner)),
        SortOrderPushdownResult::Exact { .. } | SortOrderPushdownResult::Unsupported => Ok(None),
    }
}

fn replace(
    plan: &Arc<dyn ExecutionPlan>,
    input: &Arc<dyn ExecutionPlan>,
    order: &[PhysicalSortExpr],
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let input = ordered(input, order)?;
    input.map(|input| replace_children_if_necessary(Arc::clone(plan), vec![input])).transpose()
}

/// The leading columns of an order in the words of a projection's input: the rest of the order does not help.
fn below(projection: &ProjectionExec, order: &[PhysicalSortExpr]) -> Option<Vec<PhysicalSortExpr>> {
    let input = |sort: &PhysicalSortExpr| {
        let column = sort.expr.downcast_ref::<Column>()?;
        let source = &projection.expr().get(column.index())?.expr;
        source.is::<Column>().then(|| PhysicalSortExpr::new(Arc::clone(source), sort.options))
    };
    let order: Vec<_> = order.iter().map_while(input).collect();
    (!order.is_empty()).then_some(order)
}
