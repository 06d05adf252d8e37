//! The operator that gives what statistics counted, and says in `EXPLAIN` what they did.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringBuilder, TimestampNanosecondArray};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType,
};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
};
use ironbark_storage::{Minute, column};

use super::COLUMNS;
use super::ask::Asked;
use super::cells::{Cell, Cells, Verdict};
use crate::table::buffers::{self, Size};

/// Rows that stand for many.
#[derive(Debug)]
pub(super) struct Weighted {
    /// Whether the minute, source and level are asked for.
    asked: [bool; 3],
    times: Vec<i64>,
    sources: StringBuilder,
    levels: StringBuilder,
    weights: Vec<i64>,
    segments: usize,
    batches: usize,
    rows: u64,
}

impl Weighted {
    /// None yet. They will be given in these columns.
    pub(super) fn new(schema: &Schema) -> Self {
        Self {
            asked: COLUMNS.map(|name| schema.field_with_name(name).is_ok()),
            times: Vec::new(),
            sources: StringBuilder::new(),
            levels: StringBuilder::new(),
            weights: Vec::new(),
            segments: 0,
            batches: 0,
            rows: 0,
        }
    }

    /// Whether times are asked for.
    pub(super) fn has_times(&self) -> bool {
        let [times, ..] = self.asked;
        times
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    /// Counts a segment none of whose cells is undecided.
    pub(super) fn count(&mut self, cells: &Cells<'_>) {
        self.segments += 1;
        self.count_outside(cells, &BTreeSet::new());
    }

    /// Counts a batch in memory none of whose cells is undecided.
    pub(super) fn count_batch(&mut self, cells: &Cells<'_>) {
        self.batches += 1;
        self.count_outside(cells, &BTreeSet::new());
    }

    /// Counts a segment but for some minutes; returns the number of rows in these.
    pub(super) fn count_outside(&mut self, cells: &Cells<'_>, minutes: &BTreeSet<Minute>) -> u64 {
        let [by_minute, by_source, by_level] = self.asked;
        let mut together: BTreeMap<_, Cell<'_>> = BTreeMap::new();
        let mut left_rows = 0;
        for (cell, verdict) in &cells.0 {
            if !minutes.is_empty() && minutes.contains(&Minute::of(cell.time.min)) {
                left_rows += cell.rows;
            } else if *verdict == Verdict::All && by_minute && by_level {
                // Cells of one minute and level have nothing in common that is worth a search.
                self.push(cell);
            } else if *verdict == Verdict::All {
                let minute = by_minute.then(|| Minute::of(cell.time.min));
                let key = (minute, cell.source.filter(|_| by_source), cell.level.filter(|_| by_level));
                let rows = |sum: &mut Cell<'_>| sum.rows += cell.rows;
                together.entry(key).and_modify(rows).or_insert(*cell);
            }
        }
        for cell in together.values() {
            self.push(cell);
        }
        left_rows
    }

    fn push(&mut self, cell: &Cell<'_>) {
        self.times.push(cell.time.min.ns());
        self.sources.append_option(cell.source);
        self.levels.append_option(cell.level);
        self.weights.push(i64::try_from(cell.rows).unwrap_or(i64::MAX));
        self.rows += cell.rows;
    }

    /// The rows in these columns.
    pub(super) fn finish(mut self, schema: &SchemaRef) -> Result<Counted> {
        let Self { segments, batches, rows, .. } = self;
        let times: ArrayRef = Arc::new(TimestampNanosecondArray::from(self.times).with_timezone("UTC"));
        let sources: ArrayRef = Arc::new(self.sources.finish());
        let levels: ArrayRef = Arc::new(self.levels.finish());
        let weights: ArrayRef = Arc::new(Int64Array::from(self.weights));
        let column = |name: &str| match name {
            column::TIMESTAMP => Arc::clone(&times),
            column::SOURCE => Arc::clone(&sources),
            column::LEVEL => Arc::clone(&levels),
            _ => Arc::clone(&weights),
        };
        let columns = schema.fields().iter().map(|field| column(field.name())).collect();
        let batch = RecordBatch::try_new(Arc::clone(schema), columns)?;
        Ok(Counted { batch, segments, batches, rows })
    }
}

/// What statistics counted.
#[derive(Debug)]
pub(super) struct Counted {
    batch: RecordBatch,
    segments: usize,
    batches: usize,
    rows: u64,
}

/// What is read beside it.
#[derive(Debug)]
pub(super) struct Read {
    segments: usize,
    cut: usize,
    batches: usize,
    rows: u64,
    tails_read: usize,
    tails_cached: usize,
}

impl Read {
    pub(super) fn new(asked: &Asked) -> Self {
        let whole = asked.read.iter().map(|meta| meta.rows).sum::<u64>();
        let buffered = Size::of(&asked.batches).rows;
        Self {
            segments: asked.read.len(),
            cut: asked.cut.len() + asked.split_segments,
            batches: asked.batches.len(),
            rows: whole + asked.cut_rows + asked.split_rows + buffered as u64,
            tails_read: asked.tails_read,
            tails_cached: asked.tails_cached,
        }
    }
}

/// Gives the counted rows.
#[derive(Debug)]
pub(super) struct StatisticsExec {
    counted: Counted,
    read: Read,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// The counted rows' share of the memory of all queries.
    _memory: MemoryReservation,
}

impl StatisticsExec {
    /// Fails if the memory of all queries has no room for the rows.
    pub(super) fn try_new(counted: Counted, read: Read, state: &dyn Session) -> Result<Self> {
        let memory = MemoryConsumer::new("StatisticsExec").register(&state.runtime_env().memory_pool);
        memory.try_grow(counted.batch.get_array_memory_size())?;
        let metrics = ExecutionPlanMetricsSet::new();
        MetricBuilder::new(&metrics).counter("tails_read", 0).add(read.tails_read);
        MetricBuilder::new(&metrics).counter("tails_cached", 0).add(read.tails_cached);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(counted.batch.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let properties = Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative));
        Ok(Self { counted, read, properties, metrics, _memory: memory })
    }
}

impl DisplayAs for StatisticsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counted, read, .. } = self;
        let cells = counted.batch.num_rows();
        let Counted { rows, segments, batches, .. } = counted;
        write!(f, "StatisticsExec: counted: {rows} rows of {segments} segments")?;
        if *batches > 0 {
            write!(f, ", {batches} batches")?;
        }
        write!(f, " in {cells} cells, {} segments in part; ", read.cut)?;
        write!(f, "read: {} rows of {} segments, {} batches", read.rows, read.segments, read.batches)
    }
}

impl ExecutionPlan for StatisticsExec {
    fn name(&self) -> &'static str {
        "StatisticsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition > 0 {
            return internal_err!("statistics have one partition, not {partition}");
        }
        let (batch, rows_max) = (&self.counted.batch, context.session_config().batch_size().max(1));
        let slices = buffers::slices(batch, rows_max).collect();
        Ok(Box::pin(cooperative(MemoryStream::try_new(slices, batch.schema(), None)?)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        _: &datafusion::physical_plan::statistics::StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let schema: &Schema = &self.counted.batch.schema();
        let rows = Precision::Exact(self.counted.batch.num_rows());
        Ok(Arc::new(Statistics::new_unknown(schema).with_num_rows(rows)))
    }
}
