//! A day of logs made up from a seed: the same rows on every machine.
//!
//! ```text
//!   Clock ── moment ──► Fleet ── source, pod, template ──► Templates ── message ──┐
//!                                                          Plan ───── needle ─────┴──► Record ──► NDJSON
//! ```
//!
//! What makes a corpus hard or easy is held by a test: 313 bytes a row as NDJSON, 45 after `zstd -3`, both within 5 %.

mod fleet;
mod needles;
mod random;
mod templates;
mod time;

pub use needles::Needle;

use fleet::{Fleet, LEVELS};
use needles::Plan;
use random::{Random, Weighted};
use templates::{RecentIds, Templates, write_hex};
use time::Clock;

/// The day that a corpus fills, `YYYY-MM-DD`.
pub const DAY: &str = time::DAY;
/// The day's first microsecond since 1970.
pub const DAY_START_US: u64 = time::DAY_START_US;
/// Levels that occur, the mildest first.
pub const LEVEL_NAMES: [&str; 5] = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
/// Sources that occur, the busiest first.
pub const SOURCE_NAMES: &[&str] = &fleet::SOURCES;

/// Traces that are under way at a time; a row of a trace takes one of them.
const TRACES_AT_ONCE: usize = 16;
/// One in so many rows with a trace begins a new one, so that a trace has five rows on average.
const ROWS_PER_TRACE: u64 = 5;

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Microseconds since 1970, rising strictly from row to row.
    pub timestamp_us: u64,
    /// Index into [`SOURCE_NAMES`].
    pub source: usize,
    /// Index into [`LEVEL_NAMES`].
    pub level: usize,
    /// The message.
    pub message: &'a str,
    /// The row as a line of NDJSON, with its LF.
    pub line: &'a [u8],
}

/// A corpus that is being generated.
#[derive(Debug)]
pub struct Corpus {
    rows: u64,
    done: u64,
    random: Random,
    clock: Clock,
    fleet: Fleet,
    templates: Vec<Templates>,
    levels: Weighted,
    levels_in_burst: Weighted,
    plan: Plan,
    needles: Vec<Needle>,
    ids: RecentIds,
    traces: Vec<[u8; 32]>,
    message: Vec<u8>,
    line: Vec<u8>,
}

impl Corpus {
    /// The corpus of `rows` rows and a seed.
    pub fn new(rows: u64, seed: u64) -> Self {
        let templates: Vec<_> = LEVELS.iter().map(|(level, ..)| Templates::of_level(level)).collect();
        let plan = Plan::new(rows, seed);
        let mut random = Random::branch(seed, 4);
        Self {
            rows,
            done: 0,
            clock: Clock::new(rows, seed, SOURCE_NAMES.len()),
            fleet: Fleet::new(seed, &templates),
            templates,
            levels: Weighted::new(LEVELS.map(|(_, usual, _)| usual)),
            levels_in_burst: Weighted::new(LEVELS.map(|(_, _, burst)| burst)),
            needles: plan.needles.clone(),
            plan,
            traces: (0..TRACES_AT_ONCE).map(|_| new_trace(&mut random)).collect(),
            random,
            ids: RecentIds::default(),
            message: Vec::new(),
            line: Vec::new(),
        }
    }

    /// The planted words, those with the fewest rows first.
    pub fn needles(&self) -> &[Needle] {
        &self.needles
    }

    /// The next row, until there are as many as were asked for.
    pub fn next_record(&mut self) -> Option<Record<'_>> {
        if self.done == self.rows {
            return None;
        }
        let moment = self.clock.tick();
        let random = &mut self.random;
        let (source_index, source) = self.fleet.source(moment.burst_source, random);
        let source = source?;
        let in_burst = moment.burst_source == Some(source_index);
        let level = if in_burst { self.levels_in_burst.index(random) } else { self.levels.index(random) };
        let template = self.fleet.template(source, level, random);
        self.message.clear();
        self.templates.get(level)?.write(template, &mut self.ids, random, &mut self.message);
        if let Some(needle) = self.plan.needle(self.done) {
            self.message.extend_from_slice(b" ref=");
            self.message.extend_from_slice(needle.word.as_bytes());
        }
        let line = &mut self.line;
        line.clear();
        line.extend_from_slice(b"{\"timestamp\":\"");
        time::write_timestamp(moment.us, line);
        for (key, value) in [("source", source.name), ("level", *LEVEL_NAMES.get(level)?)] {
            line.extend_from_slice(b"\",\"");
            line.extend_from_slice(key.as_bytes());
            line.extend_from_slice(b"\":\"");
            line.extend_from_slice(value.as_bytes());
        }
        line.extend_from_slice(b"\",\"message\":\"");
        write_escaped(&self.message, line);
        line.extend_from_slice(b"\",");
        line.extend_from_slice(source.tags(random));
        if random.chance(1, 3) {
            write_trace(&mut self.traces, random, line);
        }
        line.extend_from_slice(b"}\n");
        self.done += 1;
        let message = std::str::from_utf8(&self.message).ok()?;
        let line = &self.line;
        Some(Record { timestamp_us: moment.us, source: source_index, level, message, line })
    }
}

fn new_trace(random: &mut Random) -> [u8; 32] {
    let mut digits = Vec::with_capacity(32);
    write_hex(32, random, &mut digits);
    digits.try_into().unwrap_or([b'0'; 32])
}

fn write_trace(traces: &mut [[u8; 32]], random: &mut Random, line: &mut Vec<u8>) {
    let under_way = random.index(traces.len());
    if let Some(trace) = traces.get_mut(under_way) {
        if random.chance(1, ROWS_PER_TRACE) {
            *trace = new_trace(random);
        }
        line.extend_from_slice(b",\"trace_id\":\"");
        line.extend_from_slice(trace);
        line.push(b'"');
    }
}

/// Messages hold no control characters, so quotes and backslashes are all that JSON escapes in them.
fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
}

#[cfg(test)]
mod tests;
