//! The shapes of masks: what stands between their words. Few, and most messages have one that was there before.
//!
//! ```text
//!   GET /users/17 took=532      mask    GET /users/■ took=③
//!                               shape   ■ /■/■ ■=③          words and slots are alike, but for slots that tell lengths
//!                               plain   ■ /■/■ ■=■
//! ```

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::mask::{SLOT, is_slot};
use super::table::Table;
use crate::segment::seeded::Seeded;

/// What stands between the words of masks.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) text: Box<[u8]>,
    /// The shape without lengths, if this one tells any.
    pub(super) plain: Option<u32>,
    /// The templates that have it, in order.
    pub(super) templates: Vec<u16>,
}

/// Shapes by their numbers.
#[derive(Debug)]
pub(super) struct Shapes {
    seed: u64,
    table: Table,
    shapes: Vec<Shape>,
}

impl Shapes {
    /// Without shapes.
    pub(super) fn new(seeded: Seeded) -> Self {
        let Seeded(seed) = seeded;
        Self { seed, table: Table::default(), shapes: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.shapes.len()
    }

    pub(super) fn get(&self, number: u32) -> Option<&Shape> {
        self.shapes.get(number as usize)
    }

    /// Notes that a template has a shape.
    pub(super) fn push_template(&mut self, number: u32, template: u16) {
        if let Some(shape) = self.shapes.get_mut(number as usize) {
            shape.templates.push(template);
        }
    }

    /// The number of a shape, which is added if it is new. It is found faster if it is the guess.
    pub(super) fn number(&mut self, text: &[u8], has_lengths: bool, guess: Option<u32>) -> u32 {
        let is_it = |number: u32| self.get(number).is_some_and(|shape| *shape.text == *text);
        if let Some(number) = guess.filter(|guess| is_it(*guess)) {
            return number;
        }
        let hash = xxh3_64_with_seed(text, self.seed);
        if let Some(number) = self.table.find(hash, is_it) {
            return number;
        }
        let plain = has_lengths.then(|| {
            let plain = text.iter().map(|byte| if is_slot(*byte) { SLOT } else { *byte });
            self.number(&plain.collect::<Vec<u8>>(), false, None)
        });
        let number = u32::try_from(self.shapes.len()).unwrap_or(u32::MAX);
        self.shapes.push(Shape { text: text.into(), plain, templates: Vec::new() });
        self.table.insert(hash, number);
        number
    }

    /// Forgets all shapes but these, and gives them new numbers. Of the templates it forgets all.
    pub(super) fn retain<'n>(&mut self, used: impl Iterator<Item = &'n mut u32>) {
        let before = std::mem::replace(self, Self::new(Seeded(self.seed)));
        for number in used {
            if let Some(shape) = before.get(*number) {
                *number = self.number(&shape.text, shape.plain.is_some(), None);
            }
        }
    }
}
