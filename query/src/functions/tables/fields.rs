//! `facets(table, field, n [, search])`, `field_values(table, field [, prefix])` and `field_names(table [, search])`:
//! what there is to ask for.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::functions::string::starts_with;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::functions_nested::map_keys::map_keys;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, ident, lit};
use ironbark_storage::{LogSchema, column};

use super::{Call, Spec, view};
use crate::functions::mistake::Mistake;
use crate::tags;

const VALUE: &str = "value";
const COUNT: &str = "count";
const FIELD: &str = "field";
const KIND: &str = "kind";
const ROWS: &str = "rows";
/// Most values that are asked for at once.
const VALUES_MAX: i64 = 10_000;
/// Values that [`FIELD_VALUES`] gives.
const SUGGESTED: usize = 1_000;
const TAGS_PREFIX: &str = "tags.";

/// `(value, count)`, the most frequent first.
pub(super) const FACETS: Spec = Spec {
    name: "facets",
    example: "facets('logs', 'source', 10, 'level:error')",
    arguments: 3..=4,
    scans: 1,
    table: facets,
};

/// `(value, count)`, the most frequent first.
pub(super) const FIELD_VALUES: Spec = Spec {
    name: "field_values",
    example: "field_values('logs', 'env', 'pr')",
    arguments: 2..=3,
    scans: 1,
    table: field_values,
};

/// `(field, kind, rows)`.
pub(super) const FIELD_NAMES: Spec = Spec {
    name: "field_names",
    example: "field_names('logs', 'level:error')",
    arguments: 1..=2,
    // The tags, and each column but them.
    scans: 9,
    table: field_names,
};

fn facets(call: &Call<'_>) -> Result<Arc<dyn TableProvider>> {
    let value = field(call)?;
    let most = call.number(2, "the number of values", 1..=VALUES_MAX)?;
    most_frequent(call.found(3)?, &value, usize::try_from(most).unwrap_or(SUGGESTED))
}

fn field_values(call: &Call<'_>) -> Result<Arc<dyn TableProvider>> {
    let value = field(call)?;
    let mut rows = call.rows()?;
    if call.args.len() > 2 {
        let prefix = call.text(2, "the beginning of the values")?;
        rows = rows.filter(starts_with().call(vec![value.clone(), lit(prefix)]))?;
    }
    most_frequent(rows, &value, SUGGESTED)
}

fn most_frequent(rows: LogicalPlanBuilder, value: &Expr, most: usize) -> Result<Arc<dyn TableProvider>> {
    let order = [ident(COUNT).sort(false, false), ident(VALUE).sort(true, false)];
    let plan = rows
        .filter(value.clone().is_not_null())?
        .aggregate([value.clone().alias(VALUE)], [count(lit(1i64)).alias(COUNT)])?
        .sort(order)?
        .limit(0, Some(most))?
        .build()?;
    Ok(view(plan))
}

/// The field that the second argument names, as text: a column, or else a tag.
fn field(call: &Call<'_>) -> Result<Expr, Mistake> {
    let name = call.text(1, "the field")?;
    if let Some(key) = name.strip_prefix(TAGS_PREFIX) {
        return Ok(tags::tag(ident(column::TAGS), key));
    }
    match LogSchema::shown().field_with_name(name).map(|field| field.data_type().clone()) {
        Ok(DataType::Utf8) => Ok(ident(name)),
        Ok(DataType::Map(..)) => Err(Mistake::NoField { function: call.function }),
        Ok(_) => Ok(cast(ident(name), DataType::Utf8)),
        Err(_) if name.is_empty() => Err(Mistake::NoField { function: call.function }),
        Err(_) => Ok(tags::tag(ident(column::TAGS), name)),
    }
}

fn field_names(call: &Call<'_>) -> Result<Arc<dyn TableProvider>> {
    let keys = call.found(1)?.project([map_keys(ident(column::TAGS)).alias(FIELD)])?.unnest_column(FIELD)?;
    let keys = keys.aggregate([ident(FIELD)], [count(lit(1i64)).alias(ROWS)])?;
    let mut all =
        keys.project([ident(FIELD).alias(FIELD), lit("tag").alias(KIND), ident(ROWS).alias(ROWS)])?;
    for field in LogSchema::shown().fields() {
        if field.name() == column::TAGS {
            continue;
        }
        let rows = call.found(1)?.aggregate(Vec::<Expr>::new(), [count(ident(field.name())).alias(ROWS)])?;
        let row = [lit(field.name()).alias(FIELD), lit("column").alias(KIND), ident(ROWS).alias(ROWS)];
        all = all.union(rows.project(row)?.build()?)?;
    }
    Ok(view(all.build()?))
}
