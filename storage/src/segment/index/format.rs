//! Where the pieces of an index lie, and its head.
//!
//! ```text
//!   rare blocks        1,024 entries each on average
//!   frequent terms     a dictionary of texts, then their ranges
//!   templates ┐        of messages, and where their rows lie: see `template/`
//!   head      │        for each block its end and checksum
//!   trailer   ┘        these lie next to the page index, so the request that brings the segment's tail brings them too
//! ```

use bytes::{Buf, BufMut, Bytes};

/// The version of the index format.
pub const INDEX_FORMAT_VERSION: u32 = 4;
/// The oldest version that is read.
const OLDEST_VERSION: u32 = 2;
/// The first version with terms of [`super::TermKind::Gram`].
pub(super) const GRAMS_SINCE: u32 = 3;
/// The first version with terms of [`super::TermKind::Tag`].
pub(super) const TAGS_SINCE: u32 = 4;
/// Rows of a range: those of a full page.
pub const RANGE_ROWS: u64 = 8_192;

/// A term in more ranges than this is frequent.
pub(super) const RARE_RANGES_MAX: usize = 8;
/// Entries of a block on average.
pub(super) const BLOCK_ENTRIES: u64 = 1_024;
/// The most ranges of a segment that is indexed.
pub(super) const RANGES_MAX: u32 = 1 << 16;

/// Length of the head and its checksum, each four bytes.
const TRAILER_BYTES: usize = 8;
/// Version, tokenizer, seed, ranges, dictionary, frequent terms, checksum of these, templates, their checksum, blocks.
const HEAD_FIXED_BYTES: usize = 9 * 4 + 8;
/// End and checksum of a block.
const BLOCK_BYTES: usize = 8;

/// A block of rare terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Where it ends, from the start of the index.
    pub(super) end: u32,
    pub(super) checksum: u32,
}

/// What the head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) version: u32,
    pub(super) tokenizer_version: u32,
    /// Of the hashes.
    pub(super) seed: u64,
    pub(super) ranges: u32,
    /// Bytes of the dictionary of frequent terms.
    pub(super) dictionary_bytes: u32,
    /// Bytes of the dictionary and the ranges of its terms.
    pub(super) frequent_bytes: u32,
    pub(super) frequent_checksum: u32,
    /// Bytes of the templates.
    pub(super) templates_bytes: u32,
    pub(super) templates_checksum: u32,
    pub(super) blocks: Vec<Block>,
}

impl Head {
    /// The head with its trailer.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_FIXED_BYTES + BLOCK_BYTES * self.blocks.len() + TRAILER_BYTES);
        out.put_u32_le(self.version);
        out.put_u32_le(self.tokenizer_version);
        out.put_u64_le(self.seed);
        out.put_u32_le(self.ranges);
        out.put_u32_le(self.dictionary_bytes);
        out.put_u32_le(self.frequent_bytes);
        out.put_u32_le(self.frequent_checksum);
        out.put_u32_le(self.templates_bytes);
        out.put_u32_le(self.templates_checksum);
        out.put_u32_le(u32::try_from(self.blocks.len()).unwrap_or(u32::MAX));
        for block in &self.blocks {
            out.put_u32_le(block.end);
            out.put_u32_le(block.checksum);
        }
        let checksum = crc32c::crc32c(&out);
        out.put_u32_le(u32::try_from(out.len()).unwrap_or(u32::MAX));
        out.put_u32_le(checksum);
        out
    }

    /// The head of an index whose last bytes these are, and its templates, unchecked. The error is the reason.
    pub(super) fn decode(end: &Bytes) -> Result<(Self, Bytes), String> {
        let split = end.len().checked_sub(TRAILER_BYTES).ok_or("an index without a trailer")?;
        let mut trailer = end.slice(split..);
        let (length, expected) = (trailer.get_u32_le() as usize, trailer.get_u32_le());
        let start = split.checked_sub(length).ok_or("the head is longer than the index")?;
        let mut head = end.slice(start..split);
        let found = crc32c::crc32c(&head);
        if found != expected {
            return Err(format!("checksum {found:08x} of the index head, expected {expected:08x}"));
        }
        if head.len() < HEAD_FIXED_BYTES {
            return Err(format!("an index head of {} bytes", head.len()));
        }
        let version = head.get_u32_le();
        if !(OLDEST_VERSION..=INDEX_FORMAT_VERSION).contains(&version) {
            return Err(format!("index format version {version}"));
        }
        let tokenizer_version = head.get_u32_le();
        let seed = head.get_u64_le();
        let ranges = head.get_u32_le();
        let (dictionary_bytes, frequent_bytes) = (head.get_u32_le(), head.get_u32_le());
        let frequent_checksum = head.get_u32_le();
        let (templates_bytes, templates_checksum) = (head.get_u32_le(), head.get_u32_le());
        let count = head.get_u32_le() as usize;
        if count.checked_mul(BLOCK_BYTES) != Some(head.remaining()) {
            return Err(format!("{count} blocks in {} bytes", head.remaining()));
        }
        let mut blocks = Vec::with_capacity(count);
        while head.has_remaining() {
            blocks.push(Block { end: head.get_u32_le(), checksum: head.get_u32_le() });
        }
        if !blocks.is_sorted_by_key(|block| block.end) || dictionary_bytes > frequent_bytes {
            return Err("the pieces of the index are out of order".to_owned());
        }
        if ranges > RANGES_MAX {
            return Err(format!("{ranges} ranges, more than {RANGES_MAX}"));
        }
        let templates_start =
            start.checked_sub(templates_bytes as usize).ok_or("the templates are not in the tail")?;
        let head = Self {
            version,
            tokenizer_version,
            seed,
            ranges,
            dictionary_bytes,
            frequent_bytes,
            frequent_checksum,
            templates_bytes,
            templates_checksum,
            blocks,
        };
        Ok((head, end.slice(templates_start..start)))
    }
}

/// The block of a hash among `blocks`: by its high bits, so that blocks fill evenly.
pub(super) fn block_of(hash: u64, blocks: usize) -> usize {
    let high = hash >> 32;
    usize::try_from((high * u64::try_from(blocks).unwrap_or(0)) >> 32).unwrap_or(0)
}

/// The part of a hash that stands for it in a block. Independent of the bits that choose the block.
pub(super) const fn fingerprint(hash: u64) -> u16 {
    (hash & 0xffff) as u16
}
