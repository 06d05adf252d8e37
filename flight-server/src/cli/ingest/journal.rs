//! Remembers how far the load of a file has come, so that it can be continued.
//!
//! ```text
//!   begin: load id, options, file facts ── durable before the first range is sent
//!   range stored ──► ranges_done + 1      (losing this only sends the range again, under the same key)
//!   end ───────────► done
//! ```
//!
//! A range that was on its way when the load stopped is sent again under its old key, and the server stores it once.
//! The server forgets keys after a day, so an older load is not continued.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ironbark_storage::{DAY_NS, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128;

use super::report::{Counts, FileReport};
use super::source::{FileFacts, Source};
use crate::cli::failure::Failure;
use crate::cli::state;

/// How long after its last range a load can be continued: the server keeps keys for a day, and an hour is spare.
const RESUME_NS_MAX: i64 = DAY_NS - 3_600 * 1_000_000_000;
const VERSION: u32 = 1;

/// What must be the same for a load to be continued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) server: String,
    pub(super) tenant: String,
    pub(super) table: String,
    pub(super) options: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    version: u32,
    load: Uuid,
    identity: Identity,
    file: Option<FileFacts>,
    began: Timestamp,
    updated: Timestamp,
    ranges_done: u64,
    counts: Counts,
    done: bool,
}

/// The journal of the load of one file.
#[derive(Debug)]
pub(super) struct Journal {
    entry: Entry,
    /// Where it is kept; standard input has no journal, because it cannot be read again.
    path: Option<PathBuf>,
}

impl Journal {
    /// Begins a load, and forgets an earlier one of the same file.
    pub(super) fn begin(
        path: Option<PathBuf>,
        identity: Identity,
        source: &Source,
        load: Uuid,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let entry = Entry {
            version: VERSION,
            load,
            identity,
            file: source.facts().cloned(),
            began: now,
            updated: now,
            ranges_done: 0,
            counts: Counts::default(),
            done: false,
        };
        let journal = Self { entry, path };
        journal.save(true)?;
        Ok(journal)
    }

    /// Finds the load of the same file again, or begins one if there was none.
    pub(super) fn resume(
        path: Option<PathBuf>,
        identity: &Identity,
        file: &Path,
        source: &Source,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let refuse = |reason: &str| Failure::Resume { path: file.to_owned(), reason: reason.to_owned() };
        let facts =
            source.facts().ok_or_else(|| refuse("standard input cannot be read again from its start"))?;
        let path = path.ok_or_else(|| refuse("there is no home to keep its progress in"))?;
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(refuse("no load of it to this server, tenant and table was begun"));
            }
            read => read.map_err(|source| Failure::Read { path: path.clone(), source })?,
        };
        let entry: Entry = serde_json::from_slice(&bytes).map_err(|_| refuse("its journal is damaged"))?;
        if entry.version != VERSION {
            return Err(refuse("another version of ironbark began it"));
        }
        if entry.identity.options != identity.options {
            return Err(refuse("it was begun with other options, which would make other rows of its lines"));
        }
        if entry.file.as_ref() != Some(facts) {
            return Err(refuse("the file has changed since"));
        }
        if !entry.done && now.ns().saturating_sub(entry.updated.ns()) > RESUME_NS_MAX {
            let reason = format!(
                "it stopped more than 23 hours ago, at {}, so the server may have forgotten whether the lines behind \
                 line {} arrived",
                entry.updated, entry.counts.lines
            );
            return Err(refuse(&reason));
        }
        Ok(Self { entry, path: Some(path) })
    }

    /// The key of a range.
    pub(super) fn key(&self, range: u64) -> String {
        format!("ingest-{}-{range}", self.entry.load.simple())
    }

    /// Ranges that are durable: all up to this number.
    pub(super) fn ranges_done(&self) -> u64 {
        self.entry.ranges_done
    }

    /// When the load began, which is the time of arrival of its rows.
    pub(super) fn began(&self) -> Timestamp {
        self.entry.began
    }

    pub(super) fn is_done(&self) -> bool {
        self.entry.done
    }

    /// Gives the report the counts so far.
    pub(super) fn restore(&self, report: &mut FileReport) {
        report.restore(self.entry.counts, self.entry.done);
    }

    /// Notes that a range is durable.
    pub(super) fn acknowledge(
        &mut self,
        range: u64,
        report: &FileReport,
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.entry.ranges_done = range + 1;
        self.entry.counts = report.counts();
        self.entry.updated = now;
        self.save(false)
    }

    /// Notes that all ranges are.
    pub(super) fn complete(&mut self, report: &FileReport, now: Timestamp) -> Result<(), Failure> {
        self.entry.counts = report.counts();
        self.entry.updated = now;
        self.entry.done = true;
        self.save(false)
    }

    fn save(&self, durable: bool) -> Result<(), Failure> {
        let Some(path) = &self.path else { return Ok(()) };
        replace(path, &self.entry, durable).map_err(|source| Failure::Write { path: path.clone(), source })
    }
}

/// Where the journal of a load is: there is one for each file, server, tenant and table, and none for a stream.
pub(super) fn location(identity: &Identity, source: &Source) -> Option<PathBuf> {
    let Identity { server, tenant, table, .. } = identity;
    let file = source.facts()?;
    let name = format!("{server}\n{tenant}\n{table}\n{}", file.path.display());
    state::path(&format!("ingest/{:032x}.json", xxh3_128(name.as_bytes())))
}

/// Writes beside the old journal and then takes its place, so that there is always a whole one.
fn replace(path: &Path, entry: &Entry, durable: bool) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    serde_json::to_writer(&mut file, entry)?;
    file.flush()?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests;
