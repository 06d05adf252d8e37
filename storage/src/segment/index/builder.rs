//! Collects the terms of a segment while it is written, range by range, and encodes its index.
//!
//! ```text
//!   rows of a range ─► terms of the range (each once, with its rows) ─► seen (each once, over all ranges)
//!                              cleared for the next range                 └► entries (hash, range)
//!   finish: seen in more than 8 ranges ─► frequent;  the other entries ─► rare blocks
//! ```
//!
//! A text is kept from its second range on, so the ids that occur once cost sixteen bytes here and no text.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::hash::{BuildHasherDefault, Hasher};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};

use super::format::{Head, INDEX_FORMAT_VERSION, RANGE_ROWS, RANGES_MAX, RARE_RANGES_MAX};
use super::frequent::{self, Frequent};
use super::rare::{self, Entry};
use super::{TermKind, term_hash};
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

type ByHash<T> = HashMap<u64, T, BuildHasherDefault<Ready>>;

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

/// A term in the ranges so far.
#[derive(Debug)]
struct Seen {
    rows: u64,
    ranges: u32,
    /// Its key among the texts, from the second range on.
    text: Option<(u32, u32)>,
}

/// Builds the index of one segment.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    seed: u64,
    range: ByHash<InRange>,
    range_texts: Vec<u8>,
    range_rows: u32,
    seen: ByHash<Seen>,
    texts: Vec<u8>,
    entries: Vec<Entry>,
    ranges: u32,
    lowered: String,
    /// There are more ranges or texts than an index can have: the segment gets none.
    overfull: bool,
}

/// An encoded index.
#[derive(Debug)]
pub(crate) struct EncodedIndex {
    pub(crate) bytes: Vec<u8>,
    /// Where its head begins.
    pub(crate) head_start: usize,
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
            texts: Vec::new(),
            entries: Vec::new(),
            ranges: 0,
            lowered: String::new(),
            overfull: false,
        }
    }

    /// Adds the next rows of the row group at hand, in the order of the file.
    pub(crate) fn add(&mut self, rows: &RecordBatch) -> Result<()> {
        let texts = |name: &'static str| {
            rows.column_by_name(name).and_then(|column| column.as_string_opt::<i32>()).ok_or_else(|| {
                Error::InvalidBatch { column: name.to_owned(), reason: "is not text".to_owned() }
            })
        };
        let (messages, traces) = (texts(column::MESSAGE)?, texts(column::TRACE_ID)?);
        let spans = texts(column::SPAN_ID)?;
        for row in 0..rows.num_rows() {
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

    fn add_tokens(&mut self, text: &str) {
        if text.is_ascii() {
            let mut rest = text.as_bytes();
            while let Some(start) = rest.iter().position(|byte| is_token_byte(*byte)) {
                let (_, from) = rest.split_at(start);
                let length = from.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(from.len());
                let (token, after) = from.split_at(length);
                let start = self.range_texts.len();
                self.range_texts.extend(token.iter().map(u8::to_ascii_lowercase));
                self.add_term(TermKind::Message, start);
                rest = after;
            }
            return;
        }
        for token in tokens(text) {
            self.add_lowered(TermKind::Message, token.text);
        }
    }

    fn add_value(&mut self, kind: TermKind, values: &StringArray, row: usize) {
        if values.is_valid(row) {
            self.add_lowered(kind, values.value(row));
        }
    }

    fn add_lowered(&mut self, kind: TermKind, text: &str) {
        self.lowered.clear();
        lower_into(text, &mut self.lowered);
        let start = self.range_texts.len();
        self.range_texts.extend_from_slice(self.lowered.as_bytes());
        self.add_term(kind, start);
    }

    /// Adds the term whose text is the last of the range's texts, and takes the text off again if it is known.
    fn add_term(&mut self, kind: TermKind, start: usize) {
        let end = self.range_texts.len();
        let hash = term_hash(self.seed, kind, self.range_texts.get(start..end).unwrap_or_default());
        let row = self.range_rows;
        match self.range.entry(hash) {
            Slot::Occupied(known) => {
                let known = known.into_mut();
                if known.row != row {
                    known.rows += 1;
                    known.row = row;
                }
                self.range_texts.truncate(start);
            }
            Slot::Vacant(slot) => match (u32::try_from(start), u32::try_from(end)) {
                (Ok(start), Ok(end)) => {
                    slot.insert(InRange { kind, text: (start, end), rows: 1, row });
                }
                _ => self.overfull = true,
            },
        }
    }

    fn end_range(&mut self) {
        if self.ranges >= RANGES_MAX {
            self.overfull = true;
        }
        if !self.overfull {
            self.entries.reserve(self.range.len());
            for (hash, term) in &self.range {
                self.entries.push(Entry { hash: *hash, range: self.ranges });
                let seen = self.seen.entry(*hash).or_insert(Seen { rows: 0, ranges: 0, text: None });
                seen.rows += u64::from(term.rows);
                seen.ranges += 1;
                if seen.ranges == 2 {
                    let text = (term.text.0 as usize, term.text.1 as usize);
                    let lowered = self.range_texts.get(text.0..text.1).unwrap_or_default();
                    let start = u32::try_from(self.texts.len());
                    self.texts.extend_from_slice(&frequent::key(term.kind, lowered));
                    match (start, u32::try_from(self.texts.len())) {
                        (Ok(start), Ok(end)) => seen.text = Some((start, end)),
                        _ => self.overfull = true,
                    }
                }
            }
        }
        self.ranges += 1;
        self.range.clear();
        self.range_texts.clear();
        self.range_rows = 0;
    }

    /// The index, or `None` where there is nothing to index or too much.
    pub(crate) fn finish(mut self) -> Result<Option<EncodedIndex>> {
        self.end_row_group();
        if self.overfull || self.ranges == 0 {
            return Ok(None);
        }
        let frequent = self.take_frequent();
        let (mut bytes, blocks) = rare::encode(std::mem::take(&mut self.entries), self.ranges);
        let (terms, dictionary_bytes) = frequent::encode(frequent, self.ranges).map_err(|error| {
            Error::InvalidBatch { column: column::MESSAGE.to_owned(), reason: error.to_string() }
        })?;
        let entries_end = bytes.len();
        bytes.extend_from_slice(&terms);
        let head_start = bytes.len();
        let (Ok(dictionary_bytes), Ok(frequent_bytes), Ok(_)) =
            (u32::try_from(dictionary_bytes), u32::try_from(terms.len()), u32::try_from(entries_end))
        else {
            return Ok(None);
        };
        let head = Head {
            tokenizer_version: u32::from(TOKENIZER_VERSION),
            seed: self.seed,
            ranges: self.ranges,
            dictionary_bytes,
            frequent_bytes,
            frequent_checksum: crc32c::crc32c(&terms),
            blocks,
        };
        bytes.extend_from_slice(&head.encode());
        Ok(Some(EncodedIndex { bytes, head_start }))
    }

    /// Takes the frequent terms and their entries out.
    fn take_frequent(&mut self) -> Vec<Frequent> {
        let mut frequent = Vec::new();
        let mut place: ByHash<usize> = ByHash::default();
        for (hash, seen) in &self.seen {
            let Some((start, end)) = seen.text.filter(|_| seen.ranges > RARE_RANGES_MAX) else { continue };
            let key = self.texts.get(start as usize..end as usize).unwrap_or_default().to_vec();
            place.insert(*hash, frequent.len());
            frequent.push(Frequent {
                key,
                rows: seen.rows,
                ranges: Vec::with_capacity(seen.ranges as usize),
            });
        }
        // Entries come range by range, so the ranges of a term come in order.
        self.entries.retain(|entry| {
            let term = place.get(&entry.hash).and_then(|place| frequent.get_mut(*place));
            let is_rare = term.is_none();
            if let Some(term) = term {
                term.ranges.push(entry.range);
            }
            is_rare
        });
        frequent
    }
}
