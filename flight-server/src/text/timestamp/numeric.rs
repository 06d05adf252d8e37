//! Dates of digits that plain numbers could be by chance, which is why most of them count only at the head of a line.

use super::Standing;
use super::civil::{Civil, Time};
use super::cursor::Cursor;

/// Two-digit years from here on are of the last century, as in POSIX but for 1969.
const CENTURY_PIVOT: u32 = 70;

/// Reads dates without separators, or with a year of two digits.
///
/// `20171223-22:15:29:606` (its numbers not padded, milliseconds behind the last colon), `20240102T150405.123Z`,
/// `20240102 15:04:05`, `20240102150405`, `081109 203615`, `240102 15:04:05`, `17/06/09 20:10:40`.
pub(super) fn read_dated(cursor: &mut Cursor<'_>, standing: Standing) -> Option<Civil> {
    if standing == Standing::Inside && cursor.digits_ahead() != 8 {
        return None;
    }
    let civil = match cursor.digits_ahead() {
        2 => two_digit_year_with_slashes(cursor),
        6 => two_digit_year(cursor),
        8 => eight_digits(cursor),
        14 => {
            let (year, month, day) = long_date(cursor)?;
            Some(Civil { year: Some(year), month, day, time: packed_time(cursor)?, offset_s: cursor.zone() })
        }
        _ => None,
    }?;
    cursor.end()?;
    Some(civil)
}

fn long_date(cursor: &mut Cursor<'_>) -> Option<(i32, u32, u32)> {
    let year = i32::try_from(cursor.fixed(4)?).ok()?;
    Some((year, cursor.fixed(2)?, cursor.fixed(2)?))
}

fn packed_time(cursor: &mut Cursor<'_>) -> Option<Time> {
    let (hour, minute, second) = (cursor.fixed(2)?, cursor.fixed(2)?, cursor.fixed(2)?);
    Some(Time { hour, minute, second, nanosecond: cursor.fraction().unwrap_or(0) })
}

fn eight_digits(cursor: &mut Cursor<'_>) -> Option<Civil> {
    let (year, month, day) = long_date(cursor)?;
    let time = match cursor.any(b"Tt -_")? {
        b'-' => unpadded_time(cursor).or_else(|| cursor.time()),
        _ if cursor.digits_ahead() == 6 => packed_time(cursor),
        _ => cursor.time(),
    }?;
    Some(Civil { year: Some(year), month, day, time, offset_s: cursor.zone() })
}

/// `22:5:9:6` is 22:05:09.006.
fn unpadded_time(cursor: &mut Cursor<'_>) -> Option<Time> {
    cursor.attempt(|cursor| {
        let hour = cursor.number(1, 2)?;
        cursor.eat(b':')?;
        let minute = cursor.number(1, 2)?;
        cursor.eat(b':')?;
        let second = cursor.number(1, 2)?;
        cursor.eat(b':')?;
        Some(Time { hour, minute, second, nanosecond: cursor.number(1, 3)? * 1_000_000 })
    })
}

fn two_digit_year(cursor: &mut Cursor<'_>) -> Option<Civil> {
    let (year, month, day) = (century(cursor.fixed(2)?)?, cursor.fixed(2)?, cursor.fixed(2)?);
    cursor.eat(b' ')?;
    let _ = cursor.eat(b' ');
    let time = if cursor.digits_ahead() == 6 { packed_time(cursor) } else { cursor.time() }?;
    Some(Civil { year: Some(year), month, day, time, offset_s: None })
}

fn two_digit_year_with_slashes(cursor: &mut Cursor<'_>) -> Option<Civil> {
    let year = century(cursor.number(2, 2)?)?;
    cursor.eat(b'/')?;
    let month = cursor.number(2, 2)?;
    cursor.eat(b'/')?;
    let day = cursor.number(2, 2)?;
    cursor.eat(b' ')?;
    Some(Civil { year: Some(year), month, day, time: cursor.time()?, offset_s: None })
}

fn century(year: u32) -> Option<i32> {
    let century = if year < CENTURY_PIVOT { 2000 } else { 1900 };
    i32::try_from(century + year).ok()
}

/// Reads `03-17 16:13:38.811` (Android) at the head, and `10.30 16:49:06` (Proxifier) there in brackets.
pub(super) fn read_without_year(cursor: &mut Cursor<'_>, standing: Standing) -> Option<Civil> {
    if !matches!(standing, Standing::Head | Standing::HeadInBrackets) {
        return None;
    }
    let month = cursor.number(2, 2)?;
    match cursor.any(b"-.")? {
        b'.' if standing != Standing::HeadInBrackets => return None,
        _ => {}
    }
    let day = cursor.number(2, 2)?;
    cursor.eat(b' ')?;
    let time = cursor.time()?;
    cursor.end()?;
    Some(Civil { year: None, month, day, time, offset_s: None })
}

/// Reads `I0102 15:04:05.000000` (glog, klog) and the newer `I20240102 15:04:05.000000`, at the head.
pub(super) fn read_glog(cursor: &mut Cursor<'_>, standing: Standing) -> Option<Civil> {
    if !matches!(standing, Standing::Head | Standing::HeadInBrackets) {
        return None;
    }
    cursor.any(b"IWEF")?;
    let year = match cursor.digits_ahead() {
        4 => None,
        8 => Some(i32::try_from(cursor.fixed(4)?).ok()?),
        _ => return None,
    };
    let (month, day) = (cursor.fixed(2)?, cursor.fixed(2)?);
    cursor.eat(b' ')?;
    let time = cursor.time()?;
    cursor.end()?;
    Some(Civil { year, month, day, time, offset_s: None })
}
