//! How long an LZ4 frame is when it is decompressed, without decompressing it.
//!
//! ```text
//!   magic │ flags │ sizes │ [content size] [dictionary id] │ check │ block … │ 0
//!     4       1       1         8               4              1
//!   block = u32 length (highest bit: stored as it is) │ bytes │ [check, 4]
//!   bytes = (token │ [literals+] │ literals │ offset, 2 │ [match+]) …, the last one without a match
//! ```
//!
//! Every length that the decoder would follow is followed, and nothing is written, so a frame of any length costs only
//! the time to read it.

const MAGIC: u32 = 0x184d_2204;
const HAS_DICTIONARY: u8 = 1;
const HAS_CONTENT_SIZE: u8 = 1 << 3;
const HAS_BLOCK_CHECKS: u8 = 1 << 4;
const STORED: u32 = 1 << 31;
/// Shortest match.
const MATCH_BYTES_MIN: u64 = 4;

/// The bytes of a frame when it is decompressed; `None` for what is no frame, or not a whole one.
pub(super) fn frame_bytes(frame: &[u8]) -> Option<u64> {
    let (magic, rest) = frame.split_first_chunk::<4>()?;
    let ([flags, _sizes], rest) = rest.split_first_chunk::<2>()?;
    if u32::from_le_bytes(*magic) != MAGIC {
        return None;
    }
    let with = |flag: u8, bytes: usize| if flags & flag == 0 { 0 } else { bytes };
    let (_, mut rest) = rest.split_at_checked(with(HAS_CONTENT_SIZE, 8) + with(HAS_DICTIONARY, 4) + 1)?;
    let mut sum: u64 = 0;
    loop {
        let (head, after) = rest.split_first_chunk::<4>()?;
        let head = u32::from_le_bytes(*head);
        if head == 0 {
            return Some(sum);
        }
        let length = usize::try_from(head & !STORED).ok()?;
        let (block, after) = after.split_at_checked(length)?;
        sum = sum.checked_add(if head & STORED == 0 { block_bytes(block)? } else { block.len() as u64 })?;
        (_, rest) = after.split_at_checked(with(HAS_BLOCK_CHECKS, 4))?;
    }
}

fn block_bytes(mut block: &[u8]) -> Option<u64> {
    let mut sum: u64 = 0;
    loop {
        let (token, rest) = block.split_first()?;
        let (literals, rest) = extended(token >> 4, rest)?;
        let (_, rest) = rest.split_at_checked(usize::try_from(literals).ok()?)?;
        sum = sum.checked_add(literals)?;
        if rest.is_empty() {
            return Some(sum);
        }
        let (_, rest) = rest.split_first_chunk::<2>()?;
        let (matched, rest) = extended(token & 15, rest)?;
        sum = sum.checked_add(matched)?.checked_add(MATCH_BYTES_MIN)?;
        block = rest;
    }
}

/// A length: 15 in the token means that bytes follow which are added, up to the first that is not 255.
fn extended(start: u8, mut bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut length = u64::from(start);
    if start < 15 {
        return Some((length, bytes));
    }
    loop {
        let (more, rest) = bytes.split_first()?;
        bytes = rest;
        length += u64::from(*more);
        if *more < u8::MAX {
            return Some((length, bytes));
        }
    }
}
