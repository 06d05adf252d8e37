//! The check of a table at rest: is everything there that its manifest names, and what is there besides.
//!
//! It reads and reports. It repairs nothing, deletes nothing and stops at nothing that it finds; only a store that
//! does not answer ends it.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;

use crate::store::{exists, failed, list_numbers};
use crate::{
    Ambient, ErrorKind, Manifest, ManifestLog, Partition, Result, SegmentMeta, Store, TableRef, key,
    read_tail,
};

/// Segments opened at once.
const SEGMENTS_OPEN_MAX: usize = 8;
/// Findings and orphans that a report names; more are only counted.
const NAMED_MAX: usize = 1000;

/// Something wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The object's key.
    pub object: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What the check of a table found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CheckReport {
    /// The table.
    pub table: TableRef,
    /// The manifest's version; 0 where it has no commit or cannot be read.
    pub version: u64,
    /// Live segments.
    pub segments: u64,
    /// Their rows, as the manifest counts them.
    pub rows: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Objects of segments that are no longer live and wait for their deletion.
    pub removed: u64,
    /// What is wrong; at most 1000 are named.
    pub findings: Vec<Finding>,
    /// How many there are.
    pub findings_count: u64,
    /// Objects that nothing names; at most 1000 are named. A flush or compaction that is under way leaves some for a
    /// moment, one that was killed leaves them until they are collected.
    pub orphans: Vec<String>,
    /// How many there are.
    pub orphans_count: u64,
}

impl CheckReport {
    /// Whether nothing is wrong. Orphans only cost room.
    pub fn is_sound(&self) -> bool {
        self.findings_count == 0
    }

    fn find(&mut self, object: &Path, problem: String) {
        self.findings_count += 1;
        if self.findings.len() < NAMED_MAX {
            self.findings.push(Finding { object: object.to_string(), problem });
        }
    }

    fn orphan(&mut self, object: &Path) {
        self.orphans_count += 1;
        if self.orphans.len() < NAMED_MAX {
            self.orphans.push(object.to_string());
        }
    }
}

/// Checks that commits follow each other, that every live segment is there with the recorded size and a readable
/// tail, and lists what nothing names.
pub async fn check_table(store: &Store, table: &TableRef, ambient: &Ambient) -> Result<CheckReport> {
    let mut report = CheckReport {
        table: table.clone(),
        version: 0,
        segments: 0,
        rows: 0,
        bytes: 0,
        removed: 0,
        findings: Vec::new(),
        findings_count: 0,
        orphans: Vec::new(),
        orphans_count: 0,
    };
    // The objects before the manifest: what was committed meanwhile is then no orphan.
    let objects = list_objects(store, table).await?;
    check_commits(store, table, &mut report).await?;
    let log = ManifestLog::new(store, table.clone(), ambient.clone());
    let manifest = match log.load().await {
        Ok(manifest) => manifest,
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::TooNew) => {
            report.find(&key::manifest_prefix(table), error.to_string());
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    report.version = manifest.version();
    check_segments(store, &manifest, &mut report).await?;
    check_objects(&manifest, &objects, &mut report);
    Ok(report)
}

async fn list_objects(store: &Store, table: &TableRef) -> Result<Vec<Path>> {
    let prefix = key::table_prefix(table);
    let objects = store.tenant(&table.tenant);
    let keys = objects.list(Some(&prefix)).map_ok(|object| object.location);
    keys.try_collect().await.map_err(|source| failed(&prefix, source))
}

async fn check_commits(store: &Store, table: &TableRef, report: &mut CheckReport) -> Result<()> {
    let objects = store.tenant(&table.tenant);
    // The boundary before and after, for a trim may be under way.
    let boundaries = key::boundary_prefix(table);
    let trimmed = list_numbers(&*objects, &boundaries).await?.pop().unwrap_or(0);
    let commits = list_numbers(&*objects, &key::commit_prefix(table)).await?;
    let trimming = list_numbers(&*objects, &boundaries).await?.pop().unwrap_or(0);
    let mut expected = trimming + 1;
    for version in commits {
        if version <= trimmed {
            // Not deleted yet, or created again by a writer that slept.
            report.orphan(&key::commit(table, version));
        }
        for missing in expected..version {
            let key = key::commit(table, missing);
            // A listing is no snapshot: what it skipped may have come just then.
            if !exists(&*objects, &key).await? {
                report.find(&key, "the commit is missing".to_owned());
            }
        }
        expected = expected.max(version + 1);
    }
    Ok(())
}

async fn check_segments(store: &Store, manifest: &Manifest, report: &mut CheckReport) -> Result<()> {
    let objects = store.tenant(&manifest.table().tenant);
    let metas: Vec<Arc<SegmentMeta>> = manifest.segments().cloned().collect();
    let table = manifest.table().clone();
    // Owned all through, so that a server may run the check in a task.
    let checks = stream::iter(metas).map(move |meta| {
        let key = key::segment(&Partition { table: table.clone(), day: meta.day }, meta.id);
        let objects = Arc::clone(&objects);
        async move {
            let outcome = read_tail(&*objects, &key, &meta).await.map(drop);
            (meta, key, outcome)
        }
    });
    let mut checked = checks.buffered(SEGMENTS_OPEN_MAX);
    while let Some((meta, key, outcome)) = checked.next().await {
        report.segments += 1;
        report.rows = report.rows.saturating_add(meta.rows);
        report.bytes = report.bytes.saturating_add(meta.bytes);
        match outcome {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                report.find(&key, "the segment is missing".to_owned());
            }
            Err(error) if error.kind() == ErrorKind::Retry => return Err(error),
            Err(error) => report.find(&key, error.to_string()),
            Ok(()) => {}
        }
    }
    Ok(())
}

fn check_objects(manifest: &Manifest, objects: &[Path], report: &mut CheckReport) {
    let manifest_prefix = key::manifest_prefix(manifest.table());
    let live: BTreeSet<Path> = manifest
        .segments()
        .map(|meta| key::segment(&Partition { table: manifest.table().clone(), day: meta.day }, meta.id))
        .collect();
    for object in objects.iter().filter(|object| !object.prefix_matches(&manifest_prefix)) {
        if live.contains(object) {
            continue;
        }
        match key::parse_segment(object) {
            Some((_, id)) if manifest.removed().contains_key(&id) => report.removed += 1,
            _ => report.orphan(object),
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::{ObjectStoreExt, PutPayload};

    use super::*;
    use crate::{
        AddSegments, Epoch, LogBatchBuilder, ManifestEdit, RowId, RowRef, SegmentId, SegmentOptions, TagSet,
        TimeWindow, Timestamp, WriterId, encode_segment, put_segment,
    };

    const NOW: Timestamp = Timestamp::from_ns(1_700_000_000_000_000_000);

    async fn add_segment(store: &Store, table: &TableRef, id: u128) -> Path {
        let mut builder = LogBatchBuilder::new(NOW, TimeWindow::default());
        builder.push(RowRef { message: "hello", ..RowRef::default() }, &mut TagSet::new()).unwrap();
        let epoch = Epoch::new(1).unwrap();
        let first = RowId::new(epoch, u64::try_from(id).unwrap()).unwrap();
        let (day, rows) = builder.finish().unwrap().into_stored(first).unwrap().remove(0);
        let (id, partition) = (SegmentId::from_u128(id), Partition { table: table.clone(), day });
        let segment = encode_segment(id, &partition, &[rows], &SegmentOptions::default(), NOW).unwrap();
        put_segment(&*store.object_store(), table, &segment).await.unwrap();
        let writer = WriterId(uuid::Uuid::nil());
        let segments = vec![segment.meta];
        let add =
            ManifestEdit::Add(AddSegments { writer, epoch, segments, flushed: vec![], epoch_floor: epoch });
        commit(store, table, add).await;
        key::segment(&partition, id)
    }

    async fn commit(store: &Store, table: &TableRef, edit: ManifestEdit) {
        let log = ManifestLog::new(store, table.clone(), Ambient::seeded(NOW, 1));
        log.commit(&log.load().await.unwrap(), edit).await.unwrap();
    }

    #[tokio::test]
    async fn a_check_finds_what_is_missing_damaged_and_left_over() {
        let (store, ambient) = (Store::memory(), Ambient::seeded(NOW, 2));
        let table = TableRef::logs("acme/web/prod".parse().unwrap());
        let objects = store.object_store();
        let mut keys = Vec::new();
        for id in 1..=4 {
            keys.push(add_segment(&store, &table, id).await);
        }
        let removal =
            ManifestEdit::Remove { segments: vec![SegmentId::from_u128(4)], reason: "retention".to_owned() };
        commit(&store, &table, removal).await;
        let sound = check_table(&store, &table, &ambient).await.unwrap();
        assert!(sound.is_sound(), "{sound:?}");
        assert_eq!((sound.version, sound.segments, sound.rows, sound.removed), (5, 3, 3, 1));
        assert_eq!(sound.orphans_count, 0);

        objects.delete(&keys[0]).await.unwrap();
        let mut damaged = objects.get(&keys[1]).await.unwrap().bytes().await.unwrap().to_vec();
        let tail = damaged.len() - 20;
        damaged[tail] ^= 1;
        objects.put(&keys[1], damaged.into()).await.unwrap();
        let orphan =
            key::segment(&Partition { table: table.clone(), day: NOW.day() }, SegmentId::from_u128(9));
        objects.put(&orphan, PutPayload::from_static(b"x")).await.unwrap();
        objects.put(&key::commit(&table, 8), PutPayload::from_static(b"{}")).await.unwrap();
        let report = check_table(&store, &table, &ambient).await.unwrap();
        let found: Vec<&str> = report.findings.iter().map(|finding| finding.object.as_str()).collect();
        let (six, seven) = (key::commit(&table, 6), key::commit(&table, 7));
        // The stray commit also hides that the manifest ends before it.
        assert_eq!(found[..2], [six.as_ref(), seven.as_ref()]);
        assert!(found.contains(&key::manifest_prefix(&table).as_ref()), "{found:?}");

        objects.delete(&key::commit(&table, 8)).await.unwrap();
        let report = check_table(&store, &table, &ambient).await.unwrap();
        let found: Vec<&str> = report.findings.iter().map(|finding| finding.object.as_str()).collect();
        assert_eq!(found, [keys[0].as_ref(), keys[1].as_ref()]);
        assert_eq!(report.findings[0].problem, "the segment is missing");
        assert_eq!(report.orphans, [orphan.to_string()]);
    }

    #[tokio::test]
    async fn a_table_without_a_commit_is_sound() {
        let table = TableRef::logs("acme/web/prod".parse().unwrap());
        // In a task of its own, as servers run it.
        let check = async move { check_table(&Store::memory(), &table, &Ambient::seeded(NOW, 1)).await };
        let report = tokio::spawn(check).await.unwrap().unwrap();
        assert!(report.is_sound() && report.version == 0);
    }
}
