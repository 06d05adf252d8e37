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

/// A term in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) hash: u64,
    /// [`super::format::RANGES_MAX`] fits in.
    pub(super) range: u16,
}

impl Entry {
    /// Its place among the entries of its block: the fingerprint above the range.
    fn key(self) -> u32 {
        u32::from(fingerprint(self.hash)) << 16 | u32::from(self.range)
    }
}

/// Encodes all entries; `None` where a block has more than 65,535 of them. That takes dozens of tags' terms in thousands of ranges each
/// whose hashes begin alike: hashes spread evenly, and other terms have at most 8 ranges.
pub(super) fn encode(entries: &[Entry], ranges: u32) -> Option<(Vec<u8>, Vec<Block>)> {
    let total = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    let blocks = usize::try_from(total.div_ceil(BLOCK_ENTRIES)).unwrap_or(usize::MAX);
    let (mut bytes, mut found) = (Vec::new(), Vec::with_capacity(blocks));
    for keys in in_blocks(entries, blocks) {
        let encoded = encode_block(&keys, ranges)?;
        bytes.extend_from_slice(&encoded);
        found.push(Block {
            end: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            checksum: crc32c::crc32c(&encoded),
        });
    }
    Some((bytes, found))
}

/// The keys of each block, sorted. Entries are dealt to their blocks first: to sort all of them at once takes three times as long.
fn in_blocks(entries: &[Entry], blocks: usize) -> impl Iterator<Item = Vec<u32>> {
    let room = usize::try_from(BLOCK_ENTRIES + BLOCK_ENTRIES / 8).unwrap_or(0);
    let mut keys: Vec<Vec<u32>> = (0..blocks).map(|_| Vec::with_capacity(room)).collect();
    for entry in entries {
        if let Some(block) = keys.get_mut(block_of(entry.hash, blocks)) {
            block.push(entry.key());
        }
    }
    keys.into_iter().map(|mut keys| {
        keys.sort_unstable();
        keys
    })
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
