//! Writes a corpus to standard output: `corpus --rows N --seed S > file`.

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ironbark_benches::corpus::{Corpus, Spec};

/// Write a generated day of logs as NDJSON; the same seed gives the same bytes.
#[derive(Debug, Parser)]
#[command(name = "corpus")]
struct Arguments {
    /// Rows to write
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// What the corpus is drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Other words, templates and sources, which follow from the seed
    #[arg(long)]
    sealed: bool,
    /// Draw the templates from the logs `*.log` of a directory
    #[arg(long, value_name = "DIR")]
    templates_from: Option<PathBuf>,
    /// Write the planted words and how often they occur to standard error
    #[arg(long)]
    needles: bool,
}

fn main() -> ExitCode {
    match write(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told if standard error is gone.
            let _ = writeln!(std::io::stderr(), "error: cannot write the corpus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(arguments: &Arguments) -> std::io::Result<()> {
    let spec = Spec {
        rows: arguments.rows,
        seed: arguments.seed,
        sealed: arguments.sealed,
        templates_from: arguments.templates_from.clone(),
    };
    let mut corpus = Corpus::open(&spec)?;
    if arguments.needles {
        for needle in corpus.needles() {
            writeln!(std::io::stderr(), "{} {}", needle.hits, needle.word)?;
        }
    }
    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    while let Some(record) = corpus.next_record() {
        out.write_all(record.line)?;
    }
    out.flush()
}
