//! A day of logs made up from a seed: the same rows on every machine.
//!
//! ```text
//!   Clock ── moment ──► Fleet ── source, pod, template ──► Templates ── message ──┐
//!                                                          Plan ───── needle ─────┴──► Record ──► NDJSON
//! ```
//!
//! What makes a corpus hard or easy is held by a test: 313 bytes a row as NDJSON, 45 after `zstd -3`, both within 5 %.

mod drawn;
mod fleet;
mod needles;
mod random;
mod templates;
mod texts;
mod time;
mod vocabulary;

pub use needles::Needle;
pub use texts::Terms;

use std::path::PathBuf;

use fleet::{Fleet, LEVELS};
use needles::Plan;
use random::{Random, Weighted};
use templates::{RecentIds, Templates, write_hex};
use texts::Texts;
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
/// Traces of exactly so many rows that are remembered, drawn evenly from all.
const TRACES_REMEMBERED: u64 = 40;

/// Which corpus, also as programs are told on their command lines.
#[derive(Debug, Clone, clap::Args, serde::Serialize)]
pub struct Spec {
    /// Rows of the corpus
    #[arg(long, default_value_t = 1_000_000)]
    pub rows: u64,
    /// What the corpus is drawn from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A corpus with other words, templates and sources, which follow from the seed
    #[arg(long)]
    pub sealed: bool,
    /// Draw the templates from the logs `*.log` of a directory
    #[arg(long, value_name = "DIR")]
    pub templates_from: Option<PathBuf>,
}

/// A share is of so many rows.
const SHARES_OF: u64 = 10_000;

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
    texts: Texts,
    templates: Vec<Templates>,
    shares: Templates,
    levels: Weighted,
    levels_in_burst: Weighted,
    plan: Plan,
    needles: Vec<Needle>,
    ids: RecentIds,
    traces: Traces,
    message: Vec<u8>,
    line: Vec<u8>,
}

impl Corpus {
    /// The corpus of `rows` rows and a seed.
    pub fn new(rows: u64, seed: u64) -> Self {
        Self::of(rows, seed, Texts::written(SOURCE_NAMES))
    }

    /// The corpus of a spec. Fails if the logs that it is to be drawn from cannot be read.
    pub fn open(spec: &Spec) -> std::io::Result<Self> {
        let mut texts = Texts::written(SOURCE_NAMES);
        if let Some(folder) = &spec.templates_from {
            texts = texts.drawn_from(folder)?;
        }
        let texts = if spec.sealed { texts.sealed(spec.seed) } else { texts };
        Ok(Self::of(spec.rows, spec.seed, texts))
    }

    fn of(rows: u64, seed: u64, texts: Texts) -> Self {
        let templates: Vec<_> =
            LEVELS.iter().map(|(level, ..)| Templates::of_level(level, &texts.templates)).collect();
        let plan = Plan::new(rows, seed);
        let mut random = Random::branch(seed, 4);
        Self {
            rows,
            done: 0,
            clock: Clock::new(rows, seed, SOURCE_NAMES.len()),
            fleet: Fleet::new(seed, &texts.sources, &templates),
            templates,
            shares: Templates::of_shares(&texts.shares),
            texts,
            levels: Weighted::new(LEVELS.map(|(_, usual, _)| usual)),
            levels_in_burst: Weighted::new(LEVELS.map(|(_, _, burst)| burst)),
            needles: plan.needles.clone(),
            plan,
            traces: Traces::new(seed, &mut random),
            random,
            ids: RecentIds::default(),
            message: Vec::new(),
            line: Vec::new(),
        }
    }

    /// What is known to occur in many rows.
    pub fn terms(&self) -> &Terms {
        &self.texts.terms
    }

    /// Names of the sources, the busiest first.
    pub fn sources(&self) -> &[String] {
        &self.texts.sources
    }

    /// Some of the traces that ended with exactly five rows, so far.
    pub fn traces(&self) -> Vec<String> {
        let text = |id: &[u8; 32]| String::from_utf8_lossy(id).into_owned();
        self.traces.remembered.iter().map(text).collect()
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
        self.message.clear();
        let level = if random.chance(self.texts.shares.iter().map(|share| share.weight).sum(), SHARES_OF) {
            let share = self.shares.index(random);
            self.shares.write(share, &self.texts, &mut self.ids, random, &mut self.message);
            let level = self.texts.shares.get(share).map(|share| share.level.as_str());
            LEVEL_NAMES.iter().position(|name| Some(*name) == level)?
        } else {
            let level = if in_burst { self.levels_in_burst.index(random) } else { self.levels.index(random) };
            let template = self.fleet.template(source, level, random);
            self.templates.get(level)?.write(template, &self.texts, &mut self.ids, random, &mut self.message);
            level
        };
        if let Some(needle) = self.plan.needle(self.done) {
            self.message.extend_from_slice(b" ref=");
            self.message.extend_from_slice(needle.word.as_bytes());
        }
        let line = &mut self.line;
        line.clear();
        line.extend_from_slice(b"{\"timestamp\":\"");
        time::write_timestamp(moment.us, line);
        for (key, value) in [("source", source.name.as_str()), ("level", *LEVEL_NAMES.get(level)?)] {
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
            self.traces.write(random, line);
        }
        line.extend_from_slice(b"}\n");
        self.done += 1;
        let message = std::str::from_utf8(&self.message).ok()?;
        let line = &self.line;
        Some(Record { timestamp_us: moment.us, source: source_index, level, message, line })
    }
}

/// The traces that are under way, with the rows of each.
#[derive(Debug)]
struct Traces {
    under_way: Vec<([u8; 32], u64)>,
    /// Traces that had five rows, and how many there were.
    remembered: Vec<[u8; 32]>,
    ended: u64,
    memory: Random,
}

impl Traces {
    fn new(seed: u64, random: &mut Random) -> Self {
        let under_way = (0..TRACES_AT_ONCE).map(|_| (new_trace(random), 0)).collect();
        Self { under_way, remembered: Vec::new(), ended: 0, memory: Random::branch(seed, 6) }
    }

    fn write(&mut self, random: &mut Random, line: &mut Vec<u8>) {
        let place = random.index(self.under_way.len());
        let begins = random.chance(1, ROWS_PER_TRACE);
        let next = begins.then(|| new_trace(random));
        let Some((trace, rows)) = self.under_way.get_mut(place) else { return };
        if let Some(next) = next {
            if *rows == ROWS_PER_TRACE {
                let ended = *trace;
                self.ended += 1;
                // Each trace that ended so is remembered with the same chance.
                let slot = self.memory.below(self.ended);
                if self.ended <= TRACES_REMEMBERED {
                    self.remembered.push(ended);
                } else if let Some(old) =
                    usize::try_from(slot).ok().and_then(|slot| self.remembered.get_mut(slot))
                {
                    *old = ended;
                }
            }
            (*trace, *rows) = (next, 0);
        }
        *rows += 1;
        line.extend_from_slice(b",\"trace_id\":\"");
        line.extend_from_slice(trace);
        line.push(b'"');
    }
}

fn new_trace(random: &mut Random) -> [u8; 32] {
    let mut digits = Vec::with_capacity(32);
    write_hex(32, random, &mut digits);
    digits.try_into().unwrap_or([b'0'; 32])
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
