//! The scan of batches in memory: in pieces, newest first, without those that a `TopK` does not want any more.
//!
//! ```text
//!   batches, newest first   │    b3    │  b2  │     b1     │
//!   pieces, dealt in turn   │0│1│ 0 │1 │ 0│ 1 │ 0 │ 1 │ 0 …     small ones first where the latest rows are wanted:
//!                             │                                  they give a bound, and no other row is looked at
//!                             └─► bound: timestamp > t ─► does any row of the next piece pass? ─ no ─► left out
//! ```
//!
//! Pieces are slices, and columns are shared: nothing is copied.

use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ColumnStatistics, Result, Statistics};
use datafusion::datasource::source::DataSource;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{
    DynamicFilterTracking, EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use futures::stream;
use ironbark_storage::{BufferedRows, LogSchema, TimeRange, column};

use super::narrow::Told;
use crate::table::segments::exact_time;

/// Rows of the first piece where one end of time is wanted; each piece behind it has twice as many.
const FIRST_ROWS: usize = 1_024;

/// Some rows of a batch.
#[derive(Clone, Debug)]
struct Piece {
    batch: Arc<BufferedRows>,
    start: usize,
    rows: usize,
}

#[derive(Clone, Debug)]
pub(super) struct BufferSource {
    batches: Vec<Arc<BufferedRows>>,
    pieces: Arc<[Piece]>,
    rows_max: usize,
    /// Dealt in turn to so many.
    partitions: usize,
    /// Places in [`LogSchema::stored`], and these columns.
    columns: Vec<usize>,
    schema: SchemaRef,
    limit: Option<usize>,
    /// What rows have to pass, and is known better while the query runs.
    bounds: Vec<Arc<dyn PhysicalExpr>>,
    told: Told,
    metrics: ExecutionPlanMetricsSet,
}

impl BufferSource {
    pub(super) fn try_new(
        mut batches: Vec<Arc<BufferedRows>>,
        told: Told,
        columns: &[usize],
        rows_max: usize,
    ) -> Result<Self> {
        batches.sort_by_key(|batch| std::cmp::Reverse(batch.time().max));
        let schema = Arc::new(LogSchema::stored().project(columns)?);
        let pieces = batches.iter().flat_map(|batch| cut(batch, false, || rows_max)).collect();
        Ok(Self {
            batches,
            pieces,
            rows_max,
            partitions: 1,
            columns: columns.to_vec(),
            schema,
            limit: None,
            bounds: Vec::new(),
            told,
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    pub(super) fn with_limit(mut self, limit: Option<usize>) -> Self {
        self.limit = limit;
        self
    }

    /// The same rows, from one end of time.
    fn in_order(&self, newest: bool) -> Self {
        let mut batches = self.batches.clone();
        if newest {
            batches.sort_by_key(|batch| std::cmp::Reverse(batch.time().max));
        } else {
            batches.sort_by_key(|batch| batch.time().min);
        }
        let (mut next, rows_max) = (FIRST_ROWS, self.rows_max);
        let mut rows = || {
            let rows = next.min(rows_max);
            next = rows.saturating_mul(2);
            rows
        };
        let pieces = batches.iter().flat_map(|batch| cut(batch, newest, &mut rows)).collect();
        Self { batches, pieces, ..self.clone() }
    }

    fn dealt(&self, partition: usize) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().skip(partition).step_by(self.partitions)
    }

    fn statistics(&self) -> Statistics {
        let rows = self.batches.iter().map(|batch| batch.rows().num_rows()).sum();
        let column = |(name, place): (&String, &usize)| {
            let nulls =
                |batch: &Arc<BufferedRows>| batch.rows().columns().get(*place).map(|c| c.null_count());
            let nulls = self.batches.iter().map(nulls).sum::<Option<usize>>();
            let statistics = ColumnStatistics::new_unknown()
                .with_null_count(nulls.map_or(Precision::Absent, Precision::Exact));
            let times = self.batches.iter().map(|batch| batch.time()).reduce(TimeRange::union);
            match times.filter(|_| name == column::TIMESTAMP) {
                Some(all) => {
                    statistics.with_min_value(exact_time(all.min)).with_max_value(exact_time(all.max))
                }
                None => statistics,
            }
        };
        let names = self.schema.fields().iter().map(|field| field.name());
        Statistics {
            num_rows: Precision::Exact(rows),
            total_byte_size: Precision::Absent,
            column_statistics: names.zip(&self.columns).map(column).collect(),
        }
    }
}

/// A batch in pieces of as many rows as are asked for, from its end if the newest are wanted first: rows mostly come
/// in the order of their times.
fn cut(batch: &Arc<BufferedRows>, newest: bool, mut rows_max: impl FnMut() -> usize) -> Vec<Piece> {
    let all = batch.rows().num_rows();
    let (mut pieces, mut done) = (Vec::new(), 0);
    while done < all {
        let rows = rows_max().clamp(1, all - done);
        let start = if newest { all - done - rows } else { done };
        pieces.push(Piece { batch: Arc::clone(batch), start, rows });
        done += rows;
    }
    pieces
}

impl DataSource for BufferSource {
    fn open(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut scan = Scan {
            columns: self.columns.clone(),
            left: self.limit,
            bounds: self.bounds.clone(),
            baseline: BaselineMetrics::new(&self.metrics, partition),
            left_out: MetricBuilder::new(&self.metrics).counter("rows_left_out_by_bound", partition),
        };
        let pieces: Vec<_> = self.dealt(partition).cloned().collect();
        let batches = pieces.into_iter().filter_map(move |piece| scan.read(&piece).transpose());
        let stream = RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream::iter(batches));
        Ok(Box::pin(cooperative(stream)))
    }

    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "buffers: partitions={}, {}", self.partitions, self.told)?;
        self.limit.map_or(Ok(()), |limit| write!(f, ", limit={limit}"))
    }

    fn repartitioned(
        &self,
        partitions: usize,
        _: usize,
        _: Option<LexOrdering>,
    ) -> Result<Option<Arc<dyn DataSource>>> {
        let partitions = partitions.clamp(1, self.pieces.len().max(1));
        let more = partitions > self.partitions;
        Ok(more.then(|| Arc::new(Self { partitions, ..self.clone() }) as _))
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(self.partitions)
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(Arc::clone(&self.schema))
    }

    fn scheduling_type(&self) -> SchedulingType {
        SchedulingType::Cooperative
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let statistics = match partition {
            None => self.statistics(),
            Some(partition) => {
                let rows = self.dealt(partition).map(|piece| piece.rows).sum();
                Statistics::new_unknown(&self.schema).with_num_rows(Precision::Exact(rows))
            }
        };
        let limited = self.limit.is_some();
        Ok(Arc::new(if limited { statistics.to_inexact() } else { statistics }))
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn DataSource>> {
        Some(Arc::new(self.clone().with_limit(limit)))
    }

    fn fetch(&self) -> Option<usize> {
        self.limit
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.metrics.clone()
    }

    fn try_swapping_with_projection(&self, _: &ProjectionExprs) -> Result<Option<Arc<dyn DataSource>>> {
        Ok(None)
    }

    /// Keeps those that are known better while the query runs. Whoever has them checks all rows again.
    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn DataSource>>> {
        let answers = vec![PushedDown::No; filters.len()];
        let propagation = FilterPushdownPropagation::with_parent_pushdown_result(answers);
        let bounds: Vec<_> = filters
            .into_iter()
            .filter(|filter| DynamicFilterTracking::classify(filter).contains_dynamic_filter())
            .collect();
        if bounds.is_empty() {
            return Ok(propagation);
        }
        let bounds = self.bounds.iter().cloned().chain(bounds).collect();
        let source: Arc<dyn DataSource> = Arc::new(Self { bounds, ..self.clone() });
        Ok(propagation.with_updated_node(source))
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> Result<SortOrderPushdownResult<Arc<dyn DataSource>>> {
        let leading = order.first().and_then(|leading| {
            let column = leading.expr.downcast_ref::<Column>()?;
            (column.name() == column::TIMESTAMP).then_some(leading.options.descending)
        });
        Ok(match leading {
            Some(newest) => SortOrderPushdownResult::Inexact { inner: Arc::new(self.in_order(newest)) },
            None => SortOrderPushdownResult::Unsupported,
        })
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for bound in &self.bounds {
            if f(bound)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }
}

/// One partition's way through its pieces.
struct Scan {
    columns: Vec<usize>,
    /// Rows that are still wanted, if not all.
    left: Option<usize>,
    bounds: Vec<Arc<dyn PhysicalExpr>>,
    baseline: BaselineMetrics,
    left_out: Count,
}

impl Scan {
    /// The rows of a piece, unless nobody wants them.
    fn read(&mut self, piece: &Piece) -> Result<Option<RecordBatch>> {
        let rows = self.left.map_or(piece.rows, |left| left.min(piece.rows));
        if rows == 0 {
            return Ok(None);
        }
        let batch = piece.batch.rows().project(&self.columns)?.slice(piece.start, rows);
        if !self.may_pass(&batch)? {
            self.left_out.add(rows);
            return Ok(None);
        }
        if let Some(left) = &mut self.left {
            *left -= rows;
        }
        self.baseline.record_output(rows);
        Ok(Some(batch))
    }

    /// Whether each bound lets some row through.
    fn may_pass(&self, batch: &RecordBatch) -> Result<bool> {
        for bound in &self.bounds {
            let passes = bound.evaluate(batch)?.into_array(batch.num_rows())?;
            if passes.as_boolean_opt().is_some_and(|passes| passes.true_count() == 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
