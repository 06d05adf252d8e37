//! What became of the lines: counts, reasons, and the file of refused lines.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use indicatif::HumanCount;
use serde_json::json;

use super::ranges::{Range, Refused};
use super::send::Answer;
use crate::cli::failure::Failure;
use crate::cli::output::escape;

/// Refused lines of a file that the report names.
const REASONS_SHOWN_MAX: usize = 10;

/// What surprises people who load files of other formats.
const UNTIMED: &str = "  no timestamps were found, so all rows have the time of this load; docs/INGEST.md \
                       names the fields that count in JSON (--format text takes the lines whole and finds others)";

/// What became of the lines of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct FileReport {
    name: String,
    counts: Counts,
    resumed_after: Option<u64>,
    /// Nothing was left to be loaded.
    was_done: bool,
    refused: Vec<(u64, String)>,
}

/// The counts of a file; the journal keeps them too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Counts {
    /// Lines read, or records of several lines.
    pub(super) lines: u64,
    /// Rows that were sent.
    pub(super) sent: u64,
    /// Rows that are durable.
    pub(super) accepted: u64,
    /// Lines that did not become rows.
    pub(super) refused: u64,
    /// Runs of bytes that were not UTF-8.
    pub(super) replaced: u64,
    /// Rows of a file whose time is that of the load.
    #[serde(default)]
    pub(super) untimed: u64,
}

impl FileReport {
    pub(super) fn new(path: &Path) -> Self {
        let name =
            if path == Path::new(super::STDIN) { "standard input".into() } else { path.to_string_lossy() };
        Self { name: escape::all(&name).into_owned(), ..Self::default() }
    }

    /// Rows that are durable.
    pub(super) fn accepted(&self) -> u64 {
        self.counts.accepted
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Begins with what an earlier load had done, perhaps all of it.
    pub(super) fn restore(&mut self, counts: Counts, was_done: bool) {
        self.counts = counts;
        self.was_done = was_done;
        self.resumed_after = Some(counts.lines);
    }

    /// Whether there is nothing to report.
    fn is_empty(&self) -> bool {
        self.counts == Counts::default() && self.resumed_after.is_none()
    }

    /// Adds a range and the server's answer to it.
    pub(super) fn add(&mut self, range: &Range, answer: Option<&Answer>) {
        let sent = u64::try_from(range.row_lines.len()).unwrap_or(u64::MAX);
        let accepted = answer.map_or(0, |answer| u64::try_from(answer.record_count).unwrap_or(0)).min(sent);
        self.counts.lines += range.lines;
        self.counts.sent += sent;
        self.counts.accepted += accepted;
        self.counts.refused += u64::try_from(range.refused.len()).unwrap_or(u64::MAX) + (sent - accepted);
        self.counts.replaced += range.replaced;
        self.counts.untimed += range.untimed;
        for refused in all_refused_lines(range, answer) {
            if self.refused.len() < REASONS_SHOWN_MAX {
                self.refused.push((refused.line, refused.error));
            }
        }
    }

    fn describe(&self, text: &mut String) -> std::fmt::Result {
        let Counts { lines, sent, accepted, refused, replaced, untimed } = self.counts;
        let all_untimed = untimed > 0 && untimed == sent;
        let [lines, sent, accepted, rejected] = [lines, sent, accepted, refused].map(HumanCount);
        writeln!(
            text,
            "{}: {lines} lines, {sent} rows sent, {accepted} accepted, {rejected} refused",
            self.name
        )?;
        if self.was_done {
            writeln!(text, "  was loaded before; leave --resume out to load it again")?;
        } else if let Some(after) = self.resumed_after {
            writeln!(text, "  resumed after line {}", HumanCount(after))?;
        }
        if replaced > 0 {
            writeln!(text, "  {} runs of bytes that are not UTF-8 became U+FFFD", HumanCount(replaced))?;
        }
        if all_untimed {
            writeln!(text, "{UNTIMED}")?;
        }
        for (line, error) in &self.refused {
            writeln!(text, "  line {line}: {}", escape::all(error))?;
        }
        let named = u64::try_from(self.refused.len()).unwrap_or(u64::MAX);
        if refused > named {
            writeln!(text, "  and {} more", HumanCount(refused - named))?;
        }
        Ok(())
    }
}

/// The lines of a range that either side refused, in order.
fn all_refused_lines(range: &Range, answer: Option<&Answer>) -> Vec<Refused> {
    let mut refused = range.refused.clone();
    for row in answer.map(|answer| answer.rejected.as_slice()).unwrap_or_default() {
        let at = usize::try_from(row.row).ok().and_then(|row| row.checked_sub(1));
        let line = at.and_then(|at| range.row_lines.get(at)).copied().unwrap_or(0);
        refused.push(Refused { line, error: row.error.clone(), text: None });
    }
    refused.sort_by_key(|refused| refused.line);
    refused
}

/// The report of a load. A file whose load failed before anything was read is left to the error.
pub(super) fn summary(reports: &[FileReport], failed: bool, reject_file: Option<&Path>) -> String {
    let mut text = String::new();
    for report in reports.iter().filter(|report| !(failed && report.is_empty())) {
        // Writing to a string cannot fail.
        let _ = report.describe(&mut text);
    }
    if reports.len() > 1 {
        let sum =
            |count: fn(&Counts) -> u64| HumanCount(reports.iter().map(|report| count(&report.counts)).sum());
        let _ = writeln!(
            text,
            "{} files: {} lines, {} rows sent, {} accepted, {} refused",
            reports.len(),
            sum(|counts| counts.lines),
            sum(|counts| counts.sent),
            sum(|counts| counts.accepted),
            sum(|counts| counts.refused)
        );
    }
    if let Some(path) = reject_file.filter(|_| reports.iter().any(|report| report.counts.refused > 0)) {
        let _ = writeln!(text, "refused lines are in {}", escape::all(&path.to_string_lossy()));
    }
    text
}

/// Whether there were lines and none became a row.
pub(super) fn all_refused(reports: &[FileReport]) -> bool {
    let refused = reports.iter().any(|report| report.counts.refused > 0);
    refused && reports.iter().all(|report| report.counts.accepted == 0)
}

/// The file that takes refused lines, a JSON object each.
pub(super) struct RejectFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl RejectFile {
    /// Begins the file, or goes on with it where a load is resumed.
    pub(super) fn open(path: &Path, resumed: bool) -> Result<Self, Failure> {
        let mut options = OpenOptions::new();
        options.create(true).write(true).append(resumed).truncate(!resumed);
        let file = options.open(path).map_err(|source| Failure::Write { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    pub(super) fn add(&mut self, file: &Path, range: &Range, answer: Option<&Answer>) -> Result<(), Failure> {
        for Refused { line, error, text } in all_refused_lines(range, answer) {
            let record =
                json!({ "file": file.to_string_lossy(), "line": line, "error": error, "text": text });
            writeln!(self.file, "{record}").map_err(|source| self.failed(source))?;
        }
        self.finish()
    }

    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.file.flush().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> Failure {
        Failure::Write { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests;
