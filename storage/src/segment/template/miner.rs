//! Finds the templates of a segment, row group by row group.
//!
//! ```text
//!   messages of a row group ─► masks, each with its number of rows and its slots
//!                                │ the most frequent first
//!        fits a template ────────┤  same words, but where the template has a slot:   it is of that template
//!        frequent ───────────────┤                                                   a template of its own
//!        like a loose template ──┤  half of the words the same:                      the others become slots
//!        otherwise ──────────────┘                                                   a loose template of its own
//! ```
//!
//! Words with digits are what varies most in logs, and masks are free of them; what else varies (names, methods, words)
//! makes masks that are rare one by one, which become one template here. Masks that tell lengths come first, and those that
//! are not worth it or for which there is no room do without (`masks.rs`). The same rows give the same templates. What does
//! not fit into the limits belongs to template 0, of which nothing is known.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::mask::{Masked, Slot, is_slot, is_word};
use super::masks::Masks;
use super::{Part, Template};
use crate::segment::seeded::Seeded;

/// Templates of a segment.
pub(super) const TEMPLATES_MAX: usize = 1 << 12;
/// With so many templates or more, new ones tell no lengths.
const LENGTHS_TEMPLATES_MAX: usize = TEMPLATES_MAX / 2;

/// Loose templates of one shape; a rare mask of this shape that is like none of them joins the nearest.
const LOOSE_MAX: usize = 64;

/// The template of rows of which nothing is known.
pub(in crate::segment) const UNKNOWN: u16 = 0;

/// A template that may still change.
#[derive(Debug)]
struct Draft {
    /// What stands between the words: the mask, with a slot for each word. Shapes of other lengths are others.
    shape: Box<[u8]>,
    words: Vec<Part>,
    /// Whether it takes masks in that are only like it.
    is_loose: bool,
    /// Whether it was made for what is left of masks with lengths.
    is_rest: bool,
}

/// The templates of a segment so far.
#[derive(Debug)]
pub(in crate::segment) struct Miner {
    /// Those of the row group at hand.
    masks: Masks,
    /// All but template 0: the first one is template 1.
    drafts: Vec<Draft>,
    /// Templates by their shapes.
    shapes: HashMap<Box<[u8]>, Vec<u16>, Seeded>,
    masked: Masked,
}

/// The templates of a row group's masks.
#[derive(Debug)]
pub(in crate::segment) struct MaskTemplates(Vec<Option<u16>>);

impl MaskTemplates {
    /// The template of a mask, as [`Miner::add`] returned it.
    pub(in crate::segment) fn get(&self, mask: Option<u32>) -> u16 {
        mask.and_then(|number| *self.0.get(number as usize)?).unwrap_or(UNKNOWN)
    }
}

impl Miner {
    /// No templates yet.
    pub(super) fn new(seeded: Seeded) -> Self {
        let shapes = HashMap::with_hasher(seeded);
        Self { masks: Masks::new(seeded), drafts: Vec::new(), shapes, masked: Masked::default() }
    }

    /// Adds a message of the row group at hand. Returns the number of its mask; `None` where there are too many.
    pub(in crate::segment) fn add(&mut self, message: &str) -> Option<u32> {
        self.masked.fill(message);
        self.masks.add(&self.masked)
    }

    /// Ends a row group, and finds all of its masks their templates.
    pub(in crate::segment) fn end_row_group(&mut self) -> MaskTemplates {
        for (number, is_frequent) in self.masks.with_lengths() {
            self.settle(number, is_frequent, LENGTHS_TEMPLATES_MAX);
        }
        for (number, is_frequent) in self.masks.without_lengths() {
            self.settle(number, is_frequent, TEMPLATES_MAX);
        }
        MaskTemplates(self.masks.take_templates())
    }

    /// Finds a mask its template, and the template room for what stood in the slots.
    fn settle(&mut self, number: usize, is_frequent: bool, templates_max: usize) {
        let Some(mask) = self.masks.get_mut(number) else { return };
        // Out of the list while its words are borrowed.
        let (text, shape) = (std::mem::take(&mut mask.text), std::mem::take(&mut mask.shape));
        let (slots, is_rest) = (std::mem::take(&mut mask.slots), mask.is_rest);
        let words = words(&text, &slots);
        let known = self.drafts.len();
        let template = self.choose(&shape, &words, is_frequent, templates_max);
        // Only one that was made for this mask.
        for draft in self.drafts.iter_mut().skip(known) {
            draft.is_rest = is_rest;
        }
        let draft = template.and_then(|template| self.drafts.get_mut(usize::from(template).checked_sub(1)?));
        for (own, word) in draft.into_iter().flat_map(|draft| &mut draft.words).zip(words) {
            word.widen(own);
        }
        if let Some(mask) = self.masks.get_mut(number) {
            (mask.slots, mask.template) = (slots, template);
        }
    }

    fn choose(
        &mut self,
        shape: &[u8],
        words: &[Word<'_>],
        is_frequent: bool,
        templates_max: usize,
    ) -> Option<u16> {
        let alike = self.shapes.get(shape).map(Vec::as_slice).unwrap_or_default();
        let drafts = alike
            .iter()
            .filter_map(|number| Some((*number, self.drafts.get(usize::from(*number).checked_sub(1)?)?)));
        let fitting = drafts.clone().filter(|(_, draft)| draft.fits(words));
        if let Some((number, _)) = fitting.min_by_key(|(number, draft)| (draft.slots(), *number)) {
            return Some(number);
        }
        if !is_frequent {
            let loose = drafts.filter(|(_, draft)| draft.is_loose);
            let nearest = loose.clone().map(|(number, draft)| (draft.same(words), Reverse(number))).max();
            if let Some((same, Reverse(number))) = nearest
                && (same * 2 >= words.len() || loose.count() >= LOOSE_MAX)
            {
                return Some(number);
            }
        }
        if self.drafts.len() + 1 >= templates_max {
            return None;
        }
        let number = u16::try_from(self.drafts.len() + 1).ok()?;
        let shape: Box<[u8]> = shape.into();
        self.shapes.entry(shape.clone()).or_default().push(number);
        let words = words.iter().map(|word| word.to_part()).collect();
        self.drafts.push(Draft { shape, words, is_loose: !is_frequent, is_rest: false });
        Some(number)
    }

    fn draft(&self, template: u16) -> Option<&Draft> {
        self.drafts.get(usize::from(template).checked_sub(1)?)
    }

    /// Whether a template says little of its messages.
    pub(super) fn is_loose(&self, template: u16) -> bool {
        self.draft(template).is_none_or(|draft| draft.is_loose)
    }

    /// Whether a template says little of its messages, or nothing of lengths that others tell: most searches, or most for
    /// numbers, will have to read them, and so they lie together.
    pub(in crate::segment) fn comes_last(&self, template: u16) -> bool {
        self.is_loose(template) || self.draft(template).is_some_and(|draft| draft.is_rest)
    }

    /// Words that every message of a template holds, now and in all row groups to come. Those of a loose template may still
    /// become slots, so it tells none.
    pub(in crate::segment) fn told_words(&self, template: u16) -> impl Iterator<Item = &[u8]> {
        let words =
            self.draft(template).filter(|draft| !draft.is_loose).map_or(&[] as &[Part], |draft| &draft.words);
        words.iter().filter_map(|word| match word {
            Part::Text(text) => Some(&**text),
            Part::Slot(_) => None,
        })
    }

    /// All templates.
    pub(super) fn finish(self) -> Vec<Template> {
        let unknown = Template::unknown();
        std::iter::once(unknown).chain(self.drafts.into_iter().map(Draft::finish)).collect()
    }
}

impl Draft {
    fn slots(&self) -> usize {
        self.words.iter().filter(|word| matches!(word, Part::Slot(_))).count()
    }

    /// Whether a text of these words is of this template as it is, but for what its slots hold.
    fn fits(&self, words: &[Word<'_>]) -> bool {
        let fits = |(own, word): (&Part, &Word<'_>)| matches!(own, Part::Slot(_)) || word.is(own);
        self.words.iter().zip(words).all(fits)
    }

    /// How many words are the same; slots are the same as slots.
    fn same(&self, words: &[Word<'_>]) -> usize {
        let is_same = |(own, word): &(&Part, &Word<'_>)| {
            matches!((own, word), (Part::Slot(_), Word::Slot(_))) || word.is(own)
        };
        self.words.iter().zip(words).filter(is_same).count()
    }

    fn finish(self) -> Template {
        let mut words = self.words.into_iter();
        let mut parts: Vec<Part> = Vec::new();
        for piece in self.shape.split_inclusive(|byte| is_slot(*byte)) {
            let (between, has_word) = match piece.split_last() {
                Some((last, between)) if is_slot(*last) => (between, true),
                _ => (piece, false),
            };
            push_text(&mut parts, between);
            match words.next().filter(|_| has_word) {
                Some(Part::Text(text)) => push_text(&mut parts, &text),
                Some(slot) => parts.push(slot),
                None => {}
            }
        }
        Template::new(parts)
    }
}

fn push_text(parts: &mut Vec<Part>, text: &[u8]) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(last)) => *last = [last, text].concat().into(),
        _ => parts.push(Part::Text(text.into())),
    }
}

/// A word of a mask.
#[derive(Clone, Copy, Debug)]
enum Word<'a> {
    Text(&'a [u8]),
    Slot(Slot),
}

impl Word<'_> {
    /// Whether a template has the same in its place.
    fn is(&self, part: &Part) -> bool {
        match (self, part) {
            (Self::Text(word), Part::Text(text)) => **word == **text,
            (Self::Slot(word), Part::Slot(slot)) => word == slot,
            _ => false,
        }
    }

    fn to_part(self) -> Part {
        match self {
            Self::Text(text) => Part::Text(text.into()),
            Self::Slot(slot) => Part::Slot(slot),
        }
    }

    /// Makes room for it in a template.
    fn widen(&self, part: &mut Part) {
        if self.is(part) {
            return;
        }
        let own = match part {
            Part::Text(text) => Slot::of(text),
            Part::Slot(slot) => *slot,
        };
        let other = match self {
            Self::Text(text) => Slot::of(text),
            Self::Slot(slot) => *slot,
        };
        *part = Part::Slot(own.union(other));
    }
}

/// The words of a mask, of which its shape has a slot each.
fn words<'a>(mask: &'a [u8], slots: &[Slot]) -> Vec<Word<'a>> {
    let mut words = Vec::with_capacity(mask.len() / 4);
    let mut slots = slots.iter();
    let mut rest = mask;
    while let Some((first, after)) = rest.split_first() {
        let length = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
        if is_slot(*first) {
            words.extend(slots.next().map(|slot| Word::Slot(*slot)));
        }
        rest = match rest.split_at_checked(length) {
            Some((word, after)) if length > 0 => {
                words.push(Word::Text(word));
                after
            }
            _ => after,
        };
    }
    words
}
