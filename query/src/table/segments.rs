//! The scan of segments: one Parquet scan over those that pruning left, newest first.
//!
//! Each file carries its manifest statistics, so that DataFusion answers `count(*)` and `min(timestamp)` without
//! opening anything, leaves out files once a `TopK` knows a better bound, and treats a column with one value as a
//! constant.

use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Result, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use ironbark_storage::{
    LogSchema, Partition, SegmentMeta, SourceLevelCount, TableRef, Timestamp, column, key,
};

use super::TailCache;
use super::adapter::FileAdapters;
use super::ahead::Wanted;
use super::index::{Narrowed, Report};
use super::reader::{Reading, SegmentReaders};
use super::sure::SureGroups;
use super::{promoted, sure};
use crate::ranges::SegmentObjects;

/// The name under which DataFusion looks for a store. Reads go through the tenant's own store instead.
pub(crate) const SEGMENTS_URL: &str = "ironbark://segments/";

pub(super) struct SegmentScan<'a> {
    pub(super) table: &'a TableRef,
    pub(super) store: &'a Arc<SegmentObjects>,
    pub(super) tails: &'a Arc<TailCache>,
    pub(super) reading: Arc<Reading>,
    pub(super) state: &'a dyn Session,
    /// Places in [`LogSchema::stored`].
    pub(super) columns: &'a [usize],
    /// What rows have to pass; the scan is told of it again, so far as it is to try it. See [`super::sure`].
    pub(super) filters: Vec<Arc<dyn PhysicalExpr>>,
    pub(super) limit: Option<usize>,
    /// What token indexes said of the segments.
    pub(super) report: Option<&'a Arc<Report>>,
}

impl SegmentScan<'_> {
    pub(super) fn plan(&self, mut segments: Vec<Narrowed>) -> Result<Arc<dyn ExecutionPlan>> {
        segments.sort_by_key(|segment| std::cmp::Reverse((segment.meta.time.max, segment.meta.row_id_max)));
        let schema = LogSchema::stored();
        let wanted = Arc::new(Wanted::of(&schema.project(self.columns)?));
        let files: Vec<PartitionedFile> =
            segments.into_iter().flat_map(|segment| self.files(segment, &wanted)).collect();
        let statistics = files.iter().filter_map(|file| file.statistics.as_deref());
        let statistics = Statistics::try_merge_iter(statistics, &schema)?;
        let mut options = self.state.table_options().parquet.clone();
        options.global = self.state.config_options().execution.parquet.clone();
        let (store, tails, reading) =
            (Arc::clone(self.store), Arc::clone(self.tails), Arc::clone(&self.reading));
        let readers = SegmentReaders { store, tails, reading };
        let mut source = ParquetSource::new(schema)
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(readers));
        if let Some(hints) = promoted::hints(&self.filters)? {
            source = source.with_predicate(hints);
        }
        let adapters = FileAdapters { sure: self.filters.clone().into() };
        let partitions = self.state.config().target_partitions().clamp(1, files.len().max(1));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(SEGMENTS_URL)?, Arc::new(source))
            .with_file_groups(in_turn(files, partitions))
            .with_statistics(statistics)
            .with_limit(self.limit)
            .with_expr_adapter(Some(Arc::new(adapters)))
            .with_projection_indices(Some(self.columns.to_vec()))?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// A segment as one file, or as two: one whose rows surely pass, and one for the others.
    fn files(&self, segment: Narrowed, wanted: &Arc<Wanted>) -> Vec<PartitionedFile> {
        let tail = if segment.told.sure.contains(&true) { self.tails.known(segment.meta.id) } else { None };
        let Some(tail) = tail else { return vec![self.file(segment, wanted)] };
        let pieces = sure::split(&segment, &tail.parquet);
        let mark = sure::mark(&tail.parquet);
        let file = |(access, is_sure)| {
            let file = self.file(Narrowed { access, ..segment.clone() }, wanted);
            let file = file.with_extension(Arc::new(SureGroups(segment.told.sure.clone())));
            match &mark {
                Some(mark) if is_sure => file.with_arrow_schema(Arc::clone(mark)),
                _ => file,
            }
        };
        pieces.into_iter().map(file).collect()
    }

    fn file(&self, segment: Narrowed, wanted: &Arc<Wanted>) -> PartitionedFile {
        let Narrowed { meta, access, told } = segment;
        let partition = Partition { table: self.table.clone(), day: meta.day };
        let mut file = PartitionedFile::new(String::new(), meta.bytes);
        file.object_meta.location = key::segment(&partition, meta.id);
        let mut statistics = statistics(&meta);
        sure::share(&mut statistics, &told);
        let mut file = file.with_extension(meta).with_extension(Arc::clone(self.tails));
        if let Some(access) = access {
            // The bounds of columns hold for fewer rows as well; their number does not.
            statistics.num_rows = statistics.num_rows.to_inexact();
            file = file.with_extension(access).with_extension(Arc::clone(wanted));
        }
        if let Some(report) = self.report {
            file = file.with_extension(Arc::clone(report));
        }
        file.with_statistics(Arc::new(statistics))
    }
}

/// Deals files out to so many groups, so that every group begins with the first ones; with more groups than files some are empty.
pub(super) fn in_turn(files: Vec<PartitionedFile>, count: usize) -> Vec<FileGroup> {
    let mut groups = vec![FileGroup::default(); count.max(1)];
    for (place, file) in files.into_iter().enumerate() {
        if let Some(group) = groups.get_mut(place % count.max(1)) {
            group.push(file);
        }
    }
    groups
}

/// What the manifest says of a segment, in DataFusion's words; every number is exact for the whole of it.
fn statistics(meta: &SegmentMeta) -> Statistics {
    let schema = LogSchema::stored();
    let id = |id: i64| Precision::Exact(ScalarValue::Int64(Some(id)));
    let column = |name: &str| match name {
        column::TIMESTAMP => not_null(exact_time(meta.time.min), exact_time(meta.time.max)),
        column::ROW_ID => not_null(id(meta.row_id_min.get()), id(meta.row_id_max.get())),
        column::SOURCE => texts(meta, |count| count.source.as_deref()),
        column::LEVEL => texts(meta, |count| count.level.as_deref()),
        _ => ColumnStatistics::new_unknown(),
    };
    Statistics {
        num_rows: rows(meta.rows),
        total_byte_size: Precision::Absent,
        column_statistics: schema.fields().iter().map(|field| column(field.name())).collect(),
    }
}

pub(super) fn exact_time(at: Timestamp) -> Precision<ScalarValue> {
    Precision::Exact(ScalarValue::TimestampNanosecond(Some(at.ns()), Some(Arc::from("UTC"))))
}

fn rows(rows: u64) -> Precision<usize> {
    usize::try_from(rows).map_or(Precision::Absent, Precision::Exact)
}

fn not_null(min: Precision<ScalarValue>, max: Precision<ScalarValue>) -> ColumnStatistics {
    ColumnStatistics::new_unknown()
        .with_min_value(min)
        .with_max_value(max)
        .with_null_count(Precision::Exact(0))
}

fn texts(meta: &SegmentMeta, pick: impl Fn(&SourceLevelCount) -> Option<&str>) -> ColumnStatistics {
    let Some(counts) = &meta.counts else { return ColumnStatistics::new_unknown() };
    let nulls = counts.iter().filter(|count| pick(count).is_none()).map(|count| count.rows).sum();
    let values = || counts.iter().filter_map(&pick);
    let exact = |text: &str| Precision::Exact(ScalarValue::Utf8(Some(text.to_owned())));
    let statistics = ColumnStatistics::new_unknown().with_null_count(rows(nulls));
    match (values().min(), values().max()) {
        (Some(min), Some(max)) => statistics.with_min_value(exact(min)).with_max_value(exact(max)),
        _ => statistics,
    }
}
