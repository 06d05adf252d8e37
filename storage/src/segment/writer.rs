//! Writes a segment: rows in any order become sorted row groups, then the footer, all in memory, in pieces.
//!
//! Everything here is sync and touches no store; see [`super::put_segment`].

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::checksums::{ChunkChecksums, chunk_ranges};
use super::counts::Counts;
use super::format::{SEGMENT_FORMAT_VERSION, writer_properties};
use super::index::IndexBuilder;
use super::layout::{ROW_GROUP_ROWS, row_group_sizes};
use super::minutes::Minutes;
use super::pieces::SegmentBytesWriter;
use super::runs::in_runs;
use super::slices::{Columns, Entry, cut, entries};
use super::tail::{check_tail, row_group_time, tail_start};
use super::template::{Templates, TemplatesBuilder};
use super::{
    FileColumns, IndexMeta, PromotedTags, RowFingerprint, SegmentBytes, SegmentId, SegmentMeta, TimeDigits,
};
use crate::{Error, Partition, Result, RowId, TimeRange, Timestamp, column, key};

/// Rows that are copied at once into their order: a whole row group is never held twice.
const COPY_ROWS: usize = 8_192;

/// With fewer rows, columns of their own for tags cost more in the footer than they save.
pub const PROMOTE_ROWS_MIN: usize = 1_024;

/// How a segment is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentOptions {
    /// 0 from a flush, 1 and 2 from compaction: decides how hard to compress.
    pub compaction_level: u8,
    /// Rows of a full row group where all rows are given at once; [`ROW_GROUP_ROWS`] but in tests.
    pub row_group_rows: usize,
    /// Fewer rows than these keep all their tags in the map; [`PROMOTE_ROWS_MIN`] but in tests.
    pub promote_rows_min: usize,
}

impl Default for SegmentOptions {
    /// A flush.
    fn default() -> Self {
        Self { compaction_level: 0, row_group_rows: ROW_GROUP_ROWS, promote_rows_min: PROMOTE_ROWS_MIN }
    }
}

/// A segment in memory, ready to be put.
#[derive(Clone, Debug)]
pub struct EncodedSegment {
    /// Its entry in the manifest.
    pub meta: SegmentMeta,
    /// The object.
    pub bytes: SegmentBytes,
}

impl EncodedSegment {
    /// Reads the row ids back from the encoded bytes.
    pub fn fingerprint(&self) -> Result<RowFingerprint> {
        let failed = |source| Error::Parquet { object: self.meta.id.to_string(), source };
        let builder = ParquetRecordBatchReaderBuilder::try_new(self.bytes.clone()).map_err(failed)?;
        let ids = parquet::arrow::ProjectionMask::columns(builder.parquet_schema(), [column::ROW_ID]);
        let mut fingerprint = RowFingerprint::default();
        for batch in builder.with_projection(ids).build().map_err(failed)? {
            let batch = batch?;
            let ids = batch.column_by_name(column::ROW_ID).and_then(arrow::array::AsArray::as_primitive_opt);
            fingerprint.add(ids.ok_or_else(|| invalid(column::ROW_ID, "is not in the encoded segment"))?);
        }
        Ok(fingerprint)
    }
}

/// Sorts and encodes rows of [`crate::LogSchema::stored`] that come in any order and all lie on the partition's day.
/// Fails with [`Error::InvalidBatch`] if there is none or one is of another day.
pub fn encode_segment(
    id: SegmentId,
    partition: &Partition,
    batches: &[RecordBatch],
    options: &SegmentOptions,
    created_at: Timestamp,
) -> Result<EncodedSegment> {
    let promoted = PromotedTags::choose(batches, options.promote_rows_min)?;
    let digits = TimeDigits::of(batches)?;
    let mut writer = SegmentWriter::new(id, partition, *options, promoted, digits, created_at)?;
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    writer.write_sized(batches, &row_group_sizes(rows, options.row_group_rows))?;
    writer.finish()
}

/// Writes a segment slice of time by slice of time, for merges that cannot hold all rows at once.
#[derive(Debug)]
pub struct SegmentWriter {
    id: SegmentId,
    partition: Partition,
    options: SegmentOptions,
    columns: FileColumns,
    created_at: Timestamp,
    parquet: ArrowWriter<SegmentBytesWriter>,
    rows: u64,
    time: Option<TimeRange>,
    row_ids: Option<(i64, i64)>,
    last: Option<(i64, i64)>,
    counts: Counts,
    minutes: Minutes,
    checksums: ChunkChecksums,
    templates: TemplatesBuilder,
    index: IndexBuilder,
}

impl SegmentWriter {
    /// A segment without rows yet, in which these tags have columns of their own, and with room for times of these digits.
    pub fn new(
        id: SegmentId,
        partition: &Partition,
        options: SegmentOptions,
        promoted: PromotedTags,
        digits: TimeDigits,
        created_at: Timestamp,
    ) -> Result<Self> {
        let bytes = SegmentBytesWriter::default();
        Self::writing_to(bytes, id, partition, options, promoted, digits, created_at)
    }

    pub(super) fn writing_to(
        bytes: SegmentBytesWriter,
        id: SegmentId,
        partition: &Partition,
        options: SegmentOptions,
        promoted: PromotedTags,
        digits: TimeDigits,
        created_at: Timestamp,
    ) -> Result<Self> {
        let columns = FileColumns { times: digits.into(), promoted };
        let properties = writer_properties(id, partition, options.compaction_level, &columns);
        let settings = ArrowWriterOptions::new().with_properties(properties);
        let parquet = ArrowWriter::try_new_with_options(bytes, columns.schema(), settings)
            .map_err(|source| Error::Parquet { object: id.to_string(), source })?;
        Ok(Self {
            id,
            partition: partition.clone(),
            options,
            columns,
            created_at,
            parquet,
            rows: 0,
            time: None,
            row_ids: None,
            last: None,
            counts: Counts::new(),
            minutes: Minutes::new(),
            checksums: ChunkChecksums::default(),
            templates: TemplatesBuilder::new(index_seed(id)),
            index: IndexBuilder::new(index_seed(id)),
        })
    }

    /// Writes rows, with promoted tags wherever they are, in any order among themselves, as one row group; as more where their texts are long. All must
    /// come after the rows of the calls before in the order of (timestamp, row id), and have no digits that there is no room for:
    /// fails with [`Error::InvalidBatch`] otherwise. How many rows to give at a time, [`row_group_sizes`] says.
    pub fn write(&mut self, batches: &[RecordBatch]) -> Result<()> {
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        self.write_sized(batches, &[rows])
    }

    /// Writes rows as row groups of these sizes, oldest first; sizes and rows have the same sum.
    fn write_sized(&mut self, batches: &[RecordBatch], sizes: &[usize]) -> Result<()> {
        let batches =
            batches.iter().map(|rows| self.columns.promoted.apply(rows)).collect::<Result<Vec<_>>>()?;
        let columns = batches.iter().map(Columns::of).collect::<Result<Vec<_>>>()?;
        let entries = entries(&columns);
        self.check(&entries)?;
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        let mut after = entries.as_slice();
        for size in sizes {
            let mut rest;
            (rest, after) = after.split_at(after.len().min(*size));
            while !rest.is_empty() {
                let (slice, beyond) = rest.split_at(cut(rest, &columns));
                self.write_row_group(slice, &columns, &batches)?;
                rest = beyond;
            }
        }
        for columns in &columns {
            for id in columns.ids.values() {
                let (min, max) = self.row_ids.unwrap_or((*id, *id));
                self.row_ids = Some((min.min(*id), max.max(*id)));
            }
        }
        Ok(())
    }

    /// Writes the footer, reads it back and compares it with what was written.
    pub fn finish(mut self) -> Result<EncodedSegment> {
        let object = key::segment(&self.partition, self.id).to_string();
        let (Some(time), Some((first, last))) = (self.time, self.row_ids) else {
            return Err(invalid(column::TIMESTAMP, "a segment without rows"));
        };
        let (Some(row_id_min), Some(row_id_max)) = (RowId::from_i64(first), RowId::from_i64(last)) else {
            return Err(invalid(column::ROW_ID, "negative row ids"));
        };
        self.parquet.append_key_value_metadata(self.checksums.to_metadata());
        if let Some(minutes) = self.minutes.to_metadata(self.rows) {
            self.parquet.append_key_value_metadata(minutes);
        }
        let index = write_index(&mut self.parquet, self.index, &self.templates.finish())?;
        let (bytes, metadata) = close(self.parquet).map_err(|source| Error::Parquet { object, source })?;
        let page_index = tail_start(&metadata, bytes.len());
        let start = index.as_ref().map_or(page_index, |index| index.tail_start.min(page_index));
        let tail = bytes.range(start..bytes.len()).unwrap_or_default();
        let meta = SegmentMeta {
            id: self.id,
            day: self.partition.day,
            compaction_level: self.options.compaction_level,
            rows: self.rows,
            bytes: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            tail_bytes: u64::try_from(tail.len()).unwrap_or(u64::MAX),
            tail_crc32c: crc32c::crc32c(&tail),
            time,
            row_id_min,
            row_id_max,
            created_at: self.created_at,
            format_version: SEGMENT_FORMAT_VERSION,
            counts: self.counts.finish(),
            index: index.map(|index| index.meta),
        };
        let object = key::segment(&self.partition, self.id);
        let read = check_tail(&object, &meta, &tail)?;
        let found = (0..read.parquet.num_row_groups()).filter_map(|at| row_group_time(&read.parquet, at));
        let found = found.reduce(TimeRange::union);
        let expected = self.columns.times.told(time);
        if found != Some(expected) {
            let reason = format!("the footer says {found:?}, expected {expected:?}");
            return Err(Error::Corrupt { object: object.to_string(), offset: meta.bytes, reason });
        }
        Ok(EncodedSegment { meta, bytes })
    }

    fn check(&mut self, entries: &[Entry]) -> Result<()> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
        let time = TimeRange::new(Timestamp::from_ns(first.time), Timestamp::from_ns(last.time));
        let day = self.partition.day;
        if time.min.day() != day || time.max.day() != day {
            let reason = format!("{} … {} is not within {day}", time.min, time.max);
            return Err(invalid(column::TIMESTAMP, &reason));
        }
        if self.last.is_some_and(|before| before >= (first.time, first.id)) {
            return Err(invalid(column::TIMESTAMP, "a slice does not come after the slice before"));
        }
        self.last = Some((last.time, last.id));
        self.time = Some(self.time.map_or(time, |before| before.union(time)));
        Ok(())
    }

    fn write_row_group(
        &mut self,
        slice: &[Entry],
        columns: &[Columns<'_>],
        batches: &[&RecordBatch],
    ) -> Result<()> {
        let failed = |source| Error::Parquet { object: self.id.to_string(), source };
        let ordered = in_runs(slice, columns, &mut self.templates);
        let templates = ordered.templates.chunks(COPY_ROWS);
        for (order, templates) in ordered.order.chunks(COPY_ROWS).zip(templates) {
            let place = |number: &u32| ordered.rows.get(*number as usize).copied();
            let places: Vec<(usize, usize)> = order.iter().filter_map(place).collect();
            let rows = interleave_record_batch(batches, &places)?;
            let words = ordered.words.of_rows(order);
            self.index.add(&rows, templates, &self.templates.miner, |row| words.get(row))?;
            self.parquet.write(&self.columns.split(&rows)?).map_err(failed)?;
        }
        self.index.end_row_group(&self.templates.miner);
        self.parquet.flush().map_err(failed)?;
        self.add_checksums()?;
        self.rows += u64::try_from(slice.len()).unwrap_or(u64::MAX);
        self.counts.add(&ordered.counts);
        self.minutes.add(&ordered.rows, columns);
        Ok(())
    }

    /// Checksums of the column chunks of the row group just written.
    fn add_checksums(&mut self) -> Result<()> {
        let path = self.id.to_string();
        // Brings what the writer still buffers into the pieces.
        self.parquet.sync().map_err(|source| Error::Io { path, source })?;
        let written = self.parquet.inner();
        let ranges = self.parquet.flushed_row_groups().last().and_then(chunk_ranges).unwrap_or_default();
        for range in ranges {
            let bounds = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
            match bounds.and_then(|(start, end)| written.slices(start..end)) {
                Some(chunk) => self.checksums.push(chunk),
                None => return Err(invalid("*", "a column chunk lies outside of the encoded bytes")),
            }
        }
        Ok(())
    }
}

/// The seed of a segment's hashes: its id is random.
fn index_seed(id: SegmentId) -> u64 {
    u64::try_from(id.to_u128() & u128::from(u64::MAX)).unwrap_or(0)
}

/// An index as it lies in the file.
struct WrittenIndex {
    meta: IndexMeta,
    tail_start: usize,
}

/// Puts the index behind the last row group.
fn write_index(
    parquet: &mut ArrowWriter<SegmentBytesWriter>,
    index: IndexBuilder,
    templates: &Templates,
) -> Result<Option<WrittenIndex>> {
    let Some(index) = index.finish(templates)? else { return Ok(None) };
    let failed = |source| Error::Io { path: "the token index".to_owned(), source };
    let start = parquet.bytes_written();
    for piece in &index.pieces {
        parquet.write_all(piece).map_err(failed)?;
    }
    let meta = index.meta(u64::try_from(start).unwrap_or(u64::MAX));
    Ok(Some(WrittenIndex { meta, tail_start: start + index.tail_start }))
}

fn close(
    mut parquet: ArrowWriter<SegmentBytesWriter>,
) -> Result<(SegmentBytes, ParquetMetaData), ParquetError> {
    let metadata = parquet.finish()?;
    // `finish` has flushed everything into the pieces.
    Ok((std::mem::take(parquet.inner_mut()).finish(), metadata))
}

fn invalid(column: &str, reason: &str) -> Error {
    Error::InvalidBatch { column: column.to_owned(), reason: reason.to_owned() }
}
