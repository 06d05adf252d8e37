//! Finds the timestamp at or near the start of a line.
//!
//! ```text
//!   line ─► places (token starts, most likely first) ─► families (mutually exclusive shapes) ─► civil date ─► ns
//! ```
//!
//! Places. A JSON object is searched only behind the usual names (`"time":`), and a logfmt line there first.
//! Otherwise the starts of tokens count, left to right, while the line is still a header: at most one plain word
//! (a host, a container) may stand before the timestamp, so dates in prose are left alone. The bracketed date of an
//! access line is found behind any user name. Shapes that plain numbers could have by chance (epoch, `081109 203615`,
//! `03-17 16:13:38`) count only at the head: behind nothing but white space, brackets, `<PRI>` and a level.
//!
//! Families exclude each other at a place, so the order in which they are tried never changes the result.
//! What has the shape but is no date of the calendar is not a timestamp.

mod civil;
mod cursor;
mod day_first;
mod epoch;
mod month_first;
mod numeric;
mod year_first;

use std::ops::Range;

use super::keyed;
use super::level;
use civil::Civil;
pub(crate) use civil::Zone;
use cursor::Cursor;

/// How far into a line a timestamp is looked for, in bytes.
const PLACE_BYTES_MAX: usize = 256;
/// Plain words that may stand before a timestamp.
const WORDS_BEFORE_MAX: usize = 1;

/// The names behind which structured lines keep their timestamp.
const NAMES: [&str; 13] = [
    "timestamp",
    "@timestamp",
    "time",
    "ts",
    "t",
    "datetime",
    "date",
    "$date",
    "asctime",
    "eventtime",
    "event_time",
    "@t",
    "_time",
];

/// A group of timestamp formats of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    /// `2015-10-18T18:01:47.978Z`, `2006/01/02 15:04:05`, `2005-06-03-15.42.50.675872`.
    YearFirst,
    /// `20171223-22:15:29:606`, `20240102T150405Z`, `081109 203615`, `17/06/09 20:10:40`.
    Numeric,
    /// `Jun 14 15:16:01`, `Sun Dec 04 04:47:44.123456 2005`.
    MonthFirst,
    /// `10/Oct/2000:13:55:36 -0700`, `02 Jan 2024 15:04:05.123`, `02.01.2024 15:04:05`.
    DayFirst,
    /// `03-17 16:13:38.811`, `[10.30 16:49:06]`.
    NoYear,
    /// `I0102 15:04:05.000000`.
    Glog,
    /// Seconds, milliseconds, microseconds or nanoseconds since 1970.
    Epoch,
}

impl Family {
    /// Every family.
    pub(crate) const ALL: [Self; 7] = [
        Self::YearFirst,
        Self::Numeric,
        Self::MonthFirst,
        Self::DayFirst,
        Self::NoYear,
        Self::Glog,
        Self::Epoch,
    ];
}

/// A timestamp that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Nanoseconds since 1970 UTC.
    pub(crate) ns: i64,
    /// Where in the line it stands, in bytes.
    pub(crate) span: Range<usize>,
    /// The family that matched.
    pub(crate) family: Family,
}

/// What a family reads: a date and time of a calendar, or an instant.
enum Reading {
    Civil(Civil),
    Instant(i64),
}

/// A place in the line where a timestamp may begin.
#[derive(Clone, Copy)]
struct Place {
    offset: usize,
    standing: Standing,
}

/// What stands before a place, which decides how much the families trust it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nothing but white space, opening brackets, `<PRI>` or a level.
    Head,
    /// As `Head`, directly behind `[`.
    HeadInBrackets,
    /// A name such as `ts=`, or auditd's `audit(`.
    Named,
    /// Something else.
    Inside,
}

/// What turns a reading into an instant.
#[derive(Clone, Copy)]
struct Context {
    zone: Zone,
    now_ns: i64,
    hint: Option<Family>,
}

/// Finds the timestamp of `line`. `hint` is tried first at each place and never changes the result.
pub(crate) fn find(line: &str, zone: Zone, now_ns: i64, hint: Option<Family>) -> Option<Found> {
    let context = Context { zone, now_ns, hint };
    if keyed::is_json(line) {
        return named(line, context);
    }
    if keyed::is_logfmt(line)
        && let Some(found) = named(line, context)
    {
        return Some(found);
    }
    tokens(line, context).or_else(|| access_date(line, context))
}

fn named(line: &str, context: Context) -> Option<Found> {
    keyed::values(line, &NAMES)
        .map(|offset| Place { offset, standing: Standing::Named })
        .find_map(|place| at(line, place, context))
}

/// Tries the start of each token while the line is still a header.
fn tokens(line: &str, context: Context) -> Option<Found> {
    let bytes = line.as_bytes();
    let mut head = true;
    let mut words = 0;
    let mut offset = level::priority(line).map_or(0, |priority| priority.end);
    let mut previous = b' ';
    while offset < bytes.len().min(PLACE_BYTES_MAX) {
        let byte = *bytes.get(offset)?;
        if !(byte.is_ascii_alphanumeric() && opens_token(previous)) {
            head = head && opens_token(byte);
            previous = byte;
            offset += 1;
            continue;
        }
        let standing = match (head, previous) {
            (true, b'[') => Standing::HeadInBrackets,
            (true, _) => Standing::Head,
            (false, b'(') if line.get(..offset).is_some_and(|before| before.ends_with("audit(")) => {
                Standing::Named
            }
            (false, _) => Standing::Inside,
        };
        if let Some(found) = at(line, Place { offset, standing }, context) {
            return Some(found);
        }
        let length = bytes.iter().skip(offset).take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let token = line.get(offset..offset + length)?;
        let whole = bytes.get(offset + length).is_none_or(|byte| matches!(byte, b' ' | b'\t' | b',' | b':'));
        head = head && (level::is_word(token) || token.len() == 1);
        words += usize::from(whole && !head && is_plain_word(token));
        if words > WORDS_BEFORE_MAX {
            return None;
        }
        previous = b'x';
        offset += length;
    }
    None
}

/// The date of an access line stands in brackets, behind a host and a user name of any words.
fn access_date(line: &str, context: Context) -> Option<Found> {
    let window = line.as_bytes().get(..line.len().min(PLACE_BYTES_MAX))?;
    memchr::memchr_iter(b'[', window)
        .map(|bracket| Place { offset: bracket + 1, standing: Standing::Inside })
        .find_map(|place| try_family(line, place, Family::DayFirst, context))
}

fn at(line: &str, place: Place, context: Context) -> Option<Found> {
    let hinted = context.hint.and_then(|hint| try_family(line, place, hint, context));
    hinted.or_else(|| {
        let others = Family::ALL.into_iter().filter(|family| Some(*family) != context.hint);
        others.into_iter().find_map(|family| try_family(line, place, family, context))
    })
}

fn try_family(line: &str, place: Place, family: Family, context: Context) -> Option<Found> {
    let mut cursor = Cursor::new(line.as_bytes().get(place.offset..)?);
    let reading = match family {
        Family::YearFirst => year_first::read(&mut cursor).map(Reading::Civil),
        Family::Numeric => numeric::read_dated(&mut cursor, place.standing).map(Reading::Civil),
        Family::MonthFirst => month_first::read(&mut cursor).map(Reading::Civil),
        Family::DayFirst => day_first::read(&mut cursor).map(Reading::Civil),
        Family::NoYear => numeric::read_without_year(&mut cursor, place.standing).map(Reading::Civil),
        Family::Glog => numeric::read_glog(&mut cursor, place.standing).map(Reading::Civil),
        Family::Epoch => epoch::read(&mut cursor, place.standing, context.now_ns).map(Reading::Instant),
    }?;
    let ns = match reading {
        Reading::Civil(civil) => civil.instant_ns(context.zone, context.now_ns)?,
        Reading::Instant(ns) => ns,
    };
    Some(Found { ns, span: place.offset..place.offset + cursor.used(), family })
}

/// Whether a token may begin behind this byte.
fn opens_token(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t' | b'*' | b'[' | b'(' | b'{' | b'<' | b'>' | b'"' | b'\'' | b'|' | b'=' | b',' | b';'
    )
}

/// A word as prose has it: letters only, small but for perhaps the first.
pub(super) fn is_plain_word(token: &str) -> bool {
    let mut bytes = token.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic()) && bytes.all(|byte| byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests;
