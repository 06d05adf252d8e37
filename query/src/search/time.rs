//! Points in time as they are written in a query.
//!
//! A time is as wide as it is written: `2026-01-31` is a whole day, `2026-01-31T12:00` a minute, `2026` a year,
//! `1769860800` (epoch) a second. So `timestamp:2026-01-31` asks for the day, `>2026-01-31` for what is behind
//! it, and `<=2026-01-31` includes it. Without a zone it is UTC.
//!
//! ```text
//!   YYYY[-MM[-DD[(T| )hh[:mm[:ss[.f…]]][Z|±hh:mm]]]]     now[(+|-)N(ms|s|m|h|d|w)…]     epoch in s, ms, µs or ns
//! ```

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use ironbark_storage::{TimeRange, Timestamp};

/// From how many digits on an epoch counts milliseconds, microseconds and nanoseconds.
const EPOCH_DIGITS: [(usize, i64); 4] = [(18, 1), (15, 1_000), (12, 1_000_000), (0, 1_000_000_000)];

/// Digits of a year: a number of so many digits is no epoch.
const YEAR_DIGITS: usize = 4;

/// The span that the text means, `now` being the time of the query. `None` if it is no time.
pub(super) fn parse(text: &str, now: Timestamp) -> Option<TimeRange> {
    let text = text.trim();
    if let Some(offset) = text.strip_prefix("now") {
        let at = now.plus_ns(offset_ns(offset)?);
        return Some(TimeRange::new(at, at));
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && text.len() != YEAR_DIGITS {
        let (_, unit_ns) = EPOCH_DIGITS.iter().find(|(digits, _)| text.len() >= *digits)?;
        let start = text.parse::<i64>().ok()?.checked_mul(*unit_ns)?;
        return Some(wide(start, *unit_ns));
    }
    calendar(text)
}

fn wide(start_ns: i64, width_ns: i64) -> TimeRange {
    let last = start_ns.saturating_add(width_ns.saturating_sub(1));
    TimeRange::new(Timestamp::from_ns(start_ns), Timestamp::from_ns(last))
}

/// `-1h30m`, `+2d` or nothing.
fn offset_ns(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.chars().next() {
        None => return Some(0),
        Some('-') => (-1, text.get(1..)?),
        Some('+') => (1, text.get(1..)?),
        Some(_) => return None,
    };
    let mut total = 0i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit_ns = match rest.get(..letters)? {
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => ironbark_storage::DAY_NS,
            "w" => 7 * ironbark_storage::DAY_NS,
            _ => return None,
        };
        rest = rest.get(letters..)?;
        total = total.checked_add(number.checked_mul(unit_ns)?)?;
    }
    (total != 0 || text.len() > 2).then_some(sign * total)
}

/// How wide a calendar time is.
enum Width {
    Months(u32),
    Ns(i64),
}

fn calendar(text: &str) -> Option<TimeRange> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let (day, mut width) = parse_date(date)?;
    let mut start = day.and_time(NaiveTime::MIN);
    if let Some(time) = time {
        if matches!(width, Width::Months(_)) {
            return None;
        }
        let (time, zone_s) = split_zone(time)?;
        let (since_midnight_ns, width_ns) = parse_time(time)?;
        width = Width::Ns(width_ns);
        let shift = TimeDelta::nanoseconds(since_midnight_ns) - TimeDelta::seconds(zone_s);
        start = start.checked_add_signed(shift)?;
    }
    let end = match width {
        Width::Months(months) => start.checked_add_months(Months::new(months))?,
        Width::Ns(ns) => start.checked_add_signed(TimeDelta::nanoseconds(ns))?,
    };
    let last = Timestamp::from_ns(ns_of(end)).plus_ns(if ns_of(end) == i64::MAX { 0 } else { -1 });
    Some(TimeRange::new(Timestamp::from_ns(ns_of(start)), last))
}

/// Nanoseconds since 1970; years that they cannot count become the first or last point there is.
fn ns_of(time: NaiveDateTime) -> i64 {
    let utc: DateTime<chrono::Utc> = time.and_utc();
    utc.timestamp_nanos_opt().unwrap_or(if utc.year() < 1970 { i64::MIN } else { i64::MAX })
}

fn parse_date(text: &str) -> Option<(NaiveDate, Width)> {
    let mut fields = text.split('-');
    let year = number(fields.next()?, YEAR_DIGITS)?;
    let month = fields.next().map(|text| number(text, 2)).map_or(Some(None), |month| month.map(Some))?;
    let day = fields.next().map(|text| number(text, 2)).map_or(Some(None), |day| day.map(Some))?;
    let width = match (month, day) {
        (None, _) => Width::Months(12),
        (Some(_), None) => Width::Months(1),
        (Some(_), Some(_)) => Width::Ns(ironbark_storage::DAY_NS),
    };
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month.unwrap_or(1), day.unwrap_or(1))?;
    fields.next().is_none().then_some((date, width))
}

/// Nanoseconds since midnight, and how wide the time is.
fn parse_time(text: &str) -> Option<(i64, i64)> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let mut fields = clock.split(':');
    let mut ns = 0;
    let mut width_ns = ironbark_storage::DAY_NS;
    for (parts, limit) in [(24, 24), (60, 60), (60, 60)] {
        let Some(field) = fields.next() else { break };
        width_ns /= parts;
        ns += i64::from(number(field, 2).filter(|number| *number < limit)?) * width_ns;
    }
    if let Some(fraction) = fraction {
        let digits = fraction.len();
        if width_ns != 1_000_000_000 || !(1..=9).contains(&digits) {
            return None;
        }
        width_ns = 10i64.checked_pow(u32::try_from(9 - digits).ok()?)?;
        ns += i64::from(number(fraction, digits)?) * width_ns;
    }
    fields.next().is_none().then_some((ns, width_ns))
}

/// Cuts the zone off; its distance to UTC is in seconds.
fn split_zone(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = text.find(['+', '-']) else {
        return Some((text, 0));
    };
    let (time, zone) = text.split_at_checked(at)?;
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let zone = zone.get(1..)?;
    let (hours, minutes) = zone.split_once(':').or_else(|| zone.split_at_checked(2))?;
    let minutes = if minutes.is_empty() { 0 } else { number(minutes, 2)? };
    Some((time, sign * (i64::from(number(hours, 2)?) * 3600 + i64::from(minutes) * 60)))
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u32> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let now = Timestamp::from_ns(1_769_860_800_000_000_000);
        parse(text, now)
            .map_or_else(|| "no time".to_owned(), |range| format!("{} .. {}", range.min, range.max))
    }

    #[test]
    fn a_time_is_as_wide_as_it_is_written() {
        for (text, expected) in [
            ("2026", "2026-01-01T00:00:00Z .. 2026-12-31T23:59:59.999999999Z"),
            ("2026-02", "2026-02-01T00:00:00Z .. 2026-02-28T23:59:59.999999999Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z .. 2026-01-31T23:59:59.999999999Z"),
            ("2026-01-31T12", "2026-01-31T12:00:00Z .. 2026-01-31T12:59:59.999999999Z"),
            ("2026-01-31 12:30", "2026-01-31T12:30:00Z .. 2026-01-31T12:30:59.999999999Z"),
            ("2026-01-31T12:30:15Z", "2026-01-31T12:30:15Z .. 2026-01-31T12:30:15.999999999Z"),
            ("2026-01-31T12:30:15.25+01:00", "2026-01-31T11:30:15.250Z .. 2026-01-31T11:30:15.259999999Z"),
            (
                "2026-01-31t00:30:15.123456789-0530",
                "2026-01-31T06:00:15.123456789Z .. 2026-01-31T06:00:15.123456789Z",
            ),
            ("1769860800", "2026-01-31T12:00:00Z .. 2026-01-31T12:00:00.999999999Z"),
            ("1769860800123", "2026-01-31T12:00:00.123Z .. 2026-01-31T12:00:00.123999999Z"),
            ("1769860800123456", "2026-01-31T12:00:00.123456Z .. 2026-01-31T12:00:00.123456999Z"),
            ("1769860800123456789", "2026-01-31T12:00:00.123456789Z .. 2026-01-31T12:00:00.123456789Z"),
            ("now", "2026-01-31T12:00:00Z .. 2026-01-31T12:00:00Z"),
            ("now-1h30m", "2026-01-31T10:30:00Z .. 2026-01-31T10:30:00Z"),
            ("now+1w", "2026-02-07T12:00:00Z .. 2026-02-07T12:00:00Z"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn years_that_do_not_fit_are_the_ends_of_time() {
        assert_eq!(parse("9999", Timestamp::default()).unwrap().min.ns(), i64::MAX);
        assert_eq!(parse("0001-01-01", Timestamp::default()).unwrap().max.ns(), i64::MIN);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "x",
            "2026-13",
            "2026-02-30",
            "2026-1-1",
            "2026-01-01T24",
            "2026-01T10",
            "2026-01-01T10:60",
            "2026-01-01T10:00:00.",
            "2026-01-01T10:00.5",
            "2026-01-01T10:00+1",
            "now-",
            "now1h",
            "now-1y",
            "now-1h2",
            "99999999999999999999",
            "2026-01-01-01",
            "2026-01-01T1:00",
            "é",
            "nowé",
            "2026-01-01T10:00+é1",
        ] {
            assert_eq!(read(text), "no time", "{text}");
        }
    }
}
