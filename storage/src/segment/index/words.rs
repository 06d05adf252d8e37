//! The words without digits of the range at hand: how many rows hold each. They are in nearly every message and are few, so they
//! are counted by their numbers; nothing is hashed until the range ends.

use super::grams::GramSet;
use crate::segment::template::Lexicon;

/// Of one word. What is marked with an earlier number than the one at hand does not hold any more.
#[derive(Clone, Copy, Debug, Default)]
struct OfWord {
    /// The range that it was last in.
    range: u32,
    /// Its rows in that range, which has no more than fit in.
    rows: u16,
    /// The last row that was counted.
    row: u32,
    /// The last range that has its grams.
    grams: u32,
    /// The last template that told it.
    template: u64,
}

/// Counts of all words of a lexicon.
#[derive(Debug)]
pub(super) struct WordRows {
    words: Vec<OfWord>,
    generation: u32,
    /// Those of the range at hand.
    of_range: Vec<u32>,
    /// The range, row and template at hand, counted from 1: no word has any of them before it is marked.
    range: u32,
    row: u32,
    template: u64,
}

impl WordRows {
    /// Of a generation of a lexicon, and a template that tells nothing.
    pub(super) fn new(generation: u32) -> Self {
        Self { words: Vec::new(), generation, of_range: Vec::new(), range: 1, row: 1, template: 1 }
    }

    /// Makes room for all words. Returns whether they have other numbers than before; then no range is begun.
    pub(super) fn begin(&mut self, lexicon: &Lexicon) -> bool {
        let is_new = lexicon.generation() != self.generation;
        if is_new {
            *self = Self::new(lexicon.generation());
        }
        self.words.resize(lexicon.len().max(self.words.len()), OfWord::default());
        is_new
    }

    /// The next rows are of a template that tells these words.
    pub(super) fn begin_template(&mut self, told: impl Iterator<Item = u32>) {
        self.template += 1;
        for word in told {
            if let Some(word) = self.words.get_mut(word as usize) {
                word.template = self.template;
            }
        }
    }

    /// Whether the template at hand tells a word.
    pub(super) fn is_told(&self, word: u32) -> bool {
        self.words.get(word as usize).is_some_and(|word| word.template == self.template)
    }

    /// Adds a word in lower case of the row at hand, and its grams, unless the template tells it.
    pub(super) fn add(&mut self, word: u32, lexicon: &Lexicon, grams: &mut GramSet) {
        let Some(own) = self.words.get_mut(word as usize) else { return };
        let (range, row) = (self.range, self.row);
        if own.range != range {
            (own.range, own.rows) = (range, 0);
            self.of_range.push(word);
        }
        if own.row != row {
            own.row = row;
            own.rows += 1;
        }
        if own.grams != range && own.template != self.template {
            own.grams = range;
            grams.add(lexicon.text(word));
        }
    }

    /// The next word is of the next row.
    pub(super) fn end_row(&mut self) {
        self.row += 1;
    }

    /// Ends the range: its words, and how many rows hold each.
    pub(super) fn end_range(&mut self) -> Vec<(u32, u16)> {
        self.range += 1;
        let rows = |word: u32| self.words.get(word as usize).map_or(0, |word| word.rows);
        std::mem::take(&mut self.of_range).into_iter().map(|word| (word, rows(word))).collect()
    }
}
