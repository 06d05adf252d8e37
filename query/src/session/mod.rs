//! A tenant's session: text in, streams of batches out.
//!
//! Sessions are cheap and hold no state of their own; every statement is planned against the tenant's tables as they
//! are, and takes its snapshots when it runs.

mod amplify;
pub(crate) mod base;
mod catalog;
mod cursor;
mod ddl;
mod depth;
mod expand;
mod metadata;
mod page;
mod parameters;
pub(crate) mod planning;
mod sandbox;
mod show;
mod statement;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::physical_plan::execute_stream;
use ironbark_storage::TenantId;
use tokio::time::Instant;

pub use metadata::{SchemaEntry, TableEntry};
pub use page::{Order, SearchPage, SearchRequest};
pub use statement::{Statement, StatementKind};

pub(crate) use self::catalog::Names;
use self::catalog::TenantCatalog;
use crate::config::Limits;
use crate::diagnose::closest;
use crate::engine::QueryEngine;
use crate::error::{Error, Limit, Result};
use crate::interrupt::Interrupt;
use crate::stream::QueryStream;
use crate::table::Snapshots;

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

    /// A page of a search: rows in order of time, and a cursor to the next page. It has at most
    /// [`SearchRequest::PAGE_BYTES_MAX`] bytes, or one record.
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchPage> {
        page::search(self, request, SearchRequest::PAGE_BYTES_MAX).await
    }

    /// The tenant's names as they are now.
    async fn names(&self) -> Result<Names> {
        Ok(Names {
            tenant: self.tenant.clone(),
            tables: self.engine.tables.tables(&self.tenant).await?,
            store: Arc::new(self.engine.segments(&self.tenant)),
            tails: Arc::clone(&self.engine.tails),
        })
    }

    async fn state(&self) -> Result<SessionState> {
        let snapshots = Arc::new(Snapshots::new(Arc::clone(&self.engine.tables)));
        Ok(self.state_of(self.names().await?, snapshots))
    }

    /// DataFusion's state for one query: the shared functions, this tenant's names, fresh snapshots, our clock.
    fn state_of(&self, names: Names, snapshots: Arc<Snapshots>) -> SessionState {
        let mut state = self.engine.base.clone();
        let names = Arc::new(names);
        state.register_catalog_list(Arc::new(TenantCatalog(Arc::clone(&names))));
        let config = state.config_mut();
        // Table functions find their tables in it.
        config.set_extension(names);
        config.set_extension(snapshots);
        let options = config.options_mut();
        options.catalog.default_catalog = self.default_catalog();
        options.catalog.default_schema = self.default_schema();
        let now = chrono::DateTime::from_timestamp_nanos(self.engine.ambient.clock.now().ns());
        let config_options = Some(Arc::clone(state.config_options()));
        *state.execution_props_mut() =
            ExecutionProps { config_options, ..ExecutionProps::new().with_query_execution_start_time(now) };
        state
    }

    async fn run_plan(&self, plan: LogicalPlan, schema: SchemaRef, deadline: Instant) -> Result<QueryStream> {
        self.run_plan_in(self.state().await?, plan, schema, deadline).await
    }

    async fn run_plan_in(
        &self,
        state: SessionState,
        plan: LogicalPlan,
        schema: SchemaRef,
        deadline: Instant,
    ) -> Result<QueryStream> {
        let limits = self.limits;
        let work = async move {
            let plan = state.optimize(&plan).map_err(Error::from_plan)?;
            let planner = state.query_planner();
            let plan = planner.create_physical_plan(&plan, &state).await.map_err(Error::from_plan)?;
            let interrupt = Interrupt::default();
            let source = execute_stream(interrupt.guard(plan)?, state.task_ctx())?;
            let snapshots = state.config().get_extension::<Snapshots>();
            let reading = snapshots.map(|snapshots| snapshots.reading()).unwrap_or_default();
            Ok(QueryStream::spawn(source, schema, limits, deadline, interrupt, reading))
        };
        self.planned(deadline, work).await
    }

    fn ready(&self, schema: SchemaRef, batches: Vec<RecordBatch>, deadline: Instant) -> Result<QueryStream> {
        let source =
            datafusion::physical_plan::memory::MemoryStream::try_new(batches, Arc::clone(&schema), None)?;
        let (interrupt, reading) = (Interrupt::default(), Arc::default());
        Ok(QueryStream::spawn(Box::pin(source), schema, self.limits, deadline, interrupt, reading))
    }

    fn out_of_time(&self) -> Error {
        Error::Limit(Limit::TimeMs(u64::try_from(self.limits.timeout.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Says of a table that does not exist which one may be meant.
    fn name_table(&self, error: Error, state: &SessionState) -> Error {
        let Error::Plan { reason, place, suggestion: None } = error else { return error };
        let missing = reason.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found"));
        let Some(full) = missing else { return Error::Plan { reason, place, suggestion: None } };
        let own = format!("{}.{}.", self.default_catalog(), self.default_schema());
        let Some(name) = full.strip_prefix(&own) else {
            let reason = format!("there is no table {full}; the tables of this session are in {own}*");
            return Error::Plan { reason, place, suggestion: None };
        };
        let catalog = state.catalog_list().catalog(self.tenant.customer());
        let schema = catalog.and_then(|catalog| catalog.schema(&self.default_schema()));
        let names = schema.map(|schema| schema.table_names()).unwrap_or_default();
        let suggestion = closest(name, names.iter().map(String::as_str));
        Error::Plan { reason: format!("there is no table {name}"), place, suggestion }
    }
}
