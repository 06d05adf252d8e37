//! Counts of the rows that hold one term: where a segment's token index knows their number, no row is read.
//!
//! ```text
//!   count(*) where search('timeout') and timestamp >= …
//!     └─ for each segment: does the rest hold for all of its rows? ┬ yes ─► its index ┬ knows the number: counted
//!                          (by the manifest)                       │                  └ does not ──┐
//!                                                                  └ not surely ───────────────────┴─► its rows
//! ```
//!
//! An index counts the frequent terms exactly, and of the others only that there are none. Rows are read where they
//! may be, as in any other search.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use ironbark_storage::Term;

use super::ask::{Asked, SEGMENTS_AT_ONCE};
use super::cells::{Answer, Cell, Cells, Judge, Verdict};
use super::exec::{Read, StatisticsExec, Weighted};
use super::shape::Steps;
use super::{LogTable, TallyTable};
use crate::clause;
use crate::table::prune::{self, Kept};
use crate::table::tails::Origin;

/// A table of logs whose rows are counted that hold a term and pass other filters.
#[derive(Debug)]
pub(super) struct TermTable {
    /// With all of the filters.
    tally: TallyTable,
    term: Term,
    /// The other filters, and where in time they change.
    others: Vec<Expr>,
    steps: Steps,
}

impl TermTable {
    /// `None` if the filters, in bare column names, ask for something else.
    pub(super) fn of(logs: &LogTable, filters: &[Expr]) -> Option<Self> {
        let (term, others) = clause::split_term(filters)?;
        let steps = Steps::of(&others)?;
        let tally = TallyTable::new(logs.clone(), filters.to_vec(), Steps::default());
        Some(Self { tally, term, others, steps })
    }
}

#[async_trait]
impl TableProvider for TermTable {
    fn schema(&self) -> SchemaRef {
        self.tally.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.tally.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Self { tally, term, others, steps } = self;
        let schema = match projection {
            Some(columns) => Arc::new(tally.schema.project(columns)?),
            None => tally.schema(),
        };
        let snapshot = tally.logs.snapshot(state).await?;
        let Kept { segments, buffers } = prune::prune(&snapshot, &tally.filters, state)?;
        let judge = Judge::new(others, steps, &tally.schema, &schema, state)?;
        let mut asked = Asked::new(Weighted::new(&schema));
        let mut whole = Vec::new();
        for some in segments.chunks(SEGMENTS_AT_ONCE) {
            for (meta, answer) in some.iter().zip(judge.by_manifest(some)) {
                let is_whole = matches!(answer, Answer::Whole(cells) if cells.are_all());
                (if is_whole { &mut whole } else { &mut asked.read }).push(Arc::clone(meta));
            }
        }
        for (meta, count) in tally.logs.indexes().counts(whole, term).await {
            asked.tails_read += usize::from(count.tail == Some(Origin::Store));
            asked.tails_cached += usize::from(count.tail == Some(Origin::Memory));
            match count.rows {
                Some(rows) => {
                    let cell = Cell { time: meta.time, source: None, level: None, rows };
                    asked.weighted.count(&Cells(vec![(cell, Verdict::All)]));
                }
                None => asked.read.push(meta),
            }
        }
        let beside = Read::new(&asked, &buffers);
        let counted: Arc<dyn ExecutionPlan> =
            Arc::new(StatisticsExec::try_new(asked.weighted.finish(&schema)?, beside, state)?);
        if asked.read.is_empty() && buffers.is_empty() {
            return Ok(counted);
        }
        let rows = tally.rows(Kept { segments: asked.read, buffers }, None, &schema, state).await?;
        UnionExec::try_new(vec![counted, rows])
    }
}
