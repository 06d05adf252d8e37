//! Deals the row groups of a scan out again, once it is known from which end of time rows are wanted.
//!
//! ```text
//!   one partition, byte ranges │ old │ old │ old │ old ┊ old │ mid │ new │   a partition begins with old rows,
//!   as DataFusion cuts them    └───── partition 0 ─────┘└─ partition 1 ──┘   and reads them before a bound is known
//!
//!   without a filter           │ all segments whole, newest row group first │   the newest row group has all that is
//!   (partition 0 alone)                                                         wanted; its bound rules out the rest
//!
//!   with a filter              │ new │ mid │ old │ old │ old │ …              a row group is a file of its own:
//!   (partitions take turns)      0     1     0     …                            whoever is free takes the newest one
//!
//!   of few rows                │ new │ mid │ old │                             the newest row group may well have all
//!   (partition 0 alone)                                                         that is wanted, as without a filter
//! ```
//!
//! A file with the time of one row group is ruled out by `TopK`'s bound unopened. Within a file DataFusion does not
//! rule out row groups where pages are selected; between files it does. This changes what is read when and by whom,
//! never which rows: each row group of each segment that was there is in one file, and in no other.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::stats::Precision;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::listing::{FileRange, PartitionedFile};
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, FileSource as _, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_plan::ExecutionPlan;
use ironbark_storage::{LogSchema, SegmentMeta, TimeRange, column};
use parquet::file::metadata::RowGroupMetaData;

use super::TailCache;
use super::segments::{exact_time, in_turn};
use super::sure::{self, SureGroups};

/// Without a filter up to so many rows are read by one partition: the newest row group of a segment has as many.
const ALONE_ROWS_MAX: usize = 8_192;
/// Once there are so many files of row groups, the other segments, the last ones in the wanted order, stay whole: ruling
/// a file out costs something like 0.1 ms, and whoever gets as far as these reads much anyway.
const PIECES_MAX: usize = 32;
/// Of so few row groups one partition reads the selected rows, one row group after the other, where the first may have
/// all that are wanted: if it has not, this is how often the store is waited for.
const ALONE_PIECES_MAX: usize = 4;

/// What is wanted of a scan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// Rows at most.
    pub(super) rows: usize,
    /// The newest rows, not the oldest.
    pub(super) newest: bool,
    /// Whether rows may be dropped between the scan and whoever wants them.
    pub(super) filtered: bool,
}

/// The scan with its row groups dealt out for the wish, or `None` where the plan is no scan of segments, or nobody
/// tells it a bound.
pub(super) fn deal(plan: &Arc<dyn ExecutionPlan>, wish: Wish) -> Option<Arc<dyn ExecutionPlan>> {
    let scan = plan.downcast_ref::<DataSourceExec>()?;
    let (config, source) = scan.downcast_to_file_source::<ParquetSource>()?;
    let predicate = source.filter()?;
    let conditions = split_conjunction(&predicate);
    let bounds = conditions.iter().filter(|condition| condition.is::<DynamicFilterPhysicalExpr>()).count();
    if bounds == 0 {
        return None;
    }
    let filtered = wish.filtered || bounds < conditions.len();
    let groups = if filtered || wish.rows > ALONE_ROWS_MAX {
        let pieces = pieces(whole(config), wish.newest);
        let count = if first_may_suffice(&pieces, wish.rows) { 1 } else { config.file_groups.len() };
        in_turn(pieces, count)
    } else {
        vec![FileGroup::new(in_order(whole(config), wish.newest))]
    };
    let config = FileScanConfigBuilder::from(config.clone()).with_file_groups(groups).build();
    Some(Arc::new(scan.clone().with_data_source(Arc::new(config))))
}

/// The files of a scan as they were before they were cut into ranges.
fn whole(config: &FileScanConfig) -> Vec<PartitionedFile> {
    let mut known = HashSet::new();
    let files = config.file_groups.iter().flat_map(FileGroup::iter);
    let files = files.filter(|file| known.insert((file.object_meta.location.clone(), sure::is_sure(file))));
    files.map(|file| PartitionedFile { range: None, ..file.clone() }).collect()
}

/// Files by the end of time from which they are wanted.
fn in_order(mut files: Vec<PartitionedFile>, newest: bool) -> Vec<PartitionedFile> {
    if newest {
        files.sort_by_cached_key(|file| std::cmp::Reverse(time(file).map(|(_, max)| max)));
    } else {
        files.sort_by_cached_key(|file| time(file).map(|(min, _)| min));
    }
    files
}

/// Row groups as files, where the end of their segment is in memory: nothing can be read here.
fn pieces(files: Vec<PartitionedFile>, newest: bool) -> Vec<PartitionedFile> {
    let mut pieces = Vec::new();
    for file in in_order(files, newest) {
        match row_groups(&file) {
            Some(groups) if pieces.len() < PIECES_MAX => pieces.extend(groups),
            _ => pieces.push(file),
        }
    }
    in_order(pieces, newest)
}

/// Whether few rows are selected, and of the first row group as many as are wanted.
fn first_may_suffice(pieces: &[PartitionedFile], wanted: usize) -> bool {
    let rows: Option<Vec<usize>> = pieces.iter().take(ALONE_PIECES_MAX + 1).map(selected_rows).collect();
    rows.is_some_and(|rows| {
        let all = rows.iter().sum::<usize>();
        rows.len() <= ALONE_PIECES_MAX && all <= ALONE_ROWS_MAX && rows.first() >= Some(&wanted)
    })
}

/// How many rows an index has selected of a row group that is a file; `None` where it was not asked, or has left no few.
fn selected_rows(piece: &PartitionedFile) -> Option<usize> {
    let groups = piece.extension::<ParquetAccessPlan>()?.inner().iter();
    let mut read = groups.filter(|group| group.should_scan());
    match (read.next()?, read.next()) {
        (RowGroupAccess::Selection(rows), None) => Some(rows.row_count()),
        _ => None,
    }
}

/// The row groups of a segment that are to be read, as files.
fn row_groups(file: &PartitionedFile) -> Option<Vec<PartitionedFile>> {
    let meta = file.extension::<Arc<SegmentMeta>>()?;
    let tail = file.extension::<Arc<TailCache>>()?.known(meta.id)?;
    let access = file.extension::<ParquetAccessPlan>();
    let groups = tail.parquet.row_groups();
    let mut ends = groups.iter().skip(1).map(row_group_start).collect::<Vec<_>>();
    ends.push(i64::try_from(meta.bytes).ok()?);
    let sure = file.extension::<Arc<SureGroups>>();
    let mark = sure.and_then(|_| sure::mark(&tail.parquet));
    let mut pieces = Vec::with_capacity(groups.len());
    for (place, (group, end)) in groups.iter().zip(ends).enumerate() {
        // A range has the row groups that begin in it: each must begin before the next.
        let start = row_group_start(group);
        if start >= end {
            return None;
        }
        if access.is_some_and(|access| !access.should_scan(place)) {
            continue;
        }
        let statistics = of_row_group(file.statistics.as_deref()?, group, tail.row_group_time(place)?)?;
        let mut piece = file.clone().with_statistics(Arc::new(statistics));
        piece.range = Some(FileRange { start, end });
        if let Some(group) = access.and_then(|access| access.inner().get(place)) {
            // Whoever opens a piece copies all of its selection.
            let mut access = ParquetAccessPlan::new_none(groups.len());
            access.set(place, group.clone());
            piece = piece.with_extension(access);
        }
        if let Some(mark) = mark.as_ref().filter(|_| sure.is_some_and(|sure| sure.has(place))) {
            piece = piece.with_arrow_schema(Arc::clone(mark));
        }
        pieces.push(piece);
    }
    Some(pieces)
}

/// Where DataFusion looks for the begin of a row group when it has a range of bytes.
pub(super) fn row_group_start(group: &RowGroupMetaData) -> i64 {
    let first = group.columns().first();
    first.map_or(0, |chunk| chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset()))
}

/// What the manifest says of a segment, for one of its row groups: the bounds of columns hold for fewer rows as well.
fn of_row_group(segment: &Statistics, group: &RowGroupMetaData, time: TimeRange) -> Option<Statistics> {
    let mut statistics = segment.clone();
    statistics.num_rows = Precision::Inexact(usize::try_from(group.num_rows()).ok()?);
    let timestamp = statistics.column_statistics.get_mut(timestamp()?)?;
    timestamp.min_value = exact_time(time.min);
    timestamp.max_value = exact_time(time.max);
    Some(statistics)
}

/// The first and last timestamp of a file in nanoseconds.
fn time(file: &PartitionedFile) -> Option<(i64, i64)> {
    let statistics = file.statistics.as_ref()?.column_statistics.get(timestamp()?)?;
    let ns = |value: &Precision<ScalarValue>| match value.get_value() {
        Some(ScalarValue::TimestampNanosecond(ns, _)) => *ns,
        _ => None,
    };
    Some((ns(&statistics.min_value)?, ns(&statistics.max_value)?))
}

/// The place of the timestamp in what files have statistics of.
fn timestamp() -> Option<usize> {
    LogSchema::stored().index_of(column::TIMESTAMP).ok()
}
