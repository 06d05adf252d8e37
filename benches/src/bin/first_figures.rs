//! Takes the first figures and records them: `first-figures [--rows N] [--server-binary PATH]`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use ironbark_benches::figures::{Options, measure};

/// Load a corpus over HTTP and over Flight, ask five questions, report what it took.
#[derive(Debug, Parser)]
#[command(name = "first-figures")]
struct Arguments {
    /// Rows of the corpus
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// What the corpus is drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Connections over which HTTP loads
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// The ironbark binary; by default the one next to this program
    #[arg(long, value_name = "PATH")]
    server_binary: Option<PathBuf>,
    /// Where corpus and databases go while it runs
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    /// The day of the run, YYYY-MM-DD; by default today
    #[arg(long)]
    date: Option<String>,
    /// Where the record goes
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/record"))]
    record: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told if standard error is gone.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let binary = match arguments.server_binary {
        Some(binary) => binary,
        None => std::env::current_exe()?.parent().unwrap_or(Path::new(".")).join("ironbark"),
    };
    let options = Options {
        rows: arguments.rows,
        seed: arguments.seed,
        connections: arguments.connections,
        binary,
        work_dir: arguments.work_dir,
        date: arguments.date,
    };
    let report = measure(&options).await?;
    let path = report.save(&arguments.record)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{report}\nrecorded in {}", path.display())?;
    out.flush()?;
    Ok(())
}
