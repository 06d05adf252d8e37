//! Blocks of rare terms.
//!
//! ```text
//!   block    entries u16 │ for each: gap to the fingerprint before (Rice) │ range (as many bits as the last range needs)
//! ```
//!
//! Entries are sorted by fingerprint, then range. 1,024 fingerprints of 16 bits lie 64 apart: a gap takes about 7.5 bits.

use super::bits::{BitReader, BitWriter, width_of};
use super::format::{BLOCK_ENTRIES, Block, block_of, fingerprint};
use super::ranges::RangeSet;

/// Divisor of the gaps: 2^5, for gaps around 64.
const GAP_BITS: u32 = 5;
/// Bits of the number of entries.
const COUNT_BITS: u32 = 16;

/// Entries in their blocks: to sort all of them at once takes three times as long, and with their whole hashes they are four times as large.
#[derive(Debug)]
pub(super) struct RareTerms {
    /// Of each block and each entry: its fingerprint above its range.
    keys: Vec<Vec<u32>>,
}

impl RareTerms {
    /// Blocks for so many entries.
    pub(super) fn new(entries: usize) -> Self {
        let total = u64::try_from(entries).unwrap_or(u64::MAX);
        let blocks = usize::try_from(total.div_ceil(BLOCK_ENTRIES)).unwrap_or(usize::MAX);
        let room = usize::try_from(BLOCK_ENTRIES + BLOCK_ENTRIES / 8).unwrap_or(0);
        Self { keys: (0..blocks).map(|_| Vec::with_capacity(room)).collect() }
    }

    /// Adds a term in a range; [`super::format::RANGES_MAX`] fits in.
    pub(super) fn add(&mut self, hash: u64, range: u16) {
        let block = block_of(hash, self.keys.len());
        if let Some(keys) = self.keys.get_mut(block) {
            keys.push(u32::from(fingerprint(hash)) << 16 | u32::from(range));
        }
    }

    /// The bytes of each block; `None` where a block has more than 65,535 entries. That takes dozens of tags' terms in thousands of ranges
    /// each whose hashes begin alike: hashes spread evenly, and other terms have at most 8 ranges.
    pub(super) fn encode(self, ranges: u32) -> Option<(Vec<Vec<u8>>, Vec<Block>)> {
        let (mut pieces, mut blocks) =
            (Vec::with_capacity(self.keys.len()), Vec::with_capacity(self.keys.len()));
        let mut end = 0;
        for mut keys in self.keys {
            keys.sort_unstable();
            let encoded = encode_block(&keys, ranges)?;
            end += encoded.len();
            let checksum = crc32c::crc32c(&encoded);
            blocks.push(Block { end: u32::try_from(end).unwrap_or(u32::MAX), checksum });
            pieces.push(encoded);
        }
        Some((pieces, blocks))
    }
}

/// The keys are sorted. `None` if they are too many.
fn encode_block(keys: &[u32], ranges: u32) -> Option<Vec<u8>> {
    let mut out = BitWriter::default();
    out.put(u32::from(u16::try_from(keys.len()).ok()?), COUNT_BITS);
    let width = width_of(ranges.saturating_sub(1));
    let mut before = 0;
    for key in keys {
        let (found, range) = (key >> 16, key & u32::from(u16::MAX));
        out.put_rice(found - before, GAP_BITS);
        out.put(range, width);
        before = found;
    }
    Some(out.finish())
}

/// Adds the ranges of a hash in its block. The error is the reason why the bytes are no block.
pub(super) fn lookup(block: &[u8], hash: u64, into: &mut RangeSet) -> Result<(), String> {
    let wanted = u32::from(fingerprint(hash));
    let width = width_of(into.len().saturating_sub(1));
    let mut bits = BitReader::new(block);
    let mut found = 0u32;
    for _ in 0..bits.get(COUNT_BITS) {
        found = found.saturating_add(bits.get_rice(GAP_BITS));
        let range = bits.get(width);
        if bits.is_past_end() || range >= into.len() {
            return Err("a block of rare terms ends early".to_owned());
        }
        if found == wanted {
            into.insert(range);
        }
        if found > wanted {
            break;
        }
    }
    Ok(())
}
