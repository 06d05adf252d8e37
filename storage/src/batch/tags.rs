//! The tags of one row while it is being read: an arena that is reused from row to row.
//!
//! Keys may come in any order and more than once. [`TagSet::settle`] brings them into the form that a batch
//! holds: sorted by bytes and unique, where the values of a repeated key have become one JSON array.

use std::ops::Range;

use super::RowError;

/// Most tag keys of a row.
pub const TAGS_PER_ROW_MAX: usize = 1_024;
/// Longest tag key in bytes.
pub const TAG_KEY_BYTES_MAX: usize = 1_024;
/// Most bytes of keys and values of a row's tags together, and so the longest value.
pub const TAG_VALUE_BYTES_MAX: usize = 16 << 20;

/// Most tags that are taken before repeated keys are joined.
const TAG_ENTRIES_MAX: usize = 4 * TAGS_PER_ROW_MAX;
/// How much of a refused key an error shows.
const KEY_SHOWN_CHARS: usize = 40;
/// The arena is given back to the system after a row that made it larger than this.
const ARENA_KEPT_BYTES_MAX: usize = 1 << 20;

/// The JSON type that a tag's value had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TagKind {
    /// A string.
    String,
    /// A number; the value is its JSON text as given.
    Number,
    /// `true` or `false`.
    Bool,
    /// An array or an empty object; the value is its JSON text.
    Json,
    /// `null`; there is no value.
    Null,
}

impl TagKind {
    /// Its letter in the column `_tag_types`.
    pub const fn letter(self) -> u8 {
        match self {
            Self::String => b's',
            Self::Number => b'n',
            Self::Bool => b'b',
            Self::Json => b'j',
            Self::Null => b'z',
        }
    }

    /// The kind that a letter of `_tag_types` stands for.
    pub const fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b's' => Some(Self::String),
            b'n' => Some(Self::Number),
            b'b' => Some(Self::Bool),
            b'j' => Some(Self::Json),
            b'z' => Some(Self::Null),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
struct Entry {
    key: Range<usize>,
    value: Option<Range<usize>>,
    kind: TagKind,
}

/// The tags of one row; see the module.
#[derive(Debug, Default)]
pub struct TagSet {
    arena: String,
    entries: Vec<Entry>,
    /// Tags that were not taken, because the row is refused anyway.
    dropped: usize,
}

impl TagSet {
    /// A set without tags.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tag. Without a value it is of kind [`TagKind::Null`], whatever `kind` says. Limits are checked when
    /// the row is pushed.
    pub fn push(&mut self, key: &str, value: Option<&str>, kind: TagKind) {
        if self.arena.len() > TAG_VALUE_BYTES_MAX || self.entries.len() >= TAG_ENTRIES_MAX {
            self.dropped += 1;
            return;
        }
        let key = self.store(key);
        let (value, kind) = match (value, kind) {
            (None, _) | (_, TagKind::Null) => (None, TagKind::Null),
            (Some(text), kind) => (Some(self.store(text)), kind),
        };
        self.entries.push(Entry { key, value, kind });
    }

    /// Takes all tags out; the memory is kept for the next row.
    pub fn clear(&mut self) {
        self.dropped = 0;
        self.entries.clear();
        self.arena.clear();
        self.arena.shrink_to(ARENA_KEPT_BYTES_MAX);
    }

    /// How many tags were pushed.
    pub fn len(&self) -> usize {
        self.entries.len() + self.dropped
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sorts by key, joins the values of repeated keys and checks the limits.
    pub(super) fn settle(&mut self) -> Result<(), RowError> {
        self.sort();
        if self.has_repeats() {
            self.join_repeats();
        }
        if self.arena.len() > TAG_VALUE_BYTES_MAX {
            return Err(RowError::TagsTooLong { bytes: self.arena.len(), bytes_max: TAG_VALUE_BYTES_MAX });
        }
        if self.entries.len() > TAGS_PER_ROW_MAX || self.dropped > 0 {
            return Err(RowError::TooManyTags { count: self.len(), count_max: TAGS_PER_ROW_MAX });
        }
        match self.entries.iter().find(|entry| entry.key.len() > TAG_KEY_BYTES_MAX) {
            None => Ok(()),
            Some(entry) => Err(RowError::TagKeyTooLong {
                start: self.text(&entry.key).chars().take(KEY_SHOWN_CHARS).collect(),
                bytes: entry.key.len(),
                bytes_max: TAG_KEY_BYTES_MAX,
            }),
        }
    }

    /// Key, value and kind of each tag, in the order of the entries.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>, TagKind)> {
        self.entries.iter().map(|entry| {
            (self.text(&entry.key), entry.value.as_ref().map(|value| self.text(value)), entry.kind)
        })
    }

    /// Bytes of keys and values.
    pub(super) fn bytes(&self) -> usize {
        self.arena.len()
    }

    fn sort(&mut self) {
        let arena = &self.arena;
        let key = |entry: &Entry| arena.get(entry.key.clone()).unwrap_or_default().as_bytes();
        // Keys lie in the arena in the order of their arrival, which so decides between equal ones.
        let order = |a: &Entry, b: &Entry| key(a).cmp(key(b)).then(a.key.start.cmp(&b.key.start));
        if !self.entries.is_sorted_by(|a, b| order(a, b).is_le()) {
            self.entries.sort_unstable_by(order);
        }
    }

    fn has_repeats(&self) -> bool {
        self.entries.windows(2).any(|pair| match pair {
            [a, b] => self.text(&a.key) == self.text(&b.key),
            _ => false,
        })
    }

    /// `a=1, a="x"` becomes `a=[1,"x"]`: no value is lost.
    fn join_repeats(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        let same = |a: &Entry, b: &Entry| self.arena.get(a.key.clone()) == self.arena.get(b.key.clone());
        let mut joined: Vec<Entry> = Vec::with_capacity(entries.len());
        let mut arrays = String::new();
        for run in entries.chunk_by(same) {
            match run {
                [] => {}
                [single] => joined.push(single.clone()),
                [first, ..] => {
                    let start = self.arena.len() + arrays.len();
                    self.write_array(run, &mut arrays);
                    let value = Some(start..self.arena.len() + arrays.len());
                    joined.push(Entry { key: first.key.clone(), value, kind: TagKind::Json });
                }
            }
        }
        self.arena.push_str(&arrays);
        self.entries = joined;
    }

    fn write_array(&self, run: &[Entry], out: &mut String) {
        out.push('[');
        for (at, entry) in run.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            match (&entry.value, entry.kind) {
                (None, _) => out.push_str("null"),
                (Some(value), TagKind::String) => write_json_string(self.text(value), out),
                (Some(value), _) => out.push_str(self.text(value)),
            }
        }
        out.push(']');
    }

    fn store(&mut self, text: &str) -> Range<usize> {
        let start = self.arena.len();
        self.arena.push_str(text);
        start..self.arena.len()
    }

    fn text(&self, range: &Range<usize>) -> &str {
        self.arena.get(range.clone()).unwrap_or_default()
    }
}

/// Writes a JSON string literal.
fn write_json_string(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                // Writing into a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
