//! Conditions on tags as hints for the scan.
//!
//! A hint is a leaf of the plan's expressions: the Parquet scan takes no predicate over a map, and drops what it cannot
//! decide in a file without a word. So the condition is checked above of the scan in any case, and a file that has
//! columns for all of the condition's keys also leaves out pages and rows by it; in others the hint is true.
//! Only what cannot fail becomes a hint.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr, TryCastExpr,
};
use datafusion::physical_expr::{
    PhysicalExpr, ScalarFunctionExpr, conjunction, conjunction_opt, split_conjunction,
};
use ironbark_storage::column;

use crate::{search, tags};

/// The hints for a scan that these conditions are checked above of.
pub(in crate::table) fn hints(conditions: &[Arc<dyn PhysicalExpr>]) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let mut found: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
    for condition in conditions {
        if let Some(condition) = TagCondition::of(Arc::clone(condition))? {
            found.push(Arc::new(condition));
        }
    }
    Ok(conjunction_opt(found))
}

/// A scan's predicate with the hints behind the rest, which mostly costs less and leaves fewer rows to them.
pub(in crate::table) fn hints_last(predicate: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    let terms: Vec<_> = split_conjunction(&predicate).into_iter().cloned().collect();
    let (hints, others): (Vec<_>, Vec<_>) = terms.into_iter().partition(|term| term.is::<TagCondition>());
    if hints.is_empty() || others.is_empty() {
        return predicate;
    }
    conjunction(others.into_iter().chain(hints))
}

/// A condition of which all that concerns tags are keys.
#[derive(Debug, Eq)]
pub(in crate::table) struct TagCondition {
    expr: Arc<dyn PhysicalExpr>,
    keys: Vec<String>,
}

impl PartialEq for TagCondition {
    fn eq(&self, other: &Self) -> bool {
        self.expr.eq(&other.expr)
    }
}

impl Hash for TagCondition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expr.hash(state);
    }
}

impl TagCondition {
    /// `None` if the condition looks up no key, asks for the tags as a whole, or may fail.
    fn of(expr: Arc<dyn PhysicalExpr>) -> Result<Option<Self>> {
        let (mut keys, mut fits) = (Vec::new(), true);
        expr.apply(|node| {
            if let Some(key) = tags::looked_up(node) {
                keys.push(key.to_owned());
                return Ok(TreeNodeRecursion::Jump);
            }
            fits &= never_fails(node.as_ref());
            Ok(TreeNodeRecursion::Continue)
        })?;
        keys.sort_unstable();
        keys.dedup();
        Ok((fits && !keys.is_empty()).then_some(Self { expr, keys }))
    }

    pub(in crate::table) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }

    pub(in crate::table) fn expr(&self) -> Arc<dyn PhysicalExpr> {
        Arc::clone(&self.expr)
    }
}

/// Whether this gives a value for every row, once its arguments do. The scan tries a hint on rows that other filters leave
/// out before the condition itself is asked: `source = 'web' AND CAST(tags['n'] AS INT) > 5` must not fail where the
/// source is another.
fn never_fails(node: &dyn PhysicalExpr) -> bool {
    use Operator::{
        And, Eq, Gt, GtEq, ILikeMatch, IsDistinctFrom, IsNotDistinctFrom, LikeMatch, Lt, LtEq, NotEq,
        NotILikeMatch, NotLikeMatch, Or,
    };
    if let Some(column) = node.downcast_ref::<Column>() {
        return column.name() != column::TAGS;
    }
    if let Some(binary) = node.downcast_ref::<BinaryExpr>() {
        return matches!(
            binary.op(),
            And | Or
                | Eq
                | NotEq
                | Lt
                | LtEq
                | Gt
                | GtEq
                | IsDistinctFrom
                | IsNotDistinctFrom
                | LikeMatch
                | ILikeMatch
                | NotLikeMatch
                | NotILikeMatch
        );
    }
    if let Some(call) = node.downcast_ref::<ScalarFunctionExpr>() {
        return call.fun().name() == search::MATCHES;
    }
    node.is::<Literal>()
        || node.is::<InListExpr>()
        || node.is::<LikeExpr>()
        || node.is::<IsNullExpr>()
        || node.is::<IsNotNullExpr>()
        || node.is::<NotExpr>()
        || node.is::<TryCastExpr>()
}

impl fmt::Display for TagCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "promoted({})", self.expr)
    }
}

impl PhysicalExpr for TagCondition {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _input: &Schema) -> Result<bool> {
        Ok(true)
    }

    /// A hint that no file has settled leaves nothing out.
    fn evaluate(&self, _batch: &RecordBatch) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        Vec::new()
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(self)
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt_sql(f)
    }
}
