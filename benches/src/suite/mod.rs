//! The suite: one corpus, the fifteen questions, Ironbark and its peers in one run.
//!
//! ```text
//!   Spec ──► corpus.ndjson ──► reference (DuckDB, cached) ──► right answers ──┐
//!                  │                                                         check
//!                  ├──► ironbark serve ── settled ── hot, then cold ──────────┤
//!                  └──► a worker for each peer ── the same ───────────────────┴──► Report ──► record/
//! ```
//!
//! Engines run one after the other, never two at a time. A wrong answer has no figure and fails the run by its name.

mod answers;
mod corpus;
mod ironbark;
mod measure;
mod peers;
mod plot;
mod questions;
mod report;
mod s3;
mod target;
mod victoria;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::corpus::Spec;
use crate::figures::load::{Bench, Route};
use crate::figures::machine;
use crate::{Error, Result};

pub use corpus::Outline;
pub use report::{Cold, Engine, Figures, Hot, Loaded, Report};
pub use s3::Requests;

use measure::Plan;
use peers::Python;
use questions::Case;
use s3::DelayedS3;

/// Questions that the quick mode asks cold.
const COLD_QUICK: [&str; 4] = ["Q1", "Q2", "Q4", "Q10"];
const COLD_RUNS: usize = 3;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which corpus.
    pub spec: Spec,
    /// Without peers and with few cold questions.
    pub is_quick: bool,
    /// Names of peers; None: all that install, or none in the quick mode.
    pub peers: Option<Vec<String>>,
    /// URL of a VictoriaLogs that runs already and is empty.
    pub victoria: Option<String>,
    /// Names of questions; None: all.
    pub questions: Option<Vec<String>>,
    /// By `ironbark ingest` in place of HTTP.
    pub is_flight: bool,
    /// Connections over which HTTP loads.
    pub connections: usize,
    /// With the segments in an S3 server of which each request waits so long. Without peers.
    pub s3_delay: Option<Duration>,
    /// Keys and values of the server's configuration that differ from the defaults.
    pub settings: Vec<(String, String)>,
    /// The `ironbark` binary.
    pub binary: PathBuf,
    /// Where corpus, reference and databases go. All but the reference is removed at the end.
    pub work_dir: PathBuf,
    /// The day of the run, `YYYY-MM-DD`.
    pub date: Option<String>,
}

/// Says what is being done.
pub type Tell<'a> = &'a dyn Fn(&str);

/// Takes all figures. A wrong answer is in the report; anything else that goes wrong is an error.
pub async fn measure(options: &Options, tell: Tell<'_>) -> Result<Report> {
    let work_dir = &options.work_dir;
    std::fs::create_dir_all(work_dir).map_err(Error::file(work_dir))?;
    let python = Python::install()?;
    let peers = peers(options, &python)?;
    let folder = run_folder(work_dir)?;
    tell("corpus");
    let file = folder.path().join("corpus.ndjson");
    let corpus = Outline::write(&options.spec, &file)?;
    tell("reference");
    let plan = plan(options, &corpus, &file, &python)?;
    let s3 = match options.s3_delay {
        Some(delay) => Some(DelayedS3::start(folder.path(), delay).await?),
        None => None,
    };
    let mut settings = s3.as_ref().map(DelayedS3::settings).unwrap_or_default();
    settings.environment.extend(options.settings.iter().map(|(key, value)| {
        let variable = format!("IRONBARK_{}", key.replace('.', "_").to_uppercase());
        (variable, value.clone())
    }));
    let bench = Bench {
        binary: options.binary.clone(),
        folder: folder.path().to_path_buf(),
        file: file.clone(),
        rows: corpus.rows,
        connections: options.connections,
        settings,
    };
    tell("ironbark: load");
    let route = if options.is_flight { Route::Flight } else { Route::Http };
    let (target, loaded) =
        measure::load_ironbark(&bench, route, &python, s3.as_ref().map(DelayedS3::traffic)).await?;
    tell("ironbark: questions");
    let mut engines = vec![measure::ask_all("ironbark", target, loaded, &plan).await?];
    let mut absent = Vec::new();
    let victoria = options.victoria.iter().map(|url| Peer::Victoria(url.clone()));
    for peer in peers.into_iter().map(Peer::Worker).chain(victoria) {
        tell(&format!("{}: load, questions", peer.name()));
        match peer.measure(&python, &bench, &plan).await {
            Ok(engine) => engines.push(engine),
            // A peer that cannot take the corpus costs the others nothing.
            Err(error) => absent.push(format!("{}: {error}", peer.name())),
        }
    }
    Ok(Report {
        date: options.date.clone().map_or_else(machine::today, Ok)?,
        machine: machine::describe(),
        version: machine::version(&options.binary),
        corpus,
        load: if options.is_flight { "flight" } else { "http" }.to_owned(),
        s3_delay_ms: options.s3_delay.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
        engines,
        absent,
    })
}

/// Who else is measured.
#[derive(Debug)]
enum Peer {
    Worker(String),
    Victoria(String),
}

impl Peer {
    fn name(&self) -> &str {
        match self {
            Self::Worker(name) => name,
            Self::Victoria(_) => "victorialogs",
        }
    }

    async fn measure(&self, python: &Python, bench: &Bench, plan: &Plan) -> Result<Engine> {
        match self {
            Self::Victoria(url) => {
                let (target, loaded) = measure::load_victoria(url, &bench.file, plan.rows).await?;
                measure::ask_all(self.name(), target, loaded, plan).await
            }
            Self::Worker(name) => {
                let folder = bench.folder.join(name);
                let (target, loaded) =
                    measure::load_peer(name, python, &bench.file, plan.rows, folder.clone()).await?;
                let engine = measure::ask_all(name, target, loaded, plan).await?;
                // Room for the next one.
                std::fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
                Ok(engine)
            }
        }
    }
}

/// What is asked, with the right answers.
fn plan(options: &Options, corpus: &Outline, file: &Path, python: &Python) -> Result<Plan> {
    let all = questions::cases(corpus).ok_or_else(|| {
        Error::unreadable("the corpus", &"it is too small for the questions: take --rows 450000")
    })?;
    // Of all questions, so that a run with fewer finds the same in the cache.
    let right = answers::right(corpus, file, &options.work_dir, &all, python)?;
    let wanted = |case: &Case| {
        options.questions.as_ref().is_none_or(|names| names.iter().any(|name| name == case.name))
    };
    let (cases, right): (Vec<_>, Vec<_>) =
        all.into_iter().zip(right).filter(|(case, _)| wanted(case)).unzip();
    let names = || cases.iter().map(|case| case.name.to_owned());
    let cold = if options.is_quick { COLD_QUICK.map(str::to_owned).to_vec() } else { names().collect() };
    Ok(Plan {
        cold,
        cases,
        answers: right,
        cold_runs: if options.is_quick { 1 } else { COLD_RUNS },
        rows: corpus.rows,
    })
}

/// A directory for this run, removed at its end. Those of runs that were killed are removed first.
fn run_folder(work_dir: &Path) -> Result<tempfile::TempDir> {
    for entry in std::fs::read_dir(work_dir).map_err(Error::file(work_dir))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("run-").and_then(|rest| rest.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            std::fs::remove_dir_all(entry.path()).map_err(Error::file(&entry.path()))?;
        }
    }
    let mut builder = tempfile::Builder::new();
    builder
        .prefix(&format!("run-{}-", std::process::id()))
        .tempdir_in(work_dir)
        .map_err(Error::file(work_dir))
}

/// The peers that take part. One that was asked for by name must have installed.
fn peers(options: &Options, python: &Python) -> Result<Vec<String>> {
    let Some(wanted) = &options.peers else {
        return Ok(if options.is_quick || options.s3_delay.is_some() {
            Vec::new()
        } else {
            python.peers.clone()
        });
    };
    match wanted.iter().find(|name| !python.peers.contains(name)) {
        Some(missing) => Err(Error::unreadable(
            "the list of peers",
            &format!("{missing} is not one of {:?}", python.peers),
        )),
        None => Ok(wanted.clone()),
    }
}
