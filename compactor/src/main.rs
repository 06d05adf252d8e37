//! `ironbark-compactor`: the compactor as a process of its own, once for cron or in rounds until it is told to stop.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use ironbark_compactor::{ALLOCATOR_SETTINGS, Compactor, CompactorConfig, Report};
use ironbark_storage::{Ambient, Store, StoreUrl};
use tokio::signal::unix::{SignalKind, signal};

/// As of the server: it gives the memory of merges back to the system soon.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Where the allocator looks for its settings.
#[expect(unsafe_code, reason = "the allocator finds its settings by the name of this symbol")]
// SAFETY: the allocator takes it as a pointer to text that ends with a zero, and only it has a symbol of this name.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static SETTINGS: &[u8; 96] = ALLOCATOR_SETTINGS;

/// Merges small segments and deletes what nothing needs any more. Safe to kill, and to run next to others.
#[derive(Debug, Parser)]
#[command(name = "ironbark-compactor", version)]
struct Options {
    /// Where the data is.
    #[arg(
        long,
        help = "Where the data is: s3://bucket/prefix (with the usual AWS_* environment) or a directory",
        env = "IRONBARK_OBJECT_STORE",
        value_name = "URL"
    )]
    object_store: StoreUrl,
    /// Do one round, print a report and exit.
    #[arg(long)]
    once: bool,
    /// Pause between rounds.
    #[arg(long, value_name = "TIME", value_parser = parse_ms, default_value = "10s")]
    interval: u64,
    /// How long objects of removed segments are kept: longer than the longest query.
    #[arg(long, value_name = "TIME", value_parser = parse_ms, default_value = "1h")]
    grace: u64,
    /// How long objects are kept that no manifest names: longer than any writer takes to commit.
    #[arg(long, value_name = "TIME", value_parser = parse_ms, default_value = "24h")]
    orphan_grace: u64,
    /// A day's rows count as complete after this long without a new segment.
    #[arg(long, value_name = "TIME", value_parser = parse_ms, default_value = "15m")]
    quiet: u64,
    /// Change nothing; print what would be done (implies --once).
    #[arg(long)]
    dry_run: bool,
}

impl Options {
    fn config(&self) -> CompactorConfig {
        CompactorConfig {
            interval_ms: self.interval,
            grace_ms: self.grace,
            orphan_grace_ms: self.orphan_grace,
            quiet_ms: self.quiet,
            dry_run: self.dry_run,
            ..CompactorConfig::default()
        }
    }
}

/// Milliseconds from `250ms`, `10s`, `15m`, `1h` or `2d`.
fn parse_ms(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 5] =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let refuse = || format!("{text:?} is no span of time: write a whole number and a unit, for example 15m");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits).ok_or_else(refuse)?;
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refuse)?;
    number.checked_mul(*unit_ms).ok_or_else(refuse)
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let options = Options::parse();
    match run(&options).await {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "ironbark-compactor: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let config = options.config();
    config.check()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    if let StoreUrl::Local(directory) = &options.object_store
        && !directory.is_dir()
    {
        let directory = directory.display();
        return Err(format!(
            "there is no directory {directory}: name the one that the server writes to, by default \
                            `objects` in its data directory"
        )
        .into());
    }
    let store = Store::open(&options.object_store)?;
    let compactor = Compactor::new(config, store, Ambient::system());
    if !options.once && !options.dry_run {
        compactor.run(stop).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let report = tokio::select! {
        report = compactor.run_once() => report?,
        () = stop => {
            writeln!(io::stderr(), "ironbark-compactor: stopped; what was committed stays")?;
            return Ok(ExitCode::FAILURE);
        }
    };
    print(&report)?;
    Ok(if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(report: &Report) -> io::Result<()> {
    write!(io::stdout(), "{report}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allocator_has_found_its_settings() {
        let found = tikv_jemalloc_ctl::opt::background_thread::read().unwrap();
        assert!(found, "the settings are not read: was the symbol renamed?");
    }

    #[test]
    fn spans_of_time_have_a_unit() {
        for (text, ms) in [("0s", 0), ("250ms", 250), ("15m", 900_000), ("2d", 172_800_000)] {
            assert_eq!(parse_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "10", "s", "1.5h", "-1s", "1w", "99999999999999999999s", "18446744073709551615d"] {
            assert!(parse_ms(text).is_err(), "{text}");
        }
    }

    #[test]
    fn options_become_settings() {
        let options =
            Options::try_parse_from(["x", "--object-store", "memory:", "--grace", "5s", "--dry-run"])
                .unwrap();
        let expected = CompactorConfig { grace_ms: 5_000, dry_run: true, ..CompactorConfig::default() };
        assert_eq!(options.config(), expected);
    }
}
