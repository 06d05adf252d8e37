//! `tags['k']`: one tag of each row, as text.
//!
//! `tags['a']['b']`, `tags['a.b']` and `tags.a.b` mean the same key `a.b`, because nested objects are stored under
//! their path. All of them become the function `tag(tags, 'a.b')`, which SQL may also call by its name; a search for
//! `a.b:x` compiles to the same expression.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, MapArray, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference, exec_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ExpressionPlacement, GetFieldAccess, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::expressions::{self, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use ironbark_storage::{DEFAULT_TABLE, LogSchema, column};

static TAG: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(Tag::new())));

/// The function `tag(tags, key)`.
pub(crate) fn function() -> Arc<ScalarUDF> {
    Arc::clone(&TAG)
}

/// The tag `key` of a map of tags.
pub(crate) fn tag(tags: Expr, key: &str) -> Expr {
    TAG.call(vec![tags, text(key)])
}

fn text(key: &str) -> Expr {
    Expr::Literal(ScalarValue::Utf8(Some(key.to_owned())), None)
}

/// The key of `tag(tags, 'key')`, where the tags are the table's column and the key is constant.
pub(crate) fn looked_up(expr: &Arc<dyn PhysicalExpr>) -> Option<&str> {
    let call = ScalarFunctionExpr::try_downcast_func::<Tag>(expr.as_ref())?;
    let [tags, key] = call.args() else { return None };
    let tags = tags.downcast_ref::<expressions::Column>()?;
    match key.downcast_ref::<Literal>()?.value() {
        ScalarValue::Utf8(Some(key)) if tags.name() == column::TAGS => Some(key),
        _ => None,
    }
}

/// The key of such a call in a logical plan.
pub(crate) fn key_of(expr: &Expr) -> Option<&str> {
    let (tags, key) = constant_path(expr)?;
    matches!(tags, Expr::Column(tags) if tags.name == column::TAGS).then_some(key)
}

/// Whether an expression contains such a call.
pub(crate) fn looks_up(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.exists(|node| Ok(looked_up(node).is_some())).unwrap_or(false)
}

/// Plans `tags['k']` and `tags.k`.
#[derive(Debug)]
pub(crate) struct TagPlanner;

impl ExprPlanner for TagPlanner {
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { field_access, expr } = access;
        let name = match &field_access {
            GetFieldAccess::NamedStructField { name: ScalarValue::Utf8(Some(name)) } => Some(name.clone()),
            _ => None,
        };
        if let (Some((tags, path)), Some(name)) = (constant_path(&expr), &name) {
            return Ok(PlannerResult::Planned(tag(tags.clone(), &format!("{path}.{name}"))));
        }
        if expr.get_type(schema).is_ok_and(|data_type| data_type == LogSchema::tags_type()) {
            match (name, &field_access) {
                (Some(name), _) => return Ok(PlannerResult::Planned(tag(expr, &name))),
                (None, GetFieldAccess::ListIndex { key }) => {
                    return Ok(PlannerResult::Planned(TAG.call(vec![expr, key.as_ref().clone()])));
                }
                _ => return plan_err!("tags are looked up by a text, as in tags['env']"),
            }
        }
        Ok(PlannerResult::Original(RawFieldAccessExpr { field_access, expr }))
    }

    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        if field.data_type() != &LogSchema::tags_type() {
            return Ok(PlannerResult::Original(Vec::new()));
        }
        let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
        Ok(PlannerResult::Planned(tag(column, &nested_names.join("."))))
    }
}

/// The map and the key of `tag(map, 'key')`.
fn constant_path(expr: &Expr) -> Option<(&Expr, &str)> {
    let Expr::ScalarFunction(call) = expr else { return None };
    if call.func.name() != Tag::NAME {
        return None;
    }
    match call.args.as_slice() {
        [tags, Expr::Literal(ScalarValue::Utf8(Some(path)), _)] => Some((tags, path)),
        _ => None,
    }
}

/// `tag(tags, key)`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Tag {
    signature: Signature,
}

impl Tag {
    const NAME: &str = "tag";

    fn new() -> Self {
        let arguments = vec![LogSchema::tags_type(), DataType::Utf8];
        Self { signature: Signature::exact(arguments, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Tag {
    fn name(&self) -> &str {
        Self::NAME
    }

    /// `tags['env']`, as it was written: the table's name stands before it only where it is an alias.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        if let [Expr::Column(tags), Expr::Literal(ScalarValue::Utf8(Some(key)), _)] = args {
            let alias = tags.relation.as_ref().map(TableReference::table);
            let alias = alias.filter(|name| *name != DEFAULT_TABLE).map(|name| format!("{name}."));
            return Ok(format!("{}{}['{key}']", alias.unwrap_or_default(), tags.name));
        }
        let names: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(format!("{}({})", Self::NAME, names.join(",")))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    /// One tag of a table's column goes down into the scan, which may have a column for it.
    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        match args {
            [ExpressionPlacement::Column, ExpressionPlacement::Literal] => {
                ExpressionPlacement::MoveTowardsLeafNodes
            }
            _ => ExpressionPlacement::KeepInPlace,
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [tags, key] = args.args.as_slice() else { return exec_err!("tag takes a map and a key") };
        let tags = tags.to_array(rows)?;
        let Some(tags) = tags.as_map_opt() else { return exec_err!("tag takes a map of tags") };
        let values = match key {
            ColumnarValue::Scalar(ScalarValue::Utf8(None)) => return Ok(nulls(rows)),
            ColumnarValue::Scalar(ScalarValue::Utf8(Some(key))) => lookup(tags, |_| Some(key.as_str())),
            ColumnarValue::Array(keys) => {
                let Some(keys) = keys.as_string_opt::<i32>() else {
                    return exec_err!("a tag's key is a text");
                };
                lookup(tags, |row| keys.is_valid(row).then(|| keys.value(row)))
            }
            ColumnarValue::Scalar(_) => return exec_err!("a tag's key is a text"),
        };
        Ok(ColumnarValue::Array(values?))
    }
}

fn nulls(_rows: usize) -> ColumnarValue {
    ColumnarValue::Scalar(ScalarValue::Utf8(None))
}

/// For each row the value under its key, or NULL where there is none.
fn lookup<'a>(tags: &MapArray, key_of: impl Fn(usize) -> Option<&'a str>) -> Result<ArrayRef> {
    let (Some(keys), Some(values)) =
        (tags.keys().as_string_opt::<i32>(), tags.values().as_string_opt::<i32>())
    else {
        return exec_err!("tags must be a map of texts");
    };
    let place = |row: usize| {
        let key = key_of(row).filter(|_| tags.is_valid(row))?;
        entries(tags, row).find(|entry| keys.value(*entry) == key).map(|entry| entry as u64)
    };
    let places: UInt64Array = (0..tags.len()).map(place).collect();
    arrow::compute::take(values as &StringArray, &places, None).map_err(DataFusionError::from)
}

/// The places of a row's entries among all of the map's.
fn entries(tags: &MapArray, row: usize) -> impl Iterator<Item = usize> {
    let offset = |place: usize| tags.value_offsets().get(place).and_then(|at| usize::try_from(*at).ok());
    offset(row).unwrap_or_default()..offset(row + 1).unwrap_or_default()
}
