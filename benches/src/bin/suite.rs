//! Measures Ironbark and its peers on one corpus and records it: `suite [--quick] [--rows N] [--peers NAMES]`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use ironbark_benches::arguments::Run;
use ironbark_benches::corpus::Spec;
use ironbark_benches::suite::{Options, measure};

/// Load a corpus, ask fifteen questions cold and hot, check every answer, do the same with peers, report ratios.
#[derive(Debug, Parser)]
#[command(name = "suite")]
struct Arguments {
    /// No peers, and only four questions cold
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    spec: Spec,
    /// Peers, with commas: duckdb,chdb,datafusion,tantivy, or none; by default all that install
    #[arg(long, value_delimiter = ',')]
    peers: Option<Vec<String>>,
    /// A VictoriaLogs that runs already, empty and with a -retentionPeriod that reaches back to March 2026
    #[arg(long, value_name = "URL")]
    peer: Option<String>,
    /// Only these questions, with commas: Q1,Q4,Q11
    #[arg(long, value_delimiter = ',')]
    questions: Option<Vec<String>>,
    /// How Ironbark is loaded
    #[arg(long, value_parser = ["http", "flight"], default_value = "http")]
    load: String,
    /// Segments in a local S3 server; each request to it waits so many milliseconds
    #[arg(long, value_name = "MS")]
    s3_delay_ms: Option<u64>,
    /// A setting of the server, such as query.range_cache=0; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    setting: Vec<(String, String)>,
    /// Connections over which HTTP loads
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Where corpus, reference answers and databases go; by default ironbark/bench in the user's cache directory
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    #[command(flatten)]
    run: Run,
}

#[tokio::main]
async fn main() -> ExitCode {
    // Ended by a signal, the run still ends what it started and removes its databases.
    let outcome = tokio::select! {
        outcome = run(Arguments::parse()) => outcome,
        () = interrupted() => Err("interrupted".into()),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            tell(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let given = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = given.ok_or("a setting is KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Returns when the run is told to end, by SIGINT or SIGTERM.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => tokio::select! {
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        // Without a handler the signal ends the run as it ends any program.
        Err(_) => std::future::pending().await,
    }
}

/// To standard error; nobody is left to be told if that is gone.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

async fn run(arguments: Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let cache = || {
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).unwrap_or_else(std::env::temp_dir)
    };
    let options = Options {
        spec: arguments.spec,
        is_quick: arguments.quick,
        peers: arguments.peers.map(|peers| peers.into_iter().filter(|peer| peer != "none").collect()),
        victoria: arguments.peer,
        questions: arguments.questions,
        is_flight: arguments.load == "flight",
        connections: arguments.connections,
        s3_delay: arguments.s3_delay_ms.map(Duration::from_millis),
        settings: arguments.setting,
        binary: arguments.run.server_binary()?,
        work_dir: arguments.work_dir.unwrap_or_else(|| cache().join("ironbark").join("bench")),
        date: arguments.run.date,
    };
    let report = measure(&options, &tell).await?;
    let folder = report.save(&arguments.run.record)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{report}\nrecorded in {}", folder.display())?;
    out.flush()?;
    Ok(if report.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
