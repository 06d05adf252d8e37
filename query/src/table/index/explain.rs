//! What token indexes did for a scan, for `EXPLAIN`.
//!
//! ```text
//!   TokenIndexExec: message:timeout 3/40; trace_id:ab1 1/40; templates: sure=7, undecided=0 rows; kept segments 1/10, …
//!     DataSourceExec: …
//! ```
//!
//! Indexes are asked while a query is planned. The scan carries the report on its files until all rules have run, and
//! [`ShowIndexes`] then puts an operator above it that passes everything on: no rule has to know it.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use super::access::Kept;
use super::{Cost, Outcome};
use crate::clause::Clause;
use crate::table::tally::Verdict;

/// What indexes said of a scan's segments.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Each clause and the ranges that are kept for it.
    clauses: Vec<(String, Kept)>,
    segments: Kept,
    row_groups: Kept,
    ranges: Kept,
    rows: Kept,
    /// What templates said of rows, of segments where they were asked.
    sorted: Option<Sorted>,
    /// Segments that were not asked: their rows are behind those that are wanted.
    behind: usize,
    unindexed: usize,
    failed: usize,
    cost: Cost,
}

/// Rows that surely pass, and that have to be read.
#[derive(Clone, Copy, Debug, Default)]
struct Sorted {
    sure: u64,
    undecided: u64,
}

impl Report {
    pub(super) fn new(clauses: &[Clause]) -> Self {
        let clauses = clauses.iter().map(|clause| (clause.to_string(), Kept::default())).collect();
        Self { clauses, ..Self::default() }
    }

    pub(super) fn add(&mut self, outcome: &Outcome) {
        let found = match outcome {
            Outcome::Found(found) => found,
            Outcome::Unindexed => {
                self.unindexed += 1;
                self.segments.add(Kept { kept: 1, all: 1 });
                return;
            }
            Outcome::Behind => {
                self.behind += 1;
                self.segments.add(Kept { kept: 0, all: 1 });
                return;
            }
            Outcome::Failed => {
                self.failed += 1;
                self.segments.add(Kept { kept: 1, all: 1 });
                return;
            }
        };
        for ((_, kept), ranges) in self.clauses.iter_mut().zip(&found.clauses) {
            kept.add(Kept { kept: u64::from(ranges.count()), all: u64::from(ranges.len()) });
        }
        self.segments.add(Kept { kept: u64::from(!found.access.is_empty()), all: 1 });
        self.row_groups.add(found.access.row_groups);
        self.ranges.add(found.access.ranges);
        self.rows.add(found.access.rows);
        if let Some(rows) = &found.sorted {
            let sum = self.sorted.get_or_insert_default();
            sum.sure += rows.count(Verdict::All);
            sum.undecided += rows.count(Verdict::Undecided);
        }
        self.cost.tails += found.cost.tails;
        self.cost.requests += found.cost.requests;
        self.cost.bytes += found.cost.bytes;
        self.cost.pieces += found.cost.pieces;
        self.cost.pieces_cached += found.cost.pieces_cached;
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kept, self.all)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (clause, kept) in &self.clauses {
            write!(f, "{clause} {kept}; ")?;
        }
        if let Some(Sorted { sure, undecided }) = self.sorted {
            write!(f, "templates: sure={sure}, undecided={undecided} rows; ")?;
        }
        let Self { segments, row_groups, ranges, rows, .. } = self;
        write!(f, "kept segments={segments}, row_groups={row_groups}, ranges={ranges}, rows={rows}")?;
        if self.behind > 0 {
            write!(f, ", behind={}", self.behind)?;
        }
        if self.unindexed > 0 {
            write!(f, ", unindexed={}", self.unindexed)?;
        }
        if self.failed > 0 {
            write!(f, ", failed={}", self.failed)?;
        }
        Ok(())
    }
}

/// Shows a report. The rows pass through.
#[derive(Debug)]
pub(crate) struct TokenIndexExec {
    input: Arc<dyn ExecutionPlan>,
    report: Arc<Report>,
    metrics: ExecutionPlanMetricsSet,
}

impl TokenIndexExec {
    pub(in crate::table) fn new(input: Arc<dyn ExecutionPlan>, report: Arc<Report>) -> Self {
        let metrics = ExecutionPlanMetricsSet::new();
        let count = |name, n: usize| MetricBuilder::new(&metrics).global_counter(name).add(n);
        let cost = &report.cost;
        count("tails_read", cost.tails);
        count("index_requests", cost.requests);
        count("index_pieces_read", cost.pieces);
        count("index_pieces_cached", cost.pieces_cached);
        count("index_bytes", usize::try_from(cost.bytes).unwrap_or(usize::MAX));
        Self { input, report, metrics }
    }
}

impl DisplayAs for TokenIndexExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "TokenIndexExec: {}", self.report)
            }
            DisplayFormatType::TreeRender => write!(f, "{}", self.report),
        }
    }
}

impl ExecutionPlan for TokenIndexExec {
    fn name(&self) -> &'static str {
        "TokenIndexExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.into_iter().next().ok_or_else(|| internal_datafusion_err!("a scan is gone"))?;
        Ok(Arc::new(Self { input, report: Arc::clone(&self.report), metrics: self.metrics.clone() }))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The rule that shows reports; it runs last.
#[derive(Debug)]
pub(crate) struct ShowIndexes;

impl PhysicalOptimizerRule for ShowIndexes {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| match report(node.as_ref()) {
            Some(report) => Ok(Transformed::yes(Arc::new(TokenIndexExec::new(node, report)) as _)),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "show_indexes"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The report that a scan of segments carries.
fn report(node: &dyn ExecutionPlan) -> Option<Arc<Report>> {
    let scan = node.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()?;
    let file = scan.file_groups.iter().flat_map(FileGroup::files).next()?;
    file.extension::<Arc<Report>>().cloned()
}
