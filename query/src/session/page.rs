//! Search page by page, newest or oldest first.

use arrow::array::RecordBatch;
use ironbark_storage::{TableName, TimeRange};

use super::Session;
use crate::error::{Error, Result};

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
}

/// A page of a search.
#[derive(Clone, Debug)]
pub struct SearchPage {
    /// The rows, of [`ironbark_storage::LogSchema::stored`].
    pub batches: Vec<RecordBatch>,
    /// Where the next page starts; `None` after the last one.
    pub cursor: Option<String>,
}

pub(crate) async fn search(_session: &Session, request: &SearchRequest) -> Result<SearchPage> {
    Err(Error::Search { reason: request.query.clone() })
}
