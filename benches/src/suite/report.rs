//! The result of a run, as data, as Markdown and as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::corpus::Outline;
use super::plot;
use super::s3::Requests;
use crate::figures::Machine;
use crate::figures::report::{per, per_row};
use crate::{Error, Result};

/// In process over an index of many times our size: the limit of what can be had, not a rival.
const LIMIT_NOT_RIVAL: &str = "tantivy";

/// Everything that one run measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Day of the run.
    pub date: String,
    /// Where it ran.
    pub machine: Machine,
    /// What our binary says of itself.
    pub version: serde_json::Value,
    /// What was loaded.
    pub corpus: Outline,
    /// How it was loaded into ours: `http` or `flight`.
    pub load: String,
    /// Milliseconds that each request to S3 waits, if the segments are there.
    pub s3_delay_ms: Option<u64>,
    /// Ours first.
    pub engines: Vec<Engine>,
    /// Peers that did not get through, and why.
    pub absent: Vec<String>,
}

/// What one engine took.
#[derive(Debug, Clone, Serialize)]
pub struct Engine {
    /// Its name.
    pub name: String,
    /// What loading took.
    pub loaded: Loaded,
    /// Peak resident memory after all hot questions, of the process tree that answered them.
    pub memory_peak_bytes_asking: u64,
    /// Whether the page cache was empty before each cold question; otherwise only the process was new.
    pub is_cache_dropped: bool,
    /// What each question took.
    pub questions: Vec<Figures>,
}

/// What loading took. CPU and memory are of the engine's process tree.
#[derive(Debug, Clone, Serialize)]
pub struct Loaded {
    /// Until the last acknowledgement.
    pub rows_per_second: f64,
    /// Until the last acknowledgement.
    pub seconds: f64,
    /// From there until merges were settled.
    pub settling_seconds: f64,
    /// Until the last acknowledgement.
    pub cpu_seconds_per_million_rows_acknowledged: f64,
    /// Until merges were settled.
    pub cpu_seconds_per_million_rows_settled: f64,
    /// Peak resident memory.
    pub memory_peak_bytes: u64,
    /// All live bytes: data, index, metadata.
    pub bytes_per_row: f64,
    /// The same by part, as far as the engine says; bytes a row.
    pub parts: BTreeMap<String, f64>,
}

/// What a question took.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// `Q1` to `Q14`.
    pub name: &'static str,
    /// What it asks.
    pub title: &'static str,
    /// None: it cannot be asked, or it failed.
    pub hot: Option<Hot>,
    /// None: it was not asked cold.
    pub cold: Option<Cold>,
    /// A wrong answer, or an error.
    pub failure: Option<String>,
    /// Plan and metrics of one run, where the engine says them. In a file of its own.
    #[serde(skip)]
    pub explain: Option<String>,
}

/// A question asked often.
#[derive(Debug, Clone, Serialize)]
pub struct Hot {
    /// Request to whole answer.
    pub wall_ms_median: f64,
    /// The 95th percentile.
    pub wall_ms_p95: f64,
    /// CPU time of the engine's threads.
    pub cpu_ms_median: f64,
    /// The 95th percentile.
    pub cpu_ms_p95: f64,
    /// Every run.
    pub wall_ms_all: Vec<f64>,
    /// Every run.
    pub cpu_ms_all: Vec<f64>,
    /// What the object store was asked, if that is S3: medians.
    pub requests: Option<Requests>,
}

/// A question asked of a fresh process with an empty page cache.
#[derive(Debug, Clone, Serialize)]
pub struct Cold {
    /// Request to whole answer; the start is not part of it.
    pub wall_ms_median: f64,
    /// How many such runs.
    pub runs: usize,
    /// What the object store was asked, if that is S3: medians.
    pub requests: Option<Requests>,
}

impl Report {
    /// Answers that were wrong or did not come, each with engine and question.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = self.absent.clone();
        for engine in &self.engines {
            for figures in &engine.questions {
                if let Some(failure) = &figures.failure {
                    failures.push(format!("{} {}: {failure}", engine.name, figures.name));
                }
            }
        }
        failures
    }

    /// Writes `results.json`, `results.md`, `plot.svg` and `explain.txt` to `ROOT/DATE-MACHINE/ROWS-rows/` and returns where that is.
    pub fn save(&self, root: &Path) -> Result<PathBuf> {
        let sealed = if self.corpus.spec.sealed { "-sealed" } else { "" };
        let s3 = if self.s3_delay_ms.is_some() { "-s3" } else { "" };
        let drawn = if self.corpus.spec.templates_from.is_some() { "-drawn" } else { "" };
        let folder = root.join(format!("{}-{}", self.date, self.machine.name()));
        let folder = folder.join(format!("{}-rows{sealed}{drawn}{s3}", self.corpus.rows));
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let json =
            serde_json::to_string_pretty(self).map_err(|error| Error::unreadable("the report", &error))?;
        for (name, text) in [
            ("results.json", json + "\n"),
            ("results.md", self.to_string()),
            ("plot.svg", plot::svg(&self.engines)),
            ("explain.txt", self.explains()),
        ] {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(Error::file(&path))?;
        }
        Ok(folder)
    }

    /// Plans of our answers.
    fn explains(&self) -> String {
        let plan = |figures: &Figures| Some(format!("{}\n{}\n\n", figures.name, figures.explain.as_ref()?));
        ours(&self.engines).iter().filter_map(plan).collect()
    }

    /// Requests to S3 of each question.
    fn requests(&self) -> Table {
        let mut table = Table::new(&[
            "S3",
            "cold requests",
            "rounds",
            "KiB",
            "hot requests",
            "rounds",
            "KiB",
            "cold ms",
            "hot ms",
        ]);
        for figures in ours(&self.engines) {
            let cold = figures.cold.as_ref().and_then(|cold| cold.requests);
            let hot = figures.hot.as_ref().and_then(|hot| hot.requests);
            let mut row = vec![figures.name.to_owned()];
            for requests in [cold, hot] {
                let cell = |of: fn(&Requests) -> u64| cell(requests.as_ref().map(|one| of(one).to_string()));
                row.extend([cell(|one| one.count), cell(|one| one.rounds), cell(|one| one.bytes >> 10)]);
            }
            row.push(cell(figures.cold.as_ref().map(|cold| short(cold.wall_ms_median))));
            row.push(cell(figures.hot.as_ref().map(|hot| short(hot.wall_ms_median))));
            table.row(row);
        }
        table
    }

    fn loads(&self) -> Table {
        let mut table = Table::new(&[
            "load",
            "rows/s",
            "acked s",
            "settled s",
            "CPU s/1M acked",
            "settled",
            "peak MiB",
            "bytes/row",
        ]);
        for Engine { name, loaded, .. } in &self.engines {
            table.row([
                name.clone(),
                format!("{:.0}", loaded.rows_per_second),
                format!("{:.1}", loaded.seconds),
                format!("{:.1}", loaded.seconds + loaded.settling_seconds),
                format!("{:.2}", loaded.cpu_seconds_per_million_rows_acknowledged),
                format!("{:.2}", loaded.cpu_seconds_per_million_rows_settled),
                format!("{:.0}", per(loaded.memory_peak_bytes, 1_048_576.0)),
                format!("{:.1}", loaded.bytes_per_row),
            ]);
        }
        table
    }

    fn parts(&self) -> Table {
        let mut table = Table::new(&["bytes a row", "part", "share"]);
        for Engine { name, loaded, .. } in &self.engines {
            let mut parts: Vec<_> = loaded.parts.iter().collect();
            parts.sort_by(|one, other| other.1.total_cmp(one.1));
            for (part, bytes) in parts {
                let share = format!("{:.1} %", 100.0 * bytes / loaded.bytes_per_row);
                table.row([format!("{name} {part}"), format!("{bytes:.2}"), share]);
            }
        }
        table
    }

    /// Each engine's medians, as `wall / CPU`, and our CPU time by the least of the rivals'.
    fn hot(&self) -> Table {
        let mut heads = vec!["hot, ms wall / CPU".to_owned()];
        heads.extend(self.engines.iter().map(|engine| engine.name.clone()));
        heads.extend(["p95", "CPU by best peer", "wall by best peer"].map(str::to_owned));
        let mut table = Table { rows: vec![heads] };
        for name in self.names() {
            let mut row = vec![name.to_owned()];
            for engine in &self.engines {
                let Some(figures) = engine.question(name) else { continue };
                let medians = |hot: &Hot| pair(hot.wall_ms_median, hot.cpu_ms_median);
                row.push(match figures.failure {
                    Some(_) => "FAILED".to_owned(),
                    None => cell(figures.hot.as_ref().map(medians)),
                });
            }
            let hot = self.engines.first().and_then(|ours| ours.hot(name));
            row.push(cell(hot.map(|hot| pair(hot.wall_ms_p95, hot.cpu_ms_p95))));
            row.push(shown(ratio(&self.engines, name, |hot| hot.cpu_ms_median)));
            row.push(shown(ratio(&self.engines, name, |hot| hot.wall_ms_median)));
            table.row(row);
        }
        table
    }

    fn cold(&self) -> Table {
        let mut heads = vec!["cold, ms wall".to_owned()];
        heads.extend(self.engines.iter().map(|engine| engine.name.clone()));
        let mut table = Table { rows: vec![heads] };
        for name in self.names() {
            let cold = |engine: &Engine| Some(short(engine.question(name)?.cold.as_ref()?.wall_ms_median));
            let times: Vec<_> = self.engines.iter().map(cold).collect();
            if times.iter().any(Option::is_some) {
                table.row(std::iter::once(name.to_owned()).chain(times.into_iter().map(cell)));
            }
        }
        table
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        ours(&self.engines).iter().map(|figures| figures.name)
    }
}

impl Engine {
    fn question(&self, name: &str) -> Option<&Figures> {
        self.questions.iter().find(|figures| figures.name == name)
    }

    /// Figures of a question that was answered rightly.
    pub(super) fn hot(&self, name: &str) -> Option<&Hot> {
        self.question(name).filter(|figures| figures.failure.is_none())?.hot.as_ref()
    }
}

/// The figures of the first engine, which is ours.
pub(super) fn ours(engines: &[Engine]) -> &[Figures] {
    engines.first().map(|engine| engine.questions.as_slice()).unwrap_or_default()
}

/// Our figure by the least of the rivals', and whose that is. None without a rival's.
fn ratio<'a>(engines: &'a [Engine], question: &str, figure: impl Fn(&Hot) -> f64) -> Option<(f64, &'a str)> {
    let (ours, peers) = engines.split_first()?;
    let ours = figure(ours.hot(question)?);
    let rivals = peers.iter().filter(|peer| peer.name != LIMIT_NOT_RIVAL);
    let best = rivals.filter_map(|peer| Some((figure(peer.hot(question)?), peer.name.as_str())));
    let (best, name) = best.min_by(|one, other| one.0.total_cmp(&other.0))?;
    (best > 0.0).then(|| (ours / best, name))
}

fn shown(ratio: Option<(f64, &str)>) -> String {
    cell(ratio.map(|(ratio, name)| format!("{ratio:.2} {name}")))
}

/// What a table shows where there is nothing: a dash.
fn cell(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}

fn pair(wall_ms: f64, cpu_ms: f64) -> String {
    format!("{} / {}", short(wall_ms), short(cpu_ms))
}

/// Three digits, not more.
fn short(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.2}"),
        ms if ms < 100.0 => format!("{ms:.1}"),
        ms => format!("{ms:.0}"),
    }
}

/// Cells that are written as a Markdown table with even columns.
#[derive(Debug, Default)]
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(heads: &[&str]) -> Self {
        Self { rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()] }
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (place, row) in self.rows.iter().enumerate() {
            let mut line = String::from("|");
            for (column, width) in widths.iter().enumerate() {
                let cell = row.get(column).map(String::as_str).unwrap_or_default();
                if column == 0 {
                    write!(line, " {cell:<width$} |")?;
                } else {
                    write!(line, " {cell:>width$} |")?;
                }
            }
            writeln!(f, "{line}")?;
            if place == 0 {
                let rulers: Vec<String> = widths.iter().map(|width| "-".repeat(width + 1)).collect();
                writeln!(f, "|{}:|", rulers.join(":|").replacen(':', "-", 1))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outline { spec, rows, bytes, hash, .. } = &self.corpus;
        let sealed = if spec.sealed { ", sealed" } else { "" };
        writeln!(
            f,
            "{rows} rows (seed {}{sealed}, {hash}), {:.1} bytes a row as NDJSON, loaded by {}",
            spec.seed,
            per_row(*bytes, *rows),
            self.load
        )?;
        let machine = &self.machine;
        writeln!(f, "{}, {} cores, {}, {}\n", self.date, machine.cores, machine.cpu, machine.system)?;
        writeln!(f, "{}\n{}\n{}", self.loads(), self.hot(), self.cold())?;
        let without: BTreeSet<&str> =
            self.engines.iter().filter(|one| !one.is_cache_dropped).map(|one| one.name.as_str()).collect();
        if !without.is_empty() {
            writeln!(
                f,
                "The page cache could not be dropped for {without:?}: only their processes were new.\n"
            )?;
        }
        if let Some(delay) = self.s3_delay_ms {
            writeln!(f, "Each request to S3 waits {} ms.\n\n{}", delay, self.requests())?;
        }
        write!(f, "{}", self.parts())?;
        for failure in self.failures() {
            writeln!(f, "\nFAILED {failure}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
