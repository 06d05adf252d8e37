//! Frequent terms: a dictionary (fst) of their texts, then for each how many rows hold it and in which ranges.
//!
//! ```text
//!   dictionary   kind u8, text  ──►  where the term's ranges begin, behind the dictionary
//!   ranges       rows varint │ ranges varint │ form u8 │ 0: nothing, the term is in all
//!                                                      │ 1: gaps, varints: each one less than the distance to the range before
//!                                                      │ 2: a bit for each range, the lowest of a byte first
//! ```

use bytes::Bytes;
use fst::{Map, MapBuilder};

use super::TermKind;
use super::ranges::RangeSet;
use super::reader::Hits;
use crate::segment::varint::{Input, put, put_len};

/// How ranges are written.
const FORM_ALL: u8 = 0;
const FORM_GAPS: u8 = 1;
const FORM_BITS: u8 = 2;

/// A frequent term.
#[derive(Debug)]
pub(super) struct Frequent {
    /// See [`key`].
    pub(super) key: Vec<u8>,
    /// How many rows hold it.
    pub(super) rows: u64,
    /// The ranges that hold it, ascending.
    pub(super) ranges: Vec<u32>,
}

/// A term as the dictionary has it.
pub(super) fn key(kind: TermKind, lowered: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + lowered.len());
    key.push(kind.code());
    key.extend_from_slice(lowered);
    key
}

/// Dictionary and ranges, and how long the dictionary is. The terms have different keys.
pub(super) fn encode(mut terms: Vec<Frequent>, ranges: u32) -> Result<(Vec<u8>, usize), fst::Error> {
    terms.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    let mut dictionary = MapBuilder::memory();
    let mut postings = Vec::new();
    for term in &terms {
        dictionary.insert(&term.key, u64::try_from(postings.len()).unwrap_or(u64::MAX))?;
        put(&mut postings, term.rows);
        put_len(&mut postings, term.ranges.len());
        put_ranges(&mut postings, &term.ranges, ranges);
    }
    let mut bytes = dictionary.into_inner()?;
    let dictionary_bytes = bytes.len();
    bytes.extend_from_slice(&postings);
    Ok((bytes, dictionary_bytes))
}

fn put_ranges(out: &mut Vec<u8>, held: &[u32], ranges: u32) {
    if u32::try_from(held.len()) == Ok(ranges) {
        out.push(FORM_ALL);
        return;
    }
    let start = out.len();
    out.push(FORM_GAPS);
    let mut due = 0;
    for range in held {
        put(out, u64::from(range - due));
        due = range + 1;
    }
    let bits_bytes = ranges.div_ceil(u8::BITS) as usize;
    if out.len() - start > 1 + bits_bytes {
        out.truncate(start);
        out.push(FORM_BITS);
        let mut bits = vec![0u8; bits_bytes];
        for range in held {
            if let Some(byte) = bits.get_mut((range / u8::BITS) as usize) {
                *byte |= 1 << (range % u8::BITS);
            }
        }
        out.extend_from_slice(&bits);
    }
}

/// The dictionary of one segment.
#[derive(Debug)]
pub(super) struct Dictionary {
    terms: Map<Bytes>,
    postings: Bytes,
    ranges: u32,
}

impl Dictionary {
    /// From the checked bytes of [`encode`]. The error is the reason why they are none.
    pub(super) fn decode(bytes: &Bytes, dictionary_bytes: usize, ranges: u32) -> Result<Self, String> {
        if dictionary_bytes > bytes.len() {
            return Err("the dictionary of the index is longer than its piece".to_owned());
        }
        let terms = Map::new(bytes.slice(..dictionary_bytes)).map_err(|error| error.to_string())?;
        Ok(Self { terms, postings: bytes.slice(dictionary_bytes..), ranges })
    }

    /// What is known of a term; `None` if it is not frequent.
    pub(super) fn lookup(&self, key: &[u8]) -> Result<Option<Hits>, String> {
        let Some(start) = self.terms.get(key) else { return Ok(None) };
        let rest = usize::try_from(start).ok().and_then(|start| self.postings.get(start..));
        let hits =
            rest.ok_or("it begins behind the end").and_then(|rest| read_hits(Input(rest), self.ranges));
        hits.map(Some).map_err(|reason| format!("the ranges of a frequent term: {reason}"))
    }
}

fn read_hits(mut from: Input<'_>, ranges: u32) -> Result<Hits, &'static str> {
    let (rows, count) = (from.number()?, from.number()?);
    let ranges = match from.byte()? {
        FORM_ALL => RangeSet::all(ranges),
        FORM_GAPS => {
            let mut held = RangeSet::none(ranges);
            let mut due = 0u32;
            for _ in 0..count {
                let range = due.checked_add(from.small()?).ok_or("a range is out of range")?;
                held.insert(range);
                due = range.checked_add(1).ok_or("a range is out of range")?;
            }
            held
        }
        FORM_BITS => {
            let mut held = RangeSet::none(ranges);
            let bits = from.take(ranges.div_ceil(u8::BITS) as usize)?;
            for range in 0..ranges {
                let byte = bits.get((range / u8::BITS) as usize);
                if byte.is_some_and(|byte| byte >> (range % u8::BITS) & 1 == 1) {
                    held.insert(range);
                }
            }
            held
        }
        _ => return Err("of an unknown form"),
    };
    if u64::from(ranges.count()) != count {
        return Err("more or fewer than they say");
    }
    Ok(Hits { ranges, rows: Some(rows) })
}
