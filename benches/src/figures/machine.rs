//! The machine and the day of a run. No host names: a record is about a kind of machine, not about one.

use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::{Error, Result};

/// A kind of machine.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Logical cores.
    pub cores: usize,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Model of the CPU.
    pub cpu: String,
    /// Operating system and its kernel's version.
    pub system: String,
}

impl Machine {
    /// A short name for a directory.
    pub fn name(&self) -> String {
        format!("{}-cores-{}-gib", self.cores, self.memory_bytes >> 30)
    }
}

/// This machine, as far as `/proc` says.
pub(crate) fn describe() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kibibytes: u64 = memory.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    Machine {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: kibibytes * 1024,
        cpu: field(&read("/proc/cpuinfo"), "model name"),
        system: format!("{} {}", std::env::consts::OS, read("/proc/sys/kernel/osrelease").trim()),
    }
}

/// Today, in UTC.
pub(crate) fn today() -> Result<String> {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    let output = output.map_err(|source| Error::Start { program: "date".into(), source })?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What the binary says of itself.
pub(crate) fn version(binary: &Path) -> serde_json::Value {
    let output = Command::new(binary).args(["version", "--json"]).output();
    output.ok().and_then(|output| serde_json::from_slice(&output.stdout).ok()).unwrap_or_default()
}
