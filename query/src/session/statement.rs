//! A prepared statement: parsed, allowed and planned; it may run any number of times.
//!
//! ```text
//!   prepare: text ─► sandbox ─► parameters ─► logical plan, wire schema
//!   run:     plan + values ─► optimizer ─► snapshots, physical plan ─► QueryStream
//! ```
//!
//! The logical plan knows tables by name only. Snapshots are taken by each run, one for a table, so that a
//! statement prepared long ago sees today's rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::ParamValues;
use datafusion::execution::SessionState;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as DfStatement;
use ironbark_storage::TableRef;
use tokio::time::Instant;

use super::sandbox::{self, Allowed};
use super::{Session, ddl, parameters, show};
use crate::boundary::wire_schema;
use crate::error::{Error, Result};
use crate::stream::QueryStream;

/// Whether a statement answers with rows or changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// It answers with rows.
    Query,
    /// It changes something and answers with nothing: its schema is empty.
    Update,
}

/// A prepared statement.
#[derive(Clone, Debug)]
pub struct Statement {
    session: Session,
    body: Body,
    schema: SchemaRef,
    parameters: Vec<(String, DataType)>,
}

#[derive(Clone, Debug)]
enum Body {
    Read(Box<LogicalPlan>),
    ShowSegments(Vec<TableRef>),
    CreateTable { table: TableRef, if_not_exists: bool },
}

impl Statement {
    pub(crate) async fn prepare(session: Session, sql: &str) -> Result<Self> {
        let deadline = Instant::now() + session.limits.timeout;
        let sql = sql.to_owned();
        let planner = session.clone();
        planner.planned(deadline, async move { Self::plan(session, &sql).await }).await
    }

    async fn plan(session: Session, sql: &str) -> Result<Self> {
        let (body, schema, parameters) = match sandbox::parse(sql)? {
            Allowed::Read(statement) => read(&session, statement).await?,
            Allowed::ShowTables => read(&session, show::tables(&session)?).await?,
            Allowed::ShowSegments(name) => {
                let tables = show::segment_tables(&session, name.as_ref()).await?;
                (Body::ShowSegments(tables), show::segments_schema(), Vec::new())
            }
            Allowed::CreateTable { name, if_not_exists } => {
                let table = ddl::table(&session, &name)?;
                (Body::CreateTable { table, if_not_exists }, Arc::new(Schema::empty()), Vec::new())
            }
        };
        Ok(Self { session, body, schema, parameters })
    }

    /// Whether it answers with rows or changes something.
    pub fn kind(&self) -> StatementKind {
        match self.body {
            Body::Read(_) | Body::ShowSegments(_) => StatementKind::Query,
            Body::CreateTable { .. } => StatementKind::Update,
        }
    }

    /// The columns of the answer, with wire types: no view, dictionary or large types.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// The parameters in order of `?` (or of `$1`, `$2` …) with the types inferred for them.
    pub fn parameters(&self) -> &[(String, DataType)] {
        &self.parameters
    }

    /// Runs it over snapshots taken now. An update has happened when this returns.
    pub async fn run(&self, parameters: Vec<ScalarValue>) -> Result<QueryStream> {
        self.run_until(parameters, self.deadline()).await
    }

    /// When a run that begins now has to have ended.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.session.limits.timeout
    }

    /// [`Statement::run`] with the end of several runs: one of [`Statement::deadline`].
    pub async fn run_until(&self, parameters: Vec<ScalarValue>, deadline: Instant) -> Result<QueryStream> {
        let run = tokio::time::timeout_at(deadline, self.start(parameters, deadline));
        run.await.map_err(|_| self.session.out_of_time())?
    }

    async fn start(&self, values: Vec<ScalarValue>, deadline: Instant) -> Result<QueryStream> {
        let values = parameters::bind(&self.parameters, values)?;
        match &self.body {
            Body::Read(plan) => {
                let mut plan = plan.as_ref().clone();
                if !values.is_empty() {
                    plan = plan.with_param_values(ParamValues::from(values)).map_err(Error::from_plan)?;
                }
                self.session.run_plan(plan, self.schema(), deadline).await
            }
            Body::ShowSegments(tables) => {
                let batch = show::segments(&self.session, tables).await?;
                self.session.ready(self.schema(), vec![batch], deadline)
            }
            Body::CreateTable { table, if_not_exists } => {
                ddl::create(&self.session, table, *if_not_exists).await?;
                self.session.ready(self.schema(), Vec::new(), deadline)
            }
        }
    }
}

type Planned = (Body, SchemaRef, Vec<(String, DataType)>);

async fn read(session: &Session, mut statement: DfStatement) -> Result<Planned> {
    parameters::number(&mut statement)?;
    let state = session.state().await?;
    let plan = plan(session, &state, statement).await?;
    let parameters = parameters::of_plan(&plan)?;
    let schema = parameters::schema(&plan, &parameters)?;
    Ok((Body::Read(Box::new(plan)), wire_schema(&schema), parameters))
}

async fn plan(session: &Session, state: &SessionState, statement: DfStatement) -> Result<LogicalPlan> {
    let plan = state.statement_to_plan(statement).await;
    let plan = plan.map_err(|error| session.name_table(Error::from_plan(error), state))?;
    let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reads.verify_plan(&plan).map_err(Error::from_plan)?;
    Ok(plan)
}
