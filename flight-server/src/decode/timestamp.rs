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
    fn what_is_no_time_says_so() {
        for text in ["", "yesterday", "2023-11-14", "1.2.3", "-", ".", "NaN", "inf", "0x10", "1e"] {
            assert!(matches!(from_text(text), Err(NotATime::Form(_))), "{text}");
        }
        for text in ["2300-01-01T00:00:00Z", "99999999999999999999", "9223372036854775808"] {
            assert!(matches!(from_text(text), Err(NotATime::Range(_))), "{text}");
        }
    }
}
