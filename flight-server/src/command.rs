//! The command line of `ironbark`: which commands there are, and what an exit code means.
//!
//! What the codes mean is in `EXIT_CODES`, which `--help` shows.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ironbark_storage::Ambient;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::cli::{self, ClientCommand};
use crate::config::{Config, Effective, Flags, Log, LogFormat};
use crate::error::{Error, Result};
use crate::serve::{Damage, Server};
use crate::version::Version;

/// Exit code for a wrong command line or configuration.
const EXIT_USAGE: u8 = 2;

/// What a script may rely on.
const EXIT_CODES: &str = "\
Exit codes:
  0  done; a load took lines, or there were none (its report counts the refused ones)
  1  failed, as standard error says; also a load whose lines were all refused
  2  the command line or the configuration is wrong, and nothing was done";

/// The demo's data directory, unless another is given.
const DEMO_DIR: &str = "./ironbark-demo";

/// A columnar analytics database for logs
#[derive(Debug, Parser)]
#[command(name = "ironbark", version, after_help = EXIT_CODES, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Client(ClientCommand),
    /// Run a server
    Serve {
        #[command(flatten)]
        flags: Flags,
        /// Go on when the write-ahead log is damaged in the middle: set damaged files aside and say what is lost
        #[arg(long)]
        quarantine_wal: bool,
    },
    /// Run a server that fills itself with a day of a small shop's logs, and keeps adding to them
    Demo {
        #[command(flatten)]
        flags: Flags,
    },
    /// Check or show the configuration
    Config {
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Say which version this is
    Version {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Say whether the configuration is right, or everything that is wrong with it
    Check {
        #[command(flatten)]
        flags: Flags,
    },
    /// Print the effective configuration as TOML, with the origin of each value that is not the default
    Show {
        #[command(flatten)]
        flags: Flags,
    },
}

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            let mut stderr = std::io::stderr().lock();
            for line in error.to_string().lines() {
                // Nobody is left to be told if standard error is gone.
                let _ = writeln!(stderr, "error: {line}");
            }
            match error {
                Error::Config(_) => ExitCode::from(EXIT_USAGE),
                Error::Client(failure) if failure.is_usage() => ExitCode::from(EXIT_USAGE),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Client(command) => run_client(command),
        Command::Serve { flags, quarantine_wal } => {
            let config = Effective::load(&flags)?.config;
            let damage = if quarantine_wal { Damage::Quarantine } else { Damage::Refuse };
            serve(&config, damage, Purpose::Serve)
        }
        Command::Demo { mut flags } => {
            flags.data_dir.get_or_insert_with(|| DEMO_DIR.into());
            serve(&Effective::load(&flags)?.config, Damage::Refuse, Purpose::Demo)
        }
        Command::Config { action: ConfigAction::Check { flags } } => {
            Effective::load(&flags)?;
            print("the configuration is right")
        }
        Command::Config { action: ConfigAction::Show { flags } } => {
            print(Effective::load(&flags)?.to_toml().trim_end())
        }
        Command::Version { json } => {
            let version = Version::current();
            let line = if json { serde_json::json!(version).to_string() } else { version.line() };
            print(&line)
        }
    }
}

/// What a server is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// For its clients.
    Serve,
    /// To be tried out.
    Demo,
}

/// Runs a client command. Threads that still wait for standard input are left behind.
fn run_client(command: ClientCommand) -> Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new();
    let runtime = runtime.map_err(|source| Error::Setup { what: "threads", source })?;
    let outcome = runtime.block_on(cli::run(command));
    runtime.shutdown_background();
    Ok(outcome?)
}

/// Serves until a signal, then drains.
fn serve(config: &Config, damage: Damage, purpose: Purpose) -> Result<ExitCode> {
    log(&config.log);
    let runtime = tokio::runtime::Runtime::new();
    let runtime = runtime.map_err(|source| Error::Setup { what: "threads", source })?;
    let served = runtime.block_on(async {
        // Listened for before the start: a signal during recovery must not kill without a trace.
        let mut stop = Signals::new()?;
        let server = tokio::select! {
            server = Server::start(config, damage, Ambient::system()) => server?,
            () = stop.wait() => return Ok(ExitCode::SUCCESS),
        };
        print(&server.ready_line())?;
        tokio::select! {
            // Ends only when the demo cannot go on.
            failed = server.demonstrate(), if purpose == Purpose::Demo => failed?,
            () = stop.wait() => {}
        }
        tracing::info!("stopping");
        tokio::select! {
            stopped = server.stop() => stopped?,
            () = stop.wait() => tracing::warn!("stopping at once: what was not flushed stays in the write-ahead log"),
        }
        Ok(ExitCode::SUCCESS)
    });
    // A blocked thread must not keep the process alive.
    runtime.shutdown_background();
    served
}

/// The signals that ask a server to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|source| Error::Setup { what: "signals", source });
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// What the library of the disk cache says of itself is of interest only if it goes wrong, or if somebody asks for it by name.
const QUIET: &str = "foyer=warn,foyer_memory=warn,foyer_storage=warn";

/// Writes the process's own log to standard error.
fn log(log: &Log) {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", log.level));
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match log.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    if let Err(error) = set {
        tracing::debug!(%error, "the log was set up before");
    }
}

fn print(text: &str) -> Result<ExitCode> {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    written.map_err(|source| Error::Write { what: "to standard output", source })?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
