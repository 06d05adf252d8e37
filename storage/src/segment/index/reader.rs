//! Asks an index for a term: which pieces of the object to bring, and what they say.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::format::{GRAMS_SINCE, Head, TAGS_SINCE, block_of};
use super::frequent::Dictionary;
use super::{RangeSet, Term, TermKind, rare};
use crate::segment::template::{Run, Templates};
use crate::{Error, IndexMeta, Result, TOKENIZER_VERSION};

/// Which rows of a segment may hold a term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hits {
    /// The ranges that may.
    pub ranges: RangeSet,
    /// How many rows of the segment do, exactly; `None` where the index does not know.
    pub rows: Option<u64>,
}

/// A part of an index that is read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Piece {
    /// All frequent terms.
    Frequent,
    /// Rare terms whose hashes begin alike.
    Rare(u32),
}

/// The index of one segment: its head, which came with the segment's tail, and the frequent terms once somebody
/// brought them.
#[derive(Debug)]
pub struct TokenIndex {
    object: String,
    start: u64,
    head: Head,
    frequent: OnceLock<Dictionary>,
    /// As they lie in the object, and decoded once somebody asked.
    encoded_templates: Bytes,
    templates: OnceLock<Arc<Templates>>,
}

impl TokenIndex {
    /// The index of an object, from the bytes that end with the index. Fails with [`Error::Corrupt`] if these are
    /// damaged, [`Error::TooNew`] if a newer version wrote it.
    pub fn open(object: &str, meta: &IndexMeta, end: &Bytes) -> Result<Self> {
        if meta.version > super::INDEX_FORMAT_VERSION {
            let supported = super::INDEX_FORMAT_VERSION;
            return Err(Error::TooNew { object: object.to_owned(), found: meta.version, supported });
        }
        let corrupt = |reason| Error::Corrupt { object: object.to_owned(), offset: meta.offset, reason };
        let (head, encoded_templates) = Head::decode(end).map_err(corrupt)?;
        let pieces = u64::from(head.blocks.last().map_or(0, |block| block.end));
        if pieces + u64::from(head.frequent_bytes) + u64::from(head.templates_bytes) > meta.bytes {
            return Err(corrupt("the pieces of the index are longer than the index".to_owned()));
        }
        let (object, start) = (object.to_owned(), meta.offset);
        let (frequent, templates) = (OnceLock::new(), OnceLock::new());
        Ok(Self { object, start, head, frequent, encoded_templates, templates })
    }

    /// How many ranges the segment has.
    pub const fn ranges(&self) -> u32 {
        self.head.ranges
    }

    /// Whether its terms are those of this build's tokenizer; another one's answer nothing.
    pub fn is_usable(&self) -> bool {
        self.head.tokenizer_version == u32::from(TOKENIZER_VERSION)
    }

    /// Whether it has terms of [`super::TermKind::Gram`].
    pub const fn has_grams(&self) -> bool {
        self.head.version >= GRAMS_SINCE
    }

    /// Whether it has terms of [`super::TermKind::Tag`].
    pub const fn has_tags(&self) -> bool {
        self.head.version >= TAGS_SINCE
    }

    /// Bytes that the parsed index takes in memory, its pieces included.
    pub fn memory_bytes(&self) -> usize {
        let frequent = if self.frequent.get().is_some() { self.head.frequent_bytes as usize } else { 0 };
        let templates = self.templates.get().map_or(0, |templates| templates.memory_bytes());
        let blocks = self.head.blocks.len() * size_of::<super::format::Block>();
        size_of::<Self>() + blocks + frequent + self.encoded_templates.len() + templates
    }

    pub(in crate::segment) fn has_decoded_templates(&self) -> bool {
        self.templates.get().is_some()
    }

    /// The templates of the segment's messages, whose row groups have so many rows; `None` where there are none. Fails with
    /// [`Error::Corrupt`] if they are damaged, or of other rows.
    pub(in crate::segment) fn templates(
        &self,
        rows: impl Iterator<Item = u64>,
    ) -> Result<Option<Arc<Templates>>> {
        if self.encoded_templates.is_empty() {
            return Ok(None);
        }
        if let Some(templates) = self.templates.get() {
            return Ok(Some(Arc::clone(templates)));
        }
        let (found, expected) = (crc32c::crc32c(&self.encoded_templates), self.head.templates_checksum);
        if found != expected {
            return Err(self.wrong_templates(&format!("checksum {found:08x}, expected {expected:08x}")));
        }
        let templates = Templates::decode(&self.encoded_templates);
        let templates = Arc::new(templates.map_err(|reason| self.wrong_templates(&reason))?);
        let of_group = |runs: &Vec<Run>| runs.iter().map(|run| u64::from(run.rows)).sum::<u64>();
        if !rows.eq(templates.row_groups.iter().map(of_group)) {
            return Err(self.wrong_templates("they are of other rows"));
        }
        Ok(Some(Arc::clone(self.templates.get_or_init(|| templates))))
    }

    /// The pieces that answer for a term, but for what was brought already.
    pub fn pieces(&self, term: &Term) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if self.head.frequent_bytes > 0 && self.frequent.get().is_none() {
            pieces.push(Piece::Frequent);
        }
        pieces.extend(self.rare_piece(term));
        pieces
    }

    /// Where a piece lies in the object.
    pub fn place(&self, piece: Piece) -> Range<u64> {
        let end = |block: usize| self.head.blocks.get(block).map_or(0, |block| u64::from(block.end));
        let within = match piece {
            Piece::Rare(block) => {
                let block = block as usize;
                block.checked_sub(1).map_or(0, end)..end(block)
            }
            Piece::Frequent => {
                let start = end(self.head.blocks.len().wrapping_sub(1));
                start..start + u64::from(self.head.frequent_bytes)
            }
        };
        self.start + within.start..self.start + within.end
    }

    /// Checks the bytes of a piece; frequent terms are kept.
    pub fn accept(&self, piece: Piece, bytes: &Bytes) -> Result<()> {
        let expected = match piece {
            Piece::Frequent => self.head.frequent_checksum,
            Piece::Rare(block) => self.head.blocks.get(block as usize).map_or(0, |block| block.checksum),
        };
        let found = crc32c::crc32c(bytes);
        if found != expected {
            let reason = format!("checksum {found:08x} of a piece of the index, expected {expected:08x}");
            return Err(self.corrupt(piece, reason));
        }
        if piece == Piece::Frequent && self.frequent.get().is_none() {
            let terms = Dictionary::decode(bytes, self.head.dictionary_bytes as usize, self.head.ranges)
                .map_err(|reason| self.corrupt(piece, reason))?;
            // Somebody else may have been faster, with the same bytes.
            let _ = self.frequent.set(terms);
        }
        Ok(())
    }

    /// What is known of a term, with the accepted bytes of its rare piece (see [`Self::pieces`]).
    pub fn lookup(&self, term: &Term, rare: Option<&Bytes>) -> Result<Hits> {
        if let Some(frequent) = self.frequent.get() {
            let found = frequent.lookup(&term.key());
            if let Some(Hits { ranges, rows }) =
                found.map_err(|reason| self.corrupt(Piece::Frequent, reason))?
            {
                // Of grams only their ranges are counted.
                return Ok(Hits { ranges, rows: rows.filter(|_| term.kind() != TermKind::Gram) });
            }
        }
        let mut ranges = RangeSet::none(self.head.ranges);
        if let (Some(piece), Some(bytes)) = (self.rare_piece(term), rare) {
            rare::lookup(bytes, term.hash(self.head.seed), &mut ranges)
                .map_err(|reason| self.corrupt(piece, reason))?;
        }
        // No entry at all is certain.
        let rows = ranges.is_empty().then_some(0);
        Ok(Hits { ranges, rows })
    }

    fn rare_piece(&self, term: &Term) -> Option<Piece> {
        let blocks = self.head.blocks.len();
        let block = (blocks > 0).then(|| block_of(term.hash(self.head.seed), blocks))?;
        u32::try_from(block).ok().map(Piece::Rare)
    }

    /// The error of templates that cannot be right.
    fn wrong_templates(&self, reason: &str) -> Error {
        let offset = self.place(Piece::Frequent).end;
        Error::Corrupt { object: self.object.clone(), offset, reason: format!("templates: {reason}") }
    }

    fn corrupt(&self, piece: Piece, reason: String) -> Error {
        Error::Corrupt { object: self.object.clone(), offset: self.place(piece).start, reason }
    }
}
