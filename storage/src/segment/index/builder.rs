//! Collects the terms of a segment while it is written, range by range, and encodes its index.
//!
//! ```text
//!   rows of a range ─► terms of the range, each with its text and rows        cleared for the next range
//!     tokens that their template does not tell ─► grams of the range, which become terms of it as it ends
//!                              │
//!                              ├─ new ───────────► seen: hash ─► the one range
//!                              └─ seen before ───► seen: hash ─► place among the repeated: text, rows, ranges
//!   finish: repeated in more than 8 ranges ─► frequent;  all others ─► rare blocks
//! ```
//!
//! Nearly all terms are ids that occur once: they cost a slot of the map here, and no text.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};

use super::format::{Head, INDEX_FORMAT_VERSION, RANGE_ROWS, RANGES_MAX, RARE_RANGES_MAX};
use super::frequent::{self, Frequent};
use super::grams::GramSet;
use super::rare::{self, Entry};
use super::{TermKind, term_hash};
use crate::segment::template::{Miner, Templates, UNKNOWN};
use crate::{Error, IndexMeta, Result, TOKENIZER_VERSION, column, is_token_byte, lower_into, tokens};

/// Terms are hashed once; maps take the hash as it is.
#[derive(Debug, Default)]
struct Ready(u64);

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

/// [`is_token_byte`] of every byte.
#[expect(
    clippy::indexing_slicing,
    reason = "there is a place for every byte, and it runs when this is compiled"
)]
const IS_TOKEN_BYTE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0u8;
    loop {
        table[byte as usize] = is_token_byte(byte);
        if byte == u8::MAX {
            break;
        }
        byte += 1;
    }
    table
};

type ByHash<T> = HashMap<u64, T, BuildHasherDefault<Ready>>;
type Hashes = HashSet<u64, BuildHasherDefault<Ready>>;

/// A term in the range at hand.
#[derive(Debug)]
struct InRange {
    kind: TermKind,
    /// Where its text lies in the range's texts.
    text: (u32, u32),
    rows: u32,
    /// The last row that was counted.
    row: u32,
}

/// A term of the ranges so far. Small, because there is one for each id of the segment.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// In one range, and in how many of its rows.
    Once { range: u16, rows: u16 },
    /// In more; its place among the repeated terms.
    Repeated(u32),
}

/// A term of more than one range.
#[derive(Debug)]
struct Repeated {
    /// Its key among the texts.
    text: (u32, u32),
    rows: u64,
    /// Ascending. [`RANGES_MAX`] fits in.
    ranges: Vec<u16>,
}

/// Builds the index of one segment.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    seed: u64,
    range: ByHash<InRange>,
    range_texts: Vec<u8>,
    range_rows: u32,
    seen: ByHash<Seen>,
    repeated: Vec<Repeated>,
    /// Keys of the repeated terms.
    texts: Vec<u8>,
    ranges: u32,
    /// Of tokens that templates do not tell, in the range at hand.
    grams: GramSet,
    /// The hashes of the tokens that templates tell, of those that came so far.
    told: HashMap<u16, Hashes>,
    /// The template of the row at hand, and what it tells.
    template: (u16, Hashes),
    lowered: String,
    /// There are more ranges or texts than an index can have: the segment gets none.
    overfull: bool,
}

/// An encoded index.
#[derive(Debug)]
pub(crate) struct EncodedIndex {
    pub(crate) bytes: Vec<u8>,
    /// Where its templates begin, and then its head: what belongs to the segment's tail.
    pub(crate) tail_start: usize,
}

impl EncodedIndex {
    /// Its place in the manifest, if it begins at `offset` of the object.
    pub(crate) fn meta(&self, offset: u64) -> IndexMeta {
        let bytes = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
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
            seen: ByHash::default(),
            repeated: Vec::new(),
            texts: Vec::new(),
            ranges: 0,
            grams: GramSet::new(),
            told: HashMap::new(),
            template: (UNKNOWN, Hashes::default()),
            lowered: String::new(),
            overfull: false,
        }
    }

    /// Adds the next rows of the row group at hand, in the order of the file, and their templates.
    pub(in crate::segment) fn add(
        &mut self,
        rows: &RecordBatch,
        templates: &[u16],
        miner: &Miner,
    ) -> Result<()> {
        let texts = |name: &'static str| {
            rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>()).ok_or_else(|| {
                Error::InvalidBatch { column: name.to_owned(), reason: "is not text".to_owned() }
            })
        };
        let (messages, traces) = (texts(column::MESSAGE)?, texts(column::TRACE_ID)?);
        let spans = texts(column::SPAN_ID)?;
        for (row, template) in (0..rows.num_rows()).zip(templates) {
            if *template != self.template.0 {
                self.begin_template(*template, miner);
            }
            if messages.is_valid(row) {
                self.add_tokens(messages.value(row));
            }
            self.add_value(TermKind::TraceId, traces, row);
            self.add_value(TermKind::SpanId, spans, row);
            self.range_rows += 1;
            if u64::from(self.range_rows) == RANGE_ROWS {
                self.end_range();
            }
        }
        Ok(())
    }

    /// Ends a row group: the next row begins a range.
    pub(crate) fn end_row_group(&mut self) {
        if self.range_rows > 0 {
            self.end_range();
        }
    }

    fn begin_template(&mut self, template: u16, miner: &Miner) {
        let told = self.told.remove(&template).unwrap_or_else(|| {
            let words = miner.told_words(template).map(<[u8]>::to_ascii_lowercase);
            words.map(|word| term_hash(self.seed, TermKind::Message, &word)).collect()
        });
        let (before, of_before) = std::mem::replace(&mut self.template, (template, told));
        self.told.insert(before, of_before);
    }

    fn add_tokens(&mut self, text: &str) {
        if !text.is_ascii() {
            for token in tokens(text) {
                self.lowered(token.text, Self::add_token);
            }
            return;
        }
        // All of the text at once: most of it are tokens, which are short.
        self.lowered(text, |index, bytes| {
            let mut start = None;
            for (at, byte) in bytes.iter().enumerate() {
                if IS_TOKEN_BYTE.get(usize::from(*byte)) == Some(&true) {
                    start = start.or(Some(at));
                } else if let Some(start) = start.take() {
                    index.add_token(bytes.get(start..at).unwrap_or_default());
                }
            }
            if let Some(start) = start {
                index.add_token(bytes.get(start..).unwrap_or_default());
            }
        });
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

    fn add_token(&mut self, lowered: &[u8]) {
        let hash = self.add_term(TermKind::Message, lowered);
        if !self.template.1.contains(&hash) {
            self.grams.add(lowered);
        }
    }

    /// Adds a term of the row at hand. Returns its hash.
    fn add_term(&mut self, kind: TermKind, lowered: &[u8]) -> u64 {
        let hash = term_hash(self.seed, kind, lowered);
        let row = self.range_rows;
        match self.range.entry(hash) {
            Slot::Occupied(known) => {
                let known = known.into_mut();
                if known.row != row {
                    known.rows += 1;
                    known.row = row;
                }
            }
            Slot::Vacant(slot) => {
                let start = u32::try_from(self.range_texts.len());
                self.range_texts.extend_from_slice(lowered);
                match (start, u32::try_from(self.range_texts.len())) {
                    (Ok(start), Ok(end)) => {
                        slot.insert(InRange { kind, text: (start, end), rows: 1, row });
                    }
                    _ => self.overfull = true,
                }
            }
        }
        hash
    }

    fn end_range(&mut self) {
        let mut grams = std::mem::take(&mut self.grams);
        for gram in grams.drain() {
            self.add_term(TermKind::Gram, &gram);
        }
        self.grams = grams;
        self.overfull |= self.ranges >= RANGES_MAX;
        if !self.overfull {
            let terms = std::mem::take(&mut self.range);
            for (hash, term) in &terms {
                self.end_term(*hash, term);
            }
            self.range = terms;
        }
        self.ranges += 1;
        self.range.clear();
        self.range_texts.clear();
        self.range_rows = 0;
    }

    /// Adds a term of the range that ends to those of the ranges before.
    fn end_term(&mut self, hash: u64, term: &InRange) {
        let (Ok(here), Ok(rows)) = (u16::try_from(self.ranges), u16::try_from(term.rows)) else {
            self.overfull = true;
            return;
        };
        let seen = match self.seen.entry(hash) {
            Slot::Vacant(slot) => {
                slot.insert(Seen::Once { range: here, rows });
                return;
            }
            Slot::Occupied(slot) => slot.into_mut(),
        };
        let place = match *seen {
            Seen::Repeated(place) => place,
            Seen::Once { range, rows } => {
                let lowered = self.range_texts.get(term.text.0 as usize..term.text.1 as usize);
                let start = u32::try_from(self.texts.len());
                self.texts.extend_from_slice(&frequent::key(term.kind, lowered.unwrap_or_default()));
                let end = u32::try_from(self.texts.len());
                let (Ok(start), Ok(end), Ok(place)) = (start, end, u32::try_from(self.repeated.len())) else {
                    self.overfull = true;
                    return;
                };
                self.repeated.push(Repeated {
                    text: (start, end),
                    rows: u64::from(rows),
                    ranges: vec![range],
                });
                *seen = Seen::Repeated(place);
                place
            }
        };
        if let Some(term) = self.repeated.get_mut(place as usize) {
            term.rows += u64::from(rows);
            term.ranges.push(here);
        }
    }

    /// The index, or `None` where there is nothing to index or too much.
    pub(crate) fn finish(mut self, templates: &Templates) -> Result<Option<EncodedIndex>> {
        self.end_row_group();
        if self.overfull || self.ranges == 0 {
            return Ok(None);
        }
        let entries = self.rare();
        let frequent = self.frequent();
        let (mut bytes, blocks) = rare::encode(entries, self.ranges);
        let (terms, dictionary_bytes) = frequent::encode(frequent, self.ranges).map_err(|error| {
            Error::InvalidBatch { column: column::MESSAGE.to_owned(), reason: error.to_string() }
        })?;
        let entries_end = bytes.len();
        bytes.extend_from_slice(&terms);
        let tail_start = bytes.len();
        let templates = templates.encode().unwrap_or_default();
        bytes.extend_from_slice(&templates);
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
        bytes.extend_from_slice(&head.encode());
        Ok(Some(EncodedIndex { bytes, tail_start }))
    }

    /// The entries of all terms that are not frequent. The map of terms is gone afterwards.
    fn rare(&mut self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (hash, seen) in std::mem::take(&mut self.seen) {
            match seen {
                Seen::Once { range, .. } => entries.push(Entry { hash, range: u32::from(range) }),
                Seen::Repeated(place) => {
                    let ranges = self.repeated.get(place as usize).map(|term| &term.ranges);
                    let ranges = ranges.filter(|ranges| !is_frequent(ranges)).into_iter().flatten();
                    entries.extend(ranges.map(|range| Entry { hash, range: u32::from(*range) }));
                }
            }
        }
        entries
    }

    fn frequent(&mut self) -> Vec<Frequent> {
        let terms = std::mem::take(&mut self.repeated).into_iter().filter(|term| is_frequent(&term.ranges));
        let frequent = terms.map(|term| {
            let key = self.texts.get(term.text.0 as usize..term.text.1 as usize);
            let ranges = term.ranges.into_iter().map(u32::from).collect();
            Frequent { key: key.unwrap_or_default().to_vec(), rows: term.rows, ranges }
        });
        frequent.collect()
    }
}

fn is_frequent(ranges: &[u16]) -> bool {
    ranges.len() > RARE_RANGES_MAX
}
