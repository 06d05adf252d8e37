//! Search page by page, newest or oldest first.
//!
//! ```text
//!   request + cursor ─► filter: time, source, level, tags, search, row id ≤ mark, after the last page
//!                    ─► sort (timestamp, row id), limit + 1 ─► page, cursor
//! ```
//!
//! A page ends at its limit of rows or at its limit of bytes, whichever comes first, and the next one goes on there.
//! The first page sets the mark: the largest row id of its snapshot. All pages together are what one page without a
//! limit would have been at that moment, less rows that were deleted since.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampNanosecondType};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, ident, lit};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use ironbark_storage::{Level, LogSchema, RowId, TableName, TimeRange, Timestamp, column};
use tokio::time::Instant;

use super::Session;
use super::cursor::Cursor;
use crate::error::{Error, Result};
use crate::json::rows_within;
use crate::search;
use crate::stream::QueryStream;
use crate::table::{Columns, Snapshots};
use crate::tags;

/// The order of time in which rows come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Newest first.
    #[default]
    Descending,
    /// Oldest first.
    Ascending,
}

/// A search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchRequest {
    /// The table.
    pub table: TableName,
    /// The text of the search; empty for all rows.
    pub query: String,
    /// Only rows of this source.
    pub source: Option<String>,
    /// Only rows of this level, in any of its spellings.
    pub level: Option<String>,
    /// Only rows of this span of time, both ends included.
    pub time: Option<TimeRange>,
    /// Only rows with these tags, all of them.
    pub tags: Vec<(String, String)>,
    /// Most rows of a page; 1 to [`SearchRequest::LIMIT_MAX`].
    pub limit: usize,
    /// Newest or oldest first.
    pub order: Order,
    /// Where the page before ended: its `cursor`.
    pub cursor: Option<String>,
}

impl SearchRequest {
    /// Most rows of a page.
    pub const LIMIT_MAX: usize = 10_000;
    /// Most bytes that the records of a page take as JSON. A single longer record is a page of its own.
    pub const PAGE_BYTES_MAX: usize = 32 << 20;
}

/// A page of a search.
#[derive(Clone, Debug)]
pub struct SearchPage {
    /// The rows, of [`ironbark_storage::LogSchema::stored`].
    pub batches: Vec<RecordBatch>,
    /// Where the next page starts; `None` after the last one. A page with a cursor may have fewer rows than were asked
    /// for.
    pub cursor: Option<String>,
}

/// The names of the filter's columns need no table before them.
fn own(name: &str) -> Expr {
    ident(name)
}

fn time(ns: i64) -> Expr {
    lit(ScalarValue::TimestampNanosecond(Some(ns), Some(Arc::from("UTC"))))
}

/// A page whose records take at most `bytes_max` bytes as JSON, but has at least one.
pub(super) async fn search(
    session: &Session,
    request: &SearchRequest,
    bytes_max: usize,
) -> Result<SearchPage> {
    let deadline = Instant::now() + session.limits.timeout;
    let page = tokio::time::timeout_at(deadline, page(session, request, bytes_max, deadline));
    page.await.map_err(|_| session.out_of_time())?
}

async fn page(
    session: &Session,
    request: &SearchRequest,
    bytes_max: usize,
    deadline: Instant,
) -> Result<SearchPage> {
    if request.limit == 0 || request.limit > SearchRequest::LIMIT_MAX {
        let reason = format!("limit must be 1 to {}, not {}", SearchRequest::LIMIT_MAX, request.limit);
        return Err(Error::Parameters { reason });
    }
    let names = session.names().await?;
    let Some(table) = names.find(request.table.as_str()) else {
        let (tenant, table) = (session.tenant.to_string(), request.table.to_string());
        return Err(ironbark_storage::Error::TableNotFound { tenant, table }.into());
    };
    let from = request.cursor.as_deref().map(|text| Cursor::decode(text, request)).transpose()?;
    let snapshots = Arc::new(Snapshots::new(Arc::clone(&session.engine.tables)));
    let snapshot = snapshots.get(&table).await?;
    let Some(high_water) = from.map(|from| from.high_water).or(snapshot.high_water().map(RowId::get)) else {
        return Ok(SearchPage { batches: Vec::new(), cursor: None });
    };
    let now = from.map_or_else(|| session.engine.ambient.clock.now().ns(), |from| from.now);
    let provider = names.provider(table, Columns::Stored);
    let filter = filter(request, Timestamp::from_ns(now))?
        .and(own(column::ROW_ID).lt_eq(lit(high_water)))
        .and(from.map_or_else(|| lit(true), |from| after(&from, request.order)));
    let ascending = request.order == Order::Ascending;
    let order = [column::TIMESTAMP, column::ROW_ID].map(|name| own(name).sort(ascending, false));
    let source = provider_as_source(Arc::new(provider));
    // One row more than the page holds says whether there is another page.
    let plan = LogicalPlanBuilder::scan(request.table.as_str(), source, None)
        .and_then(|scan| scan.filter(filter))
        .and_then(|rows| rows.sort(order))
        .and_then(|rows| rows.limit(0, Some(request.limit + 1)))
        .and_then(LogicalPlanBuilder::build)
        .map_err(Error::from_plan)?;
    let state = session.state_of(names, snapshots);
    let rows = session.run_plan_in(state, plan, LogSchema::stored(), deadline).await?;
    let (page, more) = fill(rows, request.limit, bytes_max).await?;
    finish(page, more, request, high_water, now)
}

/// The rows after the page's last one.
fn after(last: &Cursor, order: Order) -> Expr {
    let (at, id) = (own(column::TIMESTAMP), own(column::ROW_ID));
    let (time, row) = (time(last.timestamp), lit(last.row_id));
    match order {
        Order::Descending => at.clone().lt_eq(time.clone()).and(at.lt(time).or(id.lt(row))),
        Order::Ascending => at.clone().gt_eq(time.clone()).and(at.gt(time).or(id.gt(row))),
    }
}

/// What the request asks for, as the same expressions that SQL compiles to.
fn filter(request: &SearchRequest, now: Timestamp) -> Result<Expr> {
    let mut filters = Vec::new();
    if let Some(range) = request.time {
        filters.push(own(column::TIMESTAMP).gt_eq(time(range.min.ns())));
        filters.push(own(column::TIMESTAMP).lt_eq(time(range.max.ns())));
    }
    if let Some(source) = &request.source {
        filters.push(own(column::SOURCE).eq(lit(source.as_str())));
    }
    if let Some(level) = &request.level {
        let level = Level::parse(level).map_or(level.clone(), |level| level.as_str().to_owned());
        filters.push(own(column::LEVEL).eq(lit(level)));
    }
    for (key, value) in &request.tags {
        filters.push(tags::tag(own(column::TAGS), key).eq(lit(value.as_str())));
    }
    filters.extend(text(&request.query, now)?);
    Ok(conjunction(filters).unwrap_or_else(|| lit(true)))
}

fn text(query: &str, now: Timestamp) -> Result<Option<Expr>> {
    if query.trim().is_empty() {
        return Ok(None);
    }
    let parsed = search::parse(query)?;
    Ok(Some(search::compile(&parsed, query, now)?))
}

/// Reads rows until the page is full. Says whether there are more.
async fn fill(
    mut rows: QueryStream,
    rows_max: usize,
    mut bytes_left: usize,
) -> Result<(Vec<RecordBatch>, bool)> {
    let mut page: Vec<RecordBatch> = Vec::new();
    let mut rows_left = rows_max;
    while let Some(batch) = rows.try_next().await? {
        let wanted = batch.slice(0, rows_left.min(batch.num_rows()));
        let mut fit = rows_within(&wanted, &mut bytes_left)?;
        if fit == 0 && page.is_empty() && wanted.num_rows() > 0 {
            // A page has a record, however long it is: otherwise nobody could go on behind it.
            fit = 1;
            bytes_left = 0;
        }
        let taken = wanted.slice(0, fit);
        let more = taken.num_rows() < batch.num_rows();
        rows_left -= taken.num_rows();
        if taken.num_rows() > 0 {
            page.push(taken);
        }
        if more {
            return Ok((page, true));
        }
    }
    Ok((page, false))
}

/// Says where a page ended.
fn finish(
    page: Vec<RecordBatch>,
    more: bool,
    request: &SearchRequest,
    high_water: i64,
    now: i64,
) -> Result<SearchPage> {
    let Some((timestamp, row_id)) = page.last().filter(|_| more).map(last_row).transpose()? else {
        return Ok(SearchPage { batches: page, cursor: None });
    };
    let cursor = Cursor { high_water, now, timestamp, row_id };
    Ok(SearchPage { batches: page, cursor: Some(cursor.encode(request)) })
}

fn last_row(batch: &RecordBatch) -> Result<(i64, i64)> {
    let column = |name| batch.column_by_name(name);
    let times = column(column::TIMESTAMP).and_then(|c| c.as_primitive_opt::<TimestampNanosecondType>());
    let ids = column(column::ROW_ID).and_then(|c| c.as_primitive_opt::<Int64Type>());
    let last = times.zip(ids).and_then(|(times, ids)| times.values().last().zip(ids.values().last()));
    let (time, id) =
        last.ok_or_else(|| Error::Internal { reason: "a page without timestamp and row id".to_owned() })?;
    Ok((*time, *id))
}
