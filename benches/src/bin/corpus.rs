//! Writes a corpus to standard output: `corpus --rows N --seed S > file`.

use std::io::{BufWriter, Write as _};
use std::process::ExitCode;

use clap::Parser;
use ironbark_benches::corpus::{Corpus, Spec};

/// Write a generated day of logs as NDJSON; the same seed gives the same bytes.
#[derive(Debug, Parser)]
#[command(name = "corpus")]
struct Arguments {
    #[command(flatten)]
    spec: Spec,
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
    let mut corpus = Corpus::open(&arguments.spec)?;
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
