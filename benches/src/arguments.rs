//! What every program that measures is told on its command line.

use std::path::{Path, PathBuf};

/// What is measured, and where the figures go.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The ironbark binary; by default the one next to this program
    #[arg(long, value_name = "PATH")]
    server_binary: Option<PathBuf>,
    /// The day of the run, YYYY-MM-DD; by default today
    #[arg(long)]
    pub date: Option<String>,
    /// Where the record goes
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/record"))]
    pub record: PathBuf,
}

impl Run {
    /// The `ironbark` binary. Fails if it was not named and this program cannot be found.
    pub fn server_binary(&self) -> std::io::Result<PathBuf> {
        match &self.server_binary {
            Some(binary) => Ok(binary.clone()),
            None => Ok(std::env::current_exe()?.parent().unwrap_or(Path::new(".")).join("ironbark")),
        }
    }
}
