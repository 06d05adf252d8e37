//! Trimming: old commits go once a checkpoint says all that they said.
//!
//! ```text
//!  commits 1 ……………… 1024 │ 1025 …………… 2048 │ 2049 …
//!  checkpoint             │           ▲ 1600, older than the grace
//!  1. create boundary 1024: from now on nobody believes a commit up to 1024
//!  2. delete what lies up to 1024, checkpoints that are no longer the newest of use too
//! ```
//!
//! Boundaries are written in order and never deleted, one small object for each 1,024 commits. Whoever creates a
//! deleted number again finds its boundary; what it created is a ghost that nobody reads and the next trim deletes.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, future};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::store::{Created, create_once, failed, json_line, list_numbers, read_object};
use crate::{ManifestLog, Result, Timestamp, key};

use super::commit::{COMMIT_BYTES_MAX, Commit};

/// Version of the boundary objects that this build writes.
const BOUNDARY_FORMAT_VERSION: u32 = 1;
/// Largest boundary in bytes.
const BOUNDARY_BYTES_MAX: u64 = 4096;

/// What a trim did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrimReport {
    /// Commits up to this one are gone; 0 where none are.
    pub boundary: u64,
    /// Objects that this call deleted.
    pub deleted: u64,
}

#[derive(serde::Serialize)]
struct Boundary {
    format_version: u32,
    boundary: u64,
}

impl ManifestLog {
    /// Deletes the commits and checkpoints that no reader needs: those below a checkpoint which is older than
    /// `grace`. The grace only spares readers from starting again; whatever it is, no commit is lost.
    pub async fn trim(&self, grace: Duration) -> Result<TrimReport> {
        let covered = self.covered(grace).await?;
        // The commits are thrown away on this checkpoint's word, so it must be readable.
        if covered > 0 && self.read_checkpoint(covered).await?.is_none() {
            // Another trimmer is at work and further than this one.
            return Ok(TrimReport::default());
        }
        let mut boundary = self.newest_boundary().await?;
        let step = self.spacing.boundary;
        while boundary < covered / step * step {
            boundary += step;
            self.create_boundary(boundary).await?;
        }
        let mut deleted = self.delete_below(&key::checkpoint_prefix(&self.table), covered).await?;
        if boundary > 0 {
            deleted += self.delete_below(&key::commit_prefix(&self.table), boundary + 1).await?;
        }
        Ok(TrimReport { boundary, deleted })
    }

    /// The version of the newest checkpoint that is older than the grace, or 0.
    async fn covered(&self, grace: Duration) -> Result<u64> {
        let grace_ns = i64::try_from(grace.as_nanos()).unwrap_or(i64::MAX);
        let latest = self.ambient.clock.now().plus_ns(grace_ns.saturating_neg());
        let prefix = key::checkpoint_prefix(&self.table);
        let mut checkpoints = list_numbers(&*self.objects, &prefix).await?;
        while let Some(version) = checkpoints.pop() {
            match self.made_at(version).await? {
                Some(made_at) if made_at <= latest => return Ok(version),
                // Either too young, or its commit is trimmed and so are all before it.
                Some(_) => {}
                None => return Ok(0),
            }
        }
        Ok(0)
    }

    async fn made_at(&self, version: u64) -> Result<Option<Timestamp>> {
        let key = key::commit(&self.table, version);
        let bytes = read_object(&*self.objects, &key, COMMIT_BYTES_MAX).await?;
        bytes.map(|bytes| Commit::decode(&key, version, &bytes).map(|commit| commit.made_at)).transpose()
    }

    async fn newest_boundary(&self) -> Result<u64> {
        let numbers = list_numbers(&*self.objects, &key::boundary_prefix(&self.table)).await?;
        Ok(numbers.last().copied().unwrap_or(0))
    }

    async fn create_boundary(&self, boundary: u64) -> Result<()> {
        let key = key::boundary(&self.table, boundary);
        let content = Boundary { format_version: BOUNDARY_FORMAT_VERSION, boundary };
        let bytes = json_line(&key, &content)?;
        // Whoever wrote it, it is there.
        let (Created::Ours | Created::Theirs(_)) =
            create_once(&*self.objects, &key, &bytes, BOUNDARY_BYTES_MAX).await?;
        Ok(())
    }

    /// Deletes the objects whose number is smaller than `end`.
    async fn delete_below(&self, prefix: &Path, end: u64) -> Result<u64> {
        let listed = self.objects.list(Some(prefix));
        let old = listed.try_filter_map(move |object| {
            let old = key::number(&object.location).is_some_and(|number| number < end);
            future::ok(old.then_some(object.location))
        });
        let mut deletions = self.objects.delete_stream(old.boxed());
        let mut deleted = 0;
        while let Some(deletion) = deletions.next().await {
            match deletion {
                Ok(_) => deleted += 1,
                Err(object_store::Error::NotFound { .. }) => {}
                Err(source) => return Err(failed(prefix, source)),
            }
        }
        Ok(deleted)
    }
}
