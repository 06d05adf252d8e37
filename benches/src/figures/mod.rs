//! The first figures: a corpus is loaded over HTTP and over Flight into fresh servers, five questions are asked, and
//! everything is reported as a table and as JSON.
//!
//! ```text
//!   http    serve ── NDJSON over HTTP ──► flush and settle ──► sizes
//!   flight  serve ── ironbark ingest ───► flush and settle ──► sizes ──► five questions, 15 times each
//!   stages  serve --compactor off ── ironbark ingest ──► flush ──► flushed
//!           serve ── settle ──► compacted ── ironbark-compactor --once --grace 0s ──► collected
//! ```

pub(crate) mod load;
pub(crate) mod machine;
mod questions;
pub(crate) mod report;

use std::path::PathBuf;

use crate::facts::Facts;
use crate::server::{Server, Settings};
use crate::{Error, Result};

pub use machine::Machine;
pub use report::{Corpus, Load, Question, Report, Sizes, Stages};

use load::{Bench, Route};

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Rows of the corpus.
    pub rows: u64,
    /// Its seed.
    pub seed: u64,
    /// Connections over which HTTP loads.
    pub connections: usize,
    /// The `ironbark` binary; `ironbark-compactor` lies next to it.
    pub binary: PathBuf,
    /// Where corpus and databases go while it runs; by default where temporary files go.
    pub work_dir: Option<PathBuf>,
    /// The day of the run, `YYYY-MM-DD`.
    pub date: Option<String>,
}

/// Takes all figures. Fails if an answer is wrong.
pub async fn measure(options: &Options) -> Result<Report> {
    let parent = options.work_dir.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::tempdir_in(&parent).map_err(Error::file(&parent))?;
    let file = folder.path().join("corpus.ndjson");
    let facts = Facts::write(options.rows, options.seed, &file)?;
    let bench = Bench {
        binary: options.binary.clone(),
        folder: folder.path().to_path_buf(),
        file,
        rows: facts.rows,
        connections: options.connections,
        settings: Settings::default(),
    };
    let (server, http) = bench.load("http", Route::Http).await?;
    server.stop()?;
    let (server, flight) = bench.load("flight", Route::Flight).await?;
    let questions = questions::ask(&server, &facts).await?;
    server.stop()?;
    let stages = bench.stages().await?;
    Ok(Report {
        date: options.date.clone().map_or_else(machine::today, Ok)?,
        machine: machine::describe(),
        version: machine::version(&options.binary),
        corpus: Corpus { rows: facts.rows, seed: options.seed, bytes: facts.bytes },
        loads: vec![http, flight],
        stages,
        questions,
    })
}

/// Starts a server in a sub-directory of the run.
fn serve(bench: &Bench, name: &str, settings: &Settings) -> Result<Server> {
    Server::start(&bench.binary, &bench.folder.join(name), settings)
}
