//! The progress bar of a load, on standard error, and only where a person sees it.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::report::FileReport;
use super::source::Source;
use crate::cli::failure::Failure;

/// How often the bar is drawn.
const DRAW_MS: u64 = 200;

/// The progress of one file.
pub(super) struct Progress {
    bar: ProgressBar,
    read: Arc<AtomicU64>,
}

impl Progress {
    pub(super) fn new(path: &Path, source: &Source) -> Self {
        let read = source.counter();
        if !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden(), read };
        }
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let (bar, template) = match source.facts() {
            Some(facts) => (
                ProgressBar::new(facts.bytes),
                "{prefix} [{wide_bar}] {bytes}/{total_bytes} {msg} {binary_bytes_per_sec} ETA {eta}",
            ),
            None => {
                (ProgressBar::new_spinner(), "{spinner} standard input {bytes} {msg} {binary_bytes_per_sec}")
            }
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(crate::cli::output::escape::all(&name).into_owned());
        bar.enable_steady_tick(Duration::from_millis(DRAW_MS));
        Self { bar, read }
    }

    /// Shows what was read and stored.
    pub(super) fn advance(&self, report: &FileReport) {
        self.bar.set_position(self.read.load(Ordering::Relaxed));
        self.bar.set_message(format!("{} rows", HumanCount(report.accepted())));
    }

    /// Says why nothing moves.
    pub(super) fn waiting(&self, wait: Duration, failure: &Failure) {
        let seconds = wait.as_secs_f64();
        self.bar.set_message(format!("waiting {seconds:.1} s: {}", first_line(&failure.to_string())));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
