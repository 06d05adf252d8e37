//! Checksums of a segment's column chunks: Parquet as written here has none of its own, and the decoders of pages
//! may panic on damaged bytes or, worse, decode them.
//!
//! ```text
//! ironbark.chunk_crc32c = "1a2b3c4d" "…" …      eight hex digits for each column chunk:
//!                          row group 0            all leaf columns of a row group, row group after row group
//! ```

use std::ops::Range;

use parquet::file::metadata::{KeyValue, ParquetMetaData, RowGroupMetaData};

use super::format::{KEY_CHUNK_CHECKSUMS, metadata_value};

const DIGITS: usize = 8;

/// Where each column chunk of a row group lies in the file; `None` if the footer is nonsense.
pub(super) fn chunk_ranges(row_group: &RowGroupMetaData) -> Option<Vec<Range<u64>>> {
    let range = |chunk: &parquet::file::metadata::ColumnChunkMetaData| {
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        let start = u64::try_from(start).ok()?;
        Some(start..start.checked_add(u64::try_from(chunk.compressed_size()).ok()?)?)
    };
    row_group.columns().iter().map(range).collect()
}

/// The checksums of all chunks, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ChunkChecksums(Vec<u32>);

/// How many column chunks a row group has.
fn leaves(metadata: &ParquetMetaData) -> usize {
    metadata.file_metadata().schema_descr().num_columns()
}

impl ChunkChecksums {
    /// Adds that of a chunk, which lies in slices one behind the other.
    pub(super) fn push<'b>(&mut self, chunk: impl Iterator<Item = &'b [u8]>) {
        self.0.push(chunk.fold(0, crc32c::crc32c_append));
    }

    /// The entry for the footer.
    pub(super) fn to_metadata(&self) -> KeyValue {
        let digits = self.0.iter().map(|checksum| format!("{checksum:08x}")).collect::<Vec<_>>().concat();
        KeyValue::new(KEY_CHUNK_CHECKSUMS.to_owned(), digits)
    }

    /// From the footer; `None` unless there is one for each chunk.
    pub(super) fn from_metadata(metadata: &ParquetMetaData) -> Option<Self> {
        let digits = metadata_value(metadata, KEY_CHUNK_CHECKSUMS)?.as_bytes();
        let parse = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let checksums = digits.chunks(DIGITS).map(parse).collect::<Option<Vec<_>>>()?;
        (checksums.len() == metadata.num_row_groups() * leaves(metadata)).then_some(Self(checksums))
    }

    /// Whether these are the bytes of a chunk of the file with this footer.
    pub(super) fn matches(
        &self,
        metadata: &ParquetMetaData,
        row_group: usize,
        leaf: usize,
        chunk: &[u8],
    ) -> bool {
        self.0.get(row_group * leaves(metadata) + leaf) == Some(&crc32c::crc32c(chunk))
    }
}
