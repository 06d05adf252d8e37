//! Row counts of a segment by minute and level, in the footer: histograms are answered from them without reading rows.
//!
//! ```text
//! ironbark.minute_levels = base64, without padding, of:
//!
//!   version u8 = 1
//!   levels            n, then n times: 0 for NULL, or the length + 1 and the bytes
//!   counts            for each level: number of runs, then each run of minutes that have rows:
//!                     empty minutes before it, its minutes, the rows of each
//!   CRC32C u32 LE     of all bytes before
//! ```
//!
//! Numbers are LEB128. Minutes count from the beginning of the partition's day. The entry is left out where it would
//! be large beside the rows that it saves reading.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use parquet::file::metadata::KeyValue;

use super::format::{KEY_MINUTE_LEVELS, metadata_value};
use super::slices::Columns;
use super::varint::{Input, put, put_len};
use super::{SegmentMeta, SegmentTail};
use crate::{DAY_NS, Day, Error, Result, TimeRange, Timestamp};

/// Nanoseconds of a minute.
pub const MINUTE_NS: i64 = 60_000_000_000;

const MINUTES: usize = 1_440;
const DAY_MINUTES: i64 = DAY_NS / MINUTE_NS;
const VERSION: u8 = 1;
const CRC_BYTES: usize = 4;
/// Segments with more different levels have no such counts.
const LEVELS_MAX: usize = 32;
/// The text of the entry takes at most so many bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Up to so many bytes the entry is kept however few rows there are.
const TEXT_BYTES_SMALL: u64 = 1_024;
/// Beyond that, it takes at most a byte for so many rows.
const ROWS_A_BYTE: u64 = 8;

/// A minute of UTC: minutes since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(i64);

impl Minute {
    /// The minute that a point lies in.
    pub const fn of(time: Timestamp) -> Self {
        Self(time.ns().div_euclid(MINUTE_NS))
    }

    /// Its times, both ends included.
    pub fn range(self) -> TimeRange {
        let start = self.0.saturating_mul(MINUTE_NS);
        let end = self.0.saturating_add(1).checked_mul(MINUTE_NS).map_or(i64::MAX, |next| next - 1);
        TimeRange::new(Timestamp::from_ns(start), Timestamp::from_ns(end))
    }
}

/// Rows of one minute and level in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinuteLevelCount<'a> {
    /// The minute.
    pub minute: Minute,
    /// The level; `None` for rows without one.
    pub level: Option<&'a str>,
    /// How many rows; never 0.
    pub rows: u64,
}

/// Exact row counts of a segment by minute and level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinuteLevelCounts {
    day: Day,
    levels: Vec<Option<String>>,
    /// Place of the level, minute of the day, rows.
    cells: Vec<(usize, i64, u64)>,
}

impl MinuteLevelCounts {
    /// Those in a segment's tail, or `None` where it has none. Fails with [`Error::Corrupt`] if they cannot be read
    /// or do not add up to the segment's rows.
    pub fn of_tail(tail: &SegmentTail, meta: &SegmentMeta) -> Result<Option<Self>> {
        let Some(text) = metadata_value(&tail.parquet, KEY_MINUTE_LEVELS) else { return Ok(None) };
        let corrupt = |reason: &str| Error::Corrupt {
            object: meta.id.to_string(),
            offset: meta.bytes.saturating_sub(meta.tail_bytes),
            reason: format!("{KEY_MINUTE_LEVELS}: {reason}"),
        };
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| corrupt("it is not base64"))?;
        let counts = decode(&bytes, meta.day).map_err(corrupt)?;
        let rows = counts.cells.iter().try_fold(0u64, |sum, (_, _, rows)| sum.checked_add(*rows));
        if rows != Some(meta.rows) {
            return Err(corrupt("the counts do not add up to the segment's rows"));
        }
        Ok(Some(counts))
    }

    /// The counts, level by level in order of time.
    pub fn iter(&self) -> impl Iterator<Item = MinuteLevelCount<'_>> {
        let first = i64::from(self.day.days()) * DAY_MINUTES;
        self.cells.iter().map(move |(level, minute, rows)| MinuteLevelCount {
            minute: Minute(first + minute),
            level: self.levels.get(*level).and_then(Option::as_deref),
            rows: *rows,
        })
    }
}

/// Counts until there are too many different levels, then gives up for good.
#[derive(Debug)]
pub(super) struct Minutes {
    levels: Option<Vec<Level>>,
}

/// A level, and the rows of each minute of the day.
#[derive(Debug)]
struct Level {
    name: Option<String>,
    rows: Vec<u64>,
}

impl Minutes {
    pub(super) fn new() -> Self {
        Self { levels: Some(Vec::new()) }
    }

    /// Adds rows of the partition's day: batch and row in there of each.
    pub(super) fn add(&mut self, rows: &[(usize, usize)], columns: &[Columns<'_>]) {
        let mut last = 0;
        for (batch, row) in rows {
            let Some(columns) = columns.get(*batch) else { continue };
            let (name, time) = (columns.level(*row), columns.times.value(*row));
            let Some(levels) = &mut self.levels else { return };
            let is_last = levels.get(last).is_some_and(|level| level.name.as_deref() == name);
            if !is_last {
                let found = levels.iter().position(|level| level.name.as_deref() == name);
                last = found.unwrap_or(levels.len());
            }
            if last == levels.len() {
                if last == LEVELS_MAX {
                    self.levels = None;
                    return;
                }
                levels.push(Level { name: name.map(str::to_owned), rows: vec![0; MINUTES] });
            }
            let minute = usize::try_from(time.rem_euclid(DAY_NS) / MINUTE_NS).unwrap_or(usize::MAX);
            if let Some(rows) = levels.get_mut(last).and_then(|level| level.rows.get_mut(minute)) {
                *rows += 1;
            }
        }
    }

    /// The entry for the footer of a segment of so many rows, if it pays.
    pub(super) fn to_metadata(&self, rows: u64) -> Option<KeyValue> {
        let text = STANDARD_NO_PAD.encode(encode(self.levels.as_ref()?));
        let bytes = u64::try_from(text.len()).ok()?;
        let pays = text.len() <= TEXT_BYTES_MAX && bytes <= TEXT_BYTES_SMALL.max(rows / ROWS_A_BYTE);
        pays.then(|| KeyValue::new(KEY_MINUTE_LEVELS.to_owned(), text))
    }
}

fn encode(levels: &[Level]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    put_len(&mut bytes, levels.len());
    for level in levels {
        match &level.name {
            None => put_len(&mut bytes, 0),
            Some(name) => {
                put_len(&mut bytes, name.len() + 1);
                bytes.extend_from_slice(name.as_bytes());
            }
        }
    }
    for level in levels {
        // Runs of empty minutes and runs of minutes with rows take turns.
        let runs: Vec<&[u64]> = level.rows.chunk_by(|a, b| (*a == 0) == (*b == 0)).collect();
        let filled = runs.iter().filter(|run| is_filled(run)).count();
        put_len(&mut bytes, filled);
        let mut skipped = 0;
        for run in runs {
            if !is_filled(run) {
                skipped = run.len();
                continue;
            }
            put_len(&mut bytes, std::mem::take(&mut skipped));
            put_len(&mut bytes, run.len());
            for rows in run {
                put(&mut bytes, *rows);
            }
        }
    }
    let crc = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

fn is_filled(run: &[u64]) -> bool {
    run.first().is_some_and(|rows| *rows > 0)
}

fn decode(bytes: &[u8], day: Day) -> Result<MinuteLevelCounts, &'static str> {
    let (body, crc) = bytes.split_last_chunk::<CRC_BYTES>().ok_or("it is cut off")?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
        return Err("wrong checksum");
    }
    let mut input = Input(body);
    if input.byte()? != VERSION {
        return Err("unknown version");
    }
    let count = input.len(LEVELS_MAX)?;
    let levels = (0..count).map(|_| name(&mut input)).collect::<Result<Vec<_>, _>>()?;
    let mut cells = Vec::new();
    for level in 0..count {
        let mut minute = 0;
        for _ in 0..input.len(MINUTES)? {
            minute += input.len(MINUTES)?;
            for _ in 0..input.len(MINUTES)? {
                let rows = input.number()?;
                let place = i64::try_from(minute).map_err(|_| "a minute beyond the day")?;
                if minute >= MINUTES || rows == 0 {
                    return Err("a minute beyond the day, or without rows");
                }
                cells.push((level, place, rows));
                minute += 1;
            }
        }
    }
    if input.0.is_empty() { Ok(MinuteLevelCounts { day, levels, cells }) } else { Err("bytes are left over") }
}

fn name(input: &mut Input<'_>) -> Result<Option<String>, &'static str> {
    let Some(length) = input.len(TEXT_BYTES_MAX)?.checked_sub(1) else { return Ok(None) };
    String::from_utf8(input.take(length)?.to_vec()).map(Some).map_err(|_| "a level is not text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(name: Option<&str>, cells: &[(usize, u64)]) -> Level {
        let mut rows = vec![0; MINUTES];
        for (minute, count) in cells {
            rows[*minute] = *count;
        }
        Level { name: name.map(str::to_owned), rows }
    }

    #[test]
    fn counts_round_trip_and_damage_is_seen() {
        let levels = [
            level(Some("INFO"), &[(0, 1), (1, 300), (2, 70_000), (1_439, u64::MAX / 2)]),
            level(None, &[(7, 2)]),
            level(Some(""), &[(1_439, 5)]),
        ];
        let bytes = encode(&levels);
        let counts = decode(&bytes, Day::from_days(1)).unwrap();
        let cells: Vec<_> =
            counts.iter().map(|cell| (cell.level, cell.minute.0 - DAY_MINUTES, cell.rows)).collect();
        assert_eq!(
            cells,
            [
                (Some("INFO"), 0, 1),
                (Some("INFO"), 1, 300),
                (Some("INFO"), 2, 70_000),
                (Some("INFO"), 1_439, u64::MAX / 2),
                (None, 7, 2),
                (Some(""), 1_439, 5),
            ]
        );
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert_eq!(decode(&damaged, Day::from_days(1)), Err("wrong checksum"));
            assert!(decode(&bytes[..at], Day::from_days(1)).is_err());
        }
    }

    #[test]
    fn minutes_cover_all_of_time() {
        for ns in [i64::MIN, i64::MIN + MINUTE_NS, -1, 0, MINUTE_NS - 1, i64::MAX] {
            let range = Minute::of(Timestamp::from_ns(ns)).range();
            assert!(range.contains(Timestamp::from_ns(ns)), "{ns} is not in {range:?}");
            assert_eq!(
                (Minute::of(range.min), Minute::of(range.max)),
                (Minute::of(range.min), Minute::of(range.min))
            );
        }
        assert_eq!(Minute(-1).range().max, Timestamp::from_ns(-1));
        assert_eq!(Minute(1).range().min, Timestamp::from_ns(MINUTE_NS));
    }

    #[test]
    fn well_summed_nonsense_is_refused() {
        let refused = |body: &[u8]| {
            let mut bytes = body.to_vec();
            bytes.extend_from_slice(&crc32c::crc32c(body).to_le_bytes());
            decode(&bytes, Day::from_days(1)).unwrap_err()
        };
        assert_eq!(refused(&[2]), "unknown version");
        assert_eq!(refused(&[1, 33]), "a length is out of range");
        assert_eq!(refused(&[1, 1, 0, 1, 0, 1, 0]), "a minute beyond the day, or without rows");
        assert_eq!(refused(&[1, 1, 0, 1, 0xa0, 0x0b, 1, 1]), "a minute beyond the day, or without rows");
        assert_eq!(refused(&[1, 1, 0, 0, 9]), "bytes are left over");
        assert_eq!(refused(&[1, 1, 2, 0xff, 0]), "a level is not text");
        assert_eq!(
            refused(&[1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]),
            "a number is too long"
        );
    }

    #[test]
    fn an_entry_that_does_not_pay_is_left_out() {
        let sparse: Vec<_> = (0..MINUTES).step_by(2).map(|minute| (minute, 1)).collect();
        let minutes = Minutes { levels: Some(vec![level(None, &sparse)]) };
        assert!(minutes.to_metadata(720).is_none());
        assert!(minutes.to_metadata(100_000).is_some());
        let minutes = Minutes { levels: Some(vec![level(None, &sparse[..10])]) };
        assert!(minutes.to_metadata(10).is_some());
        assert!(Minutes { levels: None }.to_metadata(100_000).is_none());
    }
}
