//! Dates that begin with the name of a month, perhaps behind a weekday: syslog (RFC 3164), ctime, Apache's error log.

use super::civil::Civil;
use super::cursor::Cursor;

/// Reads `Jun 14 15:16:01`, `Mar  1 2024 18:46:11`, `Jan 02, 2024 3:04:05 PM`, `Sun Dec 04 04:47:44.123456 2005` and
/// `Sun Dec  4 04:47:44 UTC 2005`.
///
/// Behind a bare syslog time comes a host, whose name may look like anything: a zone or year there counts only
/// where a weekday or a year shows that this is not syslog.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Civil> {
    let weekday = cursor.weekday().is_some();
    let month = cursor.month()?;
    cursor.eat(b' ')?;
    let _ = cursor.eat(b' ');
    let day = cursor.number(1, 2)?;
    let _ = cursor.eat(b',');
    cursor.eat(b' ')?;
    let leading = cursor.attempt(|cursor| {
        let year = cursor.number(4, 4)?;
        cursor.eat(b' ')?;
        Some(year)
    });
    let time = cursor.time()?;
    let offset_s = if weekday || leading.is_some() { cursor.zone() } else { None };
    let trailing = if weekday && leading.is_none() { trailing_year(cursor) } else { None };
    cursor.end()?;
    let year = leading.or(trailing).map(i32::try_from).transpose().ok()?;
    Some(Civil { year, month, day, time, offset_s })
}

fn trailing_year(cursor: &mut Cursor<'_>) -> Option<u32> {
    cursor.attempt(|cursor| {
        cursor.eat(b' ')?;
        let year = cursor.number(4, 4)?;
        cursor.end()?;
        Some(year)
    })
}
