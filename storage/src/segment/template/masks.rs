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

use super::mask::{Masked, SLOT_WORD, Slot};
use super::shapes::Shapes;
use super::table::Table;
use crate::segment::seeded::{MIX, Seeded, fold};

/// Masks that are told apart in a row group.
const MASKS_MAX: usize = 1 << 16;
/// With so many masks or more, new ones tell no lengths.
const LENGTHS_MASKS_MAX: usize = MASKS_MAX / 4 * 3;
/// A mask is frequent if it is one of at most so many rows of a row group.
const FREQUENT_SHARE: u64 = 4_096;
/// Masks of fewer rows than this are never frequent.
const FREQUENT_ROWS_MIN: u64 = 8;

/// Some of the words or slots of all masks.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    length: usize,
}

impl Span {
    /// Adds values behind the others.
    fn push<T: Copy>(all: &mut Vec<T>, values: &[T]) -> Self {
        let start = all.len();
        all.extend_from_slice(values);
        Self { start, length: values.len() }
    }

    fn of<T>(self, all: &[T]) -> &[T] {
        all.get(self.start..self.start + self.length).unwrap_or_default()
    }
}

/// A mask of messages of a row group.
#[derive(Debug)]
struct Mask {
    /// What stands between its words, by its number; masks of one shape differ in words.
    shape: u32,
    words: Span,
    /// What stands in its slots; means nothing where it has no rows.
    slots: Span,
    hash: u64,
    /// The mask without lengths, if this one tells any.
    plain: Option<u32>,
    /// Its rows.
    rows: u64,
    /// Its rows, and those of all masks that are like it but for lengths.
    total_rows: u64,
    /// Whether it is what is left of masks with lengths.
    is_rest: bool,
    template: Option<u16>,
}

/// What a mask is, for finding its template.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) shape: u32,
    /// Its words by their numbers, and [`SLOT_WORD`] for each slot.
    pub(super) words: &'a [u32],
    pub(super) slots: &'a [Slot],
    pub(super) is_rest: bool,
}

impl Known<'_> {
    /// Its words in order, and what stands in those that are slots.
    pub(super) fn words_and_slots(&self) -> impl Iterator<Item = (u32, Option<Slot>)> {
        let mut slots = self.slots.iter();
        self.words.iter().map(move |word| {
            let slot = if *word == SLOT_WORD { slots.next() } else { None };
            (*word, slot.copied())
        })
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Masks {
    seed: u64,
    masks: Vec<Mask>,
    table: Table,
    words: Vec<u32>,
    slots: Vec<Slot>,
    /// That of the message that was added last.
    last: u32,
    /// Whether the one before had it too. Then rows lie in runs, and the next one most likely has it as well.
    is_repeated: bool,
}

impl Masks {
    /// No masks yet.
    pub(super) fn new(seeded: Seeded) -> Self {
        let Seeded(seed) = seeded;
        let (words, slots) = (Vec::new(), Vec::new());
        Self { seed, masks: Vec::new(), table: Table::default(), words, slots, last: 0, is_repeated: false }
    }

    /// Begins a row group.
    pub(super) fn clear(&mut self) {
        self.masks.clear();
        self.table.clear();
        self.words.clear();
        self.slots.clear();
    }

    /// Adds a message. Returns the number of its mask; `None` where there are too many.
    pub(super) fn add(&mut self, masked: &Masked, shapes: &mut Shapes) -> Option<u32> {
        let guess = self.masks.get(self.last as usize).map(|mask| mask.shape);
        let shape = shapes.number(&masked.shape, masked.has_lengths, guess);
        self.is_repeated = self.is(self.last, shape, &masked.words);
        if !self.is_repeated {
            let hash = self.hash(shape, &masked.words);
            self.last = match self.find(hash, shape, &masked.words) {
                Some(number) => number,
                None => self.new_mask(hash, shape, masked, shapes)?,
            };
        }
        self.take_in(self.last, &masked.slots);
        Some(self.last)
    }

    /// Whether the last two messages had the same mask.
    pub(super) fn is_repeated(&self) -> bool {
        self.is_repeated
    }

    /// Whether a mask is this one.
    fn is(&self, number: u32, shape: u32, words: &[u32]) -> bool {
        let mask = self.masks.get(number as usize);
        mask.is_some_and(|mask| mask.shape == shape && mask.words.of(&self.words) == words)
    }

    fn hash(&self, shape: u32, words: &[u32]) -> u64 {
        let first = fold(self.seed ^ u64::from(shape), MIX);
        words.chunks(2).fold(first, |hash, pair| {
            let pair = pair.iter().fold(0, |pair, word| pair << 32 | u64::from(*word));
            fold(hash ^ pair, MIX)
        })
    }

    fn find(&self, hash: u64, shape: u32, words: &[u32]) -> Option<u32> {
        self.table.find(hash, |number| {
            let is_near = self.masks.get(number as usize).is_some_and(|mask| mask.hash == hash);
            is_near && self.is(number, shape, words)
        })
    }

    fn new_mask(&mut self, hash: u64, shape: u32, masked: &Masked, shapes: &Shapes) -> Option<u32> {
        let Some(plain_shape) = shapes.get(shape).and_then(|shape| shape.plain) else {
            return self.push(hash, shape, masked, None);
        };
        let plain_hash = self.hash(plain_shape, &masked.words);
        let plain = match self.find(plain_hash, plain_shape, &masked.words) {
            Some(number) => number,
            None => self.push(plain_hash, plain_shape, masked, None)?,
        };
        if self.masks.len() >= LENGTHS_MASKS_MAX {
            return Some(plain);
        }
        self.push(hash, shape, masked, Some(plain))
    }

    fn push(&mut self, hash: u64, shape: u32, masked: &Masked, plain: Option<u32>) -> Option<u32> {
        let number = u32::try_from(self.masks.len()).ok().filter(|_| self.masks.len() < MASKS_MAX)?;
        self.table.insert(hash, number);
        self.masks.push(Mask {
            shape,
            words: Span::push(&mut self.words, &masked.words),
            slots: Span::push(&mut self.slots, &masked.slots),
            hash,
            plain,
            rows: 0,
            total_rows: 0,
            is_rest: false,
            template: None,
        });
        Some(number)
    }

    /// Makes room for a row with these slots.
    fn take_in(&mut self, number: u32, slots: &[Slot]) {
        let Some(mask) = self.masks.get_mut(number as usize) else { return };
        let own = self.slots.get_mut(mask.slots.start..mask.slots.start + mask.slots.length);
        widen(own.unwrap_or_default(), slots, mask.rows == 0);
        mask.rows += 1;
    }

    /// What a mask is.
    pub(super) fn get(&self, number: usize) -> Option<Known<'_>> {
        let mask = self.masks.get(number)?;
        let (words, slots) = (mask.words.of(&self.words), mask.slots.of(&self.slots));
        Some(Known { shape: mask.shape, words, slots, is_rest: mask.is_rest })
    }

    /// The words of a mask by their numbers.
    pub(super) fn words(&self, number: u32) -> impl Iterator<Item = u32> {
        let words = self.masks.get(number as usize).map(|mask| mask.words.of(&self.words));
        words.unwrap_or_default().iter().copied().filter(|word| *word != SLOT_WORD)
    }

    /// Says which template a mask has.
    pub(super) fn set_template(&mut self, number: usize, template: Option<u16>) {
        if let Some(mask) = self.masks.get_mut(number) {
            mask.template = template;
        }
    }

    /// From how many rows on a mask is frequent.
    fn frequent(&self) -> u64 {
        let rows: u64 = self.masks.iter().map(|mask| mask.rows).sum();
        (rows / FREQUENT_SHARE).max(FREQUENT_ROWS_MIN)
    }

    /// The numbers of masks that are worth their lengths and whether each is frequent, those of most rows first.
    pub(super) fn with_lengths(&mut self, shapes: &Shapes) -> Vec<(usize, bool)> {
        let frequent = self.frequent();
        let mut rows_of_shapes = vec![0; shapes.len()];
        for number in 0..self.masks.len() {
            let Some(mask) = self.masks.get_mut(number) else { continue };
            mask.total_rows += mask.rows;
            let (rows, shape, Some(plain)) = (mask.rows, mask.shape, mask.plain) else { continue };
            if let Some(plain) = self.masks.get_mut(plain as usize) {
                plain.total_rows += rows;
            }
            if let Some(of_shape) = rows_of_shapes.get_mut(shape as usize) {
                *of_shape += rows;
            }
        }
        let mut found = Vec::new();
        for (number, mask) in self.masks.iter().enumerate() {
            let Some(plain) = mask.plain.and_then(|plain| self.masks.get(plain as usize)) else { continue };
            if rows_of_shapes.get(mask.shape as usize).is_some_and(|rows| *rows >= frequent) {
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
            let Some(mask) = self.masks.get(number) else { continue };
            let Some(plain) = mask.plain.filter(|_| mask.template.is_none()) else { continue };
            let (slots, rows) = (mask.slots, mask.rows);
            let Some(plain) = self.masks.get_mut(plain as usize) else { continue };
            plain.is_rest = true;
            // A mask is added behind the one without lengths, and its slots with it.
            let Some((before, after)) = self.slots.split_at_mut_checked(slots.start) else { continue };
            let own = before.get_mut(plain.slots.start..plain.slots.start + plain.slots.length);
            let slots = after.get(..slots.length).unwrap_or_default();
            widen(own.unwrap_or_default(), slots, plain.rows == 0);
            plain.rows += rows;
        }
        let masks = self.masks.iter().enumerate();
        let used = masks.filter(|(_, mask)| mask.plain.is_none() && mask.rows > 0);
        let mut found: Vec<_> = used.map(|(number, mask)| (Reverse(mask.total_rows), number)).collect();
        found.sort_unstable();
        found.into_iter().map(|(Reverse(rows), number)| (number, rows >= frequent)).collect()
    }

    /// Of each mask its template.
    pub(super) fn templates(&self) -> Vec<Option<u16>> {
        let template = |mask: &Mask| {
            let plain = || self.masks.get(mask.plain? as usize)?.template;
            mask.template.or_else(plain)
        };
        self.masks.iter().map(template).collect()
    }
}

/// Makes room for what stands in other slots; those of nothing yet become the others.
fn widen(own: &mut [Slot], others: &[Slot], is_empty: bool) {
    for (own, other) in own.iter_mut().zip(others) {
        *own = if is_empty { *other } else { own.union(*other) };
    }
}
