//! The bookkeeping of reading one file: what was expected, what was found, and what a replacement of the file would
//! hold. `recovery` decides what a problem means; this answers its questions about the file.

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use super::format::{DATA_START_BYTES, FileHeader, Position, RecordHeader};
use super::reader::RecordReader;
use super::repair::Piece;

/// What the files behind this one say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// No later file was ever created.
    pub(crate) is_last: bool,
    /// The header of the next file, if it is there and readable.
    pub(crate) next_sound: Option<FileHeader>,
    /// The header of the next file that is readable.
    pub(crate) next_known: Option<FileHeader>,
}

/// An intact record at the place where it belongs.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) header: RecordHeader,
    pub(crate) framed: Range<usize>,
    pub(crate) payload: Bytes,
}

#[derive(Debug)]
pub(crate) struct FileWalk<'a> {
    pub(crate) path: &'a Path,
    pub(crate) header: FileHeader,
    pub(crate) reader: RecordReader,
    pub(crate) place: Place,
    pub(crate) expected: Position,
    /// What is worth keeping of the file.
    pub(crate) pieces: Vec<Piece>,
    pub(crate) damaged: bool,
    /// The damage reaches to the end of the file.
    pub(crate) lost_its_end: bool,
    /// Where the last group commit starts.
    pub(crate) commit_start: usize,
    /// Where the last intact record ends.
    pub(crate) end: usize,
}

impl<'a> FileWalk<'a> {
    pub(crate) fn new(
        path: &'a Path,
        header: FileHeader,
        bytes: Bytes,
        place: Place,
        expected: Position,
    ) -> Self {
        Self {
            path,
            header,
            reader: RecordReader::new(bytes, header.salt),
            place,
            expected,
            pieces: Vec::new(),
            damaged: false,
            lost_its_end: false,
            commit_start: DATA_START_BYTES,
            end: DATA_START_BYTES,
        }
    }

    /// Whether a crash during the commit of the expected record explains what lies here: every intact record that
    /// follows was part of the same commit. (Sectors of one commit reach the disk in any order.)
    pub(crate) fn explained_by_crash(&self) -> bool {
        let lsn = self.expected.lsn;
        let mut intact = self.reader.intact_from_here();
        self.place.is_last && intact.all(|(_, found)| found.commit_start() <= lsn && lsn < found.at.lsn)
    }

    /// The next intact record that does not go back in the log, and where it lies.
    pub(crate) fn next_usable(&self) -> Option<(usize, Position)> {
        let expected = self.expected;
        let mut intact = self.reader.intact_from_here();
        let usable = intact.find(|(_, found)| found.at.lsn >= expected.lsn && found.at.seq >= expected.seq);
        usable.map(|(offset, found)| (offset, found.at))
    }

    /// Bytes from the reader's offset to `until`, or to the last one written.
    pub(crate) fn damaged_bytes(&self, until: Option<usize>) -> usize {
        let offset = self.reader.offset();
        match until {
            Some(until) => until.saturating_sub(offset),
            None => self.reader.written_bytes_from(offset),
        }
    }

    pub(crate) fn keep(&mut self, found: &Found) {
        if found.header.commit_index == 0 {
            self.commit_start = found.framed.start;
        }
        self.end = found.framed.end;
        self.expected = found.header.end();
        match self.pieces.last_mut() {
            Some(Piece::Copy { framed }) if framed.end == found.framed.start => framed.end = found.framed.end,
            _ => self.pieces.push(Piece::Copy { framed: found.framed.clone() }),
        }
    }

    /// Goes on at `until`, noting that what lies before it is lost.
    pub(crate) fn bridge(&mut self, until: Position) {
        self.pieces.extend(Piece::gap(self.expected, until));
        self.expected = until;
    }
}
