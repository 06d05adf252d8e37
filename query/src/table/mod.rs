//! A table of logs as DataFusion sees it: the union of a snapshot's segments and buffers, each row exactly once.
//!
//! ```text
//!   scan ─► snapshot (one for a query and table)
//!             ├─ segments ─► prune (manifest) ─► index (tokens)    ─► Parquet scan, newest first ────┐
//!             └─ buffers  ─► prune (time)     ─► words of batches  ─► scan of batches, newest first ─┴─► union
//! ```
//!
//! Pruning only narrows: filters are declared inexact, so that DataFusion checks every row again, inside of the
//! Parquet scan where it can and above it where not. Only what templates are sure of is not checked again (`sure.rs`).

mod adapter;
mod ahead;
mod buffers;
mod deal;
mod index;
mod lru;
mod order;
mod promoted;
mod prune;
mod reader;
mod segments;
mod source;
mod sure;
mod tails;
mod tally;
mod template;
mod times;
mod top;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr_rewriter::unnormalize_cols;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use ironbark_storage::{LogSchema, MinuteLevelCounts, SegmentMeta, Snapshot, TableRef, Tables};

use self::index::{Indexes, Narrowed, Question, Report, TokenIndexExec};
use self::prune::Kept;
use self::tails::Origin;
use self::template::RowFilter;
use self::top::{Frontier, TopRows};
use crate::clause;
use crate::ranges::SegmentObjects;

pub(crate) use index::ShowIndexes;
pub(crate) use order::OrderSegments;
pub(crate) use promoted::PushTags;
pub(crate) use reader::Reading;
pub(crate) use segments::SEGMENTS_URL;
pub(crate) use tails::TailCache;
pub(crate) use tally::CountFromStatistics;
pub(crate) use top::TellTopRows;

/// The snapshots of one query: every mention of a table sees the same rows.
pub(crate) struct Snapshots {
    tables: Arc<dyn Tables>,
    taken: tokio::sync::Mutex<HashMap<TableRef, Arc<Snapshot>>>,
    reading: Arc<Reading>,
}

impl Snapshots {
    pub(crate) fn new(tables: Arc<dyn Tables>) -> Self {
        Self { tables, taken: tokio::sync::Mutex::default(), reading: Arc::default() }
    }

    /// What the query reads of them.
    pub(crate) fn reading(&self) -> Arc<Reading> {
        Arc::clone(&self.reading)
    }

    /// The table as of the first call for it.
    pub(crate) async fn get(&self, table: &TableRef) -> ironbark_storage::Result<Arc<Snapshot>> {
        let mut taken = self.taken.lock().await;
        if let Some(snapshot) = taken.get(table) {
            return Ok(Arc::clone(snapshot));
        }
        let snapshot = Arc::new(self.tables.snapshot(table).await?);
        taken.insert(table.clone(), Arc::clone(&snapshot));
        Ok(snapshot)
    }
}

/// Those of the query at hand.
fn snapshots(state: &dyn Session) -> Result<Arc<Snapshots>> {
    state
        .config()
        .get_extension::<Snapshots>()
        .ok_or_else(|| DataFusionError::Internal("a table of logs is scanned outside of a query".to_owned()))
}

/// Which columns a table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Columns {
    /// Those of SQL.
    Shown,
    /// All of them, for rendering rows with the types of their tags.
    Stored,
}

/// A table of logs.
#[derive(Clone)]
pub(crate) struct LogTable {
    table: TableRef,
    schema: SchemaRef,
    /// Those of the table's tenant.
    store: Arc<SegmentObjects>,
    tails: Arc<TailCache>,
    /// What the query at hand wants of it, if that is not all.
    top: Option<TopRows>,
}

/// What a scan asks for beside the rows that are kept.
struct Rows<'a> {
    /// What they have to pass, in bare column names; it is not checked here.
    filters: &'a [Expr],
    /// Places in [`LogSchema::stored`].
    columns: &'a [usize],
    limit: Option<usize>,
    state: &'a dyn Session,
}

impl Rows<'_> {
    fn nothing(&self) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(EmptyExec::new(Arc::new(LogSchema::stored().project(self.columns)?))))
    }
}

impl LogTable {
    pub(crate) fn new(
        table: TableRef,
        columns: Columns,
        store: Arc<SegmentObjects>,
        tails: Arc<TailCache>,
    ) -> Self {
        let schema = match columns {
            Columns::Shown => LogSchema::shown(),
            Columns::Stored => LogSchema::stored(),
        };
        Self { table, schema, store, tails, top: None }
    }

    /// The places in [`LogSchema::stored`] of the columns that a scan asks for.
    fn stored_columns(&self, projection: Option<&Vec<usize>>) -> Result<Vec<usize>> {
        let stored = LogSchema::stored();
        let schema = match projection {
            Some(columns) => self.schema.project(columns)?,
            None => self.schema.as_ref().clone(),
        };
        let place = |field: &Arc<arrow::datatypes::Field>| stored.index_of(field.name());
        Ok(schema.fields().iter().map(place).collect::<Result<_, _>>()?)
    }

    /// The table as the query at hand sees it.
    async fn snapshot(&self, state: &dyn Session) -> Result<Arc<Snapshot>> {
        let snapshot = snapshots(state)?.get(&self.table).await;
        snapshot.map_err(|e| DataFusionError::External(Box::new(e)))
    }

    /// Reads what pruning left.
    async fn read(&self, kept: Kept, rows: &Rows<'_>) -> Result<Arc<dyn ExecutionPlan>> {
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        inputs.extend(buffers::scan(kept.buffered, rows)?);
        let (segments, report) = self.narrow(kept.segments, rows).await?;
        inputs.extend(self.read_segments(segments, report.as_ref(), rows)?);
        if inputs.is_empty() { rows.nothing() } else { UnionExec::try_new(inputs) }
    }

    /// Reads these rows of segments; `None` where nothing is left to read or to tell.
    fn read_segments(
        &self,
        segments: Vec<Narrowed>,
        report: Option<&Arc<Report>>,
        rows: &Rows<'_>,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Rows { filters, columns, limit, state } = *rows;
        if !segments.is_empty() {
            let (table, store, tails) = (&self.table, &self.store, &self.tails);
            let reading = snapshots(state)?.reading();
            let filters = sure::conditions(filters, state)?;
            let scan = segments::SegmentScan {
                table,
                store,
                tails,
                reading,
                state,
                columns,
                filters,
                limit,
                report,
            };
            return scan.plan(segments).map(Some);
        }
        // For EXPLAIN, which shows why there is nothing to read.
        let shown = |report| Ok(Arc::new(TokenIndexExec::new(rows.nothing()?, Arc::clone(report))) as _);
        report.map(shown).transpose()
    }

    /// The counts by minute and level of a segment, if it has them and they can be read, and where its end came from.
    /// What hinders here hinders the scan as well, where it is told.
    async fn minutes(&self, meta: &SegmentMeta) -> (Option<MinuteLevelCounts>, Option<Origin>) {
        let key = self.indexes().key(meta);
        let tail = self.indexes().tail(&key, meta).await;
        let origin = tail.as_ref().ok().map(|(_, origin)| *origin);
        let counts = tail.and_then(|(tail, _)| MinuteLevelCounts::of_tail(&tail, meta));
        let counts = counts.unwrap_or_else(|error| {
            tracing::warn!(segment = %key, %error, "no counts by minute; its rows are read instead");
            metrics::counter!("ironbark_query_statistics_unreadable_total").increment(1);
            None
        });
        (counts, origin)
    }

    /// Asks the indexes of these segments, if there is anything to ask for.
    async fn narrow(
        &self,
        segments: Vec<Arc<SegmentMeta>>,
        rows: &Rows<'_>,
    ) -> Result<(Vec<Narrowed>, Option<Arc<Report>>)> {
        if segments.is_empty() {
            return Ok((Vec::new(), None));
        }
        let clauses = clause::conjuncts(rows.filters);
        let filter = RowFilter::of(rows.filters, rows.state)?;
        let frontier = self.top.map(Frontier::new);
        if clauses.is_empty() && filter.is_none() {
            let segments = match frontier.filter(|_| rows.filters.is_empty()) {
                Some(frontier) => frontier.within(segments),
                None => segments,
            };
            return Ok((segments.into_iter().map(Narrowed::from).collect(), None));
        }
        let question = Question { clauses: &clauses, filter: filter.as_ref(), frontier: frontier.as_ref() };
        let (narrowed, report) = self.indexes().narrow(segments, question).await;
        Ok((narrowed, Some(Arc::new(report))))
    }

    fn indexes(&self) -> Indexes<'_> {
        Indexes { table: &self.table, store: &self.store, tails: &self.tails }
    }
}

impl fmt::Debug for LogTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogTable({})", self.table)
    }
}

#[async_trait]
impl TableProvider for LogTable {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let snapshot = self.snapshot(state).await?;
        let columns = self.stored_columns(projection)?;
        // They come with the table's name before the columns.
        let filters = unnormalize_cols(filters.iter().cloned());
        let kept = prune::prune(&snapshot, &filters, state)?;
        self.read(kept, &Rows { filters: &filters, columns: &columns, limit, state }).await
    }
}
