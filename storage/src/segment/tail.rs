//! The tail of a segment: head of the token index, page index and footer, brought by one request and checked before it is decoded.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use parquet::DecodeResult;
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder, RowGroupMetaData,
};
use parquet::file::statistics::Statistics;

use super::format::{
    KEY_FORMAT_VERSION, KEY_SCHEMA_VERSION, KEY_SEGMENT, SEGMENT_FORMAT_VERSION, leaf, metadata_value,
};
use super::template::Templates;
use super::{
    FileColumns, FileTimes, INDEX_FORMAT_VERSION, PromotedTags, SegmentMeta, Term, TermKind, TokenIndex,
};
use crate::{Error, Result, SCHEMA_VERSION, TimeRange, column};

/// Longest tail that is read.
const TAIL_BYTES_MAX: u64 = 256 << 20;

/// What one request for the end of a segment brings.
#[derive(Clone, Debug)]
pub struct SegmentTail {
    /// Footer and page index.
    pub parquet: Arc<ParquetMetaData>,
    /// The token index, of which only the head is read yet; `None` where the segment has none.
    pub index: Option<Arc<TokenIndex>>,
}

impl SegmentTail {
    /// The templates of the segment's messages and the runs of its row groups; `None` where it has none. Fails with
    /// [`Error::Corrupt`] if they are damaged or do not add up to the rows.
    pub fn templates(&self) -> Result<Option<Arc<Templates>>> {
        let rows = self.parquet.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0));
        self.index.as_deref().map_or(Ok(None), |index| index.templates(rows))
    }

    /// Whether the templates are in memory, ready to be asked.
    pub fn has_decoded_templates(&self) -> bool {
        self.index.as_ref().is_some_and(|index| index.has_decoded_templates())
    }

    /// Whether the index knows where this term is: not where it is of a tag that has a column of its own, or the index is older
    /// than its kind of terms.
    pub fn knows(&self, term: &Term) -> bool {
        if term.kind() != TermKind::Tag {
            return true;
        }
        let schema = self.parquet.file_metadata().schema_descr();
        let columns = schema.columns().iter().map(|leaf| leaf.path().parts());
        let mut promoted = columns.filter_map(|path| PromotedTags::key(path.first()?));
        self.index.as_ref().is_some_and(|index| index.has_tags()) && !promoted.any(|key| term.is_of_tag(key))
    }

    /// The span of each row group's timestamps, at most a microsecond longer than they need; `None` if one of them does not say.
    pub fn row_group_times(&self) -> Option<Vec<TimeRange>> {
        (0..self.parquet.num_row_groups()).map(|at| self.row_group_time(at)).collect()
    }

    /// That of one row group.
    pub fn row_group_time(&self, row_group: usize) -> Option<TimeRange> {
        row_group_time(&self.parquet, row_group)
    }

    /// Bytes that it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.parquet.memory_size() + self.index.as_ref().map_or(0, |index| index.memory_bytes())
    }
}

/// Footer, page index and head of the token index by one request for the last `meta.tail_bytes`.
///
/// Fails with [`Error::Corrupt`] where object and manifest do not agree, [`Error::TooNew`] for a segment of a newer
/// version, [`Error::Store`] where the store fails.
pub async fn read_tail(store: &dyn ObjectStore, key: &Path, meta: &SegmentMeta) -> Result<SegmentTail> {
    let range = tail_range(key, meta)?;
    let failed = |source| Error::Store { key: key.to_string(), source };
    let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
    let answer = store.get_opts(key, options).await.map_err(failed)?;
    if answer.meta.size != meta.bytes {
        let reason = format!("the object has {} bytes, the manifest says {}", answer.meta.size, meta.bytes);
        return Err(Error::Corrupt { object: key.to_string(), offset: answer.meta.size, reason });
    }
    let tail = answer.bytes().await.map_err(failed)?;
    check_tail(key, meta, &tail)
}

/// Where the tail lies that the manifest's entry speaks of. Fails with [`Error::TooNew`] for a segment of a newer version,
/// [`Error::Corrupt`] if it cannot lie there.
pub fn tail_range(key: &Path, meta: &SegmentMeta) -> Result<Range<u64>> {
    if meta.format_version > SEGMENT_FORMAT_VERSION {
        return Err(too_new(key, meta.format_version));
    }
    let start = meta.bytes.checked_sub(meta.tail_bytes).filter(|_| meta.tail_bytes <= TAIL_BYTES_MAX);
    start.map(|start| start..meta.bytes).ok_or_else(|| {
        let reason = format!("a tail of {} bytes cannot be in {} bytes", meta.tail_bytes, meta.bytes);
        Error::Corrupt { object: key.to_string(), offset: 0, reason }
    })
}

/// Decodes the bytes of a [`tail_range`] and compares them with the manifest's entry. Fails as [`read_tail`] does.
pub fn check_tail(key: &Path, meta: &SegmentMeta, tail: &Bytes) -> Result<SegmentTail> {
    let corrupt = |reason: String| Error::Corrupt {
        object: key.to_string(),
        offset: meta.bytes.saturating_sub(meta.tail_bytes),
        reason,
    };
    let (found, expected) = (crc32c::crc32c(tail), meta.tail_crc32c);
    if found != expected {
        return Err(corrupt(format!("checksum {found:08x} of the tail, expected {expected:08x}")));
    }
    let metadata = decode(meta, tail.clone()).map_err(|error| corrupt(error.to_string()))?;
    let Some(metadata) = metadata else {
        return Err(corrupt(format!("footer and page index are longer than {} bytes", meta.tail_bytes)));
    };
    check_versions(key, &metadata, &corrupt)?;
    if metadata_value(&metadata, KEY_SEGMENT) != Some(meta.id.to_string().as_str()) {
        return Err(corrupt("the object is another segment's".to_owned()));
    }
    let rows =
        metadata.row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).sum::<u64>();
    if rows != meta.rows {
        return Err(corrupt(format!("{rows} rows, the manifest says {}", meta.rows)));
    }
    if FileColumns::of_parquet(metadata.file_metadata().schema_descr()).is_none() {
        return Err(corrupt("the columns are not those of a segment".to_owned()));
    }
    let index = open_index(key, meta, tail)?;
    Ok(SegmentTail { parquet: Arc::new(metadata), index })
}

fn open_index(key: &Path, meta: &SegmentMeta, tail: &Bytes) -> Result<Option<Arc<TokenIndex>>> {
    // An index of an older version answers nothing; its segment is read.
    let Some(index) = meta.index.as_ref().filter(|index| index.version >= INDEX_FORMAT_VERSION) else {
        return Ok(None);
    };
    let tail_start = meta.bytes.saturating_sub(meta.tail_bytes);
    let end = index.offset.checked_add(index.bytes).and_then(|end| end.checked_sub(tail_start));
    let end = end.and_then(|end| usize::try_from(end).ok()).filter(|end| *end <= tail.len());
    let Some(end) = end else {
        let reason = format!("an index of {} bytes does not end in the tail", index.bytes);
        return Err(Error::Corrupt { object: key.to_string(), offset: index.offset, reason });
    };
    TokenIndex::open(key.as_ref(), index, &tail.slice(..end)).map(Arc::new).map(Some)
}

fn decode(meta: &SegmentMeta, tail: Bytes) -> Result<Option<ParquetMetaData>, parquet::errors::ParquetError> {
    let mut decoder =
        ParquetMetaDataPushDecoder::try_new(meta.bytes)?.with_page_index_policy(PageIndexPolicy::Optional);
    decoder.push_range(meta.bytes - meta.tail_bytes..meta.bytes, tail)?;
    match decoder.try_decode()? {
        DecodeResult::Data(metadata) => Ok(Some(metadata)),
        DecodeResult::NeedsData(_) | DecodeResult::Finished => Ok(None),
    }
}

fn check_versions(key: &Path, metadata: &ParquetMetaData, corrupt: &dyn Fn(String) -> Error) -> Result<()> {
    for (name, newest) in [(KEY_FORMAT_VERSION, SEGMENT_FORMAT_VERSION), (KEY_SCHEMA_VERSION, SCHEMA_VERSION)]
    {
        let version = metadata_value(metadata, name).and_then(|text| text.parse::<u32>().ok());
        match version {
            None => return Err(corrupt(format!("{name} is missing"))),
            Some(found) if found > newest => return Err(too_new(key, found)),
            Some(_) => {}
        }
    }
    Ok(())
}

fn too_new(key: &Path, found: u32) -> Error {
    Error::TooNew { object: key.to_string(), found, supported: SEGMENT_FORMAT_VERSION }
}

/// Where page index and footer begin in a file of this length.
pub(super) fn tail_start(metadata: &ParquetMetaData, file_bytes: usize) -> usize {
    let chunks = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    let offsets = chunks.flat_map(|chunk| [chunk.column_index_offset(), chunk.offset_index_offset()]);
    let first = offsets.flatten().filter_map(|offset| usize::try_from(offset).ok()).min();
    first.unwrap_or(0).min(file_bytes)
}

/// The span of a row group's timestamps, as exactly as its statistics tell.
pub(super) fn row_group_time(metadata: &ParquetMetaData, row_group: usize) -> Option<TimeRange> {
    let chunk = metadata.row_groups().get(row_group)?.columns().get(leaf(column::TIMESTAMP)?)?;
    let Some(Statistics::Int64(times)) = chunk.statistics() else { return None };
    let (min, max) = (times.min_opt()?, times.max_opt()?);
    Some(FileTimes::of_parquet(metadata.file_metadata().schema_descr())?.range(*min, *max))
}
