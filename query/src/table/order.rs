//! Tells the scan of segments which rows are wanted first, where DataFusion stops too early.
//!
//! ```text
//!   SortExec(TopK) ─► projection, filter … ─► UnionExec ─► buffers
//!        └──── the wanted order ──────────────────┴──────► segments: files and row groups in that order
//! ```
//!
//! DataFusion hands a sort's order down to scans, but not through a union or a filter, which every table with both
//! buffers and segments has. With the order the scan begins at the right end of time; `TopK`'s bound then rules out
//! the other files and row groups unread. The sort stays: only the order of reading changes. Which partition reads what
//! is settled in `deal.rs`.

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
use ironbark_storage::column;

use super::deal::{Wish, deal};

/// A filter below a `TopK` gives at least so many rows at once, so that single rows do not become batches.
const FILTER_ROWS_MIN: usize = 32;

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
            let Some(fetch) = sort.fetch() else { return Ok(Transformed::no(node)) };
            let wanted = Wanted { order: sort.expr().to_vec(), rows: fetch, filtered: false };
            let Some(input) = wanted.below(sort.input())? else { return Ok(Transformed::no(node)) };
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

/// What a `TopK` asks of the plan below it.
struct Wanted {
    order: Vec<PhysicalSortExpr>,
    rows: usize,
    /// Whether a filter lies between.
    filtered: bool,
}

impl Wanted {
    /// The plan with its scans in the wanted order, or `None` if there is nothing to change.
    fn below(&self, plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            let Some(order) = before(projection, &self.order) else { return Ok(None) };
            return Self { order, ..*self }.replace(plan, projection.input());
        }
        if let Some(union) = plan.downcast_ref::<UnionExec>() {
            return self.union(union);
        }
        if let Some(filter) = plan.downcast_ref::<FilterExec>() {
            // A filter collects a full batch before it gives any, and so would keep the bound from TopK.
            let batch_rows = self.rows.clamp(FILTER_ROWS_MIN, filter.batch_size().max(FILTER_ROWS_MIN));
            let prompt: Arc<dyn ExecutionPlan> = Arc::new(filter.with_batch_size(batch_rows)?);
            let below = Self { order: self.order.clone(), filtered: true, ..*self };
            return below.replace(&prompt, filter.input());
        }
        let passes = plan.is::<CoalescePartitionsExec>() || plan.is::<RepartitionExec>();
        if passes && let [input] = plan.children().as_slice() {
            return self.replace(plan, input);
        }
        match plan.try_pushdown_sort(&self.order)? {
            SortOrderPushdownResult::Inexact { inner } => Ok(Some(self.dealt(inner))),
            SortOrderPushdownResult::Exact { .. } | SortOrderPushdownResult::Unsupported => Ok(None),
        }
    }

    /// The scan dealt out for this order, if it is one of time.
    fn dealt(&self, scan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let Some(leading) = self.order.first() else { return scan };
        let by_time =
            leading.expr.downcast_ref::<Column>().is_some_and(|leading| leading.name() == column::TIMESTAMP);
        let wish = Wish { rows: self.rows, newest: leading.options.descending, filtered: self.filtered };
        if by_time { deal(&scan, wish).unwrap_or(scan) } else { scan }
    }

    fn union(&self, union: &UnionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let mut changed = false;
        let mut inputs = Vec::with_capacity(union.inputs().len());
        for input in union.inputs() {
            let new = self.below(input)?;
            changed |= new.is_some();
            inputs.push(new.unwrap_or_else(|| Arc::clone(input)));
        }
        if changed { UnionExec::try_new(inputs).map(Some) } else { Ok(None) }
    }

    fn replace(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        input: &Arc<dyn ExecutionPlan>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let input = self.below(input)?;
        input.map(|input| replace_children_if_necessary(Arc::clone(plan), vec![input])).transpose()
    }
}

/// The leading columns of an order in the words of a projection's input: the rest of the order does not help.
fn before(projection: &ProjectionExec, order: &[PhysicalSortExpr]) -> Option<Vec<PhysicalSortExpr>> {
    let input = |sort: &PhysicalSortExpr| {
        let column = sort.expr.downcast_ref::<Column>()?;
        let source = &projection.expr().get(column.index())?.expr;
        source.is::<Column>().then(|| PhysicalSortExpr::new(Arc::clone(source), sort.options))
    };
    let order: Vec<_> = order.iter().map_while(input).collect();
    (!order.is_empty()).then_some(order)
}
