//! Reads lines out of bytes, whatever the bytes are.
//!
//! ```text
//!   Read ─► buffer (grows to one line, at most LINE_BYTES_MAX) ─► up to LF ─► one CR before it dropped ─► text
//! ```
//!
//! A line is what stands before a LF, or the rest of the file if something is left without one. Only the LF, or a CR
//! directly before it, is taken away: a lone CR, NUL bytes and a byte order mark stay. Bytes that are not UTF-8
//! become U+FFFD and are counted. A line over the limit is passed over and reported, and costs no memory.

use std::borrow::Cow;
use std::io::{self, BufRead, Chain, Cursor, Read};

/// The longest line that is taken, in bytes.
pub(crate) const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much is read at a time, in bytes.
const READ_BYTES: usize = 256 * 1024;
/// Bytes that are kept of a line that is too long.
const HEAD_BYTES: usize = 8;
/// Bytes that tell what a file is.
const MAGIC_BYTES: usize = 4;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Ways to pack a file that are not read here, and what unpacks them.
const PACKED: [([u8; MAGIC_BYTES], &str, &str); 4] = [
    ([0xfd, b'7', b'z', b'X'], "xz", "xz -dc"),
    ([b'B', b'Z', b'h', b'9'], "bzip2", "bzip2 -dc"),
    ([b'P', b'K', 3, 4], "zip", "unzip -p"),
    ([0x04, 0x22, 0x4d, 0x18], "lz4", "lz4 -dc"),
];
const UTF16_MARKS: [[u8; 2]; 2] = [[0xff, 0xfe], [0xfe, 0xff]];

/// A line, or where one was that is too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Counted from 1.
    pub(crate) number: u64,
    /// Where it begins in the decompressed bytes.
    pub(crate) offset: u64,
    /// Its text, or why there is none.
    pub(crate) text: Result<Text<'a>, TooLong>,
}

/// The text of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    /// Without LF or CRLF.
    pub(crate) text: Cow<'a, str>,
    /// How many runs of bytes were not UTF-8 and became U+FFFD.
    pub(crate) replaced: u64,
}

/// A line over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the line has {bytes} bytes, over the limit of {LINE_BYTES_MAX}")]
pub(crate) struct TooLong {
    /// Its length in bytes, without its end.
    pub(crate) bytes: u64,
    /// How it begins, which tells what it may be.
    pub(crate) head: [u8; HEAD_BYTES],
}

/// Reads lines one after the other.
pub(crate) struct LineReader<R> {
    source: R,
    buffer: Vec<u8>,
    /// The bytes of `buffer` from `start` on are not yet given out.
    start: usize,
    number: u64,
    offset: u64,
    line_bytes_max: usize,
}

impl<R: Read> LineReader<R> {
    /// A reader that begins with line 1 at offset 0.
    pub(crate) fn new(source: R) -> Self {
        Self::with_limit(source, LINE_BYTES_MAX)
    }

    pub(super) fn with_limit(source: R, line_bytes_max: usize) -> Self {
        Self { source, buffer: Vec::new(), start: 0, number: 0, offset: 0, line_bytes_max }
    }

    /// The next line, or `None` at the end.
    ///
    /// # Errors
    /// What the source answers, and nothing else.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let Some(Found { kept, terminated }) = self.seek_end()? else { return Ok(None) };
        self.number += 1;
        let (number, offset) = (self.number, self.offset);
        self.offset += u64::from(terminated);
        let kept = match kept {
            Ok(kept) => kept,
            Err(too_long) => {
                self.offset += too_long.bytes;
                return Ok(Some(Line { number, offset, text: Err(too_long) }));
            }
        };
        self.offset += u64::try_from(kept).unwrap_or(u64::MAX);
        let start = self.start;
        self.start += kept + usize::from(terminated);
        let bytes = self.buffer.get(start..start + kept).unwrap_or_default();
        let bytes = if terminated { bytes.strip_suffix(b"\r").unwrap_or(bytes) } else { bytes };
        Ok(Some(Line { number, offset, text: Ok(text(bytes)) }))
    }

    /// Brings a whole line into the buffer, or finds how long one is that does not fit.
    fn seek_end(&mut self) -> io::Result<Option<Found>> {
        let mut searched = 0;
        loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            let fresh = rest.get(searched..).unwrap_or_default();
            let at = memchr::memchr(b'\n', fresh).map(|at| searched + at);
            if at.unwrap_or(rest.len()) > self.line_bytes_max {
                return self.skip_line().map(Some);
            }
            if let Some(at) = at {
                return Ok(Some(Found { kept: Ok(at), terminated: true }));
            }
            searched = rest.len();
            if self.fill()? == 0 {
                return Ok((searched > 0).then_some(Found { kept: Ok(searched), terminated: false }));
            }
        }
    }

    /// Reads on to the end of a line without keeping it.
    fn skip_line(&mut self) -> io::Result<Found> {
        let mut bytes = 0;
        let start = self.buffer.get(self.start..).and_then(|rest| rest.first_chunk());
        let head = start.copied().unwrap_or_default();
        let terminated = loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            let at = memchr::memchr(b'\n', rest);
            bytes += u64::try_from(at.unwrap_or(rest.len())).unwrap_or(u64::MAX);
            if let Some(at) = at {
                self.start += at + 1;
                break true;
            }
            self.start = self.buffer.len();
            if self.fill()? == 0 {
                break false;
            }
        };
        Ok(Found { kept: Err(TooLong { bytes, head }), terminated })
    }

    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + READ_BYTES, 0);
        let space = self.buffer.get_mut(filled..).unwrap_or_default();
        let read = loop {
            match self.source.read(space) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(filled + read.as_ref().map_or(0, |read| *read));
        read
    }
}

/// Where a line ends.
struct Found {
    /// Bytes of the line without the LF, if they are in the buffer.
    kept: Result<usize, TooLong>,
    /// Whether a LF follows.
    terminated: bool,
}

fn text(bytes: &[u8]) -> Text<'_> {
    let text = String::from_utf8_lossy(bytes);
    let replaced = match &text {
        Cow::Borrowed(_) => 0,
        Cow::Owned(_) => bytes.utf8_chunks().filter(|piece| !piece.invalid().is_empty()).count(),
    };
    Text { text, replaced: u64::try_from(replaced).unwrap_or(u64::MAX) }
}

/// Whether bytes begin as a compressed file does.
pub(crate) fn is_compressed(head: &[u8]) -> bool {
    head.starts_with(&GZIP_MAGIC) || head.starts_with(&ZSTD_MAGIC)
}

/// The bytes of `source`, decompressed if its first bytes say gzip (of any number of members) or zstd.
///
/// # Errors
/// What the source answers, and `InvalidData` for a file in UTF-16 or packed otherwise, which would be read as garbage.
pub(crate) fn decompress<'a>(mut source: impl BufRead + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut magic = [0; MAGIC_BYTES];
    let read = read_up_to(&mut source, &mut magic)?;
    let head = magic.get(..read).unwrap_or_default().to_vec();
    if UTF16_MARKS.iter().any(|mark| head.starts_with(mark)) {
        let message = "the file begins with the byte order mark of UTF-16, which is not supported; convert it to \
                       UTF-8, for example with `iconv -f UTF-16 -t UTF-8`";
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    if let Some((_, format, program)) = PACKED.iter().find(|(magic, ..)| head == magic) {
        let message = format!(
            "it is packed by {format}, which is not supported; unpack it, for example with `{program} FILE | ironbark \
             ingest`"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let (gzip, zstd) = (head.starts_with(&GZIP_MAGIC), head.starts_with(&ZSTD_MAGIC));
    let whole: Chain<Cursor<Vec<u8>>, _> = Cursor::new(head).chain(source);
    Ok(match (gzip, zstd) {
        (true, _) => Box::new(flate2::bufread::MultiGzDecoder::new(whole)),
        (_, true) => Box::new(zstd::stream::read::Decoder::with_buffer(whole)?),
        _ => Box::new(whole),
    })
}

fn read_up_to(source: &mut impl Read, space: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = space.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            // A live stream may be silent for a while.
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
