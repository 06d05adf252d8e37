//! Times in scans of segments: files hold microseconds and sometimes the digits below, plans know nanoseconds.
//!
//! ```text
//!                                in a file of microseconds        in one with digits below
//!   timestamp                    time(timestamp)                  time(timestamp, _timestamp_ns)
//!   timestamp >= 12:00:00        the same of microseconds         the same of microseconds
//!   timestamp > …,000001500      microseconds > …,000001          microseconds >= …,000001 AND time(…) > …,000001500
//!   a bound of TopK              as it moves: tried on time(…), and row groups are ruled out by it as comparisons above are
//! ```
//!
//! Statistics and pages know the file's columns alone. So a comparison with a literal becomes one of microseconds, which
//! rules out row groups and pages, and stays beside it only where microseconds alone do not decide it ([`comparison`]).
//! Both hold for the same rows, whatever stands around them.

mod assemble;
mod bound;
mod comparison;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_expr::expressions::{Column, DynamicFilterPhysicalExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use ironbark_storage::{FileTimes, TIMESTAMP_NS, column};

use self::assemble::Time;
use self::bound::Bound;

/// What stands for `timestamp` in a file with these columns; `None` for its column itself.
pub(super) fn in_file(times: FileTimes, schema: &SchemaRef) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let names: &[&str] = match times {
        FileTimes::Nanoseconds => return Ok(None),
        FileTimes::Microseconds => &[column::TIMESTAMP],
        FileTimes::Split => &[column::TIMESTAMP, TIMESTAMP_NS],
    };
    let columns = names.iter().map(|name| Ok(Arc::new(Column::new_with_schema(name, schema)?) as _));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let function = Arc::new(ScalarUDF::from(Time::new()));
    let call = ScalarFunctionExpr::try_new(function, columns, schema, Arc::new(ConfigOptions::default()))?;
    Ok(Some(Arc::new(call)))
}

/// The columns of stored rows, with `timestamp` as it is in a file.
pub(super) fn settled(stored: &SchemaRef, in_file: &Schema) -> SchemaRef {
    let settle = |field: &Arc<Field>| match in_file.fields().find(column::TIMESTAMP) {
        Some((_, found)) if field.name() == column::TIMESTAMP => Arc::clone(found),
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new(stored.fields().iter().map(settle).collect::<Vec<_>>()))
}

/// The expression, in which [`in_file`] stands for times already, with its comparisons and bounds in microseconds.
pub(super) fn in_microseconds(expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    expr.transform_down(|node| {
        if node.is::<DynamicFilterPhysicalExpr>() {
            let bound = Arc::new(Bound::new(node));
            return Ok(Transformed::new(bound as _, true, TreeNodeRecursion::Jump));
        }
        Ok(comparison::of_times(&node).map_or_else(
            || Transformed::no(Arc::clone(&node)),
            |of_microseconds| Transformed::new(of_microseconds, true, TreeNodeRecursion::Jump),
        ))
    })
    .data()
}

/// The file's column of microseconds in a call of [`Time`], and whether the file has digits below.
fn microseconds(expr: &Arc<dyn PhysicalExpr>) -> Option<(&Arc<dyn PhysicalExpr>, bool)> {
    let call = ScalarFunctionExpr::try_downcast_func::<Time>(expr.as_ref())?;
    call.args().first().map(|column| (column, call.args().len() > 1))
}
