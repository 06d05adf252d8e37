//! What was measured, as data, as JSON and as a table.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::machine::Machine;
use crate::{Error, Result};

/// Everything that one run measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Day of the run.
    pub date: String,
    /// Where it ran.
    pub machine: Machine,
    /// What the binary says of itself.
    pub version: serde_json::Value,
    /// What was loaded.
    pub corpus: Corpus,
    /// By each route.
    pub loads: Vec<Load>,
    /// Bytes along a segment's life.
    pub stages: Stages,
    /// Latencies.
    pub questions: Vec<Question>,
}

/// A corpus that was loaded.
#[derive(Debug, Clone, Serialize)]
pub struct Corpus {
    /// Rows.
    pub rows: u64,
    /// Its seed.
    pub seed: u64,
    /// Bytes as NDJSON.
    pub bytes: u64,
}

/// A load by one route.
#[derive(Debug, Clone, Serialize)]
pub struct Load {
    /// The route.
    pub name: &'static str,
    /// Until the last acknowledgement.
    pub rows_per_second: f64,
    /// Until the last acknowledgement.
    pub seconds: f64,
    /// From there until everything is flushed and compacted.
    pub settling_seconds: f64,
    /// Of the server's process tree, until the last acknowledgement.
    pub server_cpu_seconds_per_million_rows_acknowledged: f64,
    /// Of the server's process tree, flush and compaction included.
    pub server_cpu_seconds_per_million_rows_settled: f64,
    /// Of the client's process, where it is a program of ours.
    pub client_cpu_seconds_per_million_rows: Option<f64>,
    /// Peak resident memory of the server's process tree.
    pub server_memory_peak_bytes: u64,
    /// Peak resident memory of the client, where it is a program of ours.
    pub client_memory_peak_bytes: Option<u64>,
    /// Requests that were sent again because the server asked for it.
    pub retries: u64,
    /// Bytes once settled; merged segments' objects are still there.
    pub sizes: Sizes,
}

/// Bytes of a table.
#[derive(Debug, Clone, Serialize)]
pub struct Sizes {
    /// Live segments.
    pub segments: u64,
    /// Bytes of the live segments, by row.
    pub segment_bytes_per_row: f64,
    /// Bytes of all objects, by row: segments, manifests, and what is not collected yet.
    pub object_bytes_per_row: f64,
    /// Bytes of everything else in the data directory, above all the WAL's preallocated files.
    pub other_bytes: u64,
}

/// Bytes along a segment's life, and what its stages cost.
#[derive(Debug, Clone, Serialize)]
pub struct Stages {
    /// Of a server without compactor, flush included.
    pub cpu_seconds_per_million_rows_flushed: f64,
    /// Of a server that only compacts.
    pub cpu_seconds_per_million_rows_compacting: f64,
    /// After the flush.
    pub flushed: Sizes,
    /// After compaction.
    pub compacted: Sizes,
    /// After garbage collection.
    pub collected: Sizes,
}

/// A question's latency over HTTP, and the server's CPU time for it.
#[derive(Debug, Clone, Serialize)]
pub struct Question {
    /// Which.
    pub name: &'static str,
    /// How often it was asked, each time with other literals.
    pub runs: usize,
    /// Median, request to whole answer.
    pub latency_ms_median: f64,
    /// 95th percentile.
    pub latency_ms_p95: f64,
    /// Median.
    pub server_cpu_ms_median: f64,
    /// 95th percentile.
    pub server_cpu_ms_p95: f64,
}

impl Report {
    /// Writes it as JSON to `ROOT/DATE-MACHINE/first-figures.json` and returns where that is.
    pub fn save(&self, root: &Path) -> Result<PathBuf> {
        let folder = root.join(format!("{}-{}", self.date, self.machine.name()));
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let path = folder.join("first-figures.json");
        let text =
            serde_json::to_string_pretty(self).map_err(|error| Error::unreadable("the report", &error))?;
        std::fs::write(&path, text + "\n").map_err(Error::file(&path))?;
        Ok(path)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Corpus { rows, seed, bytes } = &self.corpus;
        writeln!(f, "{} rows (seed {seed}), {:.1} bytes a row as NDJSON", rows, per_row(*bytes, *rows))?;
        writeln!(
            f,
            "{} cores, {}, {}",
            self.machine.cores,
            gibibytes(self.machine.memory_bytes),
            self.machine.cpu
        )?;
        writeln!(
            f,
            "\n{:<8} {:>9} {:>9} {:>9} {:>10} {:>10} {:>10} {:>9}",
            "load", "rows/s", "acked s", "settled s", "CPU s/1M", "settled", "client", "peak"
        )?;
        for load in &self.loads {
            let client = load.client_cpu_seconds_per_million_rows;
            writeln!(
                f,
                "{:<8} {:>9.0} {:>9.2} {:>9.2} {:>10.2} {:>10.2} {:>10} {:>9}",
                load.name,
                load.rows_per_second,
                load.seconds,
                load.seconds + load.settling_seconds,
                load.server_cpu_seconds_per_million_rows_acknowledged,
                load.server_cpu_seconds_per_million_rows_settled,
                client.map_or("-".to_owned(), |cpu| format!("{cpu:.2}")),
                gibibytes(load.server_memory_peak_bytes)
            )?;
        }
        writeln!(
            f,
            "\n{:<10} {:>9} {:>16} {:>16}",
            "bytes", "segments", "in segments/row", "in objects/row"
        )?;
        let stages = &self.stages;
        for (name, sizes) in
            [("flushed", &stages.flushed), ("compacted", &stages.compacted), ("collected", &stages.collected)]
        {
            writeln!(
                f,
                "{name:<10} {:>9} {:>16.1} {:>16.1}",
                sizes.segments, sizes.segment_bytes_per_row, sizes.object_bytes_per_row
            )?;
        }
        writeln!(
            f,
            "CPU s per 1 M rows: {:.2} to flushed, {:.2} for compaction",
            stages.cpu_seconds_per_million_rows_flushed, stages.cpu_seconds_per_million_rows_compacting
        )?;
        writeln!(f, "\n{:<42} {:>8} {:>8} {:>8} {:>8}", "query (ms)", "median", "p95", "CPU", "CPU p95")?;
        for question in &self.questions {
            writeln!(
                f,
                "{:<42} {:>8.1} {:>8.1} {:>8.1} {:>8.1}",
                question.name,
                question.latency_ms_median,
                question.latency_ms_p95,
                question.server_cpu_ms_median,
                question.server_cpu_ms_p95
            )?;
        }
        Ok(())
    }
}

/// `number` by `unit`, as a figure.
#[expect(clippy::cast_precision_loss, reason = "figures are rounded to a few digits")]
pub(crate) fn per(number: u64, unit: f64) -> f64 {
    number as f64 / unit
}

/// Bytes a row.
pub(crate) fn per_row(bytes: u64, rows: u64) -> f64 {
    per(bytes, per(rows, 1.0))
}

/// Seconds of CPU time for a million rows.
pub(crate) fn per_million(cpu: Duration, rows: u64) -> f64 {
    seconds(cpu) * per(1_000_000, 1.0) / per(rows, 1.0)
}

pub(crate) fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The smallest value that so many per cent do not exceed.
pub(crate) fn quantile(values: &mut [Duration], percent: usize) -> Duration {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.2} GiB", per(bytes, 1_073_741_824.0))
}
