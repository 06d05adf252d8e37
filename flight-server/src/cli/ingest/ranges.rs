//! Cuts a file into ranges of lines and makes rows of them.
//!
//! Where a range ends depends on nothing but the lines before it and the options, so that a load that is resumed cuts
//! where the first one did. A live stream is cut by time too, and cannot be resumed.

use std::io;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampNanosecondType;
use ironbark_storage::{
    Ambient, LogBatchBuilder, LogSchema, RowRef, TagKind, TagSet, TimeWindow, Timestamp, column,
};
use tokio::sync::mpsc;

use super::LineFormat;
use super::source::Source;
use crate::cli::failure::Failure;
use crate::decode::json::{JsonContext, JsonDecoder};
use crate::text::{Line, LineReader, Recogniser, RecordReader, Zone};

/// Lines of a range.
const RANGE_LINES_MAX: usize = 50_000;
/// Bytes of text of a range, but for its last line.
const RANGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Empty lines at the start that are read before the format is decided.
const UNDECIDED_LINES_MAX: usize = 100;
/// The byte order mark that a file may begin with.
const BOM: char = '\u{feff}';
/// How far the clocks of a live stream's senders may be ahead of ours before a date without a year is last year's.
const LIVE_SKEW_NS: i64 = 60 * 1_000_000_000;

/// What to make of the lines.
pub(super) struct Plan {
    pub(super) format: LineFormat,
    pub(super) source: Option<String>,
    pub(super) file_name: Option<String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) zone: Zone,
    pub(super) multiline: bool,
    /// Whether the text of refused lines is wanted.
    pub(super) keep_refused: bool,
    /// Ranges before this one were loaded by the load that is resumed.
    pub(super) first_range: u64,
    /// The time of arrival of all rows; `None` for a live stream, whose rows arrive when they are read.
    pub(super) fixed_now: Option<Timestamp>,
    pub(super) ambient: Ambient,
}

/// A run of lines as rows.
pub(super) struct Range {
    /// Counted from 0.
    pub(super) number: u64,
    /// How many lines (or records of several) it has.
    pub(super) lines: u64,
    /// Its rows; `None` if no line became one.
    pub(super) rows: Option<RecordBatch>,
    /// The number of the line of each row.
    pub(super) row_lines: Vec<u64>,
    /// The lines that became none.
    pub(super) refused: Vec<Refused>,
    /// Runs of bytes that were not UTF-8.
    pub(super) replaced: u64,
    /// Rows of a file whose time is that of the load, because none was found in their lines.
    pub(super) untimed: u64,
}

/// A line that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// Counted from 1 in the file.
    pub(super) line: u64,
    pub(super) error: String,
    /// The line, if it is wanted and not too long.
    pub(super) text: Option<String>,
}

/// Reads `source` to its end, or until nobody wants more ranges.
pub(super) fn read(plan: Plan, path: &Path, source: Source, ranges: &mpsc::Sender<Result<Range, Failure>>) {
    let live = source.is_live();
    let path: PathBuf = if live { "standard input".into() } else { path.to_owned() };
    let failed = |source| Failure::Read { path: path.clone(), source };
    let outcome = source.reader().map_err(failed).and_then(|reader| {
        let mut cutter = Cutter::new(plan, &path, ranges);
        let mut lines = Records::new(reader, cutter.plan.multiline);
        loop {
            match lines.next() {
                Ok(Some(line)) => {
                    if !cutter.add(line)? {
                        return Ok(());
                    }
                }
                Ok(None) => return cutter.cut().map(drop),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    if !cutter.cut()? {
                        return Ok(());
                    }
                }
                Err(error) => {
                    // What was read before the damage is loaded.
                    cutter.cut()?;
                    return Err(failed(error));
                }
            }
        }
    });
    if let Err(failure) = outcome {
        // Nobody listens any more: the load has ended for another reason.
        let _ = ranges.blocking_send(Err(failure));
    }
}

/// Lines, or with `--multiline` records.
enum Records<R> {
    Lines(LineReader<R>),
    Joined(RecordReader<R>),
}

impl<R: io::Read> Records<R> {
    fn new(reader: R, joined: bool) -> Self {
        let lines = LineReader::new(reader);
        if joined { Self::Joined(RecordReader::new(lines)) } else { Self::Lines(lines) }
    }

    fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        match self {
            Self::Lines(lines) => lines.next_line(),
            Self::Joined(records) => records.next_record(),
        }
    }
}

/// Collects the lines of one range.
struct Cutter<'a> {
    plan: Plan,
    path: &'a Path,
    ranges: &'a mpsc::Sender<Result<Range, Failure>>,
    format: LineFormat,
    recogniser: Recogniser,
    number: u64,
    bytes: usize,
    lines: Vec<(u64, String)>,
    refused: Vec<Refused>,
    replaced: u64,
    arrival: Timestamp,
}

impl<'a> Cutter<'a> {
    fn new(plan: Plan, path: &'a Path, ranges: &'a mpsc::Sender<Result<Range, Failure>>) -> Self {
        Self {
            recogniser: Recogniser::new(plan.zone),
            format: plan.format,
            arrival: plan.fixed_now.unwrap_or_else(|| plan.ambient.clock.now()),
            plan,
            path,
            ranges,
            number: 0,
            bytes: 0,
            lines: Vec::new(),
            refused: Vec::new(),
            replaced: 0,
        }
    }

    /// Adds a line; false if nobody wants more.
    fn add(&mut self, line: Line<'_>) -> Result<bool, Failure> {
        let number = line.number;
        match line.text {
            Err(too_long) => {
                self.check_shape(&String::from_utf8_lossy(&too_long.head))?;
                self.refused.push(Refused { line: number, error: too_long.to_string(), text: None });
            }
            Ok(text) => {
                self.check_shape(&text.text)?;
                self.replaced += text.replaced;
                self.bytes += text.text.len();
                self.lines.push((number, text.text.into_owned()));
            }
        }
        if self.format == LineFormat::Auto {
            let first = self.lines.last().map(|(_, text)| text.as_str()).unwrap_or_default();
            if !first.trim().is_empty() || self.lines.len() >= UNDECIDED_LINES_MAX {
                self.format = if is_json_object(first) { LineFormat::Ndjson } else { LineFormat::Text };
            }
        }
        let full = self.lines.len() + self.refused.len() >= RANGE_LINES_MAX || self.bytes >= RANGE_BYTES_MAX;
        if full { self.cut() } else { Ok(true) }
    }

    /// Refuses a file whose first line that is not empty begins JSON of several lines: as text its lines would be rows
    /// that nobody wants.
    fn check_shape(&self, line: &str) -> Result<(), Failure> {
        if self.format != LineFormat::Auto {
            return Ok(());
        }
        let line = line.strip_prefix(BOM).unwrap_or(line).trim();
        let (what, filter) = if is_json_array(line) {
            ("a JSON array", ".[]")
        } else if line == "{" {
            ("a JSON object over several lines", ".")
        } else {
            return Ok(());
        };
        Err(Failure::NotLines { path: self.path.to_owned(), what, filter })
    }

    /// Ends the range and hands it over; false if nobody wants more.
    fn cut(&mut self) -> Result<bool, Failure> {
        if self.lines.is_empty() && self.refused.is_empty() {
            return Ok(!self.ranges.is_closed());
        }
        let number = self.number;
        self.number += 1;
        self.bytes = 0;
        let lines = std::mem::take(&mut self.lines);
        let refused = std::mem::take(&mut self.refused);
        let replaced = std::mem::take(&mut self.replaced);
        if number < self.plan.first_range {
            return Ok(!self.ranges.is_closed());
        }
        let count = u64::try_from(lines.len() + refused.len()).unwrap_or(u64::MAX);
        let row_lines = Vec::new();
        let mut range = Range { number, lines: count, rows: None, row_lines, refused, replaced, untimed: 0 };
        match self.format {
            LineFormat::Ndjson => {
                let batches = self.decode_json(&lines, &mut range)?;
                let rows = concat_batches(&LogSchema::given(), &batches)?;
                range.rows = Some(rows).filter(|rows| rows.num_rows() > 0);
            }
            LineFormat::Auto | LineFormat::Text => self.recognise(&lines, &mut range)?,
        }
        range.refused.sort_by_key(|refused| refused.line);
        if let (Some(began), Some(rows)) = (self.plan.fixed_now, &range.rows) {
            range.untimed = rows_at(rows, began);
        }
        if self.plan.fixed_now.is_none() {
            self.arrival = self.plan.ambient.clock.now();
        }
        Ok(self.ranges.blocking_send(Ok(range)).is_ok())
    }

    fn recognise(&mut self, lines: &[(u64, String)], range: &mut Range) -> Result<(), Failure> {
        let window = TimeWindow::default();
        let mut builder = LogBatchBuilder::new(self.arrival, window);
        let mut tags = TagSet::new();
        let source = self.plan.source.as_deref().or(self.plan.file_name.as_deref());
        let now_ns = match self.plan.fixed_now {
            Some(now) => now.ns(),
            None => self.plan.ambient.clock.now().plus_ns(LIVE_SKEW_NS).ns(),
        };
        for (number, message) in lines {
            let fields = self.recogniser.fields(message, now_ns);
            for (key, value) in &self.plan.tags {
                tags.push(key, Some(value), TagKind::String);
            }
            // No line is lost to a guess: a date that no row may have was none.
            let timestamp = fields.timestamp_ns.map(Timestamp::from_ns);
            let timestamp = timestamp.filter(|time| window.check(*time, self.arrival).is_ok());
            let row = RowRef { timestamp, source, level: fields.level, message, ..RowRef::default() };
            match builder.push(row, &mut tags) {
                Ok(()) => range.row_lines.push(*number),
                Err(error) => range.refused.push(self.refuse(*number, error.to_string(), message)),
            }
        }
        if !builder.is_empty() {
            range.rows = Some(builder.finish()?.rows().clone());
        }
        Ok(())
    }

    fn decode_json(&self, lines: &[(u64, String)], range: &mut Range) -> Result<Vec<RecordBatch>, Failure> {
        let context = JsonContext {
            arrival: self.arrival,
            window: TimeWindow::default(),
            source: self.plan.source.as_deref(),
            tags: &self.plan.tags,
        };
        let mut decoder = JsonDecoder::new(context);
        for (at, (_, text)) in (0..).zip(lines).filter(|(_, (_, text))| !text.trim().is_empty()) {
            decoder.record(at, text.strip_prefix(BOM).unwrap_or(text).as_bytes());
        }
        let decoded = decoder.finish()?;
        // The decoder names only so many refused records; fewer lines at a time let it name all.
        if decoded.rejected_count > u64::try_from(decoded.rejected.len()).unwrap_or(u64::MAX)
            && let Some((front, back)) = lines.split_at_checked(lines.len() / 2)
        {
            let mut batches = self.decode_json(front, range)?;
            batches.extend(self.decode_json(back, range)?);
            return Ok(batches);
        }
        let mut rejected = decoded.rejected.into_iter().peekable();
        for (at, (number, text)) in (0..).zip(lines) {
            match rejected.next_if(|rejected| rejected.line == at) {
                Some(reason) => range.refused.push(self.refuse(*number, reason.error, text)),
                None if text.trim().is_empty() => range.lines -= 1,
                None => range.row_lines.push(*number),
            }
        }
        Ok(vec![decoded.batch.rows().clone()])
    }

    fn refuse(&self, line: u64, error: String, text: &str) -> Refused {
        Refused { line, error, text: self.plan.keep_refused.then(|| text.to_owned()) }
    }
}

/// How many rows have this timestamp.
fn rows_at(rows: &RecordBatch, time: Timestamp) -> u64 {
    let times = rows.column_by_name(column::TIMESTAMP);
    let times = times.and_then(|times| times.as_primitive_opt::<TimestampNanosecondType>());
    let count = times.map_or(0, |times| times.values().iter().filter(|ns| **ns == time.ns()).count());
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Whether a line begins an array of objects, as far as it goes; log lines begin with a bracket, too.
fn is_json_array(line: &str) -> bool {
    let Some(elements) = line.strip_prefix('[') else { return false };
    match elements.trim_start().strip_prefix('{') {
        Some(object) => object.trim_start().chars().next().is_none_or(|first| matches!(first, '"' | '}')),
        None => elements.trim().is_empty(),
    }
}

fn is_json_object(line: &str) -> bool {
    let line = line.strip_prefix(BOM).unwrap_or(line);
    line.trim_start().starts_with('{') && serde_json::from_str::<serde_json::Map<_, _>>(line).is_ok()
}

#[cfg(test)]
mod tests;
