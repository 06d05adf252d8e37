//! One JSON object to one row.
//!
//! ```text
//!   timestamp source level message trace_id span_id     their columns
//!   tags: { … }                                          tags, flattened
//!   msg, @timestamp, PRIORITY, … of other programs      the column, if the record has not its own field (alias.rs)
//!   anything else                                        a tag, flattened: {"a":{"b":1}} is a.b = 1
//! ```
//!
//! Values keep their JSON type and a number keeps its digits. Arrays and empty objects are kept as JSON text. A
//! second value for a column (`"level"` twice) becomes a tag of that name, so nothing is lost.
//!
//! A record is read by the quick scan; where that fails or something is wrong, it is read once more by `serde_json`, which
//! finds what is wrong. Fields go the same way from there on, whoever found them.

use std::borrow::Cow;
use std::fmt;

use ironbark_storage::{Level, LogBatchBuilder, RowRef, TagKind, TagSet, Timestamp, column};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::alias::{self, Alias, Aliases, Target, Usable};
use super::scan::{Scan, Value};
use super::{BadRecord, JsonContext};
use crate::decode::timestamp;

/// Deepest nesting of objects.
const DEPTH_MAX: usize = 64;

/// Who finds the fields of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum By {
    /// The quick scan: a record that fails is read again.
    #[default]
    Scan,
    /// `serde_json`: a record that fails is refused.
    Serde,
}

/// Reads records; keeps its scratch space between them.
#[derive(Debug, Default)]
pub(super) struct RecordReader {
    /// The dotted key at hand.
    path: String,
    by: By,
}

/// A row's own columns, borrowed from the record.
#[derive(Debug, Default)]
struct Columns<'a> {
    timestamp: Option<Timestamp>,
    source: Option<Cow<'a, str>>,
    level: Option<Cow<'a, str>>,
    message: Option<Cow<'a, str>>,
    trace_id: Option<Cow<'a, str>>,
    span_id: Option<Cow<'a, str>>,
}

impl RecordReader {
    /// Adds a record to the builder.
    pub(super) fn read(
        &mut self,
        record: &[u8],
        context: &JsonContext<'_>,
        tags: &mut TagSet,
        builder: &mut LogBatchBuilder,
    ) -> Result<(), BadRecord> {
        let text = std::str::from_utf8(record).map_err(|error| BadRecord::NotUtf8(error.valid_up_to()))?;
        if !text.starts_with('{') {
            // Damaged text is told as such; a whole value of another kind by its kind.
            serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(BadRecord::Syntax)?;
            return Err(BadRecord::NotAnObject(kind_of(text)));
        }
        self.by = By::Scan;
        let columns = self.columns(text, context, tags).or_else(|_| {
            self.by = By::Serde;
            tags.clear();
            self.columns(text, context, tags)
        })?;
        let row = RowRef {
            timestamp: columns.timestamp,
            source: columns.source.as_deref().or(context.source),
            level: columns.level.as_deref(),
            message: columns.message.as_deref().unwrap_or_default(),
            trace_id: columns.trace_id.as_deref(),
            span_id: columns.span_id.as_deref(),
        };
        builder.push(row, tags).map_err(BadRecord::Row)
    }

    /// The columns of a record; the rest goes into the tags.
    fn columns<'a>(
        &mut self,
        text: &'a str,
        context: &JsonContext<'_>,
        tags: &mut TagSet,
    ) -> Result<Columns<'a>, BadRecord> {
        let mut columns = Columns::default();
        for (key, value) in context.tags {
            tags.push(key, Some(value), TagKind::String);
        }
        self.path.clear();
        let by = self.by;
        let mut fields = Fields { reader: self, columns: &mut columns, aliases: Aliases::default(), tags };
        match by {
            By::Scan => fields.scan(text)?,
            By::Serde => each_field(by, text, |key, value| fields.field(key, value))?,
        }
        fields.take_aliases()?;
        Ok(columns)
    }

    /// Adds a value as the tag `key` below the path at hand.
    fn tag(&mut self, key: &str, value: Value<'_>, depth: usize, tags: &mut TagSet) -> Result<(), BadRecord> {
        let above = self.path.len();
        if above > 0 {
            self.path.push('.');
        } else if let Some(text) = value.plain() {
            tags.push(key, Some(text), TagKind::String);
            return Ok(());
        }
        self.path.push_str(key);
        let outcome = self.value(value, depth, tags);
        self.path.truncate(above);
        outcome
    }

    /// Adds a field of an object of the record as a tag.
    fn below(
        &mut self,
        outer: &str,
        key: &str,
        value: Value<'_>,
        tags: &mut TagSet,
    ) -> Result<(), BadRecord> {
        self.path.push_str(outer);
        let outcome = self.tag(key, value, 1, tags);
        self.path.clear();
        outcome
    }

    fn value(&mut self, value: Value<'_>, depth: usize, tags: &mut TagSet) -> Result<(), BadRecord> {
        match value.as_bytes().first() {
            Some(b'{') if !is_empty_object(&value) => return self.object(value, depth, tags),
            Some(b'{' | b'[') => tags.push(&self.path, Some(&value), TagKind::Json),
            Some(b'"') => tags.push(&self.path, Some(&text_of(value)?), TagKind::String),
            Some(b't' | b'f') => tags.push(&self.path, Some(&value), TagKind::Bool),
            Some(b'n') => tags.push(&self.path, None, TagKind::Null),
            _ => tags.push(&self.path, Some(&value), TagKind::Number),
        }
        Ok(())
    }

    fn object(&mut self, value: Value<'_>, depth: usize, tags: &mut TagSet) -> Result<(), BadRecord> {
        if depth >= DEPTH_MAX {
            return Err(BadRecord::TooDeep(DEPTH_MAX));
        }
        each_field(self.by, value.text(), |key, value| self.tag(key, value, depth + 1, tags))
    }
}

/// Hands out the fields of an object, of which a value keeps its text. A field that is bad does not end the object, so
/// that damage behind it is told first.
fn each_field<'a>(
    by: By,
    object: &'a str,
    mut take: impl FnMut(&str, Value<'a>) -> Result<(), BadRecord>,
) -> Result<(), BadRecord> {
    if by == By::Scan {
        let mut scan = Scan::new(object);
        scan.enter()?;
        while let Some(key) = scan.key()? {
            take(key, scan.value()?)?;
        }
        return Ok(scan.end()?);
    }
    let mut visitor = EachField { take, bad: None };
    let mut json = serde_json::Deserializer::from_str(object);
    json.deserialize_map(&mut visitor).and_then(|()| json.end()).map_err(BadRecord::Syntax)?;
    visitor.bad.map_or(Ok(()), Err)
}

/// Serde's errors hold texts only, so ours are carried beside.
struct EachField<F> {
    take: F,
    bad: Option<BadRecord>,
}

impl<'a, F: FnMut(&str, Value<'a>) -> Result<(), BadRecord>> Visitor<'a> for &mut EachField<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some((Text(key), value)) = fields.next_entry::<Text<'a>, &'a RawValue>()? {
            let outcome = (self.take)(&key, Value::of(value.get()));
            if self.bad.is_none() {
                self.bad = outcome.err();
            }
        }
        Ok(())
    }
}

/// The fields of a record.
struct Fields<'r, 'c, 'a> {
    reader: &'r mut RecordReader,
    columns: &'c mut Columns<'a>,
    aliases: Aliases<'a>,
    tags: &'r mut TagSet,
}

impl<'a> Fields<'_, '_, 'a> {
    /// All fields of a record. Tags are taken as they come, so that they are gone through once.
    fn scan(&mut self, record: &'a str) -> Result<(), BadRecord> {
        let mut scan = Scan::new(record);
        scan.enter()?;
        while let Some(key) = scan.key()? {
            if key == column::TAGS && scan.is_object() {
                scan.enter()?;
                while let Some(key) = scan.key()? {
                    self.reader.tag(key, scan.value()?, 1, self.tags)?;
                }
            } else {
                self.field(key, scan.value()?)?;
            }
        }
        Ok(scan.end()?)
    }

    fn field(&mut self, key: &str, value: Value<'a>) -> Result<(), BadRecord> {
        let columns = &mut *self.columns;
        let place = match key {
            column::TIMESTAMP if columns.timestamp.is_none() => {
                return time_of(value).map(|t| columns.timestamp = t);
            }
            column::SOURCE => &mut columns.source,
            column::LEVEL => &mut columns.level,
            column::MESSAGE => &mut columns.message,
            column::TRACE_ID => &mut columns.trace_id,
            column::SPAN_ID => &mut columns.span_id,
            column::TAGS if value.starts_with('{') => return self.reader.object(value, 0, self.tags),
            column::TAGS if value.text() == "null" => return Ok(()),
            _ => return self.other(key, value),
        };
        let text = match value.as_bytes().first() {
            Some(b'n') => return Ok(()),
            Some(b'"') => text_of(value)?,
            // A message may be anything; the other columns hold plain values only.
            Some(b'{' | b'[') if key != column::MESSAGE => return self.reader.tag(key, value, 0, self.tags),
            _ => Cow::Borrowed(value.text()),
        };
        if place.is_some() {
            return self.reader.tag(key, value, 0, self.tags);
        }
        if key == column::LEVEL
            && let Some(level) = Level::of_tens(&value)
        {
            *place = Some(Cow::Borrowed(level.as_str()));
            return self.reader.tag(key, value, 0, self.tags);
        }
        *place = Some(text);
        Ok(())
    }

    /// A field that is no column by its own name.
    fn other(&mut self, key: &str, value: Value<'a>) -> Result<(), BadRecord> {
        let is_object = value.starts_with('{');
        if is_object && alias::may_hold(key) && !is_empty_object(&value) {
            return self.holder(key, value);
        }
        match alias::of(key) {
            Some(alias) if !is_object => self.offer(alias, value),
            _ => self.reader.tag(key, value, 0, self.tags),
        }
    }

    fn offer(&mut self, alias: Alias, value: Value<'a>) -> Result<(), BadRecord> {
        let refused =
            if self.has(alias.target) { Some((alias.name, value)) } else { self.aliases.offer(alias, value) };
        refused.map_or(Ok(()), |(name, value)| self.reader.tag(name, value, 0, self.tags))
    }

    /// An object that may have an alias among its fields; the others are flattened as ever.
    fn holder(&mut self, outer: &str, value: Value<'a>) -> Result<(), BadRecord> {
        each_field(self.reader.by, value.text(), |key, value| match alias::inside(outer, key) {
            Some(alias) => self.offer(alias, value),
            None => self.reader.below(outer, key, value, self.tags),
        })
    }

    /// Whether the record has the column's own field so far.
    fn has(&self, target: Target) -> bool {
        let columns = &*self.columns;
        match target {
            Target::Timestamp => columns.timestamp.is_some(),
            Target::Source => columns.source.is_some(),
            Target::Level => columns.level.is_some(),
            Target::Message => columns.message.is_some(),
            Target::TraceId => columns.trace_id.is_some(),
            Target::SpanId => columns.span_id.is_some(),
        }
    }

    /// Gives the aliases to the columns that have nothing else; the rest become tags.
    fn take_aliases(&mut self) -> Result<(), BadRecord> {
        for (held, may) in self.aliases.take(self.columns.message.is_none()) {
            if !may || self.has(held.alias.target) {
                self.reader.tag(held.alias.name, held.value, 0, self.tags)?;
                continue;
            }
            let columns = &mut *self.columns;
            match (held.alias.target, held.usable) {
                (_, Usable::Time(time)) => columns.timestamp = Some(time),
                (Target::Timestamp, Usable::Text(_)) => {}
                (Target::Source, Usable::Text(text)) => columns.source = Some(text),
                (Target::Level, Usable::Text(text)) => columns.level = Some(text),
                (Target::Message, Usable::Text(text)) => columns.message = Some(text),
                (Target::TraceId, Usable::Text(text)) => columns.trace_id = Some(text),
                (Target::SpanId, Usable::Text(text)) => columns.span_id = Some(text),
            }
        }
        Ok(())
    }
}

/// A string, borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Cow<'de, str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(TextVisitor).map(Text)
    }
}

/// The text of a string, which is a whole JSON value.
pub(super) fn text_of(value: Value<'_>) -> Result<Cow<'_, str>, BadRecord> {
    if let Some(text) = value.plain() {
        return Ok(Cow::Borrowed(text));
    }
    let value = value.text();
    // Whoever found its end has checked it: without escapes its text stands there as it is.
    let within = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    if let Some(text) = within.filter(|text| memchr::memchr(b'\\', text.as_bytes()).is_none()) {
        return Ok(Cow::Borrowed(text));
    }
    serde_json::from_str::<Text<'_>>(value).map(|text| text.0).map_err(BadRecord::String)
}

pub(super) fn time_of(value: Value<'_>) -> Result<Option<Timestamp>, BadRecord> {
    match value.as_bytes().first() {
        Some(b'n') => Ok(None),
        Some(b'"') => {
            let text = text_of(value)?;
            if text.is_empty() { Ok(None) } else { Ok(Some(timestamp::from_text(&text)?)) }
        }
        Some(b'-' | b'0'..=b'9') => Ok(Some(timestamp::from_text(&value)?)),
        _ => Err(BadRecord::TimeKind(kind_of(&value))),
    }
}

fn is_empty_object(value: &str) -> bool {
    value.as_bytes().get(1..).is_some_and(|rest| rest.trim_ascii_start().first() == Some(&b'}'))
}

/// What kind of JSON value a text begins.
fn kind_of(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}
