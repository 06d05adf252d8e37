//! The manifest's log in the object store: how a table's newest state is found and how an edit is added to it.
//!
//! ```text
//! commit 1 … 63 │ 64 … 127 │ 128 129 130          create-only: whoever creates a number has committed it
//! checkpoint   64        128                       all state as of that commit, by whoever committed it
//! boundary  1024 means: commits up to 1024 may be gone, whoever creates one of them again has lost
//!
//! load     newest checkpoint ─► later commits until one is missing ─► no boundary over them?
//! refresh                       later commits until one is missing ─► no boundary over them?
//! commit   apply to what is known ─► create the next number ─┬─ ours   ─► no boundary over it? ─► done
//!            ▲                                               └─ theirs ─► refresh ─┐
//!            └─────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The look at the boundary comes last, always. A trimmer writes the boundary before it deletes, so a deleted number
//! that is created again, or one that is missed because it was deleted, is never mistaken for news or their absence.
//! `tests/manifest_model.rs` checks this design by trying all interleavings.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectStore, PutMode};
use uuid::Uuid;

use crate::error::Conflict;
use crate::store::{Created, create_once, exists, list_numbers, read_object};
use crate::{Ambient, Error, Manifest, ManifestEdit, Result, Store, TableRef, key};

use super::checkpoint::{self, CHECKPOINT_BYTES_MAX};
use super::commit::{COMMIT_BYTES_MAX, COMMIT_FORMAT_VERSION, Commit};

/// How far apart checkpoints and boundaries are. The boundaries are part of the format: writers with other ones
/// would not see each other's.
pub(super) const SPACING: Spacing = Spacing { checkpoint: 64, boundary: 1024 };
/// Numbers that a commit tries before it gives up against other writers.
const COMMIT_ATTEMPTS_MAX: u32 = 64;
/// Loads begun again because a trimmer deleted what was being read.
const LOAD_ATTEMPTS_MAX: u32 = 8;
/// Pause before a load begins again, in milliseconds.
const LOAD_BACKOFF_MS: u64 = 20;
/// Commits read at once while catching up.
const READ_AHEAD_COMMITS: u64 = 16;

/// See [`SPACING`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Spacing {
    /// A checkpoint is written with every commit whose number this divides.
    pub(super) checkpoint: u64,
    /// Commits under one boundary.
    pub(super) boundary: u64,
}

impl Spacing {
    /// The boundary that a commit lies under.
    pub(super) fn boundary_over(self, version: u64) -> u64 {
        version.div_ceil(self.boundary).max(1) * self.boundary
    }
}

/// The log of one table. Cloning it is cheap; any number of handles and processes may use one log at once.
#[derive(Clone, Debug)]
pub struct ManifestLog {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) table: TableRef,
    pub(super) ambient: Ambient,
    pub(super) spacing: Spacing,
    pub(super) writer: Uuid,
}

impl ManifestLog {
    /// The log of a table; nothing is read yet.
    pub fn new(store: &Store, table: TableRef, ambient: Ambient) -> Self {
        let (objects, writer) = (store.tenant(&table.tenant), ambient.uuid());
        Self { objects, table, ambient, spacing: SPACING, writer }
    }

    /// The table.
    pub fn table(&self) -> &TableRef {
        &self.table
    }

    /// The newest manifest: [`Manifest::empty`] when the table has no commit. Fails with [`Error::Corrupt`] where a
    /// commit is missing or damaged, and with [`Error::TooNew`] where a newer build wrote it.
    pub async fn load(&self) -> Result<Arc<Manifest>> {
        for attempt in 0..LOAD_ATTEMPTS_MAX {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(LOAD_BACKOFF_MS << attempt)).await;
            }
            let Some(base) = self.newest_checkpoint().await? else { continue };
            if let Some(manifest) = self.replay(Arc::new(base), READ_AHEAD_COMMITS).await? {
                return Ok(manifest);
            }
        }
        Err(Error::Limit {
            what: "the number of attempts to load a manifest that is being trimmed",
            limit: u64::from(LOAD_ATTEMPTS_MAX),
            unit: "attempts",
            advice: "try again",
        })
    }

    /// The newest manifest, given one known before: the same `Arc` when nothing is new.
    pub async fn refresh(&self, known: &Arc<Manifest>) -> Result<Arc<Manifest>> {
        match self.replay(Arc::clone(known), 1).await? {
            Some(manifest) => Ok(manifest),
            None => self.load().await,
        }
    }

    /// Commits an edit on top of all others and returns a manifest with it. `base` may be old: the edit is applied to
    /// the newest manifest, and refused with [`Error::Conflict`] where it does not apply there. An edit whose segments
    /// are in the manifest already is committed, and nothing is done.
    ///
    /// After any other error the edit may have been committed, or may yet be: try the same edit again. Objects of its
    /// segments may be deleted only when a manifest loaded much later does not [know](Manifest::knows) it.
    pub async fn commit(&self, base: &Arc<Manifest>, edit: ManifestEdit) -> Result<Arc<Manifest>> {
        let uuid = self.ambient.uuid();
        let mut current = Arc::clone(base);
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            // An earlier attempt may have won and its commit may have been trimmed before it was read back.
            if current.knows(&edit) {
                return Ok(current);
            }
            let made_at = self.ambient.clock.now();
            let next = current.apply(&edit, made_at)?;
            let key = key::commit(&self.table, next.version());
            let commit = Commit {
                format_version: COMMIT_FORMAT_VERSION,
                version: next.version(),
                uuid,
                writer: self.writer,
                made_at,
                edit: edit.clone(),
            };
            let bytes = commit.encode(&key)?;
            current = match create_once(&*self.objects, &key, &bytes, COMMIT_BYTES_MAX).await? {
                Created::Ours if self.is_trimmed(next.version()).await? => self.load().await?,
                Created::Ours => {
                    self.write_checkpoint(&next).await;
                    return Ok(Arc::new(next));
                }
                Created::Theirs(_) => self.refresh(&current).await?,
            };
        }
        if current.knows(&edit) {
            return Ok(current);
        }
        let conflict = Conflict::Contended(COMMIT_ATTEMPTS_MAX);
        Err(Error::Conflict { table: self.table.to_string(), conflict })
    }

    /// Whether a boundary says that this commit may have been deleted.
    async fn is_trimmed(&self, version: u64) -> Result<bool> {
        exists(&*self.objects, &key::boundary(&self.table, self.spacing.boundary_over(version))).await
    }

    /// The state of the newest checkpoint, or `None` when a trimmer was faster.
    async fn newest_checkpoint(&self) -> Result<Option<Manifest>> {
        let prefix = key::checkpoint_prefix(&self.table);
        let newest = list_numbers(&*self.objects, &prefix).await?.pop();
        let Some(newest) = newest else { return Ok(Some(Manifest::empty(self.table.clone()))) };
        self.read_checkpoint(newest).await
    }

    pub(super) async fn read_checkpoint(&self, version: u64) -> Result<Option<Manifest>> {
        let key = key::checkpoint(&self.table, version);
        let bytes = read_object(&*self.objects, &key, CHECKPOINT_BYTES_MAX).await?;
        bytes.map(|bytes| checkpoint::decode(&key, &self.table, version, &bytes)).transpose()
    }

    /// Applies the commits after `base` until one is missing, or returns `None` when a boundary lies over them: then
    /// what was read may not be what was committed.
    async fn replay(&self, base: Arc<Manifest>, first_read: u64) -> Result<Option<Arc<Manifest>>> {
        let first = base.version() + 1;
        let (mut manifest, mut read, mut hole) = (base, first_read, None);
        loop {
            let next = manifest.version() + 1;
            let commits = self.read_commits(next, read).await?;
            let expected = commits.len();
            let found = commits.iter().flatten().count();
            for commit in commits.into_iter().map_while(|commit| commit) {
                let at = commit.version;
                let advanced = Arc::make_mut(&mut manifest).advance(&commit.edit, commit.made_at);
                if let Err(error) = advanced {
                    // The ghost of a stalled writer may stand where a commit was trimmed.
                    if self.is_trimmed(first).await? {
                        return Ok(None);
                    }
                    return Err(self.damaged(at, format!("it does not follow from the ones before: {error}")));
                }
            }
            let missing = manifest.version() + 1;
            let beyond = u64::try_from(found).unwrap_or(u64::MAX) > missing - next;
            if found < expected && !beyond {
                return Ok((!self.is_trimmed(first).await?).then_some(manifest));
            }
            if beyond && hole.replace(missing) == Some(missing) {
                // Missing before and after a later one was seen.
                if self.is_trimmed(first).await? {
                    return Ok(None);
                }
                return Err(self.damaged(missing, "it is missing, but a later commit is there".to_owned()));
            }
            read = READ_AHEAD_COMMITS;
        }
    }

    async fn read_commits(&self, first: u64, count: u64) -> Result<Vec<Option<Commit>>> {
        let concurrent = usize::try_from(READ_AHEAD_COMMITS).unwrap_or(1);
        stream::iter(first..first.saturating_add(count))
            .map(async |version| {
                let key = key::commit(&self.table, version);
                let bytes = read_object(&*self.objects, &key, COMMIT_BYTES_MAX).await?;
                bytes.map(|bytes| Commit::decode(&key, version, &bytes)).transpose()
            })
            .buffered(concurrent)
            .try_collect()
            .await
    }

    fn damaged(&self, version: u64, reason: String) -> Error {
        Error::Corrupt { object: key::commit(&self.table, version).to_string(), offset: 0, reason }
    }

    /// A checkpoint is only a shorter way to the same state, so a failure to write one is not a failure to commit.
    async fn write_checkpoint(&self, manifest: &Manifest) {
        if !manifest.version().is_multiple_of(self.spacing.checkpoint) {
            return;
        }
        let key = key::checkpoint(&self.table, manifest.version());
        let bytes = match checkpoint::encode(manifest) {
            Ok(bytes) => bytes,
            Err(error) => return tracing::warn!(%key, %error, "cannot encode a checkpoint"),
        };
        match self.objects.put_opts(&key, bytes.into(), PutMode::Create.into()).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(error) => tracing::warn!(%key, %error, "cannot write a checkpoint; the next one will do"),
        }
    }
}
