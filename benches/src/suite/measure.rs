//! Loading and asking: what one engine takes for the corpus and for each question, cold and hot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::answers::{Answers, check};
use super::peers::{Python, Worker};
use super::questions::{Case, RUNS, WARM_UPS};
use super::report::{Cold, Engine, Figures, Hot, Loaded};
use super::s3::{Requests, Traffic};
use super::target::{Ours, Target, Theirs, drop_page_cache};
use super::victoria::Victoria;
use crate::figures::load::{Bench, Route, folder_bytes, sql};
use crate::figures::report::{milliseconds, per, per_million, per_row, quantile, seconds};
use crate::http::Connection;
use crate::{Error, Result};

/// What is asked, how, and what is right.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) cases: Vec<Case>,
    pub(super) answers: Answers,
    /// Cold runs of each question that is asked cold.
    pub(super) cold_runs: usize,
    /// Questions that are asked cold.
    pub(super) cold: Vec<String>,
    /// Rows of the corpus.
    pub(super) rows: u64,
}

/// Loads the corpus into a fresh server of ours.
pub(super) async fn load_ironbark(
    bench: &Bench,
    route: Route,
    python: &Python,
    traffic: Option<Arc<Traffic>>,
) -> Result<(Target, Loaded)> {
    let name = "ironbark";
    let (server, load) = bench.load(name, route).await?;
    let mut connection = Connection::open(&server.http).await?;
    let folder = bench.folder.join(name);
    let mut paths = Vec::new();
    for segment in sql(&mut connection, "SHOW SEGMENTS").await? {
        let url = segment.get("url").and_then(Value::as_str).unwrap_or_default();
        paths.push(url.trim_start_matches("file://").to_owned());
    }
    let objects = folder.join("objects");
    // Segments in another store are not taken apart.
    let paths = if objects.is_dir() { paths } else { Vec::new() };
    let mut parts = BTreeMap::new();
    for (part, bytes) in python.parts(&paths)?.as_object().into_iter().flatten() {
        parts.insert(part.clone(), per_row(bytes.as_u64().unwrap_or(0), bench.rows));
    }
    let manifests = if objects.is_dir() { manifests(&objects)? } else { 0 };
    parts.insert("manifest".to_owned(), per_row(manifests, bench.rows));
    let loaded = Loaded {
        rows_per_second: load.rows_per_second,
        seconds: load.seconds,
        settling_seconds: load.settling_seconds,
        cpu_seconds_per_million_rows_acknowledged: load.server_cpu_seconds_per_million_rows_acknowledged,
        cpu_seconds_per_million_rows_settled: load.server_cpu_seconds_per_million_rows_settled,
        memory_peak_bytes: load.server_memory_peak_bytes,
        bytes_per_row: load.sizes.segment_bytes_per_row + per_row(manifests, bench.rows),
        parts,
    };
    let (binary, settings) = (bench.binary.clone(), bench.settings.clone());
    let ours = Ours { binary, folder, settings, traffic, running: Some((server, connection)) };
    Ok((Target::Ironbark(Box::new(ours)), loaded))
}

/// Loads the corpus into a peer, in a process of its own, and opens the database in another.
pub(super) async fn load_peer(
    name: &str,
    python: &Python,
    file: &Path,
    rows: u64,
    folder: PathBuf,
) -> Result<(Target, Loaded)> {
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let mut worker = Worker::start(python, name, &folder)?;
    let cpu_before = worker.usage().cpu;
    let began = Instant::now();
    let figures = worker.load(file, &folder)?;
    let (wall, usage) = (began.elapsed(), worker.usage());
    drop(worker);
    let cpu = per_million(usage.cpu.saturating_sub(cpu_before), rows);
    let bytes = figures.get("bytes").and_then(Value::as_u64).unwrap_or(0);
    let per_row = |bytes: u64| per_row(bytes, rows);
    let parts = figures.get("parts").and_then(Value::as_object).into_iter().flatten();
    let loaded = Loaded {
        rows_per_second: per(rows, seconds(wall)),
        seconds: seconds(wall),
        settling_seconds: 0.0,
        cpu_seconds_per_million_rows_acknowledged: cpu,
        cpu_seconds_per_million_rows_settled: cpu,
        memory_peak_bytes: usage.memory_peak_bytes,
        bytes_per_row: per_row(bytes),
        parts: parts.map(|(part, bytes)| (part.clone(), per_row(bytes.as_u64().unwrap_or(0)))).collect(),
    };
    let theirs = Theirs { python: python.clone(), name: name.to_owned(), folder, running: None };
    let mut target = Target::Peer(Box::new(theirs));
    target.restart(|| ()).await?;
    Ok((target, loaded))
}

/// Loads the corpus into a VictoriaLogs that runs already.
pub(super) async fn load_victoria(url: &str, file: &Path, rows: u64) -> Result<(Target, Loaded)> {
    let mut victoria = Victoria::open(url).await?;
    let loaded = victoria.load(file, rows).await?;
    Ok((Target::Remote(Box::new(victoria)), loaded))
}

/// Asks an engine everything, and ends it.
pub(super) async fn ask_all(name: &str, mut target: Target, loaded: Loaded, plan: &Plan) -> Result<Engine> {
    let mut questions = Vec::new();
    for (case, right) in plan.cases.iter().zip(&plan.answers) {
        // A question that fails has no figures; the others are still worth theirs.
        let hot = hot(&mut target, case, right).await;
        let (hot, failure) = match hot {
            Ok(hot) => (hot, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let explain = match (&failure, case.literals.first()) {
            (None, Some(question)) => target.explain(question).await?,
            _ => None,
        };
        questions.push(Figures { name: case.name, title: case.title, hot, cold: None, failure, explain });
    }
    let memory_peak_bytes = target.usage().memory_peak_bytes;
    let mut is_cache_dropped = true;
    for ((case, right), figures) in plan.cases.iter().zip(&plan.answers).zip(&mut questions) {
        if !target.is_ours_to_restart()
            || figures.hot.is_none()
            || !plan.cold.iter().any(|cold| cold == case.name)
        {
            continue;
        }
        let (mut runs, mut requests) = (Vec::new(), Vec::new());
        for place in WARM_UPS + RUNS..WARM_UPS + RUNS + plan.cold_runs {
            let (Some(question), Some(right)) = (case.literals.get(place), right.get(place)) else {
                continue;
            };
            target.restart(|| is_cache_dropped &= drop_page_cache()).await?;
            let asked = target.ask(question).await?;
            let rows = asked.rows.unwrap_or_default();
            if let Err(error) = check(case.name, question, right, &rows) {
                figures.failure = Some(error.to_string());
            }
            runs.push(asked.wall);
            requests.extend(asked.requests);
        }
        figures.cold = Some(Cold {
            wall_ms_median: milliseconds(quantile(&mut runs, 50)),
            runs: runs.len(),
            requests: median(&requests),
        });
    }
    target.stop()?;
    Ok(Engine {
        name: name.to_owned(),
        loaded,
        memory_peak_bytes_asking: memory_peak_bytes,
        is_cache_dropped,
        questions,
    })
}

/// Asks one question in all runs. None if the engine cannot answer it.
async fn hot(target: &mut Target, case: &Case, right: &[Vec<Value>]) -> Result<Option<Hot>> {
    let (mut wall, mut cpu, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    for (run, (question, right)) in case.literals.iter().zip(right).take(WARM_UPS + RUNS).enumerate() {
        let asked = target.ask(question).await?;
        let Some(rows) = asked.rows else { return Ok(None) };
        check(case.name, question, right, &rows)?;
        if run >= WARM_UPS {
            wall.push(asked.wall);
            cpu.push(asked.cpu);
            requests.extend(asked.requests);
        }
    }
    let all = |times: &[Duration]| times.iter().map(|time| milliseconds(*time)).collect();
    Ok(Some(Hot {
        wall_ms_all: all(&wall),
        cpu_ms_all: all(&cpu),
        wall_ms_median: milliseconds(quantile(&mut wall, 50)),
        wall_ms_p95: milliseconds(quantile(&mut wall, 95)),
        cpu_ms_median: milliseconds(quantile(&mut cpu, 50)),
        cpu_ms_p95: milliseconds(quantile(&mut cpu, 95)),
        requests: median(&requests),
    }))
}

/// Of each figure the median. None if there is none.
fn median(requests: &[Requests]) -> Option<Requests> {
    let middle = |of: fn(&Requests) -> u64| {
        let mut values: Vec<u64> = requests.iter().map(of).collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    };
    Some(Requests {
        count: middle(|one| one.count)?,
        rounds: middle(|one| one.rounds)?,
        bytes: middle(|one| one.bytes)?,
    })
}

/// Bytes of everything below directories `_manifest`.
fn manifests(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(Error::file(folder))?.flatten() {
        if !entry.path().is_dir() {
            continue;
        }
        let is_manifest = entry.file_name() == "_manifest";
        bytes += if is_manifest { folder_bytes(&entry.path())? } else { manifests(&entry.path())? };
    }
    Ok(bytes)
}
