//! Table functions over logs: `SELECT … FROM histogram('logs', '5m')`.
//!
//! ```text
//!   literals ─► a plan over the tenant's table ─► a view, which planning puts in the place of the call
//! ```
//!
//! A call becomes the plan that its meaning would have in SQL, so pruning, indexes, statistics and limits serve it as
//! they serve any query. The tables are those of the session's tenant: there is no other way to one from here.

mod context;
mod counts;
mod fields;

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;
use std::sync::Arc;

use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, TableReference, exec_datafusion_err};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, lit};
use datafusion::scalar::ScalarValue;
use ironbark_storage::{TableName, TableRef};

use super::bucket;
use super::mistake::Mistake;
use crate::diagnose::closest;
use crate::search::SEARCH;
use crate::session::Names;
use crate::table::Columns;

/// A function.
#[derive(Debug)]
struct Spec {
    name: &'static str,
    /// A call, for messages.
    example: &'static str,
    /// How many arguments it takes.
    arguments: RangeInclusive<usize>,
    /// How many tables are in the plan of a call.
    scans: usize,
    table: fn(&Call<'_>) -> Result<Arc<dyn TableProvider>>,
}

static FUNCTIONS: [Spec; 6] = [
    counts::HISTOGRAM,
    counts::RATE,
    fields::FACETS,
    fields::FIELD_NAMES,
    fields::FIELD_VALUES,
    context::CONTEXT,
];

/// The functions, for sessions.
pub(crate) fn table_functions() -> impl Iterator<Item = Arc<TableFunction>> {
    FUNCTIONS.iter().map(|spec| Arc::new(TableFunction::new(spec.name.to_owned(), Arc::new(OfLogs(spec)))))
}

/// How many tables a call of this function stands for, if it is one of them.
pub(crate) fn scans(name: &str) -> Option<usize> {
    FUNCTIONS.iter().find(|spec| spec.name == name).map(|spec| spec.scans)
}

#[derive(Debug)]
struct OfLogs(&'static Spec);

impl TableFunctionImpl for OfLogs {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let Spec { name: function, example, arguments, table, .. } = self.0;
        let given = args.exprs().len();
        if !arguments.contains(&given) {
            return Err(Mistake::Arguments { function, given, example }.into());
        }
        let session = args.session();
        let names = session.config().get_extension::<Names>();
        let names =
            names.ok_or_else(|| exec_datafusion_err!("{function}() is called outside of a session"))?;
        let search = session.scalar_functions().get(SEARCH).cloned();
        let search = search.ok_or_else(|| exec_datafusion_err!("there is no search()"))?;
        table(&Call { function, example, args: args.exprs(), names, search })
    }
}

/// A call, its arguments simplified.
struct Call<'a> {
    function: &'static str,
    example: &'static str,
    args: &'a [Expr],
    names: Arc<Names>,
    search: Arc<ScalarUDF>,
}

impl Call<'_> {
    fn literal(&self, place: usize, what: &'static str) -> Result<&ScalarValue, Mistake> {
        match self.args.get(place) {
            Some(Expr::Literal(value, _)) if !value.is_null() => Ok(value),
            _ => Err(Mistake::TableLiteral { function: self.function, what, example: self.example }),
        }
    }

    fn text(&self, place: usize, what: &'static str) -> Result<&str, Mistake> {
        let text = self.literal(place, what)?.try_as_str().flatten();
        text.ok_or(Mistake::TableLiteral { function: self.function, what, example: self.example })
    }

    /// A whole number, also as text.
    fn number(&self, place: usize, what: &'static str, range: RangeInclusive<i64>) -> Result<i64, Mistake> {
        let text = self.literal(place, what)?.to_string();
        let number = text.parse().ok().filter(|number| range.contains(number));
        let (function, min, max) = (self.function, *range.start(), *range.end());
        number.ok_or(Mistake::Number { function, what, text, min, max })
    }

    /// The length of time of a bucket.
    fn step(&self, place: usize) -> Result<ScalarValue, Mistake> {
        match self.literal(place, "the step")? {
            ScalarValue::IntervalMonthDayNano(Some(interval)) if bucket::is_positive(*interval) => {
                Ok(ScalarValue::IntervalMonthDayNano(Some(*interval)))
            }
            ScalarValue::IntervalMonthDayNano(_) => {
                let text = "an INTERVAL that does not lead forward".to_owned();
                Err(Mistake::Step { function: self.function, text })
            }
            other => bucket::step_of(self.function, &other.to_string()),
        }
    }

    /// The table that the first argument names.
    fn table(&self) -> Result<TableRef, Mistake> {
        // A bare name is as good as a text.
        let name = match self.args.first() {
            Some(Expr::Column(column)) => column.name.as_str(),
            _ => self.text(0, "the table")?,
        };
        let (catalog, schema) = (self.names.tenant.customer(), self.names.tenant.sql_schema());
        let reference = TableReference::parse_str(name);
        let is_own = reference.catalog().is_none_or(|given| given == catalog)
            && reference.schema().is_none_or(|given| given == schema);
        let found = self.names.find(reference.table()).or_else(|| self.names.find(name));
        found.filter(|_| is_own).ok_or_else(|| {
            let suggestion = closest(name, self.names.tables.iter().map(TableName::as_str));
            Mistake::Table { function: self.function, name: name.to_owned(), suggestion }
        })
    }

    /// All rows of the table.
    fn rows(&self) -> Result<LogicalPlanBuilder> {
        let table = self.table()?;
        let name = TableReference::bare(table.table.as_str());
        let provider = self.names.provider(table, Columns::Shown);
        LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(provider)), None)
    }

    /// The rows that the search at this place finds; all if there is none.
    fn found(&self, place: usize) -> Result<LogicalPlanBuilder> {
        let rows = self.rows()?;
        if place >= self.args.len() {
            return Ok(rows);
        }
        match self.text(place, "the search")? {
            search if search.trim().is_empty() => Ok(rows),
            search => rows.filter(self.search.call(vec![lit(search)])),
        }
    }
}

fn view(plan: LogicalPlan) -> Arc<dyn TableProvider> {
    Arc::new(ViewTable::new(plan, None))
}
