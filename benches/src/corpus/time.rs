//! When the rows happen: one day in strictly rising microseconds, busier at noon than at night, with bursts in which a
//! single source floods the log with trouble.

use super::random::Random;

/// Seconds of the day that a corpus fills.
pub(crate) const DAY_SECONDS: u64 = 86_400;
/// The day's first microsecond, 2026-03-02T00:00:00Z: a date in the past, which every server takes.
pub(crate) const DAY_START_US: u64 = 1_772_409_600_000_000;
/// The day, as it is written.
pub(crate) const DAY: &str = "2026-03-02";

const SECOND_US: u64 = 1_000_000;
/// Bursts of a day.
const BURSTS: u64 = 30;
/// How long a burst lasts.
const BURST_SECONDS_MIN: u64 = 40;
const BURST_SECONDS_MAX: u64 = 400;
/// How much busier it is then, in quarters of the usual load.
const BURST_QUARTERS_MIN: u64 = 6;
const BURST_QUARTERS_MAX: u64 = 40;
/// Load at midnight and how much more there is at noon.
const LOAD_BASE: u64 = 400;
const LOAD_SWING: u64 = 600;

/// A stretch of the day with more load.
#[derive(Debug, Clone, Copy)]
struct Burst {
    first_second: u64,
    seconds: u64,
    quarters: u64,
    source: usize,
}

impl Burst {
    fn covers(&self, second: u64) -> bool {
        (self.first_second..self.first_second + self.seconds).contains(&second)
    }
}

/// The moments of a corpus, one for each row.
#[derive(Debug)]
pub(crate) struct Clock {
    random: Random,
    bursts: Vec<Burst>,
    rows: u64,
    load_total: u64,
    load_before: u64,
    /// The second at hand, and how many rows it has and had.
    second: u64,
    rows_in_second: u64,
    rows_done_in_second: u64,
    rows_before_second: u64,
    last_us: u64,
}

/// One moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Microseconds since 1970.
    pub(crate) us: u64,
    /// The source that has trouble now.
    pub(crate) burst_source: Option<usize>,
}

impl Clock {
    /// `rows` moments; bursts come from one of `sources`.
    pub(crate) fn new(rows: u64, seed: u64, sources: usize) -> Self {
        let mut random = Random::branch(seed, 1);
        let bursts = (0..BURSTS).map(|_| Burst {
            first_second: random.below(DAY_SECONDS - BURST_SECONDS_MAX),
            seconds: random.between(BURST_SECONDS_MIN, BURST_SECONDS_MAX),
            quarters: random.between(BURST_QUARTERS_MIN, BURST_QUARTERS_MAX),
            source: random.index(sources),
        });
        let bursts: Vec<Burst> = bursts.collect();
        let load_total = (0..DAY_SECONDS).map(|second| load(&bursts, second)).sum();
        let mut clock = Self {
            random,
            bursts,
            rows,
            load_total,
            load_before: 0,
            second: 0,
            rows_in_second: 0,
            rows_done_in_second: 0,
            rows_before_second: 0,
            last_us: DAY_START_US,
        };
        clock.rows_in_second = clock.rows_of_second();
        clock
    }

    /// The next moment. There are as many as rows.
    pub(crate) fn tick(&mut self) -> Moment {
        while self.rows_done_in_second >= self.rows_in_second && self.second + 1 < DAY_SECONDS {
            self.load_before += load(&self.bursts, self.second);
            self.rows_before_second += self.rows_in_second;
            self.second += 1;
            self.rows_done_in_second = 0;
            self.rows_in_second = self.rows_of_second();
        }
        let part_us = self.rows_done_in_second * SECOND_US + self.random.below(SECOND_US);
        let within_us = part_us / self.rows_in_second.max(1);
        self.rows_done_in_second += 1;
        let us = DAY_START_US + self.second * SECOND_US + within_us;
        self.last_us = us.max(self.last_us + 1);
        let burst = self.bursts.iter().find(|burst| burst.covers(self.second));
        Moment { us: self.last_us, burst_source: burst.map(|burst| burst.source) }
    }

    /// Rows until the end of the second at hand, by its share of the day's load, less those before it.
    fn rows_of_second(&self) -> u64 {
        let load = u128::from(self.load_before + load(&self.bursts, self.second));
        let until = load * u128::from(self.rows) / u128::from(self.load_total.max(1));
        u64::try_from(until).unwrap_or(self.rows).saturating_sub(self.rows_before_second)
    }
}

/// The load of a second: a triangle over the day, times the bursts.
fn load(bursts: &[Burst], second: u64) -> u64 {
    let from_midnight = second.min(DAY_SECONDS - second);
    let usual = LOAD_BASE + LOAD_SWING * from_midnight / (DAY_SECONDS / 2);
    let burst = bursts.iter().find(|burst| burst.covers(second));
    usual * burst.map_or(4, |burst| burst.quarters) / 4
}

/// Appends `2026-03-02T13:45:10.123456Z`.
pub(crate) fn write_timestamp(us: u64, out: &mut Vec<u8>) {
    let since = us.saturating_sub(DAY_START_US);
    let (second, micro) = (since / SECOND_US, since % SECOND_US);
    out.extend_from_slice(DAY.as_bytes());
    for (mark, number, digits) in
        [(b'T', second / 3_600, 2), (b':', second / 60 % 60, 2), (b':', second % 60, 2), (b'.', micro, 6)]
    {
        out.push(mark);
        write_padded(number, digits, out);
    }
    out.push(b'Z');
}

/// Appends the last `digits` decimal digits of a number.
pub(crate) fn write_padded(number: u64, digits: u32, out: &mut Vec<u8>) {
    for place in (0..digits).rev() {
        let digit = number / 10_u64.pow(place) % 10;
        out.push(b'0' + u8::try_from(digit).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, DAY_SECONDS, DAY_START_US, SECOND_US, write_timestamp};

    #[test]
    fn moments_rise_strictly_and_fill_the_day() {
        let mut clock = Clock::new(20_000, 3, 50);
        let moments: Vec<u64> = (0..20_000).map(|_| clock.tick().us).collect();
        assert!(moments.windows(2).all(|two| two[0] < two[1]));
        let (first, last) = (moments[0] - DAY_START_US, moments[19_999] - DAY_START_US);
        assert!(first < 600 * SECOND_US, "{first}");
        assert!((DAY_SECONDS - 600) * SECOND_US < last && last < DAY_SECONDS * SECOND_US, "{last}");
    }

    #[test]
    fn a_burst_is_busier_than_the_rest() {
        let mut clock = Clock::new(100_000, 3, 50);
        let mut seconds = std::collections::BTreeMap::<u64, u64>::new();
        for _ in 0..100_000 {
            *seconds.entry(clock.tick().us / SECOND_US).or_default() += 1;
        }
        assert!(seconds.values().any(|rows| *rows >= 6), "no second stands out");
    }

    #[test]
    fn a_timestamp_is_written() {
        let mut out = Vec::new();
        write_timestamp(DAY_START_US + (13 * 3_600 + 45 * 60 + 9) * SECOND_US + 1_203, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "2026-03-02T13:45:09.001203Z");
    }
}
