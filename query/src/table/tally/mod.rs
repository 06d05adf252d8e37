//! Counts from statistics: segments whose statistics decide a query's filter and groups are counted without a row.
//!
//! ```text
//!   Aggregate: groups, count(*)           Aggregate: groups, tally(_weight)
//!     Filter: …                    ─►       TableScan: TallyTable, which applies the filter itself
//!       TableScan: LogTable                   │
//!                                             ▼ for each segment
//!    manifest: rows by source, level ──┐
//!    tail: rows by minute, level ──────┤ cells ─► the filter holds for ┬ all of its rows: one row, weight = its rows
//!    (indexes: term.rs, message.rs)    ┘                               ├ none of them:    nothing
//!                                                                      └ some of them:    these rows, weight 1
//!    segments without such statistics ────────────────────────────────────────────────► their rows, weight 1
//!
//!    batches in memory: the same counts and words, made by the first query that asks (`ironbark_storage::BufferedRows`)
//! ```
//!
//! In a cell source and level are constants and time is a span. So every row counts exactly once, and an answer from
//! statistics equals the scan's. Statistics speak of segments as they were written: a segment with rows that are
//! deleted but still in it, or expired, must be read.

mod ask;
mod cells;
mod exec;
mod function;
mod message;
mod rule;
mod shape;
mod term;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, ident, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::union::UnionExec;
use ironbark_storage::{BufferedRows, LogSchema, Minute, SegmentMeta, Timestamp, column};

pub(super) use self::cells::{Cell, Cells, Judge, Verdict};
pub(crate) use self::rule::CountFromStatistics;
pub(super) use self::shape::{Steps, mentions};

use self::ask::Asked;
use self::exec::{Read, StatisticsExec, Weighted};
use self::term::TermFilter;
use super::buffers::Buffered;
use super::index::{Narrowed, Report};
use super::prune::{self, Kept};
use super::{LogTable, Rows};

/// The columns that statistics know, in the order of everything that has a value for each of them.
const COLUMNS: [&str; 3] = [column::TIMESTAMP, column::SOURCE, column::LEVEL];
/// How many rows a row stands for. No column of logs has this name.
const WEIGHT: &str = "_weight";

/// A table of logs as counts see it: rows of `timestamp`, `source`, `level` that stand for one row or for many.
///
/// The timestamp of a row that stands for many is one of its minute, or, where no timestamp is asked for, any.
#[derive(Debug)]
struct TallyTable {
    logs: LogTable,
    /// What rows are counted, in bare column names. This scan alone applies it.
    filters: Vec<Expr>,
    known: Known,
    schema: SchemaRef,
}

/// Which statistics can decide the filters.
#[derive(Debug)]
enum Known {
    /// Counts by minute, source and level: the filters change at these steps in time only.
    Steps(Steps),
    /// Token indexes, where the counts decide all but one filter, and else templates.
    Term(TermFilter),
    /// Templates, with source, level and time of row groups.
    Message,
}

impl TallyTable {
    fn new(logs: LogTable, filters: Vec<Expr>, known: Known) -> Self {
        Self { logs, filters, known, schema: schema() }
    }

    /// Asks the statistics of segments for rows with these columns.
    async fn ask(
        &self,
        segments: &[Arc<SegmentMeta>],
        schema: &Schema,
        state: &dyn Session,
    ) -> Result<Asked> {
        let judge = |filters, steps| Judge::new(filters, steps, schema, state);
        let weighted = Weighted::new(schema);
        let mut asked = Asked::new(weighted);
        let rest = match &self.known {
            Known::Steps(steps) => {
                asked.of_counts(&self.logs, &judge(&self.filters, steps)?, segments).await;
                return Ok(asked);
            }
            Known::Term(TermFilter { term, others, steps }) => {
                term::ask(&self.logs, &judge(others, steps)?, term, segments, &mut asked).await
            }
            Known::Message => segments.to_vec(),
        };
        message::ask(&self.logs, &self.filters, rest, state, &mut asked).await?;
        Ok(asked)
    }

    /// Asks what is known of batches in memory; what their counts do not decide is read.
    fn ask_batches(
        &self,
        batches: &[Arc<BufferedRows>],
        asked: &mut Asked,
        schema: &Schema,
        state: &dyn Session,
    ) -> Result<()> {
        let judge = |filters, steps| Judge::new(filters, steps, schema, state);
        match &self.known {
            Known::Steps(steps) => asked.of_batches(&judge(&self.filters, steps)?, batches),
            Known::Term(TermFilter { term, others, steps }) => {
                term::ask_batches(&judge(others, steps)?, term, batches, asked);
            }
            Known::Message => asked.batches = batches.to_vec(),
        }
        Ok(())
    }

    /// Rows of segments and buffers that the filters let through, each with weight 1. With `minutes` only those of
    /// these minutes.
    async fn rows(
        &self,
        kept: Kept,
        minutes: Option<&BTreeSet<Minute>>,
        schema: &SchemaRef,
        state: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let filter = conjunction(self.filters.iter().cloned().chain(minutes.map(within)));
        let columns = used(schema, filter.as_ref());
        let rows = Rows { filters: &self.filters, columns: &columns, limit: None, state };
        ones(self.logs.read(kept, &rows).await?, filter, schema, state)
    }

    /// These rows of segments, each with weight 1, if they pass.
    fn some_rows(
        &self,
        some: Vec<Narrowed>,
        report: Option<&Arc<Report>>,
        filter: Option<Expr>,
        schema: &SchemaRef,
        state: &dyn Session,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let columns = used(schema, filter.as_ref());
        let rows = Rows { filters: &self.filters, columns: &columns, limit: None, state };
        let plan = self.logs.read_segments(some, report, &rows)?;
        plan.map(|plan| ones(plan, filter, schema, state)).transpose()
    }
}

/// The places of the columns that are asked for or filtered, in [`LogSchema::stored`].
fn used(schema: &Schema, filter: Option<&Expr>) -> Vec<usize> {
    let is_used = |name: &str| {
        schema.field_with_name(name).is_ok() || filter.is_some_and(|filter| mentions(filter, name))
    };
    let stored = LogSchema::stored();
    let fields = stored.fields().iter().enumerate().filter(|(_, field)| is_used(field.name()));
    fields.map(|(place, _)| place).collect()
}

/// The rows of a plan that pass, each with weight 1.
fn ones(
    mut plan: Arc<dyn ExecutionPlan>,
    filter: Option<Expr>,
    schema: &SchemaRef,
    state: &dyn Session,
) -> Result<Arc<dyn ExecutionPlan>> {
    let scanned = plan.schema();
    if let Some(filter) = filter {
        let names = DFSchema::try_from(scanned.as_ref().clone())?;
        plan = Arc::new(FilterExec::try_new(state.create_physical_expr(filter, &names)?, plan)?);
    }
    let output = schema.fields().iter().map(|field| {
        let expr: Arc<dyn PhysicalExpr> = if field.name() == WEIGHT {
            Arc::new(Literal::new(ScalarValue::Int64(Some(1))))
        } else {
            Arc::new(Column::new(field.name(), scanned.index_of(field.name())?))
        };
        Ok((expr, field.name().clone()))
    });
    Ok(Arc::new(ProjectionExec::try_new(output.collect::<Result<Vec<_>>>()?, plan)?))
}

#[async_trait]
impl TableProvider for TallyTable {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Only the filters that it was made with: others would have to be asked of the rows that a weight stands for.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let of = |filter: &&Expr| {
            let bare = datafusion::logical_expr::expr_rewriter::unnormalize_col((*filter).clone());
            if self.filters.contains(&bare) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        Ok(filters.iter().map(of).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => SchemaRef::clone(&self.schema),
        };
        let snapshot = self.logs.snapshot(state).await?;
        let Kept { segments, buffered } = prune::prune(&snapshot, &self.filters, state)?;
        let mut asked = self.ask(&segments, &schema, state).await?;
        self.ask_batches(&buffered.kept, &mut asked, &schema, state)?;
        let read = Read::new(&asked);
        let counted: Arc<dyn ExecutionPlan> =
            Arc::new(StatisticsExec::try_new(asked.weighted.finish(&schema)?, read, state)?);
        let mut inputs = vec![counted];
        if !asked.cut.is_empty() {
            let kept = Kept { segments: asked.cut, buffered: Buffered::default() };
            inputs.push(self.rows(kept, Some(&asked.minutes), &schema, state).await?);
        }
        let Asked { sure, undecided, report, .. } = asked;
        if !sure.is_empty() {
            inputs.extend(self.some_rows(sure, None, None, &schema, state)?);
        }
        let filter = conjunction(self.filters.iter().cloned());
        inputs.extend(self.some_rows(undecided, report.as_ref(), filter, &schema, state)?);
        if !asked.read.is_empty() || !asked.batches.is_empty() {
            let buffered = Buffered { kept: asked.batches, ..buffered };
            inputs.push(self.rows(Kept { segments: asked.read, buffered }, None, &schema, state).await?);
        }
        UnionExec::try_new(inputs)
    }
}

fn schema() -> SchemaRef {
    let stored = LogSchema::stored();
    let field = |name: &str| stored.fields().find(name).map(|(_, field)| Arc::clone(field));
    let mut fields: Vec<Arc<Field>> = COLUMNS.into_iter().filter_map(field).collect();
    fields.push(Arc::new(Field::new(WEIGHT, DataType::Int64, false)));
    Arc::new(Schema::new(fields))
}

/// The rows of these minutes.
fn within(minutes: &BTreeSet<Minute>) -> Expr {
    let at = |at: Timestamp| lit(ScalarValue::TimestampNanosecond(Some(at.ns()), Some(Arc::from("UTC"))));
    let time = || ident(column::TIMESTAMP);
    let minute = |minute: &Minute| {
        let range = minute.range();
        time().gt_eq(at(range.min)).and(time().lt_eq(at(range.max)))
    };
    minutes.iter().map(minute).reduce(Expr::or).unwrap_or_else(|| lit(false))
}
