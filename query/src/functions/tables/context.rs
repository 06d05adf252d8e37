//! `context(table, row_id, before, after)`: what happened around a row, where it happened.
//!
//! ```text
//!   scan ─► the row ─► its source, host and pod ─┬─► rows before, newest first, LIMIT before ─┐
//!                  └───────────────────────────────► the row ─────────────────────────────────┼─► in order of time
//!                                                └─► rows after, oldest first, LIMIT after ───┘
//! ```
//!
//! The row is looked up while the query is planned, as indexes are, so that the rows around it are asked for by
//! constants, which pruning knows how to use. All of it reads the snapshot of the query.

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, TableReference, exec_err};
use datafusion::datasource::{TableType, provider_as_source};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, cast, ident, lit};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::scalar::ScalarValue;
use ironbark_storage::{LogSchema, column};

use super::{Call, Spec};
use crate::table::{Columns, LogTable};
use crate::tags;

const POSITION: &str = "position";
/// Most rows before, and most rows after.
const ROWS: RangeInclusive<i64> = 0..=10_000;
/// Tags that say, together with the source, where a row is from.
const PLACE_TAGS: [&str; 2] = ["host", "pod"];

/// The columns of the table, and `position`.
pub(super) const CONTEXT: Spec = Spec {
    name: "context",
    example: "context('logs', '8796093022209', 10, 10)",
    arguments: 4..=4,
    // The row is looked up first.
    scans: 4,
    table: context,
};

fn context(call: &Call<'_>) -> Result<Arc<dyn TableProvider>> {
    let table = call.table()?;
    let name = TableReference::bare(table.table.as_str());
    let logs = Arc::new(call.names.provider(table, Columns::Shown));
    let row_id = call.number(1, "the row id", 0..=i64::MAX)?;
    let before = call.number(2, "the number of rows before", ROWS)?;
    let after = call.number(3, "the number of rows after", ROWS)?;
    let [before, after] = [before, after].map(|rows| usize::try_from(rows).unwrap_or_default());
    let mut fields: Vec<_> = LogSchema::shown().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new(POSITION, DataType::Int64, false)));
    let schema = Arc::new(Schema::new(fields));
    Ok(Arc::new(Context { name, logs, schema, row_id, before, after }))
}

/// The rows around one row.
#[derive(Debug)]
struct Context {
    name: TableReference,
    logs: Arc<LogTable>,
    schema: SchemaRef,
    row_id: i64,
    before: usize,
    after: usize,
}

/// The row, as far as the rows around it have to do with it.
struct Anchor {
    timestamp: Expr,
    row_id: Expr,
    /// What is true of it and of the rows around it.
    same_place: Expr,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

impl Anchor {
    fn of(batch: &RecordBatch, row_id: i64) -> Result<Self> {
        let value = |place: usize| ScalarValue::try_from_array(batch.column(place), 0);
        let same = |expr: Expr, value: ScalarValue| {
            if value.is_null() { expr.is_null() } else { expr.eq(Expr::Literal(value, None)) }
        };
        let mut same_place = same(ident(column::SOURCE), value(1)?);
        for (place, key) in (2..).zip(PLACE_TAGS) {
            let tag = value(place)?;
            if !tag.is_null() {
                same_place = same_place.and(same(tags::tag(ident(column::TAGS), key), tag));
            }
        }
        Ok(Self { timestamp: Expr::Literal(value(0)?, None), row_id: lit(row_id), same_place })
    }

    /// The rows on one side of it.
    fn side(&self, side: Side) -> Expr {
        let (at, id) = (ident(column::TIMESTAMP), ident(column::ROW_ID));
        let (time, row) = (self.timestamp.clone(), self.row_id.clone());
        // Said twice, so that pruning sees a plain bound.
        let lies_there = match side {
            Side::Before => at.clone().lt_eq(time.clone()).and(at.lt(time).or(id.lt(row))),
            Side::After => at.clone().gt_eq(time.clone()).and(at.gt(time).or(id.gt(row))),
        };
        lies_there.and(self.same_place.clone())
    }

    fn itself(&self) -> Expr {
        ident(column::TIMESTAMP).eq(self.timestamp.clone()).and(ident(column::ROW_ID).eq(self.row_id.clone()))
    }
}

fn by_time(ascending: bool) -> Vec<Sort> {
    [column::TIMESTAMP, column::ROW_ID].map(|name| ident(name).sort(ascending, false)).into()
}

/// All columns, and the position.
fn with_position(rows: LogicalPlanBuilder, position: Expr) -> Result<LogicalPlanBuilder> {
    let schema = LogSchema::shown();
    let columns = schema.fields().iter().map(|field| ident(field.name()).alias(field.name()));
    rows.project(columns.chain([position.alias(POSITION)]).collect::<Vec<_>>())
}

impl Context {
    fn rows(&self) -> Result<LogicalPlanBuilder> {
        let source = provider_as_source(Arc::clone(&self.logs) as _);
        LogicalPlanBuilder::scan(self.name.clone(), source, None)
    }

    async fn anchor(&self, state: &dyn Session) -> Result<Option<Anchor>> {
        let tags = PLACE_TAGS.map(|key| tags::tag(ident(column::TAGS), key));
        let columns = [ident(column::TIMESTAMP), ident(column::SOURCE)].into_iter().chain(tags);
        let plan = self
            .rows()?
            .filter(ident(column::ROW_ID).eq(lit(self.row_id)))?
            .project(columns.collect::<Vec<_>>())?
            .limit(0, Some(1))?
            .build()?;
        let plan = state.create_physical_plan(&plan).await?;
        let found = collect(plan, state.task_ctx()).await?;
        let found = found.iter().find(|batch| batch.num_rows() > 0);
        found.map(|batch| Anchor::of(batch, self.row_id)).transpose()
    }

    fn side(&self, anchor: &Anchor, side: Side, rows: usize) -> Result<LogicalPlan> {
        let order = by_time(side == Side::After);
        let number = row_number().order_by(order.clone()).build()?;
        let rows = self.rows()?.filter(anchor.side(side))?.sort(order)?.limit(0, Some(rows))?;
        let rows = rows.window([number])?;
        let Some(counted) = rows.schema().columns().pop() else {
            return exec_err!("a window without columns");
        };
        let counted = cast(Expr::Column(counted), DataType::Int64);
        let position = if side == Side::Before { lit(0i64) - counted } else { counted };
        with_position(rows, position)?.build()
    }

    fn plan(&self, anchor: &Anchor, projection: Option<&Vec<usize>>) -> Result<LogicalPlan> {
        let mut all = with_position(self.rows()?.filter(anchor.itself())?, lit(0i64))?;
        for (side, rows) in [(Side::Before, self.before), (Side::After, self.after)] {
            if rows > 0 {
                all = all.union(self.side(anchor, side, rows)?)?;
            }
        }
        let sorted = all.sort([ident(POSITION).sort(true, false)])?;
        let schema = match projection {
            Some(columns) => self.schema.project(columns)?,
            None => self.schema.as_ref().clone(),
        };
        sorted.project(schema.fields().iter().map(|field| ident(field.name())).collect::<Vec<_>>())?.build()
    }
}

#[async_trait]
impl TableProvider for Context {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(anchor) = self.anchor(state).await? else {
            let schema = match projection {
                Some(columns) => Arc::new(self.schema.project(columns)?),
                None => SchemaRef::clone(&self.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        };
        state.create_physical_plan(&self.plan(&anchor, projection)?).await
    }
}
