//! Brings expressions over tags into scans of segments.
//!
//! DataFusion takes `tag(tags, 'host')` down to the table, and into a scan that lies right below. A table with buffers
//! is a union, though, and a projection goes into a union only where it leaves out columns:
//!
//! ```text
//!   ProjectionExec [tag(tags, 'host')]          UnionExec
//!     UnionExec                          ─►       ProjectionExec [tag(tags, 'host')] ─► buffers
//!       buffers, segments                         segments, projection=[tag(tags, 'host')]
//! ```

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;

use crate::tags;

/// The rule.
#[derive(Debug)]
pub(crate) struct PushTags;

impl PhysicalOptimizerRule for PushTags {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| {
            let Some(projection) = node.downcast_ref::<ProjectionExec>() else {
                return Ok(Transformed::no(node));
            };
            let Some(union) = projection.input().downcast_ref::<UnionExec>() else {
                return Ok(Transformed::no(node));
            };
            if !projection.expr().iter().any(|projected| tags::looks_up(&projected.expr)) {
                return Ok(Transformed::no(node));
            }
            let inputs = union.inputs().iter().map(|input| below(projection, input));
            Ok(Transformed::yes(UnionExec::try_new(inputs.collect::<Result<_>>()?)?))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "push_tags"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// An input of the union, projected.
fn below(projection: &ProjectionExec, input: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let projected = ProjectionExec::try_new(projection.expr().to_vec(), Arc::clone(input))?;
    let scan = input.downcast_ref::<DataSourceExec>();
    let taken = scan.map(|scan| scan.try_swapping_with_projection(&projected)).transpose()?.flatten();
    Ok(taken.unwrap_or_else(|| Arc::new(projected)))
}
