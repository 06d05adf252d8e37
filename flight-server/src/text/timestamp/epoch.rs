//! Numbers of seconds, milliseconds, microseconds or nanoseconds since 1970.
//!
//! The count of digits tells the unit: 10, 13, 16 and 19 digits are the years 2001 to 2286. Such a number is a
//! timestamp only at the head of a line or behind a name, and not if it lies more than a day ahead.

use super::Standing;
use super::cursor::Cursor;

/// How far ahead of now an epoch may lie before it is taken for another number.
const AHEAD_NS_MAX: i64 = 24 * 3600 * 1_000_000_000;
const NS_PER_S: u32 = 1_000_000_000;

/// Reads `1700000000`, `1700000000.123456`, `1700000000123` and so on.
///
/// In the logs of supercomputers (`- 1117838570 2005.06.03 node …`) a flag stands before the number; the date behind
/// it shows what it is.
pub(super) fn read(cursor: &mut Cursor<'_>, standing: Standing, now_ns: i64) -> Option<i64> {
    let digits = cursor.digits_ahead();
    let ns_per_unit: u32 = match digits {
        10 => NS_PER_S,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return None,
    };
    let units = i64::try_from(cursor.wide(digits)?).ok()?;
    // A fraction of a unit, in billionths.
    let fraction = cursor.attempt(|cursor| (cursor.peek()? == b'.').then(|| cursor.fraction())?).unwrap_or(0);
    let fraction_ns = i64::from(fraction / (NS_PER_S / ns_per_unit));
    // auditd writes a serial number behind a colon.
    if standing != Standing::Named || cursor.peek() != Some(b':') {
        cursor.end()?;
    }
    if standing == Standing::Inside {
        let mut ahead = *cursor;
        followed_by_date(&mut ahead)?;
    }
    let ns = units.checked_mul(i64::from(ns_per_unit))?.checked_add(fraction_ns)?;
    (ns <= now_ns.saturating_add(AHEAD_NS_MAX)).then_some(ns)
}

fn followed_by_date(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.eat(b' ')?;
    cursor.number(4, 4)?;
    cursor.eat(b'.')?;
    cursor.number(2, 2)?;
    cursor.eat(b'.')?;
    cursor.number(2, 2)?;
    cursor.eat(b' ')
}
