//! Points and spans of time as rows carry them: nanoseconds since 1970 in UTC.
//!
//! Nothing here reads a clock; see [`crate::clock`].

use std::fmt;

/// Nanoseconds of a day.
pub const DAY_NS: i64 = 86_400_000_000_000;

/// A point in time: nanoseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From nanoseconds since 1970.
    pub const fn from_ns(ns: i64) -> Self {
        Self(ns)
    }

    /// Nanoseconds since 1970.
    pub const fn ns(self) -> i64 {
        self.0
    }

    /// The UTC day it lies in.
    pub fn day(self) -> Day {
        // A quotient of an i64 by DAY_NS lies within ±106,752.
        Day(i32::try_from(self.0.div_euclid(DAY_NS)).unwrap_or(i32::MAX))
    }

    /// This point moved by a span in nanoseconds (negative: earlier), stopping at the ends of the range.
    pub const fn plus_ns(self, ns: i64) -> Self {
        Self(self.0.saturating_add(ns))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = chrono::DateTime::from_timestamp_nanos(self.0);
        f.write_str(&time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }
}

/// A UTC day: days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Day(i32);

impl Day {
    /// From days since 1970-01-01.
    pub const fn from_days(days: i32) -> Self {
        Self(days)
    }

    /// Days since 1970-01-01.
    pub const fn days(self) -> i32 {
        self.0
    }

    /// The times of the day, both ends included.
    pub fn range(self) -> TimeRange {
        let first = i64::from(self.0).saturating_mul(DAY_NS);
        TimeRange::new(Timestamp(first), Timestamp(first.saturating_add(DAY_NS - 1)))
    }

    /// Parses `YYYY-MM-DD`, the form of object keys.
    pub fn parse(text: &str) -> Option<Self> {
        let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        let days = date.signed_duration_since(chrono::NaiveDate::default()).num_days();
        i32::try_from(days).ok().map(Self)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = chrono::NaiveDate::default() + chrono::TimeDelta::days(i64::from(self.0));
        write!(f, "{}", date.format("%Y-%m-%d"))
    }
}

/// A span of time, both ends included. Invariant: `min <= max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRange {
    /// First point.
    pub min: Timestamp,
    /// Last point.
    pub max: Timestamp,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self { min: Timestamp(i64::MIN), max: Timestamp(i64::MAX) };

    /// The span between two points, in either order.
    pub fn new(a: Timestamp, b: Timestamp) -> Self {
        Self { min: a.min(b), max: a.max(b) }
    }

    /// Whether the two spans share a point.
    pub fn overlaps(self, other: Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }

    /// Whether the point lies in the span.
    pub fn contains(self, point: Timestamp) -> bool {
        self.min <= point && point <= self.max
    }

    /// The smallest span that holds both.
    pub fn union(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_round_trip() {
        let day = Timestamp::from_ns(-1).day();
        assert_eq!(day.to_string(), "1969-12-31");
        assert_eq!(Day::parse("1969-12-31"), Some(day));
        assert_eq!(Day::parse("2026-02-29"), None);
        assert_eq!(day.range().max, Timestamp::from_ns(-1));
        assert_eq!(Timestamp::from_ns(1_500_000_000_000_000_000).to_string(), "2017-07-14T02:40:00Z");
    }

    #[test]
    fn ranges_include_their_ends() {
        let range = TimeRange::new(Timestamp::from_ns(5), Timestamp::from_ns(3));
        assert!(range.contains(Timestamp::from_ns(3)) && range.contains(Timestamp::from_ns(5)));
        assert!(range.overlaps(TimeRange::new(Timestamp::from_ns(5), Timestamp::from_ns(9))));
        assert!(!range.overlaps(TimeRange::new(Timestamp::from_ns(6), Timestamp::from_ns(9))));
    }
}
