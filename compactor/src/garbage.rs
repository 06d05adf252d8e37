//! Deletes objects that nobody can hold any more, and never anything else.
//!
//! ```text
//!   removed   in manifest.removed, longer than the grace   ──► delete the object ──► ManifestEdit::Forget
//!   orphans   a segment's key in a day's folder, older than the orphan grace,
//!             named by neither side of a manifest that was read after the listing  ──► delete the object
//! ```
//!
//! The grace of removed segments is longer than the longest query. That of orphans is longer than any writer takes
//! from putting a segment to committing it: a writer that is slower must put it anew. Commits and checkpoints of
//! the manifest are not touched here.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use ironbark_storage::{
    Ambient, Day, Error as StorageError, Manifest, ManifestEdit, ManifestLog, Partition, SegmentId, TableRef,
    Timestamp, key,
};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::config::{CompactorConfig, ns};
use crate::{Report, Result};

/// Deletes under way at once.
const DELETES_AT_ONCE_MAX: usize = 16;
/// Segments forgotten by one commit; more wait for the next round.
const FORGET_MAX: usize = 10_000;
/// Orphans found in one round; more wait for the next.
const ORPHANS_MAX: usize = 10_000;

/// Collects the garbage of one table.
#[derive(Debug)]
pub(crate) struct Collector<'a> {
    pub(crate) log: &'a ManifestLog,
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) table: &'a TableRef,
    pub(crate) config: &'a CompactorConfig,
    pub(crate) ambient: &'a Ambient,
}

impl Collector<'_> {
    /// Deletes segments that were removed longer ago than the grace.
    pub(crate) async fn removed(&self) -> Result<Report> {
        let manifest = self.log.load().await?;
        let before = self.ambient.clock.now().plus_ns(-ns(self.config.grace_ms));
        let due = manifest.removed().iter().filter(|(_, removed)| removed.removed_at < before);
        let due: Vec<_> = due.map(|(id, removed)| (*id, removed.day)).take(FORGET_MAX).collect();
        let report = Report { removed_deleted: count(due.len()), ..Report::default() };
        if !due.is_empty() && !self.config.dry_run {
            self.delete(due.iter().map(|(id, day)| self.key(*day, *id)).collect()).await?;
            let segments = due.into_iter().map(|(id, _)| id).collect();
            self.log.commit(&manifest, ManifestEdit::Forget { segments }).await?;
        }
        Ok(report)
    }

    /// Deletes objects that no manifest names.
    pub(crate) async fn orphans(&self) -> Result<Report> {
        let before = self.ambient.clock.now().plus_ns(-ns(self.config.orphan_grace_ms));
        let manifest = self.log.load().await?;
        let candidates = self.candidates(&manifest, before).await?;
        if candidates.is_empty() {
            return Ok(Report::default());
        }
        // A segment may have been committed while the objects were listed.
        let newest = self.log.refresh(&manifest).await?;
        let orphans: Vec<_> = candidates.into_iter().filter(|(_, id)| !is_named(&newest, *id)).collect();
        let report = Report { orphans_deleted: count(orphans.len()), ..Report::default() };
        if !self.config.dry_run {
            for (key, _) in &orphans {
                tracing::info!(%key, "deleting an object that no manifest names");
            }
            self.delete(orphans.into_iter().map(|(key, _)| key).collect()).await?;
        }
        Ok(report)
    }

    /// Old objects with the key of a segment of this table that the manifest does not name.
    async fn candidates(&self, manifest: &Manifest, before: Timestamp) -> Result<Vec<(Path, SegmentId)>> {
        let prefix = key::table_prefix(self.table);
        let failed = |source| StorageError::Store { key: prefix.to_string(), source };
        let folders = self.objects.list_with_delimiter(Some(&prefix)).await.map_err(failed)?.common_prefixes;
        let is_day = |folder: &Path| folder.filename().and_then(Day::parse).is_some();
        let mut found = Vec::new();
        for folder in folders.into_iter().filter(is_day) {
            let mut objects = self.objects.list(Some(&folder));
            while let Some(object) = objects.next().await {
                if let Some(id) = self.candidate(manifest, &object.map_err(failed)?, before) {
                    found.push(id);
                }
                if found.len() >= ORPHANS_MAX {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    fn candidate(
        &self,
        manifest: &Manifest,
        object: &ObjectMeta,
        before: Timestamp,
    ) -> Option<(Path, SegmentId)> {
        let (day, id) = key::parse_segment(&object.location)?;
        let modified = Timestamp::from_ns(object.last_modified.timestamp_nanos_opt()?);
        // The key is built anew and compared: nothing but a segment of this very table is ever deleted.
        let ours = self.key(day, id) == object.location;
        (ours && modified < before && !is_named(manifest, id)).then(|| (object.location.clone(), id))
    }

    async fn delete(&self, keys: Vec<Path>) -> Result<()> {
        let deletes = keys.into_iter().map(|key| async move {
            match self.objects.delete(&key).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(source) => Err(StorageError::Store { key: key.to_string(), source }),
            }
        });
        stream::iter(deletes).buffer_unordered(DELETES_AT_ONCE_MAX).try_collect::<()>().await?;
        Ok(())
    }

    fn key(&self, day: Day, id: SegmentId) -> Path {
        key::segment(&Partition { table: self.table.clone(), day }, id)
    }
}

fn is_named(manifest: &Manifest, id: SegmentId) -> bool {
    manifest.segment(id).is_some() || manifest.removed().contains_key(&id)
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
