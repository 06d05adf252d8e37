//! Counts of rows by what their messages say: templates count the rows that surely pass, and only the undecided are read.
//!
//! ```text
//!   count(*) where message like '%refused%' and level = 'ERROR'
//!     └─ for each segment: runs by templates ─┬ sure ──────► counted by source and level
//!                                             │              (groups by time: their times are read, and nothing else)
//!                                             ├ undecided ─► exactly these rows are read and checked
//!                                             └ impossible
//!        a segment without templates ─────────────────────► all of its rows are read and checked
//! ```

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::logical_expr::Expr;
use ironbark_storage::SegmentMeta;

use super::LogTable;
use super::ask::Asked;
use super::cells::Verdict;
use crate::clause;
use crate::table::index::{Question, Split};
use crate::table::template::RowFilter;

/// Asks for the rows of these segments that pass all filters, which are in bare column names.
pub(super) async fn ask(
    logs: &LogTable,
    filters: &[Expr],
    segments: Vec<Arc<SegmentMeta>>,
    state: &dyn Session,
    asked: &mut Asked,
) -> Result<()> {
    let filter = RowFilter::of(filters, state)?;
    let Some(filter) = filter.as_ref().filter(|_| !segments.is_empty()) else {
        asked.read.extend(segments);
        return Ok(());
    };
    let clauses = clause::conjuncts(filters);
    let question = Question { clauses: &clauses, filter: Some(filter), frontier: None };
    let (splits, others, report) = logs.indexes().split(segments, question).await;
    asked.report = Some(Arc::new(report));
    asked.read.extend(others);
    for Split { meta, sorted, sure, undecided, tail } in splits {
        asked.tail_came_from(Some(tail));
        let mut read = if undecided.is_some() { sorted.count(Verdict::Undecided) } else { 0 };
        if asked.weighted.has_times() {
            read += sorted.count(Verdict::All);
            asked.sure.extend(sure);
        } else if sure.is_some() {
            asked.weighted.count(&sorted.sure(meta.time));
        }
        asked.undecided.extend(undecided);
        asked.split_rows += read;
        asked.split_segments += usize::from(read > 0);
    }
    Ok(())
}
