//! How the Parquet scan reads a segment: its end in one request (or from memory), then byte ranges, those of few rows at once.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::DataFusionError;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::FutureExt;
use futures::future::BoxFuture;
use ironbark_storage::{Error, SegmentMeta};
use object_store::path::Path;
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::TailCache;
use super::ahead::{Held, Wanted};
use super::tails::Origin;
use crate::ranges::SegmentObjects;

/// Segments that a query remembers to have read.
const READING_MAX: usize = 16;

/// The segments whose pages a query read last. Parquet does not say of which file a page is that it cannot decode, so
/// this is what an error can name.
#[derive(Debug, Default)]
pub(crate) struct Reading(Mutex<VecDeque<Read>>);

/// A segment that was read.
#[derive(Debug)]
struct Read {
    key: Path,
    bytes: u64,
    store: Arc<SegmentObjects>,
}

impl Reading {
    fn note(&self, key: &Path, bytes: u64, store: &Arc<SegmentObjects>) {
        let mut reads = self.0.lock();
        reads.retain(|known| known.key != *key);
        reads.push_back(Read { key: key.clone(), bytes, store: Arc::clone(store) });
        if reads.len() > READING_MAX {
            reads.pop_front();
        }
    }

    /// Their keys, the last one read first.
    pub(crate) fn latest(&self) -> Vec<String> {
        self.0.lock().iter().rev().map(|read| read.key.to_string()).collect()
    }

    /// Drops what caches have of them, as one of them is damaged: if not in the store, the next query reads it well.
    pub(crate) fn forget(&self) {
        for read in self.0.lock().iter() {
            read.store.forget(&read.key, read.bytes);
        }
    }
}

/// Makes readers of a tenant's segments.
pub(super) struct SegmentReaders {
    /// Those of the tenant.
    pub(super) store: Arc<SegmentObjects>,
    pub(super) tails: Arc<TailCache>,
    pub(super) reading: Arc<Reading>,
}

impl fmt::Debug for SegmentReaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SegmentReaders")
    }
}

impl ParquetFileReaderFactory for SegmentReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::common::Result<Box<dyn AsyncFileReader + Send>> {
        let meta = file.extensions.get::<Arc<SegmentMeta>>().cloned();
        let meta = meta.ok_or_else(|| DataFusionError::Internal("a file that is no segment".to_owned()))?;
        let counter = |name| MetricBuilder::new(metrics).counter(name, partition);
        let key = file.object_meta.location.clone();
        let is_selected = file.extension::<ParquetAccessPlan>().is_some();
        Ok(Box::new(SegmentReader {
            key,
            ahead: is_selected.then_some(Ahead(file)),
            held: Held::default(),
            parquet: None,
            meta,
            store: Arc::clone(&self.store),
            tails: Arc::clone(&self.tails),
            reading: Arc::clone(&self.reading),
            tails_read: counter("tails_read"),
            tails_cached: counter("tails_cached"),
            data_requests: counter("data_requests"),
            data_bytes: counter("data_bytes"),
            data_bytes_cached: counter("data_bytes_cached"),
        }))
    }
}

/// A file that says which rows are selected of which part of a segment, and of which columns.
struct Ahead(PartitionedFile);

impl Ahead {
    fn ranges(&self, parquet: &ParquetMetaData) -> Vec<Range<u64>> {
        let Self(file) = self;
        let said = file.extension::<Arc<Wanted>>().zip(file.extension::<ParquetAccessPlan>());
        said.map(|(wanted, access)| wanted.ranges(parquet, access, file.range.as_ref())).unwrap_or_default()
    }
}

/// Reads one segment.
struct SegmentReader {
    key: Path,
    meta: Arc<SegmentMeta>,
    store: Arc<SegmentObjects>,
    tails: Arc<TailCache>,
    reading: Arc<Reading>,
    /// What to read ahead with the first bytes that are asked for.
    ahead: Option<Ahead>,
    held: Held,
    parquet: Option<Arc<ParquetMetaData>>,
    tails_read: Count,
    tails_cached: Count,
    data_requests: Count,
    data_bytes: Count,
    data_bytes_cached: Count,
}

impl SegmentReader {
    async fn ranges(&mut self, ranges: Vec<Range<u64>>) -> parquet::errors::Result<Vec<Bytes>> {
        self.reading.note(&self.key, self.meta.bytes, &self.store);
        let ahead = self.ahead.take().zip(self.parquet.as_deref());
        let ahead = ahead.map(|(ahead, parquet)| ahead.ranges(parquet)).unwrap_or_default();
        let held: Option<Vec<Bytes>> = ranges.iter().map(|range| self.held.get(range)).collect();
        if let Some(held) = held {
            return Ok(held);
        }
        let (mut asked, count) = (ranges.clone(), ranges.len());
        asked.extend(ahead.into_iter().filter(|range| !ranges.contains(range)));
        let read = self.store.ranges(&self.key, self.meta.bytes, &asked).await.map_err(external)?;
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        self.data_requests.add(read.requests);
        self.data_bytes.add(size(read.bytes));
        self.data_bytes_cached.add(size(read.cached_bytes));
        let mut read = read.ranges;
        for (range, bytes) in asked.drain(count..).zip(read.drain(count..)) {
            self.held.put(range, bytes);
        }
        Ok(read)
    }

    async fn tail(&mut self) -> parquet::errors::Result<Arc<ParquetMetaData>> {
        let read = self.store.tail(&self.key, &self.meta);
        let (tail, origin) = self.tails.get(self.meta.id, read).await.map_err(external)?;
        match origin {
            Origin::Memory => self.tails_cached.add(1),
            Origin::Store => self.tails_read.add(1),
        }
        self.parquet = Some(Arc::clone(&tail.parquet));
        Ok(Arc::clone(&tail.parquet))
    }
}

/// Keeps our error whole inside of Parquet's, so that the session can tell damage from an outage.
fn external(error: Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for SegmentReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move { Ok(self.ranges(vec![range]).await?.pop().unwrap_or_default()) }.boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        self.ranges(ranges).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        self.tail().boxed()
    }
}
