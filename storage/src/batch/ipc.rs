//! A batch as bytes, for the WAL.
//!
//! ```text
//! byte 0      1 .. 4             5 .. 8                  9 ..
//! version=1   CRC32C of 5..end   length of the stream    zstd (level 1) of an Arrow IPC stream of one batch
//! ```
//!
//! Numbers are little-endian. Compression pays: the logs of eight systems, in batches of 1,000 rows, shrank to a sixth
//! at some 600 MB/s a core, and what is appended is written and synced before every acknowledgement. The checksum
//! makes damage an error here, before the decoders of other libraries see a byte of it. docs/adr/052 says what other
//! codecs would cost.

use std::io::{self, Write};

use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use parking_lot::Mutex;
use zstd::zstd_safe::{CCtx, CParameter, ResetDirective};

use super::{BATCH_BYTES_MAX, LogBatch};
use crate::{Error, Result, Timestamp};

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 9;
const ZSTD_LEVEL: i32 = 1;
/// Offsets, validity bits and messages come on top of the text.
const STREAM_BYTES_MAX: usize = BATCH_BYTES_MAX + (1 << 30);
/// Contexts of the compressor that are kept between batches, of a MiB each: to make one takes two fifths of what a batch of
/// a hundred rows takes. As many as appends are compressed at once on most machines.
const CONTEXTS_KEPT_MAX: usize = 4;
/// What errors call the payload; the WAL adds file and offset of the record.
const OBJECT: &str = "batch in the WAL";

impl LogBatch {
    /// The rows as bytes; see the module for the layout.
    pub fn to_ipc(&self) -> Result<Bytes> {
        let io = |source| Error::Io { path: OBJECT.to_owned(), source };
        // The stream is compressed as it comes, so that the rows are not copied once more.
        let mut context = Context::take()?;
        let packer = zstd::Encoder::with_context(vec![0; HEADER_BYTES], &mut context.0);
        let mut writer = StreamWriter::try_new(Counted { packer, bytes: 0 }, &self.rows().schema())?;
        writer.write(self.rows())?;
        writer.finish()?;
        let Counted { packer, bytes } = writer.into_inner()?;
        let fitting = u32::try_from(bytes).ok().filter(|_| bytes <= STREAM_BYTES_MAX);
        let stream_bytes = fitting.ok_or_else(|| Error::Limit {
            what: "a batch of rows",
            limit: u64::try_from(STREAM_BYTES_MAX).unwrap_or(u64::MAX),
            unit: "bytes",
            advice: "send fewer rows at once",
        })?;
        let mut out = packer.finish().map_err(io)?;
        context.keep();
        let stream_bytes = stream_bytes.to_le_bytes();
        if let Some((header, packed)) = out.split_first_chunk_mut::<HEADER_BYTES>() {
            let crc = crc32c::crc32c_append(crc32c::crc32c(&stream_bytes), packed).to_le_bytes();
            header.copy_from_slice(&[&[VERSION], crc.as_slice(), stream_bytes.as_slice()].concat());
        }
        Ok(Bytes::from(out))
    }

    /// The rows from bytes of [`LogBatch::to_ipc`]. Damaged bytes are [`Error::Corrupt`], those of a newer version
    /// [`Error::TooNew`].
    pub fn from_ipc(bytes: &Bytes, arrival: Timestamp) -> Result<Self> {
        let Some((&[version, c0, c1, c2, c3], checked)) = bytes.split_first_chunk::<5>() else {
            return Err(corrupt(0, format!("{} bytes are too few for a header", bytes.len())));
        };
        if version != VERSION {
            let (found, supported) = (u32::from(version), u32::from(VERSION));
            return Err(Error::TooNew { object: OBJECT.to_owned(), found, supported });
        }
        let (expected, found) = (u32::from_le_bytes([c0, c1, c2, c3]), crc32c::crc32c(checked));
        if expected != found {
            return Err(corrupt(1, format!("checksum {found:08x}, expected {expected:08x}")));
        }
        let Some((length, packed)) = checked.split_first_chunk::<4>() else {
            return Err(corrupt(5, "no length".to_owned()));
        };
        let stream_bytes = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if stream_bytes > STREAM_BYTES_MAX {
            return Err(corrupt(5, format!("length {stream_bytes} is over {STREAM_BYTES_MAX}")));
        }
        let stream = zstd::bulk::decompress(packed, stream_bytes)
            .map_err(|error| corrupt(HEADER_BYTES, error.to_string()))?;
        let mut buffer = Buffer::from(stream);
        let rows = StreamDecoder::new()
            .decode(&mut buffer)
            .map_err(|error| corrupt(HEADER_BYTES, error.to_string()))?
            .ok_or_else(|| corrupt(HEADER_BYTES, "the stream holds no batch".to_owned()))?;
        Self::try_new(rows, arrival)
    }
}

static CONTEXTS: Mutex<Vec<Context>> = Mutex::new(Vec::new());

/// What the compressor works with.
struct Context(CCtx<'static>);

impl Context {
    /// One that was kept, or a new one.
    fn take() -> Result<Self> {
        let kept = CONTEXTS.lock().pop();
        let mut context = match kept {
            Some(kept) => kept,
            None => Self(CCtx::try_create().ok_or_else(|| failed("cannot be created"))?),
        };
        context.0.reset(ResetDirective::SessionAndParameters).map_err(refused)?;
        context.0.set_parameter(CParameter::CompressionLevel(ZSTD_LEVEL)).map_err(refused)?;
        Ok(context)
    }

    /// Keeps it for the next batch, unless enough are kept.
    fn keep(self) {
        let mut kept = CONTEXTS.lock();
        if kept.len() < CONTEXTS_KEPT_MAX {
            kept.push(self);
        }
    }
}

fn refused(code: usize) -> Error {
    failed(zstd::zstd_safe::get_error_name(code))
}

fn failed(reason: &str) -> Error {
    let source = io::Error::other(format!("the compressor {reason}"));
    Error::Io { path: OBJECT.to_owned(), source }
}

/// Compresses what is written, and knows how much that was.
struct Counted<'a> {
    packer: zstd::Encoder<'a, Vec<u8>>,
    bytes: usize,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.packer.write(bytes)?;
        self.bytes = self.bytes.saturating_add(written);
        Ok(written)
    }

    /// A flush would end a block of the frame; all that is needed is its end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn corrupt(offset: usize, reason: String) -> Error {
    Error::Corrupt { object: OBJECT.to_owned(), offset: u64::try_from(offset).unwrap_or(u64::MAX), reason }
}
