//! The command line as people and scripts use it: the real binary against a real server. What it prints is taken as it
//! is printed, and what it loaded is read back by the same binary.
//!
//! ```text
//!   cli/load.rs      ingest: ways in, lines that come back byte for byte, refusals, kills
//!   cli/read.rs      sql, search, admin, version, config
//!   cli/exit.rs      exit codes
//!   cli/operate.rs   tenants, the demo, a compactor of its own, checks, damage
//! ```
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "cli/exit.rs"]
mod exit;
#[path = "cli/load.rs"]
mod load;
#[path = "cli/operate.rs"]
mod operate;
#[path = "cli/read.rs"]
mod read;
#[path = "cli/run.rs"]
mod run;
