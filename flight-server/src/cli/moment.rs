//! Points in time on the command line.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use ironbark_storage::Timestamp;

/// Nanoseconds of a second.
const NS_PER_S: i64 = 1_000_000_000;

/// Reads `2024-01-02T15:04:05Z` (any offset), `2024-01-02 15:04:05`, `2024-01-02 15:04` and `2024-01-02` in UTC, and
/// seconds since 1970.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    let ns = if let Ok(seconds) = text.parse::<i64>() {
        seconds.checked_mul(NS_PER_S)
    } else if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        instant.timestamp_nanos_opt()
    } else {
        local(text).and_then(|time| time.and_utc().timestamp_nanos_opt())
    };
    let hint = || {
        format!(
            "`{text}` is not a point in time; write 2024-01-02T15:04:05Z, 2024-01-02 15:04:05 or 2024-01-02 (UTC), or \
             seconds since 1970"
        )
    };
    ns.map(Timestamp::from_ns).ok_or_else(hint)
}

fn local(text: &str) -> Option<NaiveDateTime> {
    let text = text.replace('T', " ");
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok())
        .or_else(|| NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_are_read() {
        for (text, expected) in [
            ("2024-01-02T15:04:05+01:00", "2024-01-02T14:04:05Z"),
            ("2024-01-02 15:04:05.5", "2024-01-02T15:04:05.500Z"),
            ("2024-01-02T15:04", "2024-01-02T15:04:00Z"),
            ("2024-01-02", "2024-01-02T00:00:00Z"),
            ("1700000000", "2023-11-14T22:13:20Z"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "yesterday", "2024-02-30", "99999999999999"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
