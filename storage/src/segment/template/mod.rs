//! The templates of a segment's messages: what most of them have in common, and where rows of each lie.
//!
//! ```text
//!   template 7   GET /api/ ■ /users/ ■ finished in ■ ms       constant texts, and slots of which is known
//!                          │         │             │          which bytes and how many stand there
//!                         2 bytes   1 to 6        1 to 5
//!                         v 0-9     0-9           0-9
//!
//!   row group    ├── run ──┼── run ──┼─ run ─┼── …            rows in a row with one source, level and template
//! ```
//!
//! A search is tried on templates before rows: a constant text that holds it answers for all rows of the template, and
//! where neither constants nor slots can hold it, none of these rows is read. Runs are also exact counts of rows by
//! source and level. A template is known to its segment alone, and no query shows it.

mod builder;
mod format;
mod lexicon;
mod mask;
mod masks;
mod miner;
mod names;
mod scan;
mod shapes;
mod stretch;
mod table;

#[cfg(test)]
mod tests;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

pub use mask::{ByteSet, Slot};
pub use stretch::{Stretch, stretches};

pub(super) use builder::TemplatesBuilder;
pub(super) use lexicon::Lexicon;
pub(super) use mask::Place;
pub(super) use miner::{MaskTemplates, Miner, UNKNOWN};
pub(super) use names::Names;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The same bytes in every message.
    Text(Box<[u8]>),
    /// What differs.
    Slot(Slot),
}

/// What all messages of a template are made of: these parts one after the other, and nothing else. It is hashed once, as it is
/// made, and its parts are shared by its copies: conditions look up many templates, and remember them.
#[derive(Clone, Debug, Eq)]
pub struct Template {
    parts: Arc<[Part]>,
    hash: u64,
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.parts == other.parts
    }
}

impl Hash for Template {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Template {
    /// Of these parts in order.
    pub fn new(parts: Vec<Part>) -> Self {
        let mut hasher = Xxh3::new();
        parts.hash(&mut hasher);
        Self { parts: parts.into(), hash: hasher.finish() }
    }

    /// Of messages that may be anything.
    fn unknown() -> Self {
        Self::new(vec![Part::Slot(Slot { bytes: ByteSet::ALL, min: 0, max: u32::MAX })])
    }

    /// Its parts in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
}

/// Rows in a row of a row group that have the same source, level and template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Place in [`Templates::sources`].
    pub source: u32,
    /// Place in [`Templates::levels`].
    pub level: u32,
    /// Place in [`Templates::templates`].
    pub template: u32,
    /// How many, never 0.
    pub rows: u32,
}

/// The templates of a segment and the runs of its row groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates {
    /// All sources, `None` for rows without one; each once.
    pub sources: Vec<Option<Box<str>>>,
    /// All levels, in the same way.
    pub levels: Vec<Option<Box<str>>>,
    /// All templates.
    pub templates: Vec<Template>,
    /// The runs of each row group in the order of its rows, which they add up to.
    pub row_groups: Vec<Vec<Run>>,
}

impl Templates {
    /// Bytes that they take in memory.
    pub fn memory_bytes(&self) -> usize {
        let text = |text: &Option<Box<str>>| {
            size_of::<Option<Box<str>>>() + text.as_ref().map_or(0, |text| text.len())
        };
        let part = |part: &Part| size_of::<Part>() + if let Part::Text(text) = part { text.len() } else { 0 };
        let template =
            |template: &Template| size_of::<Template>() + template.parts.iter().map(part).sum::<usize>();
        self.sources.iter().chain(&self.levels).map(text).sum::<usize>()
            + self.templates.iter().map(template).sum::<usize>()
            + self
                .row_groups
                .iter()
                .map(|runs| size_of::<Vec<Run>>() + size_of_val(runs.as_slice()))
                .sum::<usize>()
    }
}
