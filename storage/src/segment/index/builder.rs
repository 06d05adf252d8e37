//! Collects the terms of a segment while it is written, range by range, and encodes its index.
//!
//! ```text
//!   message ─┬─ words with digits ────────────► terms of the range, each with its text and rows     cleared for the next range
//!            └─ all others, by their numbers ─► rows of each word (`words.rs`), which become terms of the range as it ends
//!     tokens that their template does not tell ─► grams of the range, which become terms of it in the same way
//!                              │
//!                              ├─ new ───────────► seen: hash ─► the one range
//!                              └─ seen before ───► seen: hash ─► number among the repeated (`repeated.rs`): text, rows, ranges
//!     words of tags ─► their hashes, sorted ─► entries                       never frequent: nobody counts them
//!   finish: repeated in more than 8 ranges ─► frequent;  all others ─► rare blocks
//! ```
//!
//! Nearly all terms are ids that occur once: they cost a slot of the map here, and no text.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::{Array, AsArray, MapArray, RecordBatch, StringArray};

use super::format::{Head, INDEX_FORMAT_VERSION, RANGE_ROWS, RANGES_MAX};
use super::frequent;
use super::grams::GramSet;
use super::rare::RareTerms;
use super::repeated::{GatheredTerms, RepeatedTerms};
use super::seen::{Seen, SeenTerms};
use super::words::WordRows;
use super::{AFTER_KEY, TermKind, is_odd_number, term_hash};
use crate::segment::template::{Miner, Place, Templates, UNKNOWN};
use crate::{Error, IndexMeta, Result, TOKENIZER_VERSION, column, lower_into, tokens};

/// Terms are hashed once; maps take the hash as it is.
#[derive(Debug, Default)]
pub(crate) struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        debug_assert!(false, "only hashes are keys here");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

type ByHash<T> = HashMap<u64, T, BuildHasherDefault<Ready>>;

/// A term in the range at hand. Small, because these are asked for at every word.
#[derive(Debug)]
struct InRange {
    /// Where its length and its key lie in the range's texts.
    key: u32,
    /// A range has no more than fit in.
    rows: u16,
    /// The last row that was counted.
    row: u16,
}

/// Builds the index of one segment.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    seed: u64,
    range: ByHash<InRange>,
    /// Of its terms: four bytes of how long the key is, and the key as the dictionary has it.
    range_texts: Vec<u8>,
    range_rows: u16,
    /// The hashes of terms of tags in the range at hand, as often as they came.
    range_tags: Vec<u64>,
    /// Those of each range before, each once.
    tags: Vec<Box<[u64]>>,
    seen: SeenTerms,
    repeated: RepeatedTerms,
    ranges: u32,
    /// Of tokens that templates do not tell, in the range at hand.
    grams: GramSet,
    /// Words without digits.
    words: WordRows,
    /// The template of the row at hand.
    template: u16,
    lowered: String,
    /// A key and a token.
    tag: String,
    /// There are more ranges or texts than an index can have: the segment gets none.
    overfull: bool,
}

/// An encoded index.
#[derive(Debug)]
pub(crate) struct EncodedIndex {
    /// One behind the other, as they were made: together they are too many to be copied.
    pub(crate) pieces: Vec<Vec<u8>>,
    /// How long they are together.
    pub(crate) bytes: usize,
    /// Where its templates begin, and then its head: what belongs to the segment's tail.
    pub(crate) tail_start: usize,
}

impl EncodedIndex {
    /// Its place in the manifest, if it begins at `offset` of the object.
    pub(crate) fn meta(&self, offset: u64) -> IndexMeta {
        let bytes = u64::try_from(self.bytes).unwrap_or(u64::MAX);
        IndexMeta { offset, bytes, version: INDEX_FORMAT_VERSION }
    }
}

impl IndexBuilder {
    /// An index without rows. The seed has to be random.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            range: ByHash::default(),
            range_texts: Vec::new(),
            range_rows: 0,
            range_tags: Vec::new(),
            tags: Vec::new(),
            seen: SeenTerms::new(),
            repeated: RepeatedTerms::default(),
            ranges: 0,
            grams: GramSet::new(),
            words: WordRows::new(0),
            template: UNKNOWN,
            lowered: String::new(),
            tag: String::new(),
            overfull: false,
        }
    }

    /// Adds the next rows of the row group at hand, in the order of the file, and their templates. `words` says which mask the
    /// message of a row has and where its words with digits stand; nothing if those and the words of the mask are not all
    /// of its tokens.
    pub(in crate::segment) fn add<'w>(
        &mut self,
        rows: &RecordBatch,
        templates: &[u16],
        miner: &Miner,
        words: impl Fn(usize) -> Option<(u32, &'w [Place])>,
    ) -> Result<()> {
        let texts = |name: &'static str| {
            rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>()).ok_or_else(|| {
                Error::InvalidBatch { column: name.to_owned(), reason: "is not text".to_owned() }
            })
        };
        let (messages, traces) = (texts(column::MESSAGE)?, texts(column::TRACE_ID)?);
        let spans = texts(column::SPAN_ID)?;
        if self.words.begin(miner.lexicon()) {
            self.words.begin_template(miner.told_words(self.template));
        }
        let tags = Tags::of(rows)?;
        for (row, template) in (0..rows.num_rows()).zip(templates) {
            if *template != self.template {
                self.template = *template;
                self.words.begin_template(miner.told_words(*template));
            }
            if messages.is_valid(row) {
                match words(row) {
                    Some((mask, places)) => self.add_words(messages.value(row), mask, places, miner),
                    None => self.add_tokens(messages.value(row), miner),
                }
            }
            self.add_value(TermKind::TraceId, traces, row);
            self.add_value(TermKind::SpanId, spans, row);
            for (key, value) in tags.entries(row) {
                self.add_tag(key, value);
            }
            self.range_rows += 1;
            if u64::from(self.range_rows) >= RANGE_ROWS {
                self.end_range(miner);
            }
        }
        Ok(())
    }

    /// Ends a row group: the next row begins a range.
    pub(in crate::segment) fn end_row_group(&mut self, miner: &Miner) {
        if self.range_rows > 0 {
            self.end_range(miner);
        }
    }

    /// Adds the tokens of a message of ASCII.
    fn add_words(&mut self, message: &str, mask: u32, places: &[Place], miner: &Miner) {
        for word in miner.words(mask) {
            self.words.add(word, miner.lexicon(), &mut self.grams);
        }
        self.words.end_row();
        self.lowered(message, |index, lowered| {
            for (start, end) in places {
                let word = lowered.get(usize::from(*start)..usize::from(*end)).unwrap_or_default();
                // No template tells a word with a digit, and the grams of one that was there in this range are known.
                if index.add_term(TermKind::Message, word) {
                    index.grams.add(word);
                }
            }
        });
    }

    fn add_tokens(&mut self, text: &str, miner: &Miner) {
        for token in tokens(text) {
            self.lowered(token.text, |index, lowered| {
                index.add_term(TermKind::Message, lowered);
                if !miner.lexicon().find(lowered).is_some_and(|word| index.words.is_told(word)) {
                    index.grams.add(lowered);
                }
            });
        }
    }

    fn add_tag(&mut self, key: &str, value: &str) {
        let mut term = std::mem::take(&mut self.tag);
        term.clear();
        lower_into(key, &mut term);
        term.push(AFTER_KEY);
        let after_key = term.len();
        for token in tokens(value) {
            lower_into(token.text, &mut term);
            self.range_tags.push(term_hash(self.seed, TermKind::Tag, term.as_bytes()));
            term.truncate(after_key);
        }
        if is_odd_number(value) {
            self.range_tags.push(term_hash(self.seed, TermKind::Tag, term.as_bytes()));
        }
        self.tag = term;
    }

    fn add_value(&mut self, kind: TermKind, values: &StringArray, row: usize) {
        if values.is_valid(row) {
            self.lowered(values.value(row), |index, value| {
                index.add_term(kind, value);
            });
        }
    }

    /// Adds a text by its lower case.
    fn lowered(&mut self, text: &str, add: impl FnOnce(&mut Self, &[u8])) {
        let mut lowered = std::mem::take(&mut self.lowered);
        lowered.clear();
        lower_into(text, &mut lowered);
        add(self, lowered.as_bytes());
        self.lowered = lowered;
    }

    /// Adds a term of the row at hand. Returns whether it is new in this range.
    fn add_term(&mut self, kind: TermKind, lowered: &[u8]) -> bool {
        let row = self.range_rows;
        let Some(known) = self.term_of_range(kind, lowered) else { return false };
        if known.rows > 0 && known.row == row {
            return false;
        }
        known.rows += 1;
        known.row = row;
        known.rows == 1
    }

    /// A term of the range at hand, without rows if it is new.
    fn term_of_range(&mut self, kind: TermKind, lowered: &[u8]) -> Option<&mut InRange> {
        match self.range.entry(term_hash(self.seed, kind, lowered)) {
            Slot::Occupied(known) => Some(known.into_mut()),
            Slot::Vacant(slot) => {
                let (key, length) = (self.range_texts.len(), lowered.len() + 1);
                let (Ok(key), Ok(length)) = (u32::try_from(key), u32::try_from(length)) else {
                    self.overfull = true;
                    return None;
                };
                self.range_texts.extend_from_slice(&length.to_le_bytes());
                self.range_texts.push(kind.code());
                self.range_texts.extend_from_slice(lowered);
                Some(slot.insert(InRange { key, rows: 0, row: 0 }))
            }
        }
    }

    fn end_range(&mut self, miner: &Miner) {
        let mut grams = std::mem::take(&mut self.grams);
        for gram in grams.drain() {
            self.add_term(TermKind::Gram, &gram);
        }
        self.grams = grams;
        for (word, rows) in self.words.end_range() {
            if let Some(term) = self.term_of_range(TermKind::Message, miner.lexicon().text(word)) {
                // Rows whose messages are cut here have counted theirs.
                term.rows = term.rows.saturating_add(rows);
            }
        }
        self.overfull |= self.ranges >= RANGES_MAX;
        if !self.overfull {
            self.range_tags.sort_unstable();
            self.range_tags.dedup();
            self.tags.push(self.range_tags.as_slice().into());
            let terms = std::mem::take(&mut self.range);
            for (hash, term) in &terms {
                self.end_term(*hash, term);
            }
            self.range = terms;
        }
        self.ranges += 1;
        self.range.clear();
        self.range_texts.clear();
        self.range_tags.clear();
        self.range_rows = 0;
    }

    /// Adds a term of the range that ends to those of the ranges before.
    fn end_term(&mut self, hash: u64, term: &InRange) {
        let Ok(here) = u16::try_from(self.ranges) else {
            self.overfull = true;
            return;
        };
        let rows = term.rows;
        let Some(seen) = self.seen.add(hash, Seen::Once { range: here, rows }) else { return };
        let number = match *seen {
            Seen::Repeated(number) => number,
            Seen::Once { range, rows } => {
                let key = key_at(&self.range_texts, term.key).unwrap_or_default();
                let Some(number) = self.repeated.add(key) else {
                    self.overfull = true;
                    return;
                };
                self.repeated.push(number, range, rows);
                *seen = Seen::Repeated(number);
                number
            }
        };
        self.repeated.push(number, here, rows);
    }

    /// The index, or `None` where there is nothing to index or too much.
    pub(crate) fn finish(mut self, templates: &Templates) -> Result<Option<EncodedIndex>> {
        if self.overfull || self.ranges == 0 {
            return Ok(None);
        }
        let repeated = std::mem::take(&mut self.repeated).gather();
        let (rare, frequent) = (self.rare(&repeated), repeated.frequent());
        drop(repeated);
        let Some((mut pieces, blocks)) = rare.encode(self.ranges) else { return Ok(None) };
        let entries_end: usize = pieces.iter().map(Vec::len).sum();
        let (terms, dictionary_bytes) = frequent::encode(frequent, self.ranges).map_err(|error| {
            Error::InvalidBatch { column: column::MESSAGE.to_owned(), reason: error.to_string() }
        })?;
        let templates = templates.encode().unwrap_or_default();
        let tail_start = entries_end + terms.len();
        let lengths = [dictionary_bytes, terms.len(), templates.len(), entries_end].map(u32::try_from);
        let [Ok(dictionary_bytes), Ok(frequent_bytes), Ok(templates_bytes), Ok(_)] = lengths else {
            return Ok(None);
        };
        let head = Head {
            version: INDEX_FORMAT_VERSION,
            tokenizer_version: u32::from(TOKENIZER_VERSION),
            seed: self.seed,
            ranges: self.ranges,
            dictionary_bytes,
            frequent_bytes,
            frequent_checksum: crc32c::crc32c(&terms),
            templates_bytes,
            templates_checksum: crc32c::crc32c(&templates),
            blocks,
        };
        let head = head.encode();
        let bytes = tail_start + templates.len() + head.len();
        pieces.extend([terms, templates, head]);
        Ok(Some(EncodedIndex { pieces, bytes, tail_start }))
    }

    /// All terms that are not frequent. What was known of terms is gone afterwards.
    fn rare(&mut self, repeated: &GatheredTerms) -> RareTerms {
        let tags = std::mem::take(&mut self.tags);
        let seen = std::mem::replace(&mut self.seen, SeenTerms::new());
        let ranges_of = |number| repeated.rare(number).unwrap_or_default();
        let entries_of = |seen| match seen {
            Seen::Once { .. } => 1,
            Seen::Repeated(number) => ranges_of(number).len(),
        };
        let of_tags: usize = tags.iter().map(|hashes| hashes.len()).sum();
        let mut rare = RareTerms::new(of_tags + seen.iter().map(|(_, seen)| entries_of(seen)).sum::<usize>());
        for (range, hashes) in (0..=u16::MAX).zip(tags) {
            hashes.iter().for_each(|hash| rare.add(*hash, range));
        }
        for (hash, seen) in seen.into_iter() {
            match seen {
                Seen::Once { range, .. } => rare.add(hash, range),
                Seen::Repeated(number) => ranges_of(number).iter().for_each(|range| rare.add(hash, *range)),
            }
        }
        rare
    }
}

/// The key of a term of a range, from the range's texts.
fn key_at(texts: &[u8], at: u32) -> Option<&[u8]> {
    let (length, rest) = texts.get(at as usize..)?.split_first_chunk()?;
    rest.get(..u32::from_le_bytes(*length) as usize)
}

/// The tags of rows that have no column of their own.
struct Tags<'a> {
    map: &'a MapArray,
    keys: &'a StringArray,
    values: &'a StringArray,
}

impl<'a> Tags<'a> {
    fn of(rows: &'a RecordBatch) -> Result<Self> {
        let map = rows.column_by_name(column::TAGS).and_then(|tags| tags.as_map_opt());
        let found = map.and_then(|map| {
            let (keys, values) = (map.keys().as_string_opt()?, map.values().as_string_opt()?);
            Some(Self { map, keys, values })
        });
        found.ok_or_else(|| Error::InvalidBatch {
            column: column::TAGS.to_owned(),
            reason: "is no map of texts".to_owned(),
        })
    }

    /// Keys and values of a row, but for values that are NULL.
    fn entries(&self, row: usize) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let (keys, values) = (self.keys, self.values);
        let offset = |at: usize| self.map.value_offsets().get(at).and_then(|at| usize::try_from(*at).ok());
        let entries = offset(row).unwrap_or_default()..offset(row + 1).unwrap_or_default();
        entries.filter(|entry| values.is_valid(*entry)).map(|entry| (keys.value(entry), values.value(entry)))
    }
}
