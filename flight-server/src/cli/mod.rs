//! The client commands: what people type to load logs and to read them.
//!
//! ```text
//!   ingest ── files ─► lines ─► ranges ─► Arrow ──┐
//!   sql, search, shell ── statement ──────────────┼──► Client (Flight SQL) ──► server
//!   admin ── action ──────────────────────────────┘          │
//!                          terminal, file ◄── RowWriter ◄────┘
//! ```
//!
//! Nothing here opens a store or an engine: a client command sees only what any other client sees. Answers go to
//! standard output, progress and errors to standard error.

mod admin;
mod connection;
mod failure;
mod ingest;
mod moment;
mod output;
mod search;
mod shell;
mod sql;
mod state;
mod statements;

use std::process::ExitCode;

use clap::Subcommand;

pub use failure::Failure;

/// The commands that talk to a server.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Load log files, or standard input, into a table
    Ingest(Box<ingest::IngestArgs>),
    /// Run SQL: one statement, a script from standard input, or an interactive shell
    Sql(sql::SqlArgs),
    /// Search log messages and print them, oldest first
    Search(search::SearchArgs),
    /// Look after a server
    Admin(admin::AdminArgs),
}

/// Runs a client command to its end.
///
/// # Errors
/// A [`Failure`], which says whether the command line was wrong or something failed.
pub(crate) async fn run(command: ClientCommand) -> Result<ExitCode, Failure> {
    let out = output::Out::stdout();
    let broken = out.broken();
    let outcome = match command {
        ClientCommand::Ingest(args) => ingest::run(&args, out).await,
        ClientCommand::Sql(args) => sql::run(&args, out).await,
        ClientCommand::Search(args) => search::run(&args, out).await,
        ClientCommand::Admin(args) => admin::run(&args, out).await,
    };
    // Whoever read the answer has seen enough.
    if broken.happened() { Ok(ExitCode::SUCCESS) } else { outcome }
}
