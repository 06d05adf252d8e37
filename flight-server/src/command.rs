//! The command line of `ironbark`: which commands there are, and what an exit code means.
//!
//! 0 is success, 1 a failure that is told on standard error, 2 a command line or configuration that is wrong.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Effective, Flags};
use crate::error::{Error, Result};
use crate::version::Version;

/// Exit code for a wrong command line or configuration.
const EXIT_USAGE: u8 = 2;

/// A columnar analytics database for logs.
#[derive(Debug, Parser)]
#[command(name = "ironbark", version, about, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
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
