//! Finds the counts that statistics may answer, and gives their scan the filter and the weights.
//!
//! It runs last: filters have been pushed down to the scan, literals are folded, `count(*)` is `count(1)`. The plan it
//! makes has the same columns, or it makes none.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, Result, TableReference};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_rewriter::{NamePreserver, unnormalize_cols};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, TableScan, TableScanBuilder, lit, when};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use ironbark_storage::LogSchema;

use super::function::tally;
use super::shape::{Steps, is_constant_in_minutes};
use super::term::TermFilter;
use super::{Known, TallyTable, WEIGHT};
use crate::table::LogTable;
use crate::table::source::Source;
use crate::table::template::Condition;

/// The rule.
#[derive(Debug)]
pub(crate) struct CountFromStatistics;

impl OptimizerRule for CountFromStatistics {
    fn name(&self) -> &'static str {
        "count_from_statistics"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if let LogicalPlan::Aggregate(aggregate) = &plan
            && let Some(tallied) = rewritten(aggregate)?
        {
            return Ok(Transformed::yes(LogicalPlan::Aggregate(tallied)));
        }
        Ok(Transformed::no(plan))
    }
}

fn rewritten(aggregate: &Aggregate) -> Result<Option<Aggregate>> {
    let Some(source) = Source::of(&aggregate.input)? else { return Ok(None) };
    let provider = source_as_provider(&source.scan.source)?;
    let Some(logs) = provider.downcast_ref::<LogTable>() else { return Ok(None) };
    let names = NamePreserver::new_for_projection();
    let mut groups = Vec::with_capacity(aggregate.group_expr.len());
    for group in &aggregate.group_expr {
        let asked = source.in_its_words(group.clone())?;
        if !is_constant_in_minutes(&asked) {
            return Ok(None);
        }
        groups.push(names.save(group).restore(asked));
    }
    let mut all_rows = true;
    let mut counts = Vec::with_capacity(aggregate.aggr_expr.len());
    let weight = Expr::Column(Column::new(Some(source.scan.table_name.clone()), WEIGHT));
    for count in &aggregate.aggr_expr {
        let Some(counted) = Counted::of(count, &source)? else { return Ok(None) };
        all_rows &= counted.which.is_none();
        counts.push(names.save(count).restore(counted.tally(&weight)?));
    }
    let filters = unnormalize_cols(source.filters.clone());
    // Without groups and filters DataFusion's own use of statistics needs no plan at all.
    if groups.is_empty() && filters.is_empty() {
        return Ok(None);
    }
    let known = if let Some(steps) = Steps::of(&filters) {
        Known::Steps(steps)
    } else if groups.is_empty()
        && all_rows
        && let Some(term) = TermFilter::of(&filters)
    {
        Known::Term(term)
    } else if Condition::of(&filters).is_some() {
        Known::Message
    } else {
        return Ok(None);
    };
    let table = Arc::new(TallyTable::new(logs.clone(), filters, known));
    let scan = scan_of(&source, table, groups.iter().chain(&counts))?;
    let tallied = Aggregate::try_new(Arc::new(LogicalPlan::TableScan(scan)), groups, counts)?;
    Ok(same_columns(&tallied.schema, &aggregate.schema).then_some(tallied))
}

fn same_columns(new: &DFSchema, old: &DFSchema) -> bool {
    let columns = |schema: &DFSchema| {
        let column = |(table, field): (Option<&TableReference>, &FieldRef)| {
            (table.cloned(), field.name().clone(), field.data_type().clone(), field.is_nullable())
        };
        schema.iter().map(column).collect::<Vec<_>>()
    };
    columns(new) == columns(old)
}

/// The scan of the weighted rows, with the columns that these expressions name.
fn scan_of<'a>(
    source: &Source,
    table: Arc<TallyTable>,
    exprs: impl Iterator<Item = &'a Expr>,
) -> Result<TableScan> {
    let used: Vec<&Column> = exprs.flat_map(Expr::column_refs).collect();
    let schema = table.schema();
    let fields = schema.fields().iter().enumerate();
    let places = fields.filter(|(_, field)| {
        field.name() == WEIGHT || used.iter().any(|column| column.name == *field.name())
    });
    let projection = places.map(|(place, _)| place).collect();
    // The table applies its filters itsource. Those of columns that it does not show would name nothing.
    let is_shown = |filter: &&Expr| {
        filter.column_refs().iter().all(|column| schema.field_with_name(&column.name).is_ok())
    };
    let shown = source.filters.iter().filter(is_shown).cloned().collect();
    TableScanBuilder::new(source.scan.table_name.clone(), provider_as_source(table))
        .with_projection(Some(projection))
        .with_filters(shown)
        .build()
}

/// An aggregate that only counts.
struct Counted {
    /// Which rows; `None` for all.
    which: Option<Expr>,
}

impl Counted {
    fn of(expr: &Expr, source: &Source) -> Result<Option<Self>> {
        let expr = if let Expr::Alias(alias) = expr { &alias.expr } else { expr };
        let Expr::AggregateFunction(AggregateFunction { func, params }) = expr else { return Ok(None) };
        let is_plain = !params.distinct && params.order_by.is_empty() && params.null_treatment.is_none();
        let [what] = params.args.as_slice() else { return Ok(None) };
        if func.name() != "count" || !is_plain {
            return Ok(None);
        }
        let not_null = match source.in_its_words(what.clone())? {
            Expr::Literal(value, _) if !value.is_null() => None,
            Expr::Column(column) => match LogSchema::stored().field_with_name(&column.name) {
                Ok(field) if !field.is_nullable() => None,
                _ => Some(Expr::Column(column).is_not_null()),
            },
            _ => return Ok(None),
        };
        let filter =
            params.filter.as_ref().map(|filter| source.in_its_words((**filter).clone())).transpose()?;
        let which = not_null.into_iter().chain(filter).reduce(Expr::and);
        if which.as_ref().is_some_and(|which| !is_constant_in_minutes(which)) {
            return Ok(None);
        }
        Ok(Some(Self { which }))
    }

    fn tally(self, weight: &Expr) -> Result<Expr> {
        let weight = match self.which {
            Some(which) => when(which, weight.clone()).otherwise(lit(0i64))?,
            None => weight.clone(),
        };
        let call = AggregateFunction::new_udf(tally(), vec![weight], false, None, Vec::new(), None);
        Ok(Expr::AggregateFunction(call))
    }
}
