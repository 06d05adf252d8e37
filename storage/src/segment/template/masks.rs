//! The masks of a row group, and which of those that tell lengths are worth it.
//!
//! ```text
//!   duration_ms=3 ─ 532 ──┬── 5,210 rows ──► a mask of its own
//!   duration_ms=4 ─ 1250 ─┼── 3,800 rows ──► a mask of its own
//!   duration_ms=1 ─ 7 ────┴──── 12 rows ──┐
//!   duration_ms=6 ─ 532000 ───── 3 rows ──┴► duration_ms=■    the mask without lengths, for what is left
//! ```
//!
//! A mask with lengths is worth it where many rows have its shape: then its lengths vary less than its words, and its
//! template has room for all of them. Whether a mask is frequent depends on the rows of all that are like it but for
//! lengths, so that telling lengths makes no row loose.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::mask::{Masked, Slot, shape};
use crate::segment::seeded::Seeded;

/// Masks that are told apart in a row group.
const MASKS_MAX: usize = 1 << 16;
/// With so many masks or more, new ones tell no lengths.
const LENGTHS_MASKS_MAX: usize = MASKS_MAX / 4 * 3;
/// A mask is frequent if it is one of at most so many rows of a row group.
const FREQUENT_SHARE: u64 = 4_096;
/// Masks of fewer rows than this are never frequent.
const FREQUENT_ROWS_MIN: u64 = 8;

/// A mask of messages of a row group.
#[derive(Debug)]
pub(super) struct Mask {
    pub(super) text: Box<[u8]>,
    /// What stands between its words; see [`shape`].
    pub(super) shape: Box<[u8]>,
    /// What stands in its slots; nothing yet where it has no rows.
    pub(super) slots: Vec<Slot>,
    /// The mask without lengths, if this one tells any.
    plain: Option<u32>,
    /// Its rows.
    rows: u64,
    /// Its rows, and those of all masks that are like it but for lengths.
    total_rows: u64,
    /// Whether it is what is left of masks with lengths.
    pub(super) is_rest: bool,
    pub(super) template: Option<u16>,
}

impl Mask {
    /// Makes room for rows with these slots.
    fn take_in(&mut self, slots: &[Slot], rows: u64) {
        if self.rows == 0 {
            self.slots = slots.to_vec();
        }
        for (known, slot) in self.slots.iter_mut().zip(slots) {
            *known = known.union(*slot);
        }
        self.rows += rows;
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Masks {
    masks: Vec<Mask>,
    numbers: HashMap<Box<[u8]>, u32, Seeded>,
}

impl Masks {
    /// No masks yet.
    pub(super) fn new(seeded: Seeded) -> Self {
        Self { masks: Vec::new(), numbers: HashMap::with_hasher(seeded) }
    }

    /// Adds a message. Returns the number of its mask; `None` where there are too many.
    pub(super) fn add(&mut self, masked: &Masked) -> Option<u32> {
        let number = match self.numbers.get(masked.text.as_slice()) {
            Some(number) => *number,
            None => self.new_mask(masked)?,
        };
        self.masks.get_mut(number as usize)?.take_in(&masked.slots, 1);
        Some(number)
    }

    fn new_mask(&mut self, masked: &Masked) -> Option<u32> {
        if !masked.has_lengths {
            return self.push(masked.text.as_slice().into(), None);
        }
        let plain: Box<[u8]> = masked.plain().into();
        let plain = match self.numbers.get(&plain) {
            Some(number) => *number,
            None => self.push(plain, None)?,
        };
        if self.masks.len() >= LENGTHS_MASKS_MAX {
            return Some(plain);
        }
        self.push(masked.text.as_slice().into(), Some(plain))
    }

    fn push(&mut self, text: Box<[u8]>, plain: Option<u32>) -> Option<u32> {
        let number = u32::try_from(self.masks.len()).ok().filter(|_| self.masks.len() < MASKS_MAX)?;
        self.numbers.insert(text.clone(), number);
        let shape = shape(&text).into();
        self.masks.push(Mask {
            text,
            shape,
            slots: Vec::new(),
            plain,
            rows: 0,
            total_rows: 0,
            is_rest: false,
            template: None,
        });
        Some(number)
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Mask> {
        self.masks.get_mut(number)
    }

    /// From how many rows on a mask is frequent.
    fn frequent(&self) -> u64 {
        let rows: u64 = self.masks.iter().map(|mask| mask.rows).sum();
        (rows / FREQUENT_SHARE).max(FREQUENT_ROWS_MIN)
    }

    /// The numbers of masks that are worth their lengths and whether each is frequent, those of most rows first.
    pub(super) fn with_lengths(&mut self) -> Vec<(usize, bool)> {
        let frequent = self.frequent();
        for number in 0..self.masks.len() {
            let Some(mask) = self.masks.get_mut(number) else { continue };
            mask.total_rows += mask.rows;
            let (rows, Some(plain)) = (mask.rows, mask.plain) else { continue };
            if let Some(plain) = self.masks.get_mut(plain as usize) {
                plain.total_rows += rows;
            }
        }
        let mut rows_of_shapes: HashMap<&[u8], u64, Seeded> = HashMap::with_hasher(*self.numbers.hasher());
        for mask in self.masks.iter().filter(|mask| mask.plain.is_some()) {
            *rows_of_shapes.entry(&mask.shape).or_default() += mask.rows;
        }
        let mut found = Vec::new();
        for (number, mask) in self.masks.iter().enumerate() {
            let Some(plain) = mask.plain.and_then(|plain| self.masks.get(plain as usize)) else { continue };
            if rows_of_shapes.get(&*mask.shape).is_some_and(|rows| *rows >= frequent) {
                found.push((Reverse(mask.rows), number, plain.total_rows >= frequent));
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(_, number, is_frequent)| (number, is_frequent)).collect()
    }

    /// The same of masks without lengths, once rows of masks that found no template are theirs.
    pub(super) fn without_lengths(&mut self) -> Vec<(usize, bool)> {
        let frequent = self.frequent();
        for number in 0..self.masks.len() {
            let Some(mask) = self.masks.get_mut(number) else { continue };
            let Some(plain) = mask.plain.filter(|_| mask.template.is_none()) else { continue };
            let (slots, rows) = (std::mem::take(&mut mask.slots), mask.rows);
            if let Some(plain) = self.masks.get_mut(plain as usize) {
                plain.take_in(&slots, rows);
                plain.is_rest = true;
            }
        }
        let masks = self.masks.iter().enumerate();
        let used = masks.filter(|(_, mask)| mask.plain.is_none() && mask.rows > 0);
        let mut found: Vec<_> = used.map(|(number, mask)| (Reverse(mask.total_rows), number)).collect();
        found.sort_unstable();
        found.into_iter().map(|(Reverse(rows), number)| (number, rows >= frequent)).collect()
    }

    /// Of each mask its template; begins anew.
    pub(super) fn take_templates(&mut self) -> Vec<Option<u16>> {
        self.numbers.clear();
        let masks = std::mem::take(&mut self.masks);
        let template = |mask: &Mask| {
            let plain = || masks.get(mask.plain? as usize)?.template;
            mask.template.or_else(plain)
        };
        masks.iter().map(template).collect()
    }
}
