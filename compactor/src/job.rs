//! Runs a merge: reads the inputs, writes the new segment, puts it. It does not commit.
//!
//! ```text
//!   open inputs ─► read their order ─► plan ─► for each slice: read, sort, encode ─► compare rows ─► put
//! ```
//!
//! Memory: 8 bytes for each row of the inputs (24 while they are planned), the rows of one slice ([`SLICE_BYTES_MAX`]),
//! the compressed row groups being read, and the encoded segment in its pieces.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampNanosecondType};
use futures::{StreamExt, TryStreamExt, stream};
use ironbark_storage::{
    Ambient, EncodedSegment, PromotedTags, ROW_GROUP_ROWS, SegmentColumns, SegmentId, SegmentOptions,
    SegmentReader, SegmentWriter, column, put_segment,
};
use object_store::ObjectStore;

use crate::plan::{MergePlan, MergePlanBuilder, Pick};
use crate::policy::Policy;
use crate::{CompactionSpec, Error, Result};

/// Rows of one slice are chosen so that they take about this much memory.
const SLICE_BYTES_MAX: u64 = 128 << 20;
/// Row groups that are read at once.
const READS_AT_ONCE_MAX: usize = 4;

/// A merge under way.
#[derive(Debug)]
pub(crate) struct MergeJob<'a> {
    objects: Arc<dyn ObjectStore>,
    spec: &'a CompactionSpec,
    ambient: &'a Ambient,
}

impl<'a> MergeJob<'a> {
    pub(crate) fn new(objects: Arc<dyn ObjectStore>, spec: &'a CompactionSpec, ambient: &'a Ambient) -> Self {
        Self { objects, spec, ambient }
    }

    /// Merges and puts the new segment.
    pub(crate) async fn run(&self) -> Result<EncodedSegment> {
        let rows = self.spec.rows();
        if rows > Policy::TARGET_ROWS_MAX {
            let (partition, rows_max) = (self.spec.partition.to_string(), Policy::TARGET_ROWS_MAX);
            return Err(Error::TooManyRows { partition, rows, rows_max });
        }
        let mut inputs = Vec::with_capacity(self.spec.inputs.len());
        for meta in &self.spec.inputs {
            let (objects, table) = (Arc::clone(&self.objects), &self.spec.partition.table);
            inputs.push(SegmentReader::open(objects, table, Arc::clone(meta)).await?);
        }
        let plan = self.plan(&inputs).await?;
        let segment = self.write(&inputs, &plan).await?;
        let (expected, found) = (plan.fingerprint(), segment.fingerprint()?);
        if expected != found || expected.rows != rows {
            return Err(Error::RowsDiffer { partition: self.spec.partition.to_string(), expected, found });
        }
        // A put can take long, and needs neither.
        drop((plan, inputs));
        put_segment(self.objects.as_ref(), &self.spec.partition.table, &segment).await?;
        Ok(segment)
    }

    async fn plan(&self, inputs: &[SegmentReader]) -> Result<MergePlan> {
        let mut builder = MergePlanBuilder::with_room(usize::try_from(self.spec.rows()).unwrap_or(0));
        let mut row_bytes_max = 1;
        for (number, input) in inputs.iter().enumerate() {
            for row_group in 0..input.row_groups() {
                let rows = input.row_group_rows(row_group).max(1);
                row_bytes_max = row_bytes_max.max(input.row_group_memory_bytes(row_group) / rows);
                builder.begin(number, row_group);
                for batch in input.read(row_group, SegmentColumns::Order, None).await? {
                    let times = batch.column_by_name(column::TIMESTAMP);
                    let times = times.and_then(|array| array.as_primitive_opt::<TimestampNanosecondType>());
                    let ids = batch.column_by_name(column::ROW_ID);
                    let ids = ids.and_then(|array| array.as_primitive_opt::<Int64Type>());
                    if let (Some(times), Some(ids)) = (times, ids) {
                        builder.add(times.values(), ids);
                    }
                }
            }
        }
        let fitting = usize::try_from(SLICE_BYTES_MAX / row_bytes_max).unwrap_or(usize::MAX);
        builder.finish(ROW_GROUP_ROWS.min(fitting)).map_err(|repeated| {
            let name =
                |at: usize| self.spec.inputs.get(at).map_or_else(String::new, |meta| meta.id.to_string());
            let (first, second) = (name(repeated.inputs.0), name(repeated.inputs.1));
            let partition = self.spec.partition.to_string();
            Error::RowTwice { partition, row_id: repeated.row_id, first, second }
        })
    }

    async fn write(&self, inputs: &[SegmentReader], plan: &MergePlan) -> Result<EncodedSegment> {
        let mut writer = None;
        for at in 0..plan.slices() {
            let rows = read_slice(inputs, plan.slice(at)).await?;
            let mut begun = match writer.take() {
                Some(begun) => begun,
                None => self.begin(inputs, plan, &rows)?,
            };
            // Sorting and compressing keep a core busy for a while: not on a thread that serves others.
            let encode = move || begun.write(&rows).map(|()| begun);
            writer = Some(tokio::task::spawn_blocking(encode).await??);
        }
        let writer = match writer {
            Some(writer) => writer,
            None => self.begin(inputs, plan, &[])?,
        };
        Ok(tokio::task::spawn_blocking(move || writer.finish()).await??)
    }

    /// The new segment before its first slice of rows.
    fn begin(
        &self,
        inputs: &[SegmentReader],
        plan: &MergePlan,
        first: &[RecordBatch],
    ) -> Result<SegmentWriter> {
        let id = SegmentId::from_u128(self.ambient.uuid().as_u128());
        let compaction_level = self.spec.compaction_level;
        let options = SegmentOptions { compaction_level, ..SegmentOptions::default() };
        let promoted = match PromotedTags::of_inputs(inputs) {
            Some(promoted) => promoted,
            None => PromotedTags::choose(first, options.promote_rows_min)?,
        };
        let now = self.ambient.clock.now();
        Ok(SegmentWriter::new(id, &self.spec.partition, options, promoted, plan.digits(), now)?)
    }
}

async fn read_slice(inputs: &[SegmentReader], picks: Vec<Pick>) -> Result<Vec<RecordBatch>> {
    let reads = picks.into_iter().filter_map(|pick| {
        let input = inputs.get(pick.input)?;
        Some(async move { input.read(pick.row_group, SegmentColumns::InFile, Some(pick.selection)).await })
    });
    let batches: Vec<Vec<RecordBatch>> =
        stream::iter(reads).buffered(READS_AT_ONCE_MAX).try_collect().await?;
    Ok(batches.concat())
}
