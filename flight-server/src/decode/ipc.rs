//! Guards Arrow's decoders: what an IPC message will take once it is decoded, read from its header before any of it is.
//!
//! ```text
//!   header (flatbuffer) ─► buffers: offset, length ─┐
//!   body ──────────────────────────────────────────┴─► plain: its length
//!                                                       compressed: i64 length, then zstd or an LZ4 frame
//!                                                                   └─ summed, and compared with the limit
//! ```
//!
//! Arrow allocates what the length before a compressed buffer says, slices the body as the header says, and keeps
//! every dictionary of a stream; all three are a client's to write. Nothing is decompressed here. Arrow's LZ4 decoder
//! goes on until its frame ends, whatever was announced, so the frame itself is measured as well.

mod lz4;

use std::collections::HashMap;

use arrow::ipc::{CompressionType, DictionaryBatch, Message, MessageHeader, RecordBatch, root_as_message};

/// Most dictionaries that one stream may keep.
const DICTIONARIES_MAX: usize = 4_096;
/// Bytes of the length before each compressed buffer.
const LENGTH_BYTES: usize = 8;
/// Begins an encapsulated message in a stream, before its length.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Why an IPC message is not decoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadMessage {
    /// The header is no flatbuffer of a message.
    #[error("the Arrow stream cannot be read: a message's header is damaged: {0}")]
    Header(String),
    /// A message is shorter than its header says.
    #[error("the Arrow stream cannot be read: a message ends before its {0}")]
    Truncated(&'static str),
    /// A compressed buffer does not hold what the length before it says.
    #[error("the Arrow stream cannot be read: compressed buffer {index} of a message {reason}")]
    Buffer {
        /// Its number in the message, from 0.
        index: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Decoded, the message would be too large.
    #[error(
        "an Arrow message takes {bytes} bytes decompressed, the limit is {bytes_max}: send fewer rows in a batch"
    )]
    TooLarge {
        /// What it would take, in bytes.
        bytes: u64,
        /// The limit, in bytes.
        bytes_max: u64,
    },
    /// The dictionaries of the stream would be too large together.
    #[error(
        "the dictionaries of the Arrow stream take {bytes} bytes decompressed, the limit is {bytes_max}: send columns \
         with many different values as plain text"
    )]
    DictionariesTooLarge {
        /// What they would take, in bytes.
        bytes: u64,
        /// The limit, in bytes.
        bytes_max: u64,
    },
    /// The stream has too many dictionaries.
    #[error(
        "the Arrow stream has more than {DICTIONARIES_MAX} dictionaries: send some columns as plain text"
    )]
    TooManyDictionaries,
}

/// Measures the messages of one stream.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Most bytes of one message, and of the dictionaries together.
    bytes_max: u64,
    /// Bytes of the dictionaries that the decoder keeps, by their ids.
    dictionaries: HashMap<i64, u64>,
}

impl Guard {
    /// A guard that lets messages of up to `bytes_max` bytes pass, counted after decompression.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max: bytes_max as u64, dictionaries: HashMap::new() }
    }

    /// Lets a message pass to the decoder, or says why not.
    pub(crate) fn check(&mut self, header: &[u8], body: &[u8]) -> Result<(), BadMessage> {
        self.check_message(read_header(header)?, body)
    }

    fn check_message(&mut self, message: Message<'_>, body: &[u8]) -> Result<(), BadMessage> {
        match message.header_type() {
            // The decoder forgets its dictionaries then, too.
            MessageHeader::Schema => self.dictionaries.clear(),
            MessageHeader::RecordBatch => {
                if let Some(batch) = message.header_as_record_batch() {
                    self.measure(batch, body)?;
                }
            }
            MessageHeader::DictionaryBatch => {
                if let Some(dictionary) = message.header_as_dictionary_batch() {
                    self.keep(dictionary, body)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn keep(&mut self, dictionary: DictionaryBatch<'_>, body: &[u8]) -> Result<(), BadMessage> {
        let Some(values) = dictionary.data() else { return Err(BadMessage::Truncated("dictionary")) };
        let bytes = self.measure(values, body)?;
        if self.dictionaries.len() >= DICTIONARIES_MAX && !self.dictionaries.contains_key(&dictionary.id()) {
            return Err(BadMessage::TooManyDictionaries);
        }
        let kept = self.dictionaries.entry(dictionary.id()).or_default();
        *kept = if dictionary.isDelta() { kept.saturating_add(bytes) } else { bytes };
        let bytes = self.dictionaries.values().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
        if bytes > self.bytes_max {
            return Err(BadMessage::DictionariesTooLarge { bytes, bytes_max: self.bytes_max });
        }
        Ok(())
    }

    /// The bytes of a batch's buffers when they are decompressed. Buffers may share bytes of the body; each counts.
    fn measure(&self, batch: RecordBatch<'_>, body: &[u8]) -> Result<u64, BadMessage> {
        let codec = batch.compression().map(|compression| compression.codec());
        let mut sum: u64 = 0;
        for (index, buffer) in batch.buffers().into_iter().flatten().enumerate() {
            let bytes =
                slice(body, buffer.offset(), buffer.length()).ok_or(BadMessage::Truncated("buffers"))?;
            let bytes = match codec {
                Some(codec) if !bytes.is_empty() => decompressed(index, codec, bytes)?,
                _ => bytes.len() as u64,
            };
            sum = sum.saturating_add(bytes);
            if sum > self.bytes_max {
                return Err(BadMessage::TooLarge { bytes: sum, bytes_max: self.bytes_max });
            }
        }
        Ok(sum)
    }
}

/// Checks a whole stream of encapsulated messages, whose reader would trust the lengths of bodies, too.
pub(crate) fn check_stream(stream: &[u8], bytes_max: usize) -> Result<(), BadMessage> {
    let mut guard = Guard::new(bytes_max);
    let mut rest = stream;
    loop {
        let Some((mut length, mut after)) = rest.split_first_chunk::<4>() else { return Ok(()) };
        if *length == CONTINUATION {
            (length, after) = after.split_first_chunk().ok_or(BadMessage::Truncated("length"))?;
        }
        let length = usize::try_from(i32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length == 0 {
            return Ok(());
        }
        let (header, after) = after.split_at_checked(length).ok_or(BadMessage::Truncated("header"))?;
        let message = read_header(header)?;
        let length = usize::try_from(message.bodyLength()).unwrap_or(usize::MAX);
        let (body, after) = after.split_at_checked(length).ok_or(BadMessage::Truncated("body"))?;
        guard.check_message(message, body)?;
        rest = after;
    }
}

fn read_header(header: &[u8]) -> Result<Message<'_>, BadMessage> {
    root_as_message(header).map_err(|error| BadMessage::Header(error.to_string()))
}

fn slice(body: &[u8], offset: i64, length: i64) -> Option<&[u8]> {
    let (offset, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
    body.get(offset..offset.checked_add(length)?)
}

/// What a compressed buffer takes: a length, then that many bytes compressed, or as they are if the length is -1.
fn decompressed(index: usize, codec: CompressionType, buffer: &[u8]) -> Result<u64, BadMessage> {
    let bad = |reason| BadMessage::Buffer { index, reason };
    let (length, packed) = buffer
        .split_first_chunk::<LENGTH_BYTES>()
        .ok_or_else(|| bad("is shorter than the length before it"))?;
    let length = match i64::from_le_bytes(*length) {
        -1 => return Ok(packed.len() as u64),
        length => u64::try_from(length).map_err(|_| bad("has a negative length"))?,
    };
    if codec == CompressionType::LZ4_FRAME && length > 0 {
        let found = lz4::frame_bytes(packed).ok_or_else(|| bad("is no whole LZ4 frame"))?;
        if found != length {
            return Err(bad("does not hold as many bytes as the length before it says"));
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
