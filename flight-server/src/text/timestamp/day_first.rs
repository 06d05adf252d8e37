//! Dates of a day, the name of a month and a year: access logs, RFC 2822, Redis, Tomcat, BIND.
//!
//! Days and months that are both numbers (`03/04/2024`) are not read: nobody can tell which is which, and a wrong
//! month is worse than the time of arrival. Behind points (`23.11.2026`) the day is first wherever dates are written so.

use super::civil::Civil;
use super::cursor::Cursor;

/// Reads `10/Oct/2000:13:55:36 -0700`, `Tue, 02 Jan 2024 15:04:05 +0000`, `02-Jan-2024 15:04:05.123`,
/// `23.11.2026 15:04:05` and, from old versions of Redis, `02 Jan 15:04:05.123`.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Civil> {
    let _ = cursor.weekday();
    let day = cursor.number(1, 2)?;
    let separator = cursor.any(b" -/.")?;
    let month = if separator == b'.' { cursor.number(2, 2)? } else { cursor.month()? };
    cursor.eat(separator)?;
    let year = cursor.attempt(|cursor| {
        let year = cursor.number(4, 4)?;
        cursor.any(b" :T-")?;
        i32::try_from(year).ok()
    });
    if separator == b'.' && year.is_none() {
        return None;
    }
    let time = cursor.time()?;
    let offset_s = if year.is_some() { cursor.zone() } else { None };
    cursor.end()?;
    Some(Civil { year, month, day, time, offset_s })
}
