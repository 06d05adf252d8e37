//! The settings that make a Parquet file a segment: names, versions, encodings and limits.
//!
//! `docs/FORMAT.md` says the same in prose: change both together, and the version with them.

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::times::TIMESTAMP_NS;
use super::{FileColumns, PromotedTags};
use crate::{Partition, SCHEMA_VERSION, SegmentId, column};

/// The version of the segment format.
pub const SEGMENT_FORMAT_VERSION: u32 = 3;
/// A row group is cut earlier where its messages and tags reach this many bytes.
pub const ROW_GROUP_BYTES_MAX: usize = 128 << 20;

/// Rows of a page: the unit that filters skip.
const PAGE_ROWS: usize = 8_192;
/// A page is cut earlier where it reaches this many bytes, so that long messages do not make one page huge.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// Longest minimum or maximum in footer and page index.
const STATISTICS_BYTES_MAX: usize = 64;
/// Distinct values of dictionary columns in a row group take at most this much; beyond, values are written plain.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;
/// Arrival times repeat within a batch. Where nearly all differ, differences are smaller than a dictionary.
const ARRIVAL_DICTIONARY_BYTES_MAX: usize = 64 << 10;

pub(super) const KEY_FORMAT_VERSION: &str = "ironbark.format_version";
pub(super) const KEY_SCHEMA_VERSION: &str = "ironbark.schema_version";
pub(super) const KEY_SEGMENT: &str = "ironbark.segment";
pub(super) const KEY_CHUNK_CHECKSUMS: &str = "ironbark.chunk_crc32c";
pub(super) const KEY_MINUTE_LEVELS: &str = "ironbark.minute_levels";
const KEY_TENANT: &str = "ironbark.tenant";
const KEY_TABLE: &str = "ironbark.table";
const KEY_DAY: &str = "ironbark.day";

/// The paths of Parquet's leaf columns, in their order in the file. Those of [`FileColumns::own_names`] follow.
pub(super) const LEAVES: [&[&str]; 11] = [
    &[column::TIMESTAMP],
    &[column::INGESTED_AT],
    &[column::SOURCE],
    &[column::LEVEL],
    &[column::MESSAGE],
    &[column::TAGS, "key_value", "key"],
    &[column::TAGS, "key_value", "value"],
    &[column::TRACE_ID],
    &[column::SPAN_ID],
    &[column::TAG_TYPES],
    &[column::ROW_ID],
];

/// The place of a column that is not nested among the leaves.
pub(super) fn leaf(name: &str) -> Option<usize> {
    LEAVES.iter().position(|path| *path == [name])
}

/// How a leaf column is written.
struct LeafFormat {
    dictionary_bytes: Option<usize>,
    encoding: Encoding,
    statistics: EnabledStatistics,
}

fn leaf_format(path: &[&str]) -> LeafFormat {
    use EnabledStatistics::{Chunk, None as Off, Page};
    let format =
        |dictionary_bytes, encoding, statistics| LeafFormat { dictionary_bytes, encoding, statistics };
    let dictionary = Some(DICTIONARY_BYTES_MAX);
    match path {
        [column::TIMESTAMP | column::ROW_ID] => format(None, Encoding::DELTA_BINARY_PACKED, Page),
        [column::INGESTED_AT] => {
            format(Some(ARRIVAL_DICTIONARY_BYTES_MAX), Encoding::DELTA_BINARY_PACKED, Chunk)
        }
        [column::SOURCE | column::LEVEL | column::TRACE_ID] => format(dictionary, Encoding::PLAIN, Page),
        [name] if PromotedTags::is_column(name) => format(dictionary, Encoding::PLAIN, Page),
        [column::SPAN_ID] => format(None, Encoding::PLAIN, Page),
        // Minima and maxima of free text exclude nothing, and comparing it costs.
        [column::MESSAGE] => format(None, Encoding::PLAIN, Off),
        [column::TAG_TYPES | TIMESTAMP_NS] => format(dictionary, Encoding::PLAIN, Chunk),
        _ => format(dictionary, Encoding::PLAIN, Off),
    }
}

/// zstd 1 for what will be merged. In what stays, messages alone gain from more than 3, packed differences gain nothing from
/// more than 1, and random ids lose.
fn compression(path: &[&str], compaction_level: u8) -> Compression {
    let level = match (compaction_level, path) {
        (0 | 1, _) | (_, [column::TRACE_ID | column::SPAN_ID | column::TIMESTAMP | column::ROW_ID]) => 1,
        (_, [column::MESSAGE]) => 8,
        _ => 3,
    };
    Compression::ZSTD(ZstdLevel::try_new(level).unwrap_or_default())
}

/// All settings of the Parquet writer.
pub(super) fn writer_properties(
    id: SegmentId,
    partition: &Partition,
    compaction_level: u8,
    columns: &FileColumns,
) -> WriterProperties {
    let entry = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let metadata = vec![
        entry(KEY_FORMAT_VERSION, SEGMENT_FORMAT_VERSION.to_string()),
        entry(KEY_SCHEMA_VERSION, SCHEMA_VERSION.to_string()),
        entry(KEY_SEGMENT, id.to_string()),
        entry(KEY_TENANT, partition.table.tenant.to_string()),
        entry(KEY_TABLE, partition.table.table.to_string()),
        entry(KEY_DAY, partition.day.to_string()),
    ];
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("ironbark version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(metadata))
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES_MAX)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES_MAX))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES_MAX));
    let own = columns.own_names();
    let own: Vec<[&str; 1]> = own.iter().map(|name| [name.as_str()]).collect();
    for leaf in LEAVES.into_iter().chain(own.iter().map(<[&str; 1]>::as_slice)) {
        let format = leaf_format(leaf);
        let path = ColumnPath::new(leaf.iter().map(|part| (*part).to_owned()).collect());
        properties = properties
            .set_column_encoding(path.clone(), format.encoding)
            .set_column_compression(path.clone(), compression(leaf, compaction_level))
            .set_column_statistics_enabled(path.clone(), format.statistics)
            .set_column_dictionary_enabled(path.clone(), format.dictionary_bytes.is_some());
        if let Some(bytes) = format.dictionary_bytes {
            properties = properties.set_column_dictionary_page_size_limit(path, bytes);
        }
    }
    properties.build()
}

/// The value of one of our keys in a file's metadata.
pub(super) fn metadata_value<'a>(metadata: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let entries = metadata.file_metadata().key_value_metadata()?;
    entries.iter().find(|entry| entry.key == key)?.value.as_deref()
}
