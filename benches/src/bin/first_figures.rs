//! Takes the first figures and records them: `first-figures [--rows N] [--server-binary PATH]`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ironbark_benches::arguments::Run;
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
    /// Where corpus and databases go while it runs
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
    #[command(flatten)]
    run: Run,
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
    let options = Options {
        rows: arguments.rows,
        seed: arguments.seed,
        connections: arguments.connections,
        binary: arguments.run.server_binary()?,
        work_dir: arguments.work_dir,
        date: arguments.run.date,
    };
    let report = measure(&options).await?;
    let path = report.save(&arguments.run.record)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{report}\nrecorded in {}", path.display())?;
    out.flush()?;
    Ok(())
}
