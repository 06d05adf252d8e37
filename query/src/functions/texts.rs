//! Columns of text, in and out: what the functions of one text read, and what they answer with.
//!
//! A result's memory is in no pool, so a result may be larger than what it was made of by a limit only; that limit
//! keeps the offsets of its arrays in range as well.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, LargeStringArray, MapArray, NullBufferBuilder, StringArray, StringBuilder,
    StringViewArray, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::error::DataFusionError;
use ironbark_storage::LogSchema;

use crate::error::Error;

/// By how many bytes the values of a batch may be larger than the texts that they are made of.
const GROWTH_BYTES_MAX: usize = 64 << 20;
/// Most bytes of a column, whose offsets have 32 bits.
const COLUMN_BYTES_MAX: usize = 1 << 30;

/// A column of texts, in whichever way Arrow holds them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Texts<'a> {
    Small(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Texts<'a> {
    /// `None` if the column is not of text.
    pub(super) fn of(array: &'a ArrayRef) -> Option<Self> {
        match array.data_type() {
            DataType::Utf8 => array.as_string_opt::<i32>().map(Self::Small),
            DataType::LargeUtf8 => array.as_string_opt::<i64>().map(Self::Large),
            DataType::Utf8View => array.as_string_view_opt().map(Self::View),
            _ => None,
        }
    }

    pub(super) fn len(self) -> usize {
        match self {
            Self::Small(texts) => texts.len(),
            Self::Large(texts) => texts.len(),
            Self::View(texts) => texts.len(),
        }
    }

    fn get(self, row: usize) -> Option<&'a str> {
        match self {
            Self::Small(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Large(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::View(texts) => texts.is_valid(row).then(|| texts.value(row)),
        }
    }

    /// The texts in order; `None` is NULL.
    pub(super) fn iter(self) -> impl Iterator<Item = Option<&'a str>> {
        (0..self.len()).map(move |row| self.get(row))
    }

    fn bytes(self) -> usize {
        self.iter().flatten().map(str::len).sum()
    }
}

/// How much may still be written.
#[derive(Debug)]
struct Room {
    function: &'static str,
    bytes_left: usize,
}

impl Room {
    fn new(function: &'static str, texts: Texts<'_>) -> Self {
        let bytes = texts.bytes().saturating_add(GROWTH_BYTES_MAX);
        Self { function, bytes_left: bytes.min(COLUMN_BYTES_MAX) }
    }

    fn take(&mut self, bytes: usize) -> Result<()> {
        if let Some(left) = self.bytes_left.checked_sub(bytes) {
            self.bytes_left = left;
            return Ok(());
        }
        let reason = format!(
            "{}() would make the values of a batch longer by more than {GROWTH_BYTES_MAX} bytes; ask for less of each \
             text",
            self.function
        );
        Err(DataFusionError::External(Box::new(Error::Run { reason })))
    }
}

/// A column of texts that is being written.
#[derive(Debug)]
pub(super) struct TextOut {
    texts: StringBuilder,
    room: Room,
}

impl TextOut {
    /// As long as the texts that it is made of.
    pub(super) fn new(function: &'static str, from: Texts<'_>) -> Self {
        Self { texts: StringBuilder::with_capacity(from.len(), 0), room: Room::new(function, from) }
    }

    /// The next row.
    pub(super) fn push(&mut self, text: Option<&str>) -> Result<()> {
        self.room.take(text.map_or(0, str::len))?;
        self.texts.append_option(text);
        Ok(())
    }

    pub(super) fn finish(mut self) -> ArrayRef {
        Arc::new(self.texts.finish())
    }
}

/// A column of maps, of the type of `tags`, that is being written.
#[derive(Debug)]
pub(super) struct MapOut {
    keys: StringBuilder,
    values: StringBuilder,
    ends: Vec<i32>,
    valid: NullBufferBuilder,
    room: Room,
}

impl MapOut {
    pub(super) fn new(function: &'static str, from: Texts<'_>) -> Self {
        Self {
            keys: StringBuilder::new(),
            values: StringBuilder::new(),
            ends: vec![0],
            valid: NullBufferBuilder::new(from.len()),
            room: Room::new(function, from),
        }
    }

    /// An entry of the row at hand.
    pub(super) fn entry(&mut self, key: &str, value: &str) -> Result<()> {
        self.room.take(key.len().saturating_add(value.len()))?;
        self.keys.append_value(key);
        self.values.append_value(value);
        Ok(())
    }

    /// Ends the row at hand: a map of its entries, or NULL.
    pub(super) fn end_row(&mut self, is_valid: bool) -> Result<()> {
        let Ok(end) = i32::try_from(self.keys.offsets_slice().len().saturating_sub(1)) else {
            return exec_err!("{}() makes too many entries out of one batch", self.room.function);
        };
        self.ends.push(end);
        self.valid.append(is_valid);
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<ArrayRef> {
        let DataType::Map(entry, sorted) = LogSchema::tags_type() else {
            return exec_err!("tags are no map");
        };
        let DataType::Struct(fields) = entry.data_type() else { return exec_err!("tags are no map") };
        let columns: Vec<ArrayRef> = vec![Arc::new(self.keys.finish()), Arc::new(self.values.finish())];
        let entries = StructArray::try_new(fields.clone(), columns, None)?;
        let ends = OffsetBuffer::new(self.ends.into());
        Ok(Arc::new(MapArray::try_new(entry, ends, entries, self.valid.finish(), sorted)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_can_grow_so_far_and_no_further() {
        let short = StringArray::from(vec!["four"]);
        let texts = Texts::Small(&short);
        let mut out = TextOut::new("f", texts);
        let half = "x".repeat(GROWTH_BYTES_MAX / 2);
        out.push(Some(&half)).unwrap();
        out.push(Some(&half)).unwrap();
        out.push(Some("four")).unwrap();
        out.push(None).unwrap();
        let error = Error::from(out.push(Some("x")).unwrap_err());
        assert!(matches!(&error, Error::Run { reason } if reason.starts_with("f() would make")), "{error}");
        assert_eq!(out.finish().len(), 4);
        let mut out = MapOut::new("f", texts);
        out.entry(&half, &half).unwrap();
        assert!(out.entry("k", "value").is_err(), "keys count as well");
    }
}
