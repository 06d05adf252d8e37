//! A tenant's session: text in, streams of batches out.
//!
//! Sessions are cheap and hold no state of their own; every statement is planned against the tenant's tables as they
//! are, and takes its snapshots when it runs.

pub(crate) mod base;
mod metadata;
mod page;
mod statement;

use std::sync::Arc;

use ironbark_storage::TenantId;

pub use metadata::{SchemaEntry, TableEntry};
pub use page::{Order, SearchPage, SearchRequest};
pub use statement::{Statement, StatementKind};

use crate::config::Limits;
use crate::engine::QueryEngine;
use crate::error::Result;
use crate::stream::QueryStream;

/// A session of one tenant.
#[derive(Clone, Debug)]
pub struct Session {
    engine: Arc<QueryEngine>,
    tenant: TenantId,
    limits: Limits,
}

impl Session {
    pub(crate) fn new(engine: Arc<QueryEngine>, tenant: TenantId) -> Self {
        let limits = engine.config.limits();
        Self { engine, tenant, limits }
    }

    /// The same session with other limits for its queries; none may exceed the configuration's.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        let most = self.engine.config.limits();
        self.limits = Limits {
            timeout: limits.timeout.min(most.timeout),
            rows_max: limits.rows_max.min(most.rows_max),
        };
        self
    }

    /// The tenant.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The limits of its queries.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Parses a statement, checks that it is allowed, and plans it.
    pub async fn prepare(&self, sql: &str) -> Result<Statement> {
        Statement::prepare(self.clone(), sql).await
    }

    /// Prepares and runs a statement without parameters.
    pub async fn sql(&self, sql: &str) -> Result<QueryStream> {
        self.prepare(sql).await?.run(Vec::new()).await
    }

    /// A page of a search: rows in order of time, and a cursor to the next page.
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchPage> {
        page::search(self, request).await
    }
}
