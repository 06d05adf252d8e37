//! Says in the columns of one file what the plan says in the columns of stored rows.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_expr::expressions::{Column, lit};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use ironbark_storage::{FileColumns, PromotedTags, column};

use super::promoted::{AllTags, TagCondition, hints_last};
use super::{sure, times};
use crate::tags;

/// Makes an adapter for each file.
#[derive(Debug)]
pub(super) struct FileAdapters {
    /// What holds for all rows that are read of files that are marked so.
    pub(super) sure: Arc<[Arc<dyn PhysicalExpr>]>,
}

impl PhysicalExprAdapterFactory for FileAdapters {
    fn create(&self, stored: SchemaRef, in_file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let Some(columns) = FileColumns::of_schema(&in_file) else {
            return internal_err!("the columns of a segment are not those of stored rows");
        };
        let sure = sure::is_marked(&in_file).then(|| Arc::clone(&self.sure));
        let time = times::in_file(columns.times, &in_file)?;
        let promoted = columns.promoted;
        let own: Vec<_> = promoted.keys().map(|key| Arc::from(PromotedTags::column(key))).collect();
        // A column of times is not to be cast as well: what compares casts with literals cuts their digits off.
        let settled = times::settled(&stored, &in_file);
        let plain = DefaultPhysicalExprAdapterFactory.create(settled, Arc::clone(&in_file))?;
        Ok(Arc::new(Adapter { sure, time, promoted, own, in_file, plain }))
    }
}

/// The adapter of a file.
#[derive(Debug)]
struct Adapter {
    /// What holds for all rows that are read.
    sure: Option<Arc<[Arc<dyn PhysicalExpr>]>>,
    /// What stands for `timestamp`; `None` for the file's column itself.
    time: Option<Arc<dyn PhysicalExpr>>,
    promoted: PromotedTags,
    /// The names of the columns of its keys.
    own: Vec<Arc<str>>,
    in_file: SchemaRef,
    /// Brings columns to their places.
    plain: Arc<dyn PhysicalExprAdapter>,
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let expr = match &self.sure {
            Some(sure) => sure::without(expr, sure),
            None => expr,
        };
        let expr = self.in_columns(hints_last(expr))?;
        self.plain.rewrite(if self.time.is_some() { times::in_microseconds(expr)? } else { expr })
    }
}

impl Adapter {
    fn in_columns(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        expr.transform_down(|node| {
            let known = |new| Ok(Transformed::new(new, true, TreeNodeRecursion::Jump));
            if let Some(condition) = node.downcast_ref::<TagCondition>() {
                return known(self.condition(condition)?);
            }
            if let Some(key) = tags::looked_up(&node) {
                return match self.column(key) {
                    Some(column) => known(column),
                    None => Ok(Transformed::new(node, false, TreeNodeRecursion::Jump)),
                };
            }
            if let Some(time) = &self.time
                && node.downcast_ref::<Column>().is_some_and(|found| found.name() == column::TIMESTAMP)
            {
                return known(Arc::clone(time));
            }
            let is_tags = node.downcast_ref::<Column>().is_some_and(|found| found.name() == column::TAGS);
            if is_tags && !self.promoted.is_empty() {
                return known(self.all_tags(node)?);
            }
            Ok(Transformed::no(node))
        })
        .data()
    }

    fn column(&self, key: &str) -> Option<Arc<dyn PhysicalExpr>> {
        let place = self.promoted.keys().position(|promoted| promoted == key)?;
        Column::new_with_schema(self.own.get(place)?, &self.in_file).ok().map(|column| Arc::new(column) as _)
    }

    /// What of a condition can be decided in this file: all, or nothing.
    fn condition(&self, condition: &TagCondition) -> Result<Arc<dyn PhysicalExpr>> {
        if condition.keys().all(|key| self.column(key).is_some()) {
            self.in_columns(condition.expr())
        } else {
            Ok(lit(true))
        }
    }

    fn all_tags(&self, tags: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let function = Arc::new(ScalarUDF::from(AllTags::new(&self.promoted)));
        let columns = self.promoted.keys().filter_map(|key| self.column(key));
        let arguments = std::iter::once(self.plain.rewrite(tags)?).chain(columns).collect();
        let call = ScalarFunctionExpr::try_new(
            function,
            arguments,
            &self.in_file,
            Arc::new(ConfigOptions::default()),
        )?;
        Ok(Arc::new(call))
    }
}
