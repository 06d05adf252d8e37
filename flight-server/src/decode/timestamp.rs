//! Points in time as clients write them: RFC 3339, or seconds, milliseconds, microseconds or nanoseconds since 1970.
//!
//! The unit of a number is told by its size: the ranges of the four units do not meet between 1973 and 5138.

use ironbark_storage::Timestamp;

/// Smaller numbers are seconds.
const SECONDS_BELOW: u64 = 100_000_000_000;
/// Smaller numbers are milliseconds.
const MILLISECONDS_BELOW: u64 = 100_000_000_000_000;
/// Smaller numbers are microseconds; others are nanoseconds.
const MICROSECONDS_BELOW: u64 = 100_000_000_000_000_000;
/// Digits of a nanosecond.
const FRACTION_DIGITS: usize = 9;

/// The offset without its colon, as zap and many Java programs write it.
const ISO_8601: &str = "%Y-%m-%dT%H:%M:%S%.f%z";

/// Why a text or number is no timestamp.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotATime {
    /// It has another form.
    #[error(
        "timestamp {0:?} is neither RFC 3339 (2026-11-23T07:15:00.123Z) nor a number of seconds, milliseconds, \
         microseconds or nanoseconds since 1970"
    )]
    Form(String),
    /// Nanoseconds since 1970 in 64 bits do not reach it.
    #[error("timestamp {0} is out of range: nanoseconds reach from 1677-09-21 to 2262-04-11")]
    Range(String),
}

/// A timestamp from a whole number, whose size tells its unit.
pub(crate) fn from_epoch(number: i64) -> Result<Timestamp, NotATime> {
    let ns = number.checked_mul(ns_per_unit(number.unsigned_abs()));
    ns.map(Timestamp::from_ns).ok_or_else(|| NotATime::Range(number.to_string()))
}

fn ns_per_unit(number: u64) -> i64 {
    match number {
        0..SECONDS_BELOW => 1_000_000_000,
        SECONDS_BELOW..MILLISECONDS_BELOW => 1_000_000,
        MILLISECONDS_BELOW..MICROSECONDS_BELOW => 1_000,
        _ => 1,
    }
}

/// A timestamp from a text: RFC 3339, or a number with or without a fraction.
pub(crate) fn from_text(text: &str) -> Result<Timestamp, NotATime> {
    if let Some(time) = from_fixed(text) {
        return Ok(time);
    }
    let text = text.trim();
    let shown = || text.chars().take(64).collect::<String>();
    if let Some(number) = from_number(text) {
        return number;
    }
    let parsed = chrono::DateTime::parse_from_rfc3339(text);
    let Ok(time) = parsed.or_else(|_| chrono::DateTime::parse_from_str(text, ISO_8601)) else {
        return Err(NotATime::Form(shown()));
    };
    time.timestamp_nanos_opt().map(Timestamp::from_ns).ok_or_else(|| NotATime::Range(shown()))
}

/// The form that most programs write, `2026-11-23T07:15:00.123456Z`: every digit has its place. `None` if it is another one,
/// or no time.
fn from_fixed(text: &str) -> Option<Timestamp> {
    let (head, rest) = text.as_bytes().split_first_chunk::<19>()?;
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', i0, i1, b':', s0, s1] = head else {
        return None;
    };
    let fraction = match rest.strip_suffix(b"Z")? {
        [] => [].as_slice(),
        [b'.', digits @ ..] if (1..=FRACTION_DIGITS).contains(&digits.len()) => digits,
        _ => return None,
    };
    let date = chrono::NaiveDate::from_ymd_opt(
        i32::try_from(number(&[y0, y1, y2, y3])?).ok()?,
        number(&[m0, m1])?,
        number(&[d0, d1])?,
    )?;
    let scale = 10_u32.pow(u32::try_from(FRACTION_DIGITS - fraction.len()).ok()?);
    let time = date.and_hms_nano_opt(
        number(&[h0, h1])?,
        number(&[i0, i1])?,
        number(&[s0, s1])?,
        number(fraction)? * scale,
    )?;
    time.and_utc().timestamp_nanos_opt().map(Timestamp::from_ns)
}

/// At most nine digits as a number.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u32::from(digit))
    })
}

/// `None` if the text is no number.
fn from_number(text: &str) -> Option<Result<Timestamp, NotATime>> {
    let range = || NotATime::Range(text.chars().take(64).collect());
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1_i64, rest),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits_only = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() {
        return None;
    }
    if !digits_only(whole) || !digits_only(fraction) {
        return from_exponent(text);
    }
    let Ok(number) = whole.parse::<i64>() else { return Some(Err(range())) };
    let unit = ns_per_unit(number.unsigned_abs());
    // The fraction of a unit in nanoseconds: its first nine digits, scaled from a second to the unit.
    let nine = format!("{:0<FRACTION_DIGITS$}", fraction.get(..FRACTION_DIGITS).unwrap_or(fraction));
    let fraction_ns = nine.parse::<i64>().unwrap_or(0) / (1_000_000_000 / unit);
    let ns = number.checked_mul(unit).and_then(|ns| ns.checked_add(fraction_ns)).map(|ns| ns * sign);
    Some(ns.map(Timestamp::from_ns).ok_or_else(range))
}

/// `1.7e9`, as some JSON writers print whole numbers.
fn from_exponent(text: &str) -> Option<Result<Timestamp, NotATime>> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && text.contains(['e', 'E']))?;
    // Printed without an exponent it is read as any other number.
    let plain = format!("{number}");
    if plain.contains(['e', 'E']) { None } else { from_number(&plain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_number_tells_its_unit() {
        let expected = Ok(Timestamp::from_ns(1_700_000_000_000_000_000));
        for number in [1_700_000_000, 1_700_000_000_000, 1_700_000_000_000_000, 1_700_000_000_000_000_000] {
            assert_eq!(from_epoch(number), expected);
            assert_eq!(from_text(&number.to_string()), expected);
        }
        assert_eq!(from_epoch(-1), Ok(Timestamp::from_ns(-1_000_000_000)));
        assert_eq!(from_text("1.7e9"), expected);
    }

    #[test]
    fn fractions_are_exact() {
        for (text, ns) in [
            ("1700000000.123456789", 1_700_000_000_123_456_789),
            ("1700000000.1", 1_700_000_000_100_000_000),
            ("1700000000123.456", 1_700_000_000_123_456_000),
            ("1700000000123456.789", 1_700_000_000_123_456_789),
            ("-1.5", -1_500_000_000),
            ("2023-11-14T22:13:20.000000001Z", 1_700_000_000_000_000_001),
            ("2023-11-15T00:13:20.000+0200", 1_700_000_000_000_000_000),
            ("2023-11-15 00:13:20+02:00", 1_700_000_000_000_000_000),
        ] {
            assert_eq!(from_text(text), Ok(Timestamp::from_ns(ns)), "{text}");
        }
    }

    #[test]
    fn the_fixed_form_is_what_rfc_3339_says() {
        for (text, fixed) in [
            ("2026-03-02T00:00:04.609850Z", true),
            ("2024-02-29T23:59:59Z", true),
            ("2026-03-02T00:00:04.1Z", true),
            ("1969-12-31T23:59:59.999999999Z", true),
            ("2262-04-11T23:47:16.854775807Z", true),
            ("2026-03-02T00:00:04.6098501234Z", false),
            ("2026-03-02T23:59:60Z", false),
            ("2026-03-02T00:00:04+00:00", false),
            ("2026-03-02t00:00:04z", false),
        ] {
            let expected = chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt();
            assert_eq!(from_fixed(text), expected.filter(|_| fixed).map(Timestamp::from_ns), "{text}");
            assert_eq!(from_text(text), Ok(Timestamp::from_ns(expected.unwrap())), "{text}");
        }
        for text in [
            "2025-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-03-02T24:00:00Z",
            "2026-03-02T00:00:0/Z",
            "2026-03-02T00:00:04.Z",
        ] {
            assert_eq!((from_fixed(text), from_text(text).is_err()), (None, true), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_says_so() {
        for text in ["", "yesterday", "2023-11-14", "1.2.3", "-", ".", "NaN", "inf", "0x10", "1e"] {
            assert!(matches!(from_text(text), Err(NotATime::Form(_))), "{text}");
        }
        for text in ["2300-01-01T00:00:00Z", "99999999999999999999", "9223372036854775808"] {
            assert!(matches!(from_text(text), Err(NotATime::Range(_))), "{text}");
        }
    }
}
