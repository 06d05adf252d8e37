//! Slabs: the aligned stretches of a segment that the cache keeps. Pure.
//!
//! ```text
//!   segment   │ slab 0 │ slab 1 │ slab 2 │ slab 3 │ 4  │      64 KiB each, the last one what is left
//!   asked         xxxx      xxxxxxx              xxx
//!   in cache           │ here   │
//!   spans     └───────────── one request ─────────────┘      slabs between two that are missing come along
//! ```
//!
//! A slab has the same place whoever asks, so that questions share what they read although their ranges differ.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// Length of a slab in bytes. On disk one takes this and a header, in steps of 4 KiB.
pub(super) const SLAB_BYTES: u64 = 64 << 10;
/// Two stretches with at most so many bytes between them are brought by one request: these bytes take less time than a request.
const GAP_BYTES_MAX: u64 = 1 << 20;

/// Where a slab of a segment of `size` bytes lies; empty behind the end.
fn place(slab: u32, size: u64) -> Range<u64> {
    let start = (u64::from(slab) * SLAB_BYTES).min(size);
    start..(start + SLAB_BYTES).min(size)
}

/// The slabs of a segment of `size` bytes.
pub(super) fn all(size: u64) -> Range<u32> {
    0..u32::try_from(size.div_ceil(SLAB_BYTES)).unwrap_or(u32::MAX)
}

/// The slabs in which these ranges lie; `None` if a range is none, or does not lie in `size` bytes.
pub(super) fn needed(ranges: &[Range<u64>], size: u64) -> Option<BTreeSet<u32>> {
    let mut slabs = BTreeSet::new();
    for range in ranges {
        if range.start > range.end || range.end > size {
            return None;
        }
        let first = u32::try_from(range.start / SLAB_BYTES).ok()?;
        slabs.extend(first..u32::try_from(range.end.div_ceil(SLAB_BYTES)).ok()?);
    }
    Some(slabs)
}

/// What to ask the store for to have these slabs, in order and apart.
pub(super) fn spans(missing: impl Iterator<Item = u32>, size: u64) -> Vec<Range<u64>> {
    let mut spans: Vec<Range<u64>> = Vec::new();
    for slab in missing {
        let slab = place(slab, size);
        match spans.last_mut() {
            Some(span) if slab.start.saturating_sub(span.end) <= GAP_BYTES_MAX => span.end = slab.end,
            _ => spans.push(slab),
        }
    }
    spans
}

/// The slabs in a span, each in memory of its own: a slice would hold the whole span for as long as it is kept.
pub(super) fn cut(span: &Range<u64>, bytes: &Bytes, size: u64) -> Vec<(u32, Bytes)> {
    let mut slabs = Vec::new();
    for slab in needed(std::slice::from_ref(span), size).unwrap_or_default() {
        slabs.extend(slice(span, bytes, &place(slab, size)).map(|of| (slab, Bytes::copy_from_slice(&of))));
    }
    slabs
}

/// What was brought together for some ranges.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) slabs: BTreeMap<u32, Bytes>,
    pub(super) spans: Vec<(Range<u64>, Bytes)>,
}

impl Brought {
    /// The bytes of a range; `None` where some are not here.
    pub(super) fn get(&self, range: &Range<u64>, size: u64) -> Option<Bytes> {
        let of_span = self.spans.iter().find_map(|(span, bytes)| slice(span, bytes, range));
        if of_span.is_some() {
            return of_span;
        }
        let needed = needed(std::slice::from_ref(range), size)?;
        let mut whole = BytesMut::new();
        for slab in needed {
            let place = place(slab, size);
            let part = range.start.max(place.start)..range.end.min(place.end);
            let of_slab = self.slabs.get(&slab).and_then(|bytes| slice(&place, bytes, &part));
            let of_span = || self.spans.iter().find_map(|(span, bytes)| slice(span, bytes, &part));
            let part_bytes = of_slab.or_else(of_span)?;
            if part == *range {
                return Some(part_bytes);
            }
            whole.extend_from_slice(&part_bytes);
        }
        Some(whole.freeze())
    }
}

/// A part of the bytes that lie at `at`; `None` if it is not all there.
fn slice(at: &Range<u64>, bytes: &Bytes, part: &Range<u64>) -> Option<Bytes> {
    let from = usize::try_from(part.start.checked_sub(at.start)?).ok()?;
    let length = usize::try_from(part.end.checked_sub(part.start)?).ok()?;
    let end = from.checked_add(length).filter(|end| *end <= bytes.len())?;
    Some(bytes.slice(from..end))
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one range is asked for")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn near_slabs_are_asked_for_at_once() {
        let size = 100 * SLAB_BYTES + 5;
        assert_eq!(all(size), 0..101);
        assert_eq!(all(0), 0..0);
        let slab = SLAB_BYTES;
        assert_eq!(spans([0, 1, 17].into_iter(), size), [0..18 * slab]);
        assert_eq!(spans([0, 18, 100].into_iter(), size), [0..slab, 18 * slab..19 * slab, 100 * slab..size]);
        assert_eq!(spans(std::iter::empty(), size), []);
    }

    #[test]
    fn what_lies_outside_is_not_cut_up() {
        assert_eq!(needed(&[5..5, SLAB_BYTES - 1..SLAB_BYTES + 1], 1 << 20), Some(BTreeSet::from([0, 1])));
        assert_eq!(needed(&[0..(1 << 20) + 1], 1 << 20), None);
        let backwards = Range { start: 9, end: 8 };
        assert_eq!(needed(&[backwards], 1 << 20), None);
    }

    proptest! {
        #[test]
        fn ranges_come_out_as_they_lie_in_the_segment(
            size in 1..12 * SLAB_BYTES,
            ranges in proptest::collection::vec((any::<u64>(), any::<u64>()), 1..6),
            cached in proptest::collection::btree_set(0u32..12, 0..12),
        ) {
            let byte = |at: u64| u8::try_from((at ^ (at >> 8) ^ (at >> 16)) & 0xff).unwrap();
            let segment: Bytes = (0..size).map(byte).collect();
            let of = |range: &Range<u64>| {
                segment.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap())
            };
            let ranges: Vec<_> = ranges.into_iter().map(|(a, b)| {
                let (a, b) = (a % (size + 1), b % (size + 1));
                a.min(b)..a.max(b)
            }).collect();
            let needed = needed(&ranges, size).unwrap();
            let mut brought = Brought::default();
            for slab in needed.intersection(&cached) {
                brought.slabs.insert(*slab, of(&place(*slab, size)));
            }
            for span in spans(needed.difference(&cached).copied(), size) {
                let bytes = of(&span);
                for (slab, kept) in cut(&span, &bytes, size) {
                    prop_assert_eq!(kept, of(&place(slab, size)));
                }
                brought.spans.push((span, bytes));
            }
            for range in &ranges {
                prop_assert_eq!(brought.get(range, size), Some(of(range)));
            }
            let all_there = 0..size;
            let is_whole = all(size).all(|slab| {
                let place = place(slab, size);
                brought.slabs.contains_key(&slab)
                    || brought.spans.iter().any(|(span, _)| span.start <= place.start && place.end <= span.end)
            });
            prop_assert_eq!(brought.get(&all_there, size).is_some(), is_whole);
        }
    }
}
