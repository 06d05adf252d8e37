//! Reads rows of a segment back, row group by row group.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::DecodeResult;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::push_decoder::ParquetPushDecoderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::checksums::{ChunkChecksums, chunk_ranges};
use super::tail::{read_tail, row_group_time};
use super::times::TIMESTAMP_NS;
use super::{FileColumns, PromotedTags, SegmentMeta};
use crate::{Error, Partition, Result, TableRef, TimeRange, column, key};

/// Rows of a batch that is read.
const BATCH_ROWS: usize = 8_192;
/// A number, or the offset and validity of a text, in memory.
const VALUE_BYTES: i64 = 8;

/// Which columns to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentColumns {
    /// All, as [`crate::LogSchema::stored`].
    All,
    /// All, with tags as they lie in the file: promoted ones in columns of their own, see [`PromotedTags::schema`].
    InFile,
    /// `timestamp` and `_row_id`: what decides a row's place in time.
    Order,
}

/// A segment whose tail was read and checked.
#[derive(Clone, Debug)]
pub struct SegmentReader {
    store: Arc<dyn ObjectStore>,
    key: Path,
    meta: Arc<SegmentMeta>,
    parquet: ArrowReaderMetadata,
    checksums: ChunkChecksums,
    columns: FileColumns,
}

impl SegmentReader {
    /// Reads the tail. Fails as [`read_tail`] does.
    pub async fn open(store: Arc<dyn ObjectStore>, table: &TableRef, meta: Arc<SegmentMeta>) -> Result<Self> {
        let key = key::segment(&Partition { table: table.clone(), day: meta.day }, meta.id);
        let metadata = read_tail(store.as_ref(), &key, &meta).await?.parquet;
        let corrupt = |reason: &str| Error::Corrupt {
            object: key.to_string(),
            offset: meta.bytes.saturating_sub(meta.tail_bytes),
            reason: reason.to_owned(),
        };
        let checksums = ChunkChecksums::from_metadata(&metadata)
            .ok_or_else(|| corrupt("the footer has not one checksum for each column chunk"))?;
        let parquet = ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::default())
            .map_err(|source| Error::Parquet { object: key.to_string(), source })?;
        let columns = FileColumns::of_schema(parquet.schema())
            .ok_or_else(|| corrupt("the columns are not those of stored rows"))?;
        Ok(Self { store, key, meta, parquet, checksums, columns })
    }

    /// Its entry in the manifest.
    pub fn meta(&self) -> &Arc<SegmentMeta> {
        &self.meta
    }

    /// Which tags have columns of their own.
    pub fn promoted(&self) -> &PromotedTags {
        &self.columns.promoted
    }

    /// How many rows have the tag at this place among the promoted ones, as far as the footer tells.
    pub(super) fn promoted_rows(&self, place: usize) -> usize {
        let rows = |group: &RowGroupMetaData| {
            let nulls = group
                .columns()
                .get(self.columns.first_promoted_leaf() + place)?
                .statistics()?
                .null_count_opt()?;
            u64::try_from(group.num_rows()).ok()?.checked_sub(nulls)
        };
        let rows: u64 = self.parquet.metadata().row_groups().iter().filter_map(rows).sum();
        usize::try_from(rows).unwrap_or(usize::MAX)
    }

    /// How many row groups it has.
    pub fn row_groups(&self) -> usize {
        self.parquet.metadata().num_row_groups()
    }

    /// The span of a row group's timestamps, at most a microsecond longer than they need.
    pub fn row_group_time(&self, row_group: usize) -> Option<TimeRange> {
        row_group_time(self.parquet.metadata(), row_group)
    }

    /// Number of rows of a row group.
    pub fn row_group_rows(&self, row_group: usize) -> u64 {
        let group = self.parquet.metadata().row_groups().get(row_group);
        group.and_then(|group| u64::try_from(group.num_rows()).ok()).unwrap_or(0)
    }

    /// About how many bytes all columns of a row group take in memory.
    pub fn row_group_memory_bytes(&self, row_group: usize) -> u64 {
        let group = self.parquet.metadata().row_groups().get(row_group);
        let chunk_bytes = |chunk: &ColumnChunkMetaData| {
            let plain = chunk.num_values().saturating_mul(VALUE_BYTES);
            let text = chunk.unencoded_byte_array_data_bytes().unwrap_or(0);
            u64::try_from(plain.saturating_add(text)).unwrap_or(0)
        };
        group.map_or(0, |group| group.columns().iter().map(chunk_bytes).sum())
    }

    /// Reads a row group, or those of its rows that are selected, in the order of the file. Fails with
    /// [`Error::Corrupt`] at the row group's offset where its bytes are damaged or rows are missing.
    pub async fn read(
        &self,
        row_group: usize,
        columns: SegmentColumns,
        selection: Option<RowSelection>,
    ) -> Result<Vec<RecordBatch>> {
        let group = self.parquet.metadata().row_groups().get(row_group);
        let Some(group) = group else { return Err(self.corrupt(row_group, "no such row group")) };
        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let expected = selection.as_ref().map_or(rows, RowSelection::row_count);
        let failed = |error: ParquetError| self.corrupt(row_group, &error.to_string());
        let projection = self.projection(columns);
        let (ranges, bytes) = self.fetch(row_group, &projection).await?;
        let mut builder = ParquetPushDecoderBuilder::new_with_metadata(self.parquet.clone())
            .with_row_groups(vec![row_group])
            .with_batch_size(BATCH_ROWS)
            .with_projection(projection);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let mut decoder = builder.build().map_err(failed)?;
        decoder.push_ranges(ranges, bytes).map_err(failed)?;
        let mut batches = Vec::new();
        while let DecodeResult::Data(batch) = decoder.try_decode().map_err(failed)? {
            batches.push(self.columns.assemble(&batch)?);
        }
        let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if found != expected {
            return Err(self.corrupt(row_group, &format!("{found} rows, expected {expected}")));
        }
        if columns == SegmentColumns::All {
            return batches.iter().map(|batch| self.columns.promoted.assemble(batch)).collect();
        }
        Ok(batches)
    }

    /// Brings the column chunks and compares their checksums.
    async fn fetch(
        &self,
        row_group: usize,
        projection: &ProjectionMask,
    ) -> Result<(Vec<Range<u64>>, Vec<Bytes>)> {
        let group = self.parquet.metadata().row_groups().get(row_group);
        let chunks = group.and_then(chunk_ranges).unwrap_or_default();
        let chunks = chunks.into_iter().enumerate().filter(|(leaf, _)| projection.leaf_included(*leaf));
        let (leaves, ranges): (Vec<_>, Vec<_>) = chunks.unzip();
        let bytes = self
            .store
            .get_ranges(&self.key, &ranges)
            .await
            .map_err(|source| Error::Store { key: self.key.to_string(), source })?;
        for ((leaf, range), chunk) in leaves.iter().zip(&ranges).zip(&bytes) {
            if !self.checksums.matches(self.parquet.metadata(), row_group, *leaf, chunk) {
                let column = self.parquet.parquet_schema().columns().get(*leaf);
                let name = column.map_or_else(String::new, |column| column.path().string());
                let reason = format!("wrong checksum of column {name} in row group {row_group}");
                return Err(Error::Corrupt { object: self.key.to_string(), offset: range.start, reason });
            }
        }
        Ok((ranges, bytes))
    }

    fn projection(&self, columns: SegmentColumns) -> ProjectionMask {
        match columns {
            SegmentColumns::All | SegmentColumns::InFile => ProjectionMask::all(),
            SegmentColumns::Order => {
                let names = [column::TIMESTAMP, TIMESTAMP_NS, column::ROW_ID];
                ProjectionMask::columns(self.parquet.parquet_schema(), names)
            }
        }
    }

    fn corrupt(&self, row_group: usize, reason: &str) -> Error {
        let group = self.parquet.metadata().row_groups().get(row_group);
        let chunk = group.and_then(|group| group.columns().first());
        let offset = chunk.map(|chunk| chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset()));
        let offset = offset.and_then(|offset| u64::try_from(offset).ok()).unwrap_or(0);
        Error::Corrupt {
            object: self.key.to_string(),
            offset,
            reason: format!("row group {row_group}: {reason}"),
        }
    }
}

/// Reads all rows back, row group by row group, as [`crate::LogSchema::stored`]. Holds one row group at a time. Fails as
/// [`SegmentReader::read`] does.
pub fn read_segment(
    store: Arc<dyn ObjectStore>,
    table: &TableRef,
    meta: &SegmentMeta,
) -> BoxStream<'static, Result<RecordBatch>> {
    let (table, meta) = (table.clone(), Arc::new(meta.clone()));
    let open = async move { SegmentReader::open(store, &table, meta).await.map(read_all) };
    stream::once(open).try_flatten().boxed()
}

fn read_all(reader: SegmentReader) -> BoxStream<'static, Result<RecordBatch>> {
    let state = (reader, 0usize, VecDeque::new());
    let step = |(reader, mut at, mut batches): (SegmentReader, usize, VecDeque<RecordBatch>)| async move {
        while batches.is_empty() && at < reader.row_groups() {
            batches = reader.read(at, SegmentColumns::All, None).await?.into();
            at += 1;
        }
        let batch = batches.pop_front();
        Ok::<_, Error>(batch.map(|batch| (batch, (reader, at, batches))))
    };
    stream::try_unfold(state, step).boxed()
}
