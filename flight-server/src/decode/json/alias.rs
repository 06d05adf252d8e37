//! What other programs call the columns of a record: `msg`, `@timestamp`, `PRIORITY`, …
//!
//! ```text
//!   field ─► alias? ─► usable? ─► held, if no better one is ─┬─ record ends without the column's own field ─► column
//!              │ no        │ no           │ worse            └─ it had one ──────────────────────────────────► tag
//!              └───────────┴──────────────┴─► tag
//! ```
//!
//! Usable is what can be nothing else: a string for a message, a time after 1973 for a timestamp (a `time` of 0.3 is a
//! duration), a word that is a level for a level. docs/INGEST.md has the same table for those who send. Nothing here
//! reads more of a record than the value of an alias.

use std::borrow::Cow;

use ironbark_storage::{Level, Timestamp};

use super::record::{text_of, time_of};
use super::scan::Value;

/// Numbers that stand for an earlier time are taken for something else, in nanoseconds since 1970.
const TIME_NS_MIN: i64 = 100_000_000_000_000_000;
/// What GELF calls the message; only beside it `host` is the source.
const GELF_MESSAGE: &str = "short_message";
/// What GELF calls the source.
const GELF_SOURCE: &str = "host";
/// Where Docker keeps a line, with its end.
const DOCKER_LINE: &str = "log";
/// Where journald keeps a syslog severity, the one alias of a level that may be a number.
const JOURNALD_LEVEL: &str = "PRIORITY";

/// The columns that have aliases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Timestamp,
    Source,
    Level,
    Message,
    TraceId,
    SpanId,
}

/// Another name of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alias {
    pub(super) target: Target,
    /// The smallest of a record's aliases of one column is taken.
    rank: u8,
    /// The field, nested ones with a dot.
    pub(super) name: &'static str,
}

/// The alias that a field of a record is. Byte strings, because a match on them looks at lengths first.
pub(super) fn of(key: &str) -> Option<Alias> {
    use Target::{Level, Message, Source, SpanId, Timestamp, TraceId};
    let (target, rank, name) = match key.as_bytes() {
        b"@timestamp" => (Timestamp, 0, "@timestamp"),
        b"time" => (Timestamp, 1, "time"),
        b"ts" => (Timestamp, 2, "ts"),
        b"@t" => (Timestamp, 3, "@t"),
        b"Timestamp" => (Timestamp, 4, "Timestamp"),
        b"timeUnixNano" => (Timestamp, 5, "timeUnixNano"),
        b"timeMillis" => (Timestamp, 6, "timeMillis"),
        b"__REALTIME_TIMESTAMP" => (Timestamp, 7, "__REALTIME_TIMESTAMP"),
        b"msg" => (Message, 0, "msg"),
        b"@m" => (Message, 1, "@m"),
        b"MESSAGE" => (Message, 2, "MESSAGE"),
        b"Message" => (Message, 3, "Message"),
        b"RenderedMessage" => (Message, 4, "RenderedMessage"),
        b"textPayload" => (Message, 5, "textPayload"),
        b"jsonPayload.message" => (Message, 6, "jsonPayload.message"),
        b"short_message" => (Message, 7, GELF_MESSAGE),
        b"log" => (Message, 8, DOCKER_LINE),
        b"body" => (Message, 9, "body"),
        b"body.stringValue" => (Message, 10, "body.stringValue"),
        b"@mt" => (Message, 11, "@mt"),
        b"MessageTemplate" => (Message, 12, "MessageTemplate"),
        b"log.level" => (Level, 0, "log.level"),
        b"severity" => (Level, 1, "severity"),
        b"severityText" => (Level, 2, "severityText"),
        b"severity_text" => (Level, 3, "severity_text"),
        b"levelname" => (Level, 4, "levelname"),
        b"lvl" => (Level, 5, "lvl"),
        b"@l" => (Level, 6, "@l"),
        b"Level" => (Level, 7, "Level"),
        b"LogLevel" => (Level, 8, "LogLevel"),
        b"PRIORITY" => (Level, 9, JOURNALD_LEVEL),
        b"service.name" => (Source, 0, "service.name"),
        b"SYSLOG_IDENTIFIER" => (Source, 1, "SYSLOG_IDENTIFIER"),
        b"host" => (Source, 2, GELF_SOURCE),
        b"traceId" => (TraceId, 0, "traceId"),
        b"trace.id" => (TraceId, 1, "trace.id"),
        b"TraceId" => (TraceId, 2, "TraceId"),
        b"@tr" => (TraceId, 3, "@tr"),
        b"spanId" => (SpanId, 0, "spanId"),
        b"span.id" => (SpanId, 1, "span.id"),
        b"SpanId" => (SpanId, 2, "SpanId"),
        b"@sp" => (SpanId, 3, "@sp"),
        _ => return None,
    };
    Some(Alias { target, rank, name })
}

/// Whether an object of this name may hold an alias.
pub(super) fn may_hold(outer: &str) -> bool {
    matches!(outer.as_bytes(), b"log" | b"service" | b"trace" | b"span" | b"body" | b"jsonPayload")
}

/// The alias that a field inside an object of a record is.
pub(super) fn inside(outer: &str, inner: &str) -> Option<Alias> {
    match (outer.as_bytes(), inner.as_bytes()) {
        (b"log", b"level") => of("log.level"),
        (b"service", b"name") => of("service.name"),
        (b"trace", b"id") => of("trace.id"),
        (b"span", b"id") => of("span.id"),
        (b"body", b"stringValue") => of("body.stringValue"),
        (b"jsonPayload", b"message") => of("jsonPayload.message"),
        _ => None,
    }
}

/// The value of an alias, read as its column needs it.
#[derive(Debug)]
pub(super) enum Usable<'a> {
    Time(Timestamp),
    Text(Cow<'a, str>),
}

/// An alias that a column takes if nothing better comes.
#[derive(Debug)]
pub(super) struct Held<'a> {
    pub(super) alias: Alias,
    /// The value as it stands in the record.
    pub(super) value: Value<'a>,
    pub(super) usable: Usable<'a>,
}

impl<'a> Held<'a> {
    /// `None` if the value is of no use to the column.
    fn new(alias: Alias, value: Value<'a>) -> Option<Self> {
        let quoted = value.starts_with('"');
        let text = || if quoted { text_of(value).ok() } else { None };
        let usable = match alias.target {
            Target::Timestamp => {
                let time = time_of(value).ok()?.filter(|time| time.ns() >= TIME_NS_MIN)?;
                Usable::Time(time)
            }
            Target::Message if alias.name == DOCKER_LINE => Usable::Text(without_end(text()?)),
            Target::Message => Usable::Text(text()?),
            Target::Level => Usable::Text(level(alias.name, text().unwrap_or(Cow::Borrowed(value.text())))?),
            Target::Source | Target::TraceId | Target::SpanId => {
                Usable::Text(text().filter(|text| !text.is_empty())?)
            }
        };
        Some(Self { alias, value, usable })
    }
}

/// The best aliases of a record so far, one for each column.
#[derive(Debug, Default)]
pub(super) struct Aliases<'a> {
    timestamp: Option<Held<'a>>,
    source: Option<Held<'a>>,
    level: Option<Held<'a>>,
    message: Option<Held<'a>>,
    trace_id: Option<Held<'a>>,
    span_id: Option<Held<'a>>,
}

impl<'a> Aliases<'a> {
    fn slot(&mut self, target: Target) -> &mut Option<Held<'a>> {
        match target {
            Target::Timestamp => &mut self.timestamp,
            Target::Source => &mut self.source,
            Target::Level => &mut self.level,
            Target::Message => &mut self.message,
            Target::TraceId => &mut self.trace_id,
            Target::SpanId => &mut self.span_id,
        }
    }

    /// Holds an alias if it is of use, and gives back what is to be a tag instead: it, or the one that it is better than.
    pub(super) fn offer(&mut self, alias: Alias, value: Value<'a>) -> Option<(&'static str, Value<'a>)> {
        let slot = self.slot(alias.target);
        if slot.as_ref().is_some_and(|held| held.alias.rank <= alias.rank) {
            return Some((alias.name, value));
        }
        let Some(held) = Held::new(alias, value) else { return Some((alias.name, value)) };
        slot.replace(held).map(|worse| (worse.alias.name, worse.value))
    }

    /// The held ones at the end of a record, and whether each may go to its column.
    pub(super) fn take(&mut self, message_is_free: bool) -> impl Iterator<Item = (Held<'a>, bool)> + use<'a> {
        let name_of = |held: &Option<Held<'a>>| held.as_ref().map(|held| held.alias.name);
        let gelf = message_is_free && name_of(&self.message) == Some(GELF_MESSAGE);
        let all = std::mem::take(self);
        [all.timestamp, all.source, all.level, all.message, all.trace_id, all.span_id]
            .into_iter()
            .flatten()
            .map(move |held| {
                let may = gelf || held.alias.name != GELF_SOURCE;
                (held, may)
            })
    }
}

/// A level that is one in words; the value of journald may be a digit.
fn level<'a>(name: &str, text: Cow<'a, str>) -> Option<Cow<'a, str>> {
    let is_digit = text.trim_start().starts_with(|first: char| first.is_ascii_digit());
    (Level::parse(&text).is_some() && (!is_digit || name == JOURNALD_LEVEL)).then_some(text)
}

/// A line without its LF or CRLF.
fn without_end(line: Cow<'_, str>) -> Cow<'_, str> {
    let kept = line.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line).len());
    match (kept, line) {
        (None, line) => line,
        (Some(kept), Cow::Borrowed(line)) => Cow::Borrowed(line.get(..kept).unwrap_or(line)),
        (Some(kept), Cow::Owned(mut line)) => {
            line.truncate(kept);
            Cow::Owned(line)
        }
    }
}
