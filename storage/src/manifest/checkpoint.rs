//! A checkpoint's object: the whole manifest as of one commit, as columns.
//!
//! ```text
//! ┌──────────────────────────────────────────────┬────────────────┬──────────────┬──────────┐
//! │ Arrow IPC stream: one row with four lists    │ format version │ CRC32C of    │ IRBCKPT1 │
//! │ segments, flushed, writers, removed          │ u32 LE         │ all before it│          │
//! │ schema metadata: table, version              │                │ u32 LE       │          │
//! └──────────────────────────────────────────────┴────────────────┴──────────────┴──────────┘
//! ```
//!
//! Any Arrow reader opens it: readers of streams stop at the stream's end. It holds nothing that the commits up to its
//! number do not say, so a lost checkpoint is slower and not worse, until the commits are trimmed.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, FixedSizeBinaryArray, FixedSizeBinaryBuilder, Int32Array, Int64Array, ListArray,
    RecordBatch, StringArray, StructArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{Field, Fields, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use object_store::path::Path;

use crate::{
    Day, Epoch, Error, IndexMeta, Manifest, RemovedSegment, Result, RowId, SegmentId, SegmentMeta,
    SourceLevelCount, TableRef, TimeRange, Timestamp, WriterId,
};

use super::state::{FlushedTo, WriterState};

/// Version of the checkpoint objects that this build writes, and the newest it reads.
pub(super) const CHECKPOINT_FORMAT_VERSION: u32 = 1;
/// Largest checkpoint in bytes: a million segments.
pub(super) const CHECKPOINT_BYTES_MAX: u64 = 2 << 30;

const MAGIC: &[u8; 8] = b"IRBCKPT1";
const TRAILER_BYTES: usize = 16;
const ID_BYTES: i32 = 16;

/// The object's bytes.
pub(super) fn encode(manifest: &Manifest) -> Result<Bytes> {
    let lists = [segments(manifest)?, flushed(manifest)?, writers(manifest)?, removed(manifest)?];
    let names = ["segments", "flushed", "writers", "removed"];
    let columns: Vec<ArrayRef> = lists.into_iter().map(one_list).collect::<Result<_, ArrowError>>()?;
    let fields =
        names.iter().zip(&columns).map(|(name, column)| Field::new(*name, column.data_type().clone(), false));
    let metadata = [
        ("ironbark.table".to_owned(), manifest.table().to_string()),
        ("ironbark.version".to_owned(), manifest.version().to_string()),
    ];
    let schema = Arc::new(Schema::new_with_metadata(fields.collect::<Fields>(), metadata.into()));
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&RecordBatch::try_new(schema, columns)?)?;
    let mut bytes = writer.into_inner()?;
    bytes.extend_from_slice(&CHECKPOINT_FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes.extend_from_slice(MAGIC);
    Ok(bytes.into())
}

/// Reads the checkpoint of a table as of commit `version` from the bytes of its object.
pub(super) fn decode(key: &Path, table: &TableRef, version: u64, bytes: &[u8]) -> Result<Manifest> {
    let damaged = |offset: usize, reason: String| Error::Corrupt {
        object: key.to_string(),
        offset: u64::try_from(offset).unwrap_or(u64::MAX),
        reason,
    };
    let end = bytes.len().saturating_sub(TRAILER_BYTES);
    let (stream, trailer) = bytes.split_at(end);
    let Some((format, checksum)) = parse_trailer(trailer) else {
        return Err(damaged(end, "it does not end as a checkpoint does".to_owned()));
    };
    if format > CHECKPOINT_FORMAT_VERSION {
        let supported = CHECKPOINT_FORMAT_VERSION;
        return Err(Error::TooNew { object: key.to_string(), found: format, supported });
    }
    let found = crc32c::crc32c(bytes.get(..end + 4).unwrap_or_default());
    if found != checksum {
        return Err(damaged(end + 4, format!("checksum {found:08x}, recorded is {checksum:08x}")));
    }
    let batch = StreamReader::try_new(Cursor::new(stream), None)?.next().transpose()?;
    let batch = batch.ok_or_else(|| damaged(0, "it holds no row".to_owned()))?;
    let written = batch.schema().metadata().clone();
    let says = |name: &str, value: &str| written.get(name).is_some_and(|written| written == value);
    if !says("ironbark.table", &table.to_string()) || !says("ironbark.version", &version.to_string()) {
        return Err(damaged(0, format!("it is not of {table} as of commit {version}: {written:?}")));
    }
    read_batch(&batch, table, version).map_err(|error| damaged(0, error.to_string()))
}

fn parse_trailer(trailer: &[u8]) -> Option<(u32, u32)> {
    let (format, rest) = trailer.split_first_chunk()?;
    let (checksum, magic) = rest.split_first_chunk()?;
    (magic == MAGIC).then(|| (u32::from_le_bytes(*format), u32::from_le_bytes(*checksum)))
}

/// A column of one row: the list of all elements.
fn one_list(elements: StructArray) -> Result<ArrayRef, ArrowError> {
    let field = Arc::new(Field::new("item", elements.data_type().clone(), false));
    let offsets = OffsetBuffer::from_lengths([elements.len()]);
    Ok(Arc::new(ListArray::try_new(field, offsets, Arc::new(elements), None)?))
}

/// Columns, and whether they may hold nulls, as a struct.
fn structs(length: usize, columns: Vec<(&str, bool, ArrayRef)>) -> Result<StructArray, ArrowError> {
    let fields: Fields = columns
        .iter()
        .map(|(name, nullable, column)| Field::new(*name, column.data_type().clone(), *nullable))
        .collect();
    let columns = columns.into_iter().map(|(_, _, column)| column).collect();
    StructArray::try_new_with_length(fields, columns, None, length)
}

fn ids(values: impl ExactSizeIterator<Item = u128>) -> Result<ArrayRef, ArrowError> {
    let mut builder = FixedSizeBinaryBuilder::with_capacity(values.len(), ID_BYTES);
    for value in values {
        builder.append_value(value.to_be_bytes())?;
    }
    Ok(Arc::new(builder.finish()))
}

fn array<A: Array + FromIterator<T> + 'static, T>(values: impl Iterator<Item = T>) -> ArrayRef {
    Arc::new(values.collect::<A>())
}

fn segments(manifest: &Manifest) -> Result<StructArray, ArrowError> {
    let all: Vec<&SegmentMeta> = manifest.segments.values().map(AsRef::as_ref).collect();
    let each = || all.iter().copied();
    let index = |part: fn(&IndexMeta) -> u64| each().map(move |s| s.index.as_ref().map(part));
    structs(
        all.len(),
        vec![
            ("id", false, ids(each().map(|s| s.id.to_u128()))?),
            ("day", false, array::<Int32Array, _>(each().map(|s| Some(s.day.days())))),
            ("compaction_level", false, array::<UInt8Array, _>(each().map(|s| Some(s.compaction_level)))),
            ("rows", false, array::<UInt64Array, _>(each().map(|s| Some(s.rows)))),
            ("bytes", false, array::<UInt64Array, _>(each().map(|s| Some(s.bytes)))),
            ("tail_bytes", false, array::<UInt64Array, _>(each().map(|s| Some(s.tail_bytes)))),
            ("tail_crc32c", false, array::<UInt32Array, _>(each().map(|s| Some(s.tail_crc32c)))),
            ("time_min", false, array::<Int64Array, _>(each().map(|s| Some(s.time.min.ns())))),
            ("time_max", false, array::<Int64Array, _>(each().map(|s| Some(s.time.max.ns())))),
            ("row_id_min", false, array::<Int64Array, _>(each().map(|s| Some(s.row_id_min.get())))),
            ("row_id_max", false, array::<Int64Array, _>(each().map(|s| Some(s.row_id_max.get())))),
            ("created_at", false, array::<Int64Array, _>(each().map(|s| Some(s.created_at.ns())))),
            ("format_version", false, array::<UInt32Array, _>(each().map(|s| Some(s.format_version)))),
            ("counts", true, counts(&all)?),
            ("index_offset", true, array::<UInt64Array, _>(index(|index| index.offset))),
            ("index_bytes", true, array::<UInt64Array, _>(index(|index| index.bytes))),
            (
                "index_version",
                true,
                array::<UInt32Array, _>(each().map(|s| s.index.map(|index| index.version))),
            ),
        ],
    )
}

fn counts(segments: &[&SegmentMeta]) -> Result<ArrayRef, ArrowError> {
    let lists = || segments.iter().map(|segment| segment.counts.as_deref());
    let all: Vec<&SourceLevelCount> = lists().flatten().flatten().collect();
    let elements = structs(
        all.len(),
        vec![
            ("source", true, array::<StringArray, _>(all.iter().map(|count| count.source.as_deref()))),
            ("level", true, array::<StringArray, _>(all.iter().map(|count| count.level.as_deref()))),
            ("rows", false, array::<UInt64Array, _>(all.iter().map(|count| Some(count.rows)))),
        ],
    )?;
    let field = Arc::new(Field::new("item", elements.data_type().clone(), false));
    let offsets = OffsetBuffer::from_lengths(lists().map(|list| list.map_or(0, <[_]>::len)));
    let nulls = lists().map(|list| list.is_some()).collect::<NullBuffer>();
    Ok(Arc::new(ListArray::try_new(field, offsets, Arc::new(elements), Some(nulls))?))
}

fn flushed(manifest: &Manifest) -> Result<StructArray, ArrowError> {
    let each = || manifest.flushed.iter();
    let owners = manifest.flushed.values().map(|to| to.writer.0.as_u128());
    structs(
        manifest.flushed.len(),
        vec![
            ("day", false, array::<Int32Array, _>(each().map(|((day, _), _)| Some(day.days())))),
            ("epoch", false, array::<UInt32Array, _>(each().map(|((_, epoch), _)| Some(epoch.get())))),
            ("last_row_id", false, array::<Int64Array, _>(each().map(|(_, to)| Some(to.last.get())))),
            ("writer", false, ids(owners)?),
        ],
    )
}

fn writers(manifest: &Manifest) -> Result<StructArray, ArrowError> {
    let each = || manifest.writers.values();
    structs(
        manifest.writers.len(),
        vec![
            ("writer", false, ids(manifest.writers.keys().map(|writer| writer.0.as_u128()))?),
            ("epoch", false, array::<UInt32Array, _>(each().map(|known| Some(known.epoch.get())))),
            (
                "epoch_floor",
                false,
                array::<UInt32Array, _>(each().map(|known| Some(known.epoch_floor.get()))),
            ),
        ],
    )
}

fn removed(manifest: &Manifest) -> Result<StructArray, ArrowError> {
    let each = || manifest.removed.values();
    structs(
        manifest.removed.len(),
        vec![
            ("id", false, ids(manifest.removed.keys().map(|id| id.to_u128()))?),
            ("day", false, array::<Int32Array, _>(each().map(|removed| Some(removed.day.days())))),
            (
                "removed_at",
                false,
                array::<Int64Array, _>(each().map(|removed| Some(removed.removed_at.ns()))),
            ),
        ],
    )
}

fn read_batch(batch: &RecordBatch, table: &TableRef, version: u64) -> Result<Manifest> {
    let list = |name: &str| -> Result<StructArray, ArrowError> {
        let lists = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<ListArray>());
        let only = lists.filter(|lists| lists.len() == 1).map(|lists| lists.value(0));
        let elements = only.and_then(|only| only.as_any().downcast_ref::<StructArray>().cloned());
        elements.ok_or_else(|| missing(name))
    };
    let mut manifest = Manifest { version, ..Manifest::empty(table.clone()) };
    for segment in read_segments(&list("segments")?)? {
        manifest.segments.insert(segment.id, Arc::new(segment));
    }
    let rows = list("flushed")?;
    let (days, epochs) = (column::<Int32Array>(&rows, "day")?, column::<UInt32Array>(&rows, "epoch")?);
    let (last, owners) = (column::<Int64Array>(&rows, "last_row_id")?, column(&rows, "writer")?);
    for row in 0..rows.len() {
        let at = (Day::from_days(days.value(row)), Epoch::new(epochs.value(row))?);
        let writer = WriterId(uuid::Uuid::from_u128(id(owners, row)));
        manifest.flushed.insert(at, FlushedTo { last: row_id(last.value(row))?, writer });
    }
    let rows = list("writers")?;
    let (writers, epochs) = (column(&rows, "writer")?, column::<UInt32Array>(&rows, "epoch")?);
    // The first checkpoints have none.
    let floors = column::<UInt32Array>(&rows, "epoch_floor").ok();
    for row in 0..rows.len() {
        let writer = WriterId(uuid::Uuid::from_u128(id(writers, row)));
        let epoch = Epoch::new(epochs.value(row))?;
        let epoch_floor = Epoch::new(floors.map_or(0, |floors| floors.value(row)))?;
        manifest.writers.insert(writer, WriterState { epoch, epoch_floor });
    }
    let rows = list("removed")?;
    let (removed, days) = (column(&rows, "id")?, column::<Int32Array>(&rows, "day")?);
    let removed_at = column::<Int64Array>(&rows, "removed_at")?;
    for row in 0..rows.len() {
        let (day, at) = (Day::from_days(days.value(row)), Timestamp::from_ns(removed_at.value(row)));
        let gone = RemovedSegment { day, removed_at: at };
        manifest.removed.insert(SegmentId::from_u128(id(removed, row)), gone);
    }
    Ok(manifest)
}

fn read_segments(rows: &StructArray) -> Result<Vec<SegmentMeta>> {
    let (days, levels) =
        (column::<Int32Array>(rows, "day")?, column::<UInt8Array>(rows, "compaction_level")?);
    let numbers = |name| column::<UInt64Array>(rows, name);
    let signed = |name| column::<Int64Array>(rows, name);
    let (row_counts, bytes, tails) = (numbers("rows")?, numbers("bytes")?, numbers("tail_bytes")?);
    let (time_min, time_max, created) = (signed("time_min")?, signed("time_max")?, signed("created_at")?);
    let (row_id_min, row_id_max) = (signed("row_id_min")?, signed("row_id_max")?);
    let (segment_ids, formats) = (column(rows, "id")?, column::<UInt32Array>(rows, "format_version")?);
    let (index_offset, index_bytes) = (numbers("index_offset")?, numbers("index_bytes")?);
    let index_version = column::<UInt32Array>(rows, "index_version")?;
    let (counts, checksums) =
        (column::<ListArray>(rows, "counts")?, column::<UInt32Array>(rows, "tail_crc32c")?);
    let segment = |row: usize| {
        let at = |times: &Int64Array| Timestamp::from_ns(times.value(row));
        Ok(SegmentMeta {
            id: SegmentId::from_u128(id(segment_ids, row)),
            day: Day::from_days(days.value(row)),
            compaction_level: levels.value(row),
            rows: row_counts.value(row),
            bytes: bytes.value(row),
            tail_bytes: tails.value(row),
            tail_crc32c: checksums.value(row),
            time: TimeRange::new(at(time_min), at(time_max)),
            row_id_min: row_id(row_id_min.value(row))?,
            row_id_max: row_id(row_id_max.value(row))?,
            created_at: at(created),
            format_version: formats.value(row),
            counts: counts.is_valid(row).then(|| read_counts(&counts.value(row))).transpose()?,
            index: index_version.is_valid(row).then(|| IndexMeta {
                offset: index_offset.value(row),
                bytes: index_bytes.value(row),
                version: index_version.value(row),
            }),
        })
    };
    (0..rows.len()).map(segment).collect()
}

fn read_counts(list: &ArrayRef) -> Result<Vec<SourceLevelCount>, ArrowError> {
    let rows = list.as_any().downcast_ref::<StructArray>().ok_or_else(|| missing("counts"))?;
    let (sources, levels) = (column::<StringArray>(rows, "source")?, column::<StringArray>(rows, "level")?);
    let numbers = column::<UInt64Array>(rows, "rows")?;
    let text = |texts: &StringArray, row| texts.is_valid(row).then(|| texts.value(row).to_owned());
    let count = |row| SourceLevelCount {
        source: text(sources, row),
        level: text(levels, row),
        rows: numbers.value(row),
    };
    Ok((0..rows.len()).map(count).collect())
}

fn column<'a, A: Array + 'static>(rows: &'a StructArray, name: &str) -> Result<&'a A, ArrowError> {
    let found = rows.column_by_name(name).and_then(|column| column.as_any().downcast_ref::<A>());
    found.ok_or_else(|| missing(name))
}

fn id(ids: &FixedSizeBinaryArray, row: usize) -> u128 {
    ids.value(row).try_into().map_or(0, u128::from_be_bytes)
}

fn row_id(id: i64) -> Result<RowId, ArrowError> {
    RowId::from_i64(id).ok_or_else(|| ArrowError::SchemaError(format!("row id {id} is negative")))
}

fn missing(name: &str) -> ArrowError {
    ArrowError::SchemaError(format!("column {name} is missing or of another type"))
}
