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
    pub(super) range: u32,
}

/// Encodes all entries. Blocks with more than 65,535 entries cannot come about: hashes spread evenly, and equal ones
/// have at most 8 ranges.
pub(super) fn encode(mut entries: Vec<Entry>, ranges: u32) -> (Vec<u8>, Vec<Block>) {
    let total = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    let blocks = usize::try_from(total.div_ceil(BLOCK_ENTRIES)).unwrap_or(usize::MAX);
    let of = |entry: &Entry| block_of(entry.hash, blocks);
    entries.sort_unstable_by_key(|entry| (of(entry), fingerprint(entry.hash), entry.range));
    let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(blocks));
    let mut rest = entries.as_slice();
    for block in 0..blocks {
        let (mine, after) = rest.split_at(rest.partition_point(|entry| of(entry) <= block));
        let encoded = encode_block(mine, ranges);
        bytes.extend_from_slice(&encoded);
        ends.push(Block {
            end: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            checksum: crc32c::crc32c(&encoded),
        });
        rest = after;
    }
    (bytes, ends)
}

/// The entries are sorted.
fn encode_block(entries: &[Entry], ranges: u32) -> Vec<u8> {
    let mut out = BitWriter::default();
    out.put(u32::from(u16::try_from(entries.len()).unwrap_or(u16::MAX)), COUNT_BITS);
    let width = width_of(ranges.saturating_sub(1));
    let mut before = 0;
    for entry in entries.iter().take(usize::from(u16::MAX)) {
        let found = u32::from(fingerprint(entry.hash));
        out.put_rice(found - before, GAP_BITS);
        out.put(entry.range, width);
        before = found;
    }
    out.finish()
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
