//! Walks the records of one WAL file that lies in memory. It says what is there; whether a problem is a torn tail or
//! damage is decided by `recovery`, which knows the other files.

use std::ops::Range;

use bytes::Bytes;

use super::format::{
    self, DATA_START_BYTES, RECORD_ALIGN_BYTES, RECORD_HEADER_BYTES, RecordHeader, RecordProblem,
};

/// What lies at the reader's offset.
#[derive(Debug)]
pub(crate) enum Step {
    /// An intact record; the reader moved behind it.
    Record { header: RecordHeader, framed: Range<usize>, payload: Bytes },
    /// Nothing but zeros, or the end of the file.
    End,
    /// Something else; the reader did not move.
    Problem(RecordProblem),
}

/// Compares pages: a preallocated file is mostly zeros, and a test build looks at single bytes too slowly.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|page| ZEROS.starts_with(page))
}

/// A cursor over the records of one file.
#[derive(Debug)]
pub(crate) struct RecordReader {
    file: Bytes,
    offset: usize,
    salt: u64,
}

impl RecordReader {
    pub(crate) fn new(file: Bytes, salt: u64) -> Self {
        Self { file, offset: DATA_START_BYTES, salt }
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn seek(&mut self, offset: usize) {
        self.offset = offset;
    }

    pub(crate) fn step(&mut self) -> Step {
        let rest = self.file.get(self.offset..).unwrap_or_default();
        if is_zero(rest) {
            return Step::End;
        }
        match format::decode_record(&self.file, self.offset, self.salt) {
            Ok(header) => {
                let payload_start = self.offset.saturating_add(RECORD_HEADER_BYTES);
                let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
                let end = format::record_bytes(&header).unwrap_or(usize::MAX).saturating_add(self.offset);
                let framed = self.offset..end;
                // `decode_record` has checked that all of it lies inside the file.
                let payload = self.file.slice(payload_start..payload_start.saturating_add(payload_len));
                self.offset = end;
                Step::Record { header, framed, payload }
            }
            Err(problem) => Step::Problem(problem),
        }
    }

    /// All intact records from the reader's offset on, whatever lies between them. Looks at every place where a record
    /// may start, except inside intact records.
    pub(crate) fn intact_from_here(&self) -> impl Iterator<Item = (usize, RecordHeader)> + '_ {
        let mut offset = self.offset;
        std::iter::from_fn(move || {
            while offset < self.file.len() {
                let here = offset;
                if let Ok(header) = format::decode_record(&self.file, here, self.salt) {
                    offset = format::record_bytes(&header).unwrap_or(usize::MAX).saturating_add(here);
                    return Some((here, header));
                }
                offset = offset.saturating_add(RECORD_ALIGN_BYTES);
            }
            None
        })
    }

    /// Bytes from `offset` to the last one that is not zero.
    pub(crate) fn written_bytes_from(&self, offset: usize) -> usize {
        let rest = self.file.get(offset..).unwrap_or_default();
        rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1))
    }
}
