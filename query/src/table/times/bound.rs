//! A condition that moves while a query runs, the bound of a `TopK` for one, in a file of microseconds.
//!
//! Rows are tried by the condition as it is at that time. Before row groups are ruled out by it, DataFusion takes a snapshot; the
//! comparisons in that are of whole times, which no statistics know, and become comparisons of microseconds here.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use super::comparison;

/// A condition that moves.
#[derive(Debug, Eq)]
pub(super) struct Bound(Arc<dyn PhysicalExpr>);

impl Bound {
    pub(super) fn new(condition: Arc<dyn PhysicalExpr>) -> Self {
        Self(condition)
    }
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0)
    }
}

impl Hash for Bound {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PhysicalExpr for Bound {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.0.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.0.nullable(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.0.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let child = children.into_iter().next();
        Ok(child.map_or_else(|| Arc::clone(&self) as _, |condition| Arc::new(Self(condition)) as _))
    }

    /// Taken after that of the condition, which then stands in its place and moves no more.
    fn snapshot(&self) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let condition = Arc::clone(&self.0).transform_down(|node| {
            Ok(match comparison::of_times(&node) {
                Some(known) => Transformed::new(known, true, TreeNodeRecursion::Jump),
                None => Transformed::no(node),
            })
        });
        condition.data().map(Some)
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}
