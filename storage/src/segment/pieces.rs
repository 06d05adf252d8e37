//! The bytes of a segment while it is in memory: pieces, and never one vector. A vector that grows is copied, and for that moment
//! there twice: a hundred MiB for a merge.
//!
//! ```text
//!   write ─► piece 0 │ piece 1 │ … │ last piece         all but the last are of PIECE_BYTES, and stay where they are once full
//!               │         │             │
//!               └─────────┴─────────────┴─► one request, or each its own: see `put.rs`
//! ```
//!
//! Where the bytes of a segment lie does not depend on where pieces end, so nothing here is of the format.

use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// Length of a piece. S3 takes no less than 5 MiB in one request of a multipart upload, and wants them all of one length.
pub(super) const PIECE_BYTES: usize = 8 << 20;

/// The bytes of a segment. Clones share them.
#[derive(Clone, Debug)]
pub struct SegmentBytes(Arc<[Bytes]>);

impl SegmentBytes {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces in their order. None is empty.
    pub fn pieces(&self) -> &[Bytes] {
        &self.0
    }

    /// The bytes of a range; `None` if it does not lie within. They are copied if they are in more than one piece.
    pub fn range(&self, range: Range<usize>) -> Option<Bytes> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        let length = range.len();
        let mut slices = within(self.0.iter(), range).map(|(piece, within)| piece.slice(within));
        let first = slices.next().unwrap_or_default();
        if first.len() == length {
            return Some(first);
        }
        let mut copy = Vec::with_capacity(length);
        copy.extend_from_slice(&first);
        slices.for_each(|slice| copy.extend_from_slice(&slice));
        Some(copy.into())
    }

    /// All bytes in one vector: a copy, for tests and for what is small.
    pub fn to_vec(&self) -> Vec<u8> {
        self.0.concat()
    }
}

impl From<Bytes> for SegmentBytes {
    /// Cut into pieces, not copied.
    fn from(mut rest: Bytes) -> Self {
        let mut pieces = Vec::with_capacity(rest.len().div_ceil(PIECE_BYTES));
        while !rest.is_empty() {
            pieces.push(rest.split_to(rest.len().min(PIECE_BYTES)));
        }
        Self(pieces.into())
    }
}

/// What of each piece lies in a range, where anything does.
fn within<P: AsRef<[u8]>>(
    pieces: impl Iterator<Item = P>,
    range: Range<usize>,
) -> impl Iterator<Item = (P, Range<usize>)> {
    let mut start = 0usize;
    pieces.filter_map(move |piece| {
        let length = piece.as_ref().len();
        let [from, to] = [range.start, range.end].map(|at| at.saturating_sub(start).min(length));
        start += length;
        (from < to).then_some((piece, from..to))
    })
}

/// Reads from some byte to the end.
#[derive(Debug)]
pub struct SegmentBytesReader {
    bytes: SegmentBytes,
    at: usize,
}

impl Read for SegmentBytesReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let next = within(self.bytes.0.iter(), self.at..usize::MAX).next();
        let mut slice = next.and_then(|(piece, within)| piece.get(within)).unwrap_or_default();
        let read = slice.read(into)?;
        self.at += read;
        Ok(read)
    }
}

impl Length for SegmentBytes {
    fn len(&self) -> u64 {
        u64::try_from(Self::len(self)).unwrap_or(u64::MAX)
    }
}

impl ChunkReader for SegmentBytes {
    type T = SegmentBytesReader;

    fn get_read(&self, start: u64) -> Result<SegmentBytesReader, ParquetError> {
        let at = usize::try_from(start).ok().filter(|at| *at <= Self::len(self));
        let at = at.ok_or_else(|| beyond(self, start, 0))?;
        Ok(SegmentBytesReader { bytes: self.clone(), at })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let range = usize::try_from(start).ok().and_then(|start| Some(start..start.checked_add(length)?));
        range.and_then(|range| self.range(range)).ok_or_else(|| beyond(self, start, length))
    }
}

fn beyond(bytes: &SegmentBytes, start: u64, length: usize) -> ParquetError {
    ParquetError::EOF(format!("{length} bytes at {start} are not within {} bytes", bytes.len()))
}

/// Takes the bytes of a segment while it is encoded.
#[derive(Debug)]
pub(super) struct SegmentBytesWriter {
    /// Each of `piece_bytes`.
    full: Vec<Bytes>,
    last: Vec<u8>,
    /// [`PIECE_BYTES`] but in tests.
    piece_bytes: usize,
}

impl Default for SegmentBytesWriter {
    fn default() -> Self {
        Self::with_pieces_of(PIECE_BYTES)
    }
}

impl SegmentBytesWriter {
    /// Nothing yet, with pieces of so many bytes, at least one.
    pub(super) fn with_pieces_of(piece_bytes: usize) -> Self {
        Self { full: Vec::new(), last: Vec::new(), piece_bytes: piece_bytes.max(1) }
    }

    /// How many bytes were written.
    pub(super) fn len(&self) -> usize {
        self.full.len() * self.piece_bytes + self.last.len()
    }

    /// The bytes of a range, piece by piece; `None` if it was not written yet.
    pub(super) fn slices(&self, range: Range<usize>) -> Option<impl Iterator<Item = &[u8]>> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        let pieces = self.full.iter().map(Bytes::as_ref).chain([self.last.as_slice()]);
        Some(within(pieces, range).filter_map(|(piece, within)| piece.get(within)))
    }

    /// All that was written.
    pub(super) fn finish(mut self) -> SegmentBytes {
        self.end_piece();
        SegmentBytes(self.full.into())
    }

    fn end_piece(&mut self) {
        let mut last = std::mem::take(&mut self.last);
        if !last.is_empty() {
            // Only the last of all has room left.
            last.shrink_to_fit();
            self.full.push(last.into());
        }
    }

    /// Makes room in the last piece. The first one grows, because most segments are smaller than a piece; later ones have all their room
    /// from the start, and are not moved.
    fn reserve(&mut self, bytes: usize) {
        let needed = self.last.len() + bytes;
        if needed > self.last.capacity() {
            let first = needed.saturating_mul(2).min(self.piece_bytes);
            let room = if self.full.is_empty() { first } else { self.piece_bytes };
            self.last.reserve_exact(room - self.last.len());
        }
    }
}

impl Write for SegmentBytesWriter {
    /// Takes what the last piece has room for.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.last.len() >= self.piece_bytes {
            self.end_piece();
        }
        let (fitting, _) = bytes.split_at(bytes.len().min(self.piece_bytes - self.last.len()));
        self.reserve(fitting.len());
        self.last.extend_from_slice(fitting);
        Ok(fitting.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(lengths: &[usize], piece_bytes: usize) -> (Vec<u8>, SegmentBytesWriter) {
        let (mut all, mut writer) = (Vec::new(), SegmentBytesWriter::with_pieces_of(piece_bytes));
        for length in lengths {
            let bytes: Vec<u8> = (0..=250).cycle().skip(all.len() % 251).take(*length).collect();
            writer.write_all(&bytes).unwrap();
            all.extend(bytes);
        }
        (all, writer)
    }

    #[test]
    fn a_small_segment_takes_little_room_and_a_large_one_no_more_than_its_pieces() {
        let (_, small) = written(&[3_000, 2_000], PIECE_BYTES);
        assert_eq!(small.last.capacity(), 6_000);
        assert_eq!(small.finish().pieces().len(), 1);
        let (_, large) = written(&[700; 10], 1_000);
        assert_eq!(large.full.iter().map(Bytes::len).collect::<Vec<_>>(), [1_000; 6]);
        assert_eq!((large.last.len(), large.last.capacity()), (1_000, 1_000));
        let (_, more) = written(&[700; 11], 1_000);
        assert_eq!((more.full.len(), more.last.len(), more.last.capacity()), (7, 700, 1_000));
        assert_eq!(more.finish().pieces().last().unwrap().len(), 700);
    }

    #[test]
    fn what_lies_in_one_piece_is_not_copied() {
        let bytes = written(&[10], 4).1.finish();
        let [first, second, last] = bytes.pieces() else { panic!("{bytes:?}") };
        assert_eq!(bytes.range(1..4).unwrap().as_ptr(), first[1..].as_ptr());
        assert_eq!(bytes.range(4..8).unwrap().as_ptr(), second.as_ptr());
        assert_eq!(bytes.range(9..10).unwrap().as_ptr(), last[1..].as_ptr());
        let given = Bytes::from(vec![1; PIECE_BYTES + 1]);
        let cut = SegmentBytes::from(given.clone());
        assert_eq!(cut.pieces().iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE_BYTES, 1]);
        assert_eq!(cut.pieces()[0].as_ptr(), given.as_ptr());
    }

    #[test]
    fn ranges_beyond_the_end_are_none() {
        let (_, writer) = written(&[10], 4);
        let turned = Range { start: 6, end: 5 };
        assert!(writer.slices(5..11).is_none() && writer.slices(turned.clone()).is_none());
        let bytes = writer.finish();
        assert!(bytes.range(5..11).is_none() && bytes.range(turned).is_none());
        assert_eq!(bytes.range(10..10).unwrap(), "");
        assert!(bytes.get_bytes(5, 6).is_err() && bytes.get_bytes(u64::MAX, 2).is_err());
        assert!(bytes.get_read(11).is_err());
        assert_eq!(bytes.get_read(10).unwrap().read(&mut [0; 4]).unwrap(), 0);
    }

    proptest! {
        #[test]
        fn bytes_are_the_same_whatever_the_pieces(
            lengths in prop::collection::vec(0usize..40, 0..20),
            piece_bytes in 1usize..50,
            (from, to) in (0usize..800, 0usize..800),
        ) {
            let (all, writer) = written(&lengths, piece_bytes);
            let range = from.min(to).min(all.len())..from.max(to).min(all.len());
            prop_assert_eq!(writer.len(), all.len());
            prop_assert_eq!(writer.slices(range.clone()).unwrap().collect::<Vec<_>>().concat(), &all[range.clone()]);
            let checksum = writer.slices(range.clone()).unwrap().fold(0, crc32c::crc32c_append);
            prop_assert_eq!(checksum, crc32c::crc32c(&all[range.clone()]));
            let bytes = writer.finish();
            prop_assert_eq!(bytes.to_vec(), all.clone());
            prop_assert_eq!((bytes.len(), bytes.is_empty()), (all.len(), all.is_empty()));
            let (last, full) = bytes.pieces().split_last().map_or((0, &[][..]), |(last, full)| (last.len(), full));
            prop_assert!(full.iter().all(|piece| piece.len() == piece_bytes) && last <= piece_bytes);
            prop_assert!(last > 0 || all.is_empty());
            prop_assert_eq!(bytes.range(range.clone()).unwrap(), &all[range.clone()]);
            let start = u64::try_from(range.start).unwrap();
            prop_assert_eq!(bytes.get_bytes(start, range.len()).unwrap(), &all[range.clone()]);
            let mut read = Vec::new();
            bytes.get_read(start).unwrap().read_to_end(&mut read).unwrap();
            prop_assert_eq!(read, &all[range.start..]);
        }
    }
}
