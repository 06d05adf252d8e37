//! Stops joins in the middle of their work.
//!
//! ```text
//!   join ─► its filter, wrapped in Guarded ─► stopped?  error: the join ends here
//!    │                                        running?  block_in_place: other work leaves this thread
//!    └► CooperativeExec: whoever reads a join without a filter yields now and then
//! ```
//!
//! DataFusion's operators yield between batches, but a join may compare a billion pairs for one batch, or for none. For
//! that time it can be neither dropped nor timed out, and as many such joins as there are threads would hold up
//! everything else. Its filter is the one place inside that is ours to reach; it sees a few thousand pairs at a time.
//! This changes no result and no plan that is shown.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::{DataFusionError, Result, internal_datafusion_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};
use tokio::runtime::{Handle, RuntimeFlavor};

/// Whether a query is to stop. Its stream holds one and stops it when it ends, however it ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Makes the joins that this guards fail at their next look.
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// The same plan, whose joins can be stopped.
    pub(crate) fn guard(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let join: Arc<dyn ExecutionPlan> = if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
                let filter = join.filter().map(|filter| self.guard_filter(filter));
                Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(filter).build()?)
            } else if let Some(join) = node.downcast_ref::<HashJoinExec>() {
                let filter = join.filter().map(|filter| self.guard_filter(filter));
                Arc::new(join.builder().with_filter(filter).build()?)
            } else if node.downcast_ref::<CrossJoinExec>().is_some() {
                node
            } else {
                return Ok(Transformed::no(node));
            };
            Ok(Transformed::yes(Arc::new(CooperativeExec::new(join)) as Arc<dyn ExecutionPlan>))
        })
        .data()
    }

    fn guard_filter(&self, filter: &JoinFilter) -> JoinFilter {
        let guarded = Guarded { filter: Arc::clone(filter.expression()), interrupt: self.clone() };
        JoinFilter::new(Arc::new(guarded), filter.column_indices().to_vec(), Arc::clone(filter.schema()))
    }
}

/// A join's filter that fails once its query is stopped.
#[derive(Debug)]
struct Guarded {
    filter: Arc<dyn PhysicalExpr>,
    interrupt: Interrupt,
}

impl PartialEq for Guarded {
    fn eq(&self, other: &Self) -> bool {
        self.filter.eq(&other.filter)
    }
}

impl Eq for Guarded {}

impl Hash for Guarded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.filter.hash(state);
    }
}

impl fmt::Display for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.filter.fmt(f)
    }
}

impl PhysicalExpr for Guarded {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.interrupt.is_stopped() {
            return Err(DataFusionError::Execution("the query was stopped".to_owned()));
        }
        // A runtime of one thread has no other that could take over.
        match Handle::try_current().map(|handle| handle.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(|| self.filter.evaluate(batch)),
            _ => self.filter.evaluate(batch),
        }
    }

    fn return_field(&self, input_schema: &Schema) -> Result<FieldRef> {
        self.filter.return_field(input_schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.filter]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let filter =
            children.into_iter().next().ok_or_else(|| internal_datafusion_err!("a filter is gone"))?;
        Ok(Arc::new(Self { filter, interrupt: self.interrupt.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.filter.fmt_sql(f)
    }
}
