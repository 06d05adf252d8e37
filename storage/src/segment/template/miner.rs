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

use super::lexicon::Lexicon;
use super::mask::{Masked, Place, SLOT_WORD, Slot, is_slot};
use super::masks::{Known, Masks};
use super::shapes::Shapes;
use super::{Part, Template};
use crate::segment::seeded::Seeded;

/// Templates of a segment.
pub(super) const TEMPLATES_MAX: usize = 1 << 12;
/// With so many templates or more, new ones tell no lengths.
const LENGTHS_TEMPLATES_MAX: usize = TEMPLATES_MAX / 2;

/// Loose templates of one shape; a rare mask of this shape that is like none of them joins the nearest.
const LOOSE_MAX: usize = 64;

/// Words and shapes that are kept from one row group to the next, each; of more, only those of templates.
const KEPT_MAX: usize = 1 << 16;

/// The template of rows of which nothing is known.
pub(in crate::segment) const UNKNOWN: u16 = 0;

/// A template that may still change.
#[derive(Debug)]
struct Draft {
    /// What stands between the words, by its number. Shapes of other lengths are others.
    shape: u32,
    /// As those of a mask, but that any may be slots.
    words: Vec<u32>,
    /// As many as words: what stands there, where that is a slot.
    slots: Vec<Slot>,
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
    /// Whether that has ended.
    has_ended: bool,
    /// All but template 0: the first one is template 1.
    drafts: Vec<Draft>,
    shapes: Shapes,
    lexicon: Lexicon,
    masked: Masked,
    /// Whether `masked` and the message it was made of are all of ASCII, and told in whole.
    is_plain: bool,
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
        Self {
            masks: Masks::new(seeded),
            has_ended: false,
            drafts: Vec::new(),
            shapes: Shapes::new(seeded),
            lexicon: Lexicon::new(seeded),
            masked: Masked::default(),
            is_plain: false,
        }
    }

    /// Adds a message of the row group at hand. Returns the number of its mask; `None` where there are too many.
    pub(in crate::segment) fn add(&mut self, message: &str) -> Option<u32> {
        if std::mem::take(&mut self.has_ended) {
            self.begin_row_group();
        }
        let is_known = self.masked.fill(message, &mut self.lexicon, self.masks.is_repeated());
        self.is_plain = is_known && self.masked.is_whole && message.is_ascii();
        if is_known { self.masks.add(&self.masked, &mut self.shapes) } else { None }
    }

    /// Where all words with digits stand of the message that was added last. `None` unless its tokens are these and the words
    /// of its mask.
    pub(in crate::segment) fn places(&self) -> Option<&[Place]> {
        self.is_plain.then_some(&self.masked.places)
    }

    /// The words of a mask of this row group, each in lower case, those that are there twice twice.
    pub(in crate::segment) fn words(&self, mask: u32) -> impl Iterator<Item = u32> {
        self.masks.words(mask).map(|word| self.lexicon.lowered(word))
    }

    /// The words by their numbers.
    pub(in crate::segment) fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    fn begin_row_group(&mut self) {
        self.masks.clear();
        if self.lexicon.len() > KEPT_MAX {
            let words = self.drafts.iter_mut().flat_map(|draft| &mut draft.words);
            self.lexicon.retain(words.filter(|word| **word != SLOT_WORD));
        }
        if self.shapes.len() > KEPT_MAX {
            self.shapes.retain(self.drafts.iter_mut().map(|draft| &mut draft.shape));
            for (template, draft) in (1..).zip(&self.drafts) {
                self.shapes.push_template(draft.shape, template);
            }
        }
    }

    /// Ends a row group, and finds all of its masks their templates.
    pub(in crate::segment) fn end_row_group(&mut self) -> MaskTemplates {
        for (number, is_frequent) in self.masks.with_lengths(&self.shapes) {
            self.settle(number, is_frequent, LENGTHS_TEMPLATES_MAX);
        }
        for (number, is_frequent) in self.masks.without_lengths() {
            self.settle(number, is_frequent, TEMPLATES_MAX);
        }
        self.has_ended = true;
        MaskTemplates(self.masks.templates())
    }

    /// Finds a mask its template, and the template room for what stood in the slots.
    fn settle(&mut self, number: usize, is_frequent: bool, templates_max: usize) {
        let Some(mask) = self.masks.get(number) else { return };
        let mut template = self.choose(&mask, is_frequent);
        if template.is_none() && self.drafts.len() + 1 < templates_max {
            template = u16::try_from(self.drafts.len() + 1).ok();
            self.drafts.extend(template.map(|_| Draft::new(&mask, !is_frequent)));
            if let Some(template) = template {
                self.shapes.push_template(mask.shape, template);
            }
        } else if let Some(draft) = template.and_then(|template| self.drafts.get_mut(place(template)?)) {
            draft.widen(&mask, &self.lexicon);
        }
        self.masks.set_template(number, template);
    }

    /// A template that is there.
    fn choose(&self, mask: &Known<'_>, is_frequent: bool) -> Option<u16> {
        let alike = self.shapes.get(mask.shape).map_or(&[] as &[u16], |shape| &shape.templates);
        let drafts = alike.iter().filter_map(|number| Some((*number, self.draft(*number)?)));
        let fitting = drafts.clone().filter(|(_, draft)| draft.fits(mask.words));
        if let Some((number, _)) = fitting.min_by_key(|(number, draft)| (draft.slots(), *number)) {
            return Some(number);
        }
        if is_frequent {
            return None;
        }
        let loose = drafts.filter(|(_, draft)| draft.is_loose);
        let nearest = loose.clone().map(|(number, draft)| (draft.same(mask.words), Reverse(number))).max();
        let (same, Reverse(number)) = nearest?;
        (same * 2 >= mask.words.len() || loose.count() >= LOOSE_MAX).then_some(number)
    }

    fn draft(&self, template: u16) -> Option<&Draft> {
        self.drafts.get(place(template)?)
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

    /// Words that every message of a template holds, now and in all row groups to come, in lower case. Those of a loose template
    /// may still become slots, so it tells none.
    pub(in crate::segment) fn told_words(&self, template: u16) -> impl Iterator<Item = u32> {
        let words =
            self.draft(template).filter(|draft| !draft.is_loose).map_or(&[] as &[u32], |draft| &draft.words);
        words.iter().filter(|word| **word != SLOT_WORD).map(|word| self.lexicon.lowered(*word))
    }

    /// All templates.
    pub(super) fn finish(self) -> Vec<Template> {
        let unknown = Template::unknown();
        let shape = |draft: &Draft| self.shapes.get(draft.shape).map_or(&[] as &[u8], |shape| &shape.text);
        let known = self.drafts.iter().map(|draft| draft.finish(shape(draft), &self.lexicon));
        std::iter::once(unknown).chain(known).collect()
    }
}

/// The place of a template among the drafts.
fn place(template: u16) -> Option<usize> {
    usize::from(template).checked_sub(1)
}

impl Draft {
    fn new(mask: &Known<'_>, is_loose: bool) -> Self {
        let slots = mask.words_and_slots().map(|(_, slot)| slot.unwrap_or_default()).collect();
        Self { shape: mask.shape, words: mask.words.to_vec(), slots, is_loose, is_rest: mask.is_rest }
    }

    fn slots(&self) -> usize {
        self.words.iter().filter(|word| **word == SLOT_WORD).count()
    }

    /// Whether a text of these words is of this template as it is, but for what its slots hold.
    fn fits(&self, words: &[u32]) -> bool {
        self.words.iter().zip(words).all(|(own, word)| own == word || *own == SLOT_WORD)
    }

    /// How many words are the same; slots are the same as slots.
    fn same(&self, words: &[u32]) -> usize {
        self.words.iter().zip(words).filter(|(own, word)| own == word).count()
    }

    /// Makes room for the words and slots of a mask of this shape.
    fn widen(&mut self, mask: &Known<'_>, lexicon: &Lexicon) {
        let own = self.words.iter_mut().zip(&mut self.slots);
        for ((own, own_slot), (word, slot)) in own.zip(mask.words_and_slots()) {
            if *own == word && slot.is_none() {
                continue;
            }
            let other = slot.unwrap_or_else(|| Slot::of(lexicon.text(word)));
            let before = if *own == SLOT_WORD { *own_slot } else { Slot::of(lexicon.text(*own)) };
            (*own, *own_slot) = (SLOT_WORD, before.union(other));
        }
    }

    fn finish(&self, shape: &[u8], lexicon: &Lexicon) -> Template {
        let mut words = self.words.iter().zip(&self.slots);
        let mut parts: Vec<Part> = Vec::new();
        for piece in shape.split_inclusive(|byte| is_slot(*byte)) {
            let (between, has_word) = match piece.split_last() {
                Some((last, between)) if is_slot(*last) => (between, true),
                _ => (piece, false),
            };
            push_text(&mut parts, between);
            match words.next().filter(|_| has_word) {
                Some((&SLOT_WORD, slot)) => parts.push(Part::Slot(*slot)),
                Some((word, _)) => push_text(&mut parts, lexicon.text(*word)),
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
