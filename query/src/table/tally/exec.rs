//! The operator that gives what statistics counted, and says in `EXPLAIN` what they did.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringBuilder, TimestampNanosecondArray};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions, SchedulingType,
};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, SendableRecordBatchStream,
};
use ironbark_storage::{BufferView, Minute, SegmentMeta, column};

use super::cells::{Cell, Cells, Verdict};

/// Rows that stand for many.
#[derive(Debug, Default)]
pub(super) struct Weighted {
    times: Vec<i64>,
    sources: StringBuilder,
    levels: StringBuilder,
    weights: Vec<i64>,
    segments: usize,
    rows: u64,
}

impl Weighted {
    /// Counts a segment none of whose cells is undecided.
    pub(super) fn count(&mut self, cells: &Cells<'_>) {
        self.segments += 1;
        self.count_outside(cells, &BTreeSet::new());
    }

    /// Counts a segment but for some minutes; returns the number of rows in these.
    pub(super) fn count_outside(&mut self, cells: &Cells<'_>, minutes: &BTreeSet<Minute>) -> u64 {
        let mut left_rows = 0;
        for (cell, verdict) in &cells.0 {
            if !minutes.is_empty() && minutes.contains(&Minute::of(cell.time.min)) {
                left_rows += cell.rows;
            } else if *verdict == Verdict::All {
                self.push(cell);
            }
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
        let Self { segments, rows, .. } = self;
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
        Ok(Counted { batch, segments, rows })
    }
}

/// What statistics counted.
#[derive(Debug)]
pub(super) struct Counted {
    batch: RecordBatch,
    segments: usize,
    rows: u64,
}

/// What is read beside it.
#[derive(Debug)]
pub(super) struct Read {
    segments: usize,
    cut: usize,
    buffers: usize,
    rows: u64,
}

impl Read {
    /// `cut` segments have `cut_rows` rows in the minutes that are read of them.
    pub(super) fn new(
        segments: &[Arc<SegmentMeta>],
        buffers: &[BufferView],
        cut: usize,
        cut_rows: u64,
    ) -> Self {
        let rows = segments.iter().map(|meta| meta.rows).sum::<u64>() + super::buffered(buffers) + cut_rows;
        Self { segments: segments.len(), cut, buffers: buffers.len(), rows }
    }
}

/// Gives the counted rows.
#[derive(Debug)]
pub(super) struct StatisticsExec {
    counted: Counted,
    read: Read,
    properties: Arc<PlanProperties>,
}

impl StatisticsExec {
    pub(super) fn new(counted: Counted, read: Read) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(counted.batch.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let properties = Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative));
        Self { counted, read, properties }
    }
}

impl DisplayAs for StatisticsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { counted, read, .. } = self;
        let cells = counted.batch.num_rows();
        write!(f, "StatisticsExec: counted: {} rows of {} segments ", counted.rows, counted.segments)?;
        write!(f, "in {cells} cells, {} segments in part; ", read.cut)?;
        write!(f, "read: {} rows of {} segments, {} buffers", read.rows, read.segments, read.buffers)
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
        let rows = batch.num_rows();
        let slice = |start| batch.slice(start, rows_max.min(rows - start));
        let slices = (0..rows).step_by(rows_max).map(slice).collect();
        Ok(Box::pin(cooperative(MemoryStream::try_new(slices, batch.schema(), None)?)))
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
