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
//! makes masks that are rare one by one, which become one template here. The same rows give the same templates. What
//! does not fit into the limits belongs to template 0, of which nothing is known.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::mask::{Masked, SLOT, Slot, is_word};
use super::{Part, Template};
use crate::segment::seeded::Seeded;

/// Masks that are told apart in a segment.
const MASKS_MAX: usize = 1 << 16;
/// Templates of a segment.
pub(super) const TEMPLATES_MAX: usize = 1 << 12;
/// A mask is frequent if it is one of at most so many rows of a row group.
const FREQUENT_SHARE: u64 = 4_096;
/// Masks of fewer rows than this are never frequent.
const FREQUENT_ROWS_MIN: u64 = 8;

/// Loose templates of one shape; a rare mask of this shape that is like none of them joins the nearest.
const LOOSE_MAX: usize = 64;

/// The template of rows of which nothing is known.
pub(in crate::segment) const UNKNOWN: u16 = 0;

/// A mask that was seen.
#[derive(Debug)]
struct Mask {
    text: Box<[u8]>,
    /// What stood in its slots so far.
    slots: Vec<Slot>,
    /// Whether its template has room for all of them.
    fits: bool,
    /// Rows of the row group at hand.
    rows: u64,
    template: Option<u16>,
}

/// A template that may still change.
#[derive(Debug)]
struct Draft {
    /// What stands between the words: the mask, with a slot for each word.
    shape: Box<[u8]>,
    words: Vec<Part>,
    /// Whether it takes masks in that are only like it.
    is_loose: bool,
}

/// The templates of a segment so far.
#[derive(Debug)]
pub(in crate::segment) struct Miner {
    masks: Vec<Mask>,
    numbers: HashMap<Box<[u8]>, u32, Seeded>,
    /// All but template 0: the first one is template 1.
    drafts: Vec<Draft>,
    /// Templates by their shapes.
    shapes: HashMap<Box<[u8]>, Vec<u16>, Seeded>,
    /// Masks of the row group at hand.
    used: Vec<u32>,
    masked: Masked,
}

impl Miner {
    /// No templates yet.
    pub(super) fn new(seeded: Seeded) -> Self {
        let masked = Masked::default();
        let (masks, drafts, used) = (Vec::new(), Vec::new(), Vec::new());
        let (numbers, shapes) = (HashMap::with_hasher(seeded), HashMap::with_hasher(seeded));
        Self { masks, numbers, drafts, shapes, used, masked }
    }

    /// Adds a message of the row group at hand. Returns the number of its mask; `None` where there are too many.
    pub(in crate::segment) fn add(&mut self, message: &str) -> Option<u32> {
        self.masked.fill(message);
        let number = match self.numbers.get(self.masked.text.as_slice()) {
            Some(number) => *number,
            None => self.new_mask()?,
        };
        let mask = self.masks.get_mut(number as usize)?;
        for (known, slot) in mask.slots.iter_mut().zip(&self.masked.slots) {
            let wide = known.union(*slot);
            mask.fits &= wide == *known;
            *known = wide;
        }
        if mask.rows == 0 {
            self.used.push(number);
        }
        mask.rows += 1;
        Some(number)
    }

    fn new_mask(&mut self) -> Option<u32> {
        let number = u32::try_from(self.masks.len()).ok().filter(|_| self.masks.len() < MASKS_MAX)?;
        let text: Box<[u8]> = self.masked.text.as_slice().into();
        self.numbers.insert(text.clone(), number);
        self.masks.push(Mask {
            text,
            slots: self.masked.slots.clone(),
            fits: false,
            rows: 0,
            template: None,
        });
        Some(number)
    }

    /// Ends a row group: from now on [`Self::template`] knows all masks that were added.
    pub(in crate::segment) fn end_row_group(&mut self) {
        let mut used = std::mem::take(&mut self.used);
        let rows_of = |number: &u32| self.masks.get(*number as usize).map_or(0, |mask| mask.rows);
        let rows: u64 = used.iter().map(rows_of).sum();
        let frequent = (rows / FREQUENT_SHARE).max(FREQUENT_ROWS_MIN);
        used.sort_by_key(|number| (Reverse(rows_of(number)), *number));
        for number in &used {
            self.settle(*number, frequent);
        }
        used.clear();
        self.used = used;
    }

    /// Finds a mask its template, and the template room for what stood in the slots.
    fn settle(&mut self, number: u32, frequent: u64) {
        let Some(mask) = self.masks.get_mut(number as usize) else { return };
        let is_frequent = std::mem::take(&mut mask.rows) >= frequent;
        // Whatever else widened the template since, it never became narrower.
        if std::mem::replace(&mut mask.fits, true) {
            return;
        }
        // Out of the list while its words are borrowed.
        let (text, slots, known) =
            (std::mem::take(&mut mask.text), std::mem::take(&mut mask.slots), mask.template);
        let (shape, words) = split(&text, &slots);
        let template = known.unwrap_or_else(|| self.choose(&shape, &words, is_frequent));
        if let Some(draft) = self.draft_mut(template) {
            for (own, word) in draft.words.iter_mut().zip(words) {
                word.widen(own);
            }
        }
        if let Some(mask) = self.masks.get_mut(number as usize) {
            (mask.text, mask.slots, mask.template) = (text, slots, Some(template));
        }
    }

    fn draft_mut(&mut self, template: u16) -> Option<&mut Draft> {
        self.drafts.get_mut(usize::from(template).checked_sub(1)?)
    }

    fn choose(&mut self, shape: &[u8], words: &[Word<'_>], is_frequent: bool) -> u16 {
        let alike = self.shapes.get(shape).map(Vec::as_slice).unwrap_or_default();
        let drafts = alike
            .iter()
            .filter_map(|number| Some((*number, self.drafts.get(usize::from(*number).checked_sub(1)?)?)));
        let fitting = drafts.clone().filter(|(_, draft)| draft.fits(words));
        if let Some((number, _)) = fitting.min_by_key(|(number, draft)| (draft.slots(), *number)) {
            return number;
        }
        if !is_frequent {
            let loose = drafts.filter(|(_, draft)| draft.is_loose);
            let nearest = loose.clone().map(|(number, draft)| (draft.same(words), Reverse(number))).max();
            if let Some((same, Reverse(number))) = nearest
                && (same * 2 >= words.len() || loose.count() >= LOOSE_MAX)
            {
                return number;
            }
        }
        self.new_draft(shape, words, !is_frequent)
    }

    fn new_draft(&mut self, shape: &[u8], words: &[Word<'_>], is_loose: bool) -> u16 {
        let number =
            u16::try_from(self.drafts.len() + 1).ok().filter(|number| usize::from(*number) < TEMPLATES_MAX);
        let Some(number) = number else { return UNKNOWN };
        let shape: Box<[u8]> = shape.into();
        self.shapes.entry(shape.clone()).or_default().push(number);
        self.drafts.push(Draft { shape, words: words.iter().map(|word| word.to_part()).collect(), is_loose });
        number
    }

    /// The template of a mask; of a row group that has ended.
    pub(in crate::segment) fn template(&self, mask: Option<u32>) -> u16 {
        let mask = mask.and_then(|number| self.masks.get(number as usize));
        mask.and_then(|mask| mask.template).unwrap_or(UNKNOWN)
    }

    /// Whether a template says little of its messages: most searches will have to read them.
    pub(in crate::segment) fn is_loose(&self, template: u16) -> bool {
        let draft = usize::from(template).checked_sub(1).and_then(|place| self.drafts.get(place));
        draft.is_none_or(|draft| draft.is_loose)
    }

    /// Words that every message of a template holds, now and in all row groups to come. Those of a loose template may still
    /// become slots, so it tells none.
    pub(in crate::segment) fn told_words(&self, template: u16) -> impl Iterator<Item = &[u8]> {
        let draft = usize::from(template).checked_sub(1).and_then(|place| self.drafts.get(place));
        let words = draft.filter(|draft| !draft.is_loose).map_or(&[] as &[Part], |draft| &draft.words);
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
        for piece in self.shape.split_inclusive(|byte| *byte == SLOT) {
            let (between, has_word) = match piece.split_last() {
                Some((&SLOT, between)) => (between, true),
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

/// Shape and words of a mask.
fn split<'a>(mask: &'a [u8], slots: &[Slot]) -> (Vec<u8>, Vec<Word<'a>>) {
    let (mut shape, mut words) = (Vec::with_capacity(mask.len()), Vec::with_capacity(mask.len() / 4));
    let mut slots = slots.iter();
    let mut rest = mask;
    while let Some((first, after)) = rest.split_first() {
        if *first == SLOT {
            words.extend(slots.next().map(|slot| Word::Slot(*slot)));
            shape.push(SLOT);
            rest = after;
        } else if is_word(*first) {
            let end = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            words.push(Word::Text(word));
            shape.push(SLOT);
            rest = after;
        } else {
            shape.push(*first);
            rest = after;
        }
    }
    (shape, words)
}
