//! Dates that begin with a year of four digits: RFC 3339, ISO 8601, log4j, Go, nginx, BGL.

use super::civil::Civil;
use super::cursor::Cursor;

/// Reads `2015-10-18T18:01:47.978Z`, with `-`, `/` or `.` in the date and `T`, `_`, `-`, `:` or a space before the time.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Option<Civil> {
    let year = i32::try_from(cursor.number(4, 4)?).ok()?;
    let separator = cursor.any(b"-/.")?;
    let month = cursor.number(1, 2)?;
    cursor.eat(separator)?;
    let day = cursor.number(1, 2)?;
    let joint = cursor.any(b"Tt _-:")?;
    let time = match joint {
        // 2005-06-03-15.42.50.675872
        b'-' => cursor.time_separated_by(b'.').or_else(|| cursor.time()),
        _ => cursor.time(),
    }?;
    let offset_s = cursor.zone();
    cursor.end()?;
    Some(Civil { year: Some(year), month, day, time, offset_s })
}
