//! Dates and times of the calendar, and how they become instants.
//!
//! Rules, for a time that names no offset of its own:
//! - it is in the zone of the file (`--timezone`), UTC unless said;
//! - an hour that the clocks skip in spring counts as if they had not been moved yet, so 02:30 becomes 03:30 summer
//!   time and the order of lines is kept;
//! - an hour that comes twice in autumn counts as its first time;
//! - without a year it is the latest year in which the date exists and is not in the future;
//! - second 60, a leap second, is the first instant of the next minute.

use std::str::FromStr;

use chrono::{
    DateTime, Datelike, Duration, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, Offset, TimeZone,
};
use chrono_tz::Tz;

use super::cursor::Cursor;

/// How many years back a date without a year is tried: 29 February can be eight years away.
const YEARS_BACK_MAX: i32 = 8;
/// The longest gap that a clock change has made (Samoa skipped a day), in hours.
const GAP_HOURS_MAX: i64 = 25;

/// A time of day; `second` may be 60.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) hour: u32,
    pub(super) minute: u32,
    pub(super) second: u32,
    pub(super) nanosecond: u32,
}

/// A date and time as a line has them, not yet known to exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Civil {
    /// `None` where the line leaves it out.
    pub(super) year: Option<i32>,
    pub(super) month: u32,
    pub(super) day: u32,
    pub(super) time: Time,
    /// Seconds east of UTC; `None` where the line leaves it out.
    pub(super) offset_s: Option<i32>,
}

impl Civil {
    /// The instant in nanoseconds, or `None` for a date or time that does not exist.
    pub(super) fn instant_ns(&self, zone: Zone, now_ns: i64) -> Option<i64> {
        let zone = match self.offset_s {
            Some(seconds) => Zone(Kind::Fixed(FixedOffset::east_opt(seconds)?)),
            None => zone,
        };
        if let Some(year) = self.year {
            return zone.instant_ns(self.local(year)?);
        }
        // A zone ahead of UTC may already be in the next year.
        let newest = DateTime::from_timestamp_nanos(now_ns).year() + 1;
        (0..=YEARS_BACK_MAX)
            .filter_map(|back| zone.instant_ns(self.local(newest - back)?))
            .find(|instant_ns| *instant_ns <= now_ns)
    }

    fn local(&self, year: i32) -> Option<NaiveDateTime> {
        let Time { hour, minute, second, nanosecond } = self.time;
        let date = NaiveDate::from_ymd_opt(year, self.month, self.day)?;
        match second {
            // Zones differ by quarters of an hour, so a leap second is at the end of one everywhere.
            60 if minute % 15 == 14 => {
                date.and_hms_opt(hour, minute, 59)?.checked_add_signed(Duration::seconds(1))
            }
            _ => date.and_hms_nano_opt(hour, minute, second, nanosecond),
        }
    }
}

/// The zone of times that name none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zone(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fixed(FixedOffset),
    Named(Tz),
}

/// A zone that is neither a name of the IANA list nor an offset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time zone; give an IANA name such as Europe/Berlin, or an offset such as +02:00")]
pub(crate) struct InvalidZone {
    text: String,
}

impl Zone {
    /// Coordinated universal time.
    pub(crate) const UTC: Self = Self(Kind::Named(Tz::UTC));

    fn instant_ns(self, local: NaiveDateTime) -> Option<i64> {
        let offset = match self.0 {
            Kind::Fixed(offset) => offset,
            Kind::Named(Tz::UTC) => return local.and_utc().timestamp_nanos_opt(),
            Kind::Named(zone) => offset_at(zone, local)?,
        };
        let utc = local.checked_sub_signed(Duration::seconds(i64::from(offset.local_minus_utc())))?;
        utc.and_utc().timestamp_nanos_opt()
    }
}

/// The offset of a local time: the first one where it comes twice, the one before the gap where it never comes.
fn offset_at(zone: Tz, local: NaiveDateTime) -> Option<FixedOffset> {
    (0..=GAP_HOURS_MAX).find_map(|hours| {
        let earlier = local.checked_sub_signed(Duration::hours(hours))?;
        match zone.offset_from_local_datetime(&earlier) {
            LocalResult::Single(offset) => Some(offset.fix()),
            LocalResult::Ambiguous(first, second) if hours == 0 => {
                let (first, second) = (first.fix(), second.fix());
                Some(if first.local_minus_utc() >= second.local_minus_utc() { first } else { second })
            }
            LocalResult::Ambiguous(..) | LocalResult::None => None,
        }
    })
}

impl FromStr for Zone {
    type Err = InvalidZone;

    fn from_str(text: &str) -> Result<Self, InvalidZone> {
        if text.eq_ignore_ascii_case("utc") {
            return Ok(Self::UTC);
        }
        if let Ok(zone) = Tz::from_str(text) {
            return Ok(Self(Kind::Named(zone)));
        }
        let mut cursor = Cursor::new(text.as_bytes());
        let offset = cursor.zone().filter(|_| cursor.used() == text.len());
        let offset = offset.and_then(FixedOffset::east_opt);
        offset.map(|offset| Self(Kind::Fixed(offset))).ok_or_else(|| InvalidZone { text: text.to_owned() })
    }
}
