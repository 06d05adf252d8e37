//! Reads the pieces of a timestamp from left to right.
//!
//! Each method takes what it names or leaves the cursor where it was and returns `None`; nothing looks backwards.

use super::civil::Time;

const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
const WEEKDAYS: [&[u8; 3]; 7] = [b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"];
/// Zone names whose offset does not depend on who reads them (RFC 5322, and the central European pair), in hours.
/// Other names are not read: the zone of the file counts.
const ZONES: [(&[u8], i32); 14] = [
    (b"UTC", 0),
    (b"GMT", 0),
    (b"UT", 0),
    (b"Z", 0),
    (b"EST", -5),
    (b"EDT", -4),
    (b"CST", -6),
    (b"CDT", -5),
    (b"MST", -7),
    (b"MDT", -6),
    (b"PST", -8),
    (b"PDT", -7),
    (b"CET", 1),
    (b"CEST", 2),
];
/// Digits of a fraction that count: nanoseconds. More are read and dropped.
const FRACTION_DIGITS_MAX: usize = 9;
/// Digits that a fraction may have in all.
const FRACTION_DIGITS_READ_MAX: usize = 18;

/// A position in the bytes of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    used: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    /// How many bytes were taken.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.used).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.used..).unwrap_or_default()
    }

    /// Runs `read`; where it fails nothing was taken.
    pub(super) fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut trial = *self;
        let value = read(&mut trial)?;
        *self = trial;
        Some(value)
    }

    /// Takes `byte`.
    pub(super) fn eat(&mut self, byte: u8) -> Option<()> {
        self.any(&[byte]).map(drop)
    }

    /// Takes one of `bytes` and returns it.
    pub(super) fn any(&mut self, bytes: &[u8]) -> Option<u8> {
        let next = self.peek().filter(|next| bytes.contains(next))?;
        self.used += 1;
        Some(next)
    }

    /// Takes `word`, without case.
    fn word(&mut self, word: &[u8]) -> Option<()> {
        let next = self.rest().get(..word.len())?;
        next.eq_ignore_ascii_case(word).then(|| self.used += word.len())
    }

    /// How many digits follow.
    pub(super) fn digits_ahead(&self) -> usize {
        self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    /// Takes a run of digits, neither shorter nor longer than said.
    pub(super) fn number(&mut self, digits_min: usize, digits_max: usize) -> Option<u32> {
        let digits = self.digits_ahead();
        if !(digits_min..=digits_max).contains(&digits) {
            return None;
        }
        self.fixed(digits)
    }

    /// Takes exactly so many digits, whatever follows.
    pub(super) fn fixed(&mut self, digits: usize) -> Option<u32> {
        u32::try_from(self.wide(digits)?).ok()
    }

    /// As `fixed`, for up to 19 digits.
    pub(super) fn wide(&mut self, digits: usize) -> Option<u64> {
        let mut value: u64 = 0;
        for byte in self.rest().get(..digits)? {
            if !byte.is_ascii_digit() {
                return None;
            }
            value = value.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
        }
        self.used += digits;
        Some(value)
    }

    /// Takes the three letters of a month: 1 to 12.
    pub(super) fn month(&mut self) -> Option<u32> {
        (1..).zip(MONTHS).find(|(_, name)| self.word(*name).is_some()).map(|(month, _)| month)
    }

    /// Takes the three letters of a weekday, a comma if there is one, and a space.
    pub(super) fn weekday(&mut self) -> Option<()> {
        self.attempt(|cursor| {
            WEEKDAYS.iter().find(|name| cursor.word(**name).is_some())?;
            let _ = cursor.eat(b',');
            cursor.eat(b' ')
        })
    }

    /// Takes `15:04:05`, with a fraction behind `.` or `,` and AM or PM where they stand.
    pub(super) fn time(&mut self) -> Option<Time> {
        self.time_separated_by(b':')
    }

    /// As `time`, with another byte in place of the colons.
    pub(super) fn time_separated_by(&mut self, separator: u8) -> Option<Time> {
        self.attempt(|cursor| {
            let hour = cursor.number(1, 2)?;
            cursor.eat(separator)?;
            let minute = cursor.number(2, 2)?;
            cursor.eat(separator)?;
            let second = cursor.number(2, 2)?;
            let nanosecond = cursor.fraction().unwrap_or(0);
            let hour = cursor.half_of_day(hour).unwrap_or(hour);
            Some(Time { hour, minute, second, nanosecond })
        })
    }

    /// Takes a fraction of a second as nanoseconds.
    pub(super) fn fraction(&mut self) -> Option<u32> {
        self.attempt(|cursor| {
            cursor.any(b".,")?;
            let digits = cursor.digits_ahead();
            if !(1..=FRACTION_DIGITS_READ_MAX).contains(&digits) {
                return None;
            }
            let kept = digits.min(FRACTION_DIGITS_MAX);
            let value = cursor.fixed(kept)?;
            cursor.used += digits - kept;
            let missing = u32::try_from(FRACTION_DIGITS_MAX - kept).ok()?;
            value.checked_mul(10_u32.checked_pow(missing)?)
        })
    }

    /// Takes ` AM` or ` PM` behind a twelve-hour time, and returns the hour of the day.
    fn half_of_day(&mut self, hour: u32) -> Option<u32> {
        self.attempt(|cursor| {
            cursor.eat(b' ')?;
            let morning = cursor.word(b"am").is_some();
            if !morning {
                cursor.word(b"pm")?;
            }
            cursor.end()?;
            let hour = (1..=12).contains(&hour).then_some(hour % 12)?;
            Some(if morning { hour } else { hour + 12 })
        })
    }

    /// Takes a zone, attached (`Z`, `+01:00`, `-0700`, `-05`) or behind a space (`UTC`, `+0100`): seconds east.
    pub(super) fn zone(&mut self) -> Option<i32> {
        self.attempt(|cursor| {
            let spaced = cursor.eat(b' ').is_some();
            let seconds = match cursor.any(b"+-") {
                Some(sign) => cursor.offset(if sign == b'-' { -1 } else { 1 }, spaced),
                None => cursor.named_zone(),
            }?;
            cursor.end()?;
            Some(seconds)
        })
    }

    /// Behind a space a signed number may be anything, so only offsets that are in use count there.
    fn offset(&mut self, sign: i32, strict: bool) -> Option<i32> {
        let hours = self.fixed(2)?;
        let colon = self.eat(b':').is_some();
        let minutes = match self.number(2, 2) {
            None if colon || strict => return None,
            minutes => minutes.unwrap_or(0),
        };
        let known = if strict { hours <= 14 && minutes % 15 == 0 } else { hours < 24 };
        let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
        (known && minutes < 60).then_some(sign * seconds)
    }

    fn named_zone(&mut self) -> Option<i32> {
        let length = self.rest().iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let name = self.rest().get(..length)?;
        let (_, hours) = ZONES.iter().find(|(zone, _)| *zone == name || name == b"z" && *zone == b"Z")?;
        self.used += length;
        Some(hours * 3600)
    }

    /// Takes nothing, and holds only where a timestamp may end: before no letter, no digit, and no further digits
    /// behind a point or colon.
    pub(super) fn end(&self) -> Option<()> {
        let ends = match self.rest() {
            [b'.' | b':', next, ..] => !next.is_ascii_digit(),
            [next, ..] => !next.is_ascii_alphanumeric() && *next != b'_',
            [] => true,
        };
        ends.then_some(())
    }
}
