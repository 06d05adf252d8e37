//! Parameters: `?` becomes `$1`, `$2` … in the parsed statement, and values become the types that the plan wants.
//!
//! DataFusion gives every `?` the same name. Numbers are given in the order of the text, which the parser's places
//! tell; the text itself is never rewritten.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ParamValues;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, Statement as SqlStatement, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::Location;

use crate::boundary::wire_type;
use crate::error::{Error, Limit, Result};

/// Most parameters of a statement.
const PARAMETERS_MAX: usize = 10_000;

/// Numbers the `?` of a statement. Says how many there are.
pub(crate) fn number(statement: &mut DfStatement) -> Result<usize> {
    let Some(statement) = sql(statement) else { return Ok(0) };
    let mut found = Find::default();
    let _ = statement.visit(&mut found);
    if !found.marks.is_empty() && found.numbered {
        return Err(Error::Parameters { reason: "use either ? or $1, $2 …, not both".to_owned() });
    }
    if found.marks.len() > PARAMETERS_MAX {
        return Err(Error::Limit(Limit::Items { limit: PARAMETERS_MAX, what: "parameters" }));
    }
    found.marks.sort_unstable();
    let numbers = found.marks.into_iter().zip(1_usize..).collect();
    let mut renumber = Number { numbers };
    let _ = statement.visit(&mut renumber);
    Ok(renumber.numbers.len())
}

fn sql(statement: &mut DfStatement) -> Option<&mut SqlStatement> {
    match statement {
        DfStatement::Statement(statement) => Some(statement),
        DfStatement::Explain(explain) => sql(&mut explain.statement),
        DfStatement::CopyTo(_) | DfStatement::CreateExternalTable(_) | DfStatement::Reset(_) => None,
    }
}

#[derive(Default)]
struct Find {
    marks: Vec<(u64, u64)>,
    numbered: bool,
}

impl VisitorMut for Find {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<()> {
        if let SqlExpr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
        {
            if name == "?" {
                self.marks.push(place(value.span.start));
            } else {
                self.numbered = true;
            }
        }
        ControlFlow::Continue(())
    }
}

struct Number {
    numbers: HashMap<(u64, u64), usize>,
}

impl VisitorMut for Number {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<()> {
        if let SqlExpr::Value(value) = expr
            && let Value::Placeholder(name) = &mut value.value
            && let Some(number) = self.numbers.get(&place(value.span.start))
        {
            *name = format!("${number}");
        }
        ControlFlow::Continue(())
    }
}

fn place(at: Location) -> (u64, u64) {
    (at.line, at.column)
}

/// The parameters in order, with the types that the plan infers; text where it infers none.
pub(crate) fn of_plan(plan: &LogicalPlan) -> Result<Vec<(String, DataType)>> {
    let mut inferred = plan.get_parameter_types().map_err(Error::from_plan)?;
    for name in counts(plan)? {
        inferred.insert(name, Some(DataType::Int64));
    }
    types(inferred)
}

/// The parameters of LIMIT and OFFSET, whose types DataFusion does not infer.
fn counts(plan: &LogicalPlan) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let found = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for count in limit.skip.iter().chain(&limit.fetch) {
                if let Expr::Placeholder(parameter) = without_casts(count) {
                    names.push(parameter.id.clone());
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found.map_err(Error::from_plan)?;
    Ok(names)
}

fn without_casts(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => without_casts(&cast.expr),
        other => other,
    }
}

/// The plan's columns once values of these types are bound: a parameter in the SELECT list has no type before.
pub(crate) fn schema(plan: &LogicalPlan, parameters: &[(String, DataType)]) -> Result<Schema> {
    let before = plan.schema().as_arrow();
    if parameters.is_empty() {
        return Ok(before.clone());
    }
    let nulls = parameters.iter().map(|(_, data_type)| ScalarValue::try_new_null(data_type));
    let nulls = nulls.collect::<Result<Vec<_>, _>>()?;
    let bound = plan.clone().with_param_values(ParamValues::from(nulls)).map_err(Error::from_plan)?;
    let fields = before.fields().iter().zip(bound.schema().as_arrow().fields()).map(|(before, bound)| {
        Field::new(before.name(), bound.data_type().clone(), before.is_nullable() || bound.is_nullable())
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

fn types(inferred: HashMap<String, Option<DataType>>) -> Result<Vec<(String, DataType)>> {
    let mut numbered = BTreeMap::new();
    for (name, data_type) in inferred {
        let number: usize = name.trim_start_matches('$').parse().map_err(|_| Error::Parameters {
            reason: format!("{name} is no parameter; use ? or $1, $2 …"),
        })?;
        if number == 0 || number > PARAMETERS_MAX {
            return Err(Error::Parameters { reason: format!("{name} is out of range; the first is $1") });
        }
        numbered.insert(number, data_type);
    }
    let last = numbered.last_key_value().map_or(0, |(number, _)| *number);
    let data_type = |number: &usize| {
        let inferred = numbered.get(number).cloned().flatten();
        inferred.filter(|data_type| !data_type.is_null()).map_or(DataType::Utf8, |t| wire_type(&t))
    };
    Ok((1..=last).map(|number| (format!("${number}"), data_type(&number))).collect())
}

/// The values with the types of the parameters.
pub(crate) fn bind(parameters: &[(String, DataType)], values: Vec<ScalarValue>) -> Result<Vec<ScalarValue>> {
    if values.len() != parameters.len() {
        let reason = format!("the statement has {}, {} were given", parameters.len(), values.len());
        return Err(Error::Parameters { reason });
    }
    let cast = |(value, (name, data_type)): (ScalarValue, &(String, DataType))| {
        value.cast_to(data_type).map_err(|error| Error::Parameters {
            reason: format!("{name} must be {data_type}: {}", error.strip_backtrace()),
        })
    };
    values.into_iter().zip(parameters).map(cast).collect()
}
