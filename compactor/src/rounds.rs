//! Rounds over all tables: merge what the policy chooses, then collect garbage.
//!
//! A round can be dropped at any await: what was committed stays, what was put without a commit is garbage.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ironbark_storage::{
    Ambient, Day, Error as StorageError, ErrorKind, Lease, LeaseTerms, Leases, Manifest, ManifestEdit,
    ManifestLog, Partition, SegmentMeta, Store, TableRef, Timestamp, list_tables,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::config::{CompactorConfig, ns};
use crate::garbage::Collector;
use crate::job::MergeJob;
use crate::policy::Activity;
use crate::{CompactionSpec, Failure, Report, Result};

/// Merges of one table in one round; the next round goes on.
const MERGES_PER_ROUND_MAX: u64 = 64;
/// Merges beyond the number of segments at its start that settling a table may take: others may add segments.
const SETTLE_EXTRA_MERGES_MAX: u64 = 64;

/// The name under which compactors agree on who makes the rounds.
const LEASE_NAME: &str = "compactor";

/// How much of the garbage a round looks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sweep {
    /// What manifests say was removed.
    Removed,
    /// Also objects that no manifest names, which costs listings of all folders, and old commits.
    Everything,
}

/// When partitions count as ended.
#[derive(Clone, Copy)]
enum Urgency {
    /// After a while without new segments.
    Background,
    /// At once.
    Settle,
}

/// Compacts the tables of a store. Any number may run at once; one and its clones merge one thing at a time.
#[derive(Clone, Debug)]
pub struct Compactor {
    config: CompactorConfig,
    store: Store,
    ambient: Ambient,
    /// Held from the choice of a merge to its commit. Who settles a table while a round merges it would otherwise merge
    /// the same rows, and twice the memory of a merge would be in use.
    turn: Arc<Mutex<()>>,
}

impl Compactor {
    /// A compactor; nothing happens yet.
    pub fn new(config: CompactorConfig, store: Store, ambient: Ambient) -> Self {
        Self { config, store, ambient, turn: Arc::default() }
    }

    /// One round: every table is compacted and its garbage collected. A table that fails is in the report's failures
    /// and does not keep others waiting; the call itself fails if the tables cannot be listed or the settings are
    /// wrong. It does not ask for the lease: two rounds at once waste work and do no harm.
    pub async fn run_once(&self) -> Result<Report> {
        self.round(Sweep::Everything).await
    }

    async fn round(&self, sweep: Sweep) -> Result<Report> {
        self.config.check()?;
        let mut report = Report::default();
        for table in list_tables(&self.store).await? {
            report.tables += 1;
            let done = self.compact(&table, Urgency::Background, &mut report).await;
            let collected = self.collect(&table, sweep).await;
            match done.and(collected) {
                Ok(collected) => report.add(collected),
                Err(error) => {
                    tracing::error!(%table, %error, "compaction failed");
                    metrics::counter!("ironbark_compactor_failures_total").increment(1);
                    report.failures.push(Failure { table, reason: error.to_string() });
                }
            }
        }
        Ok(report)
    }

    /// Merges until the policy has nothing more to do for the table, as if no more rows came. Garbage is left for a
    /// round.
    pub async fn settle(&self, table: &TableRef) -> Result<Report> {
        self.config.check()?;
        let mut report = Report { tables: 1, ..Report::default() };
        self.compact(table, Urgency::Settle, &mut report).await?;
        Ok(report)
    }

    /// Rounds with pauses until `stop`, by one compactor of the store at a time. A round under way is dropped: nothing
    /// is lost by that. Fails only where the settings are wrong.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> Result<()> {
        self.config.check()?;
        let terms = LeaseTerms { term: self.lease_term(), ..LeaseTerms::default() };
        let leases = Leases::new(&self.store, LEASE_NAME, terms, self.ambient.clone())?;
        let mut lease = None;
        tokio::select! {
            biased;
            () = stop => {}
            () = self.rounds(&leases, &mut lease) => {}
        }
        if let Some(lease) = lease
            && let Err(error) = leases.release(lease).await
        {
            tracing::debug!(%error, "cannot give the lease back: it will expire");
        }
        Ok(())
    }

    async fn rounds(&self, leases: &Leases, lease: &mut Option<Lease>) {
        let pause = Duration::from_millis(self.config.interval_ms);
        let sweep_pause = Duration::from_millis(self.config.sweep_interval_ms);
        let mut swept: Option<Instant> = None;
        loop {
            let due = swept.is_none_or(|at| at.elapsed() >= sweep_pause);
            let sweep = if due { Sweep::Everything } else { Sweep::Removed };
            match self.take_turn(leases, lease, sweep).await {
                Ok(None) => tracing::debug!("another compactor is at work"),
                Ok(Some(report)) => {
                    if due {
                        swept = Some(Instant::now());
                    }
                    if report.is_idle() {
                        tracing::debug!("nothing to compact");
                    } else {
                        tracing::info!(?report, "compacted");
                    }
                }
                Err(error) => {
                    metrics::counter!("ironbark_compactor_failures_total").increment(1);
                    tracing::error!(%error, "a round of compaction failed");
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// A round, or `None` while another compactor has the lease.
    async fn take_turn(
        &self,
        leases: &Leases,
        lease: &mut Option<Lease>,
        sweep: Sweep,
    ) -> Result<Option<Report>> {
        let half_ns = i64::try_from(self.lease_term().as_nanos() / 2).unwrap_or(i64::MAX);
        let soon = self.ambient.clock.now().plus_ns(half_ns);
        match lease {
            Some(held) if held.expires_at > soon => {}
            Some(held) => *lease = leases.renew(held).await?,
            None => *lease = leases.acquire().await?,
        }
        match lease {
            Some(_) => self.round(sweep).await.map(Some),
            None => Ok(None),
        }
    }

    /// Longer than the pause. A round that takes longer may be joined by another compactor's, which wastes work only.
    fn lease_term(&self) -> Duration {
        let pause = Duration::from_millis(self.config.interval_ms);
        LeaseTerms::default().term.max(pause.saturating_mul(3))
    }

    async fn compact(&self, table: &TableRef, urgency: Urgency, report: &mut Report) -> Result<()> {
        let log = ManifestLog::new(&self.store, table.clone(), self.ambient.clone());
        let mut turn = self.turn.lock().await;
        let mut manifest = log.load().await?;
        let merges_max = match urgency {
            Urgency::Background => MERGES_PER_ROUND_MAX,
            Urgency::Settle => 2 * count(manifest.segments().count()) + SETTLE_EXTRA_MERGES_MAX,
        };
        if self.config.dry_run {
            report.planned.extend(self.choices(&manifest, urgency));
            return Ok(());
        }
        // A partition that fails does not keep the others waiting.
        let mut failed = BTreeMap::new();
        for _ in 0..merges_max {
            let next =
                self.choices(&manifest, urgency).find(|spec| !failed.contains_key(&spec.partition.day));
            let Some(spec) = next else { break };
            match self.merge(&log, &manifest, &spec, report).await {
                Ok(newest) => manifest = newest,
                Err(error) => {
                    tracing::error!(%spec, %error, "cannot merge");
                    failed.insert(spec.partition.day, error);
                }
            }
            // Whoever waits comes first, and may leave less to be done.
            drop(turn);
            turn = self.turn.lock().await;
            manifest = log.refresh(&manifest).await?;
        }
        failed.into_values().next().map_or(Ok(()), Err)
    }

    /// The next merge of each partition.
    fn choices(&self, manifest: &Manifest, urgency: Urgency) -> impl Iterator<Item = CompactionSpec> {
        let mut days: BTreeMap<Day, Vec<Arc<SegmentMeta>>> = BTreeMap::new();
        for segment in manifest.segments() {
            days.entry(segment.day).or_default().push(Arc::clone(segment));
        }
        let (policy, table) = (self.config.policy, manifest.table().clone());
        let quiet_before = match urgency {
            Urgency::Background => self.ambient.clock.now().plus_ns(-ns(self.config.quiet_ms)),
            Urgency::Settle => Timestamp::from_ns(i64::MAX),
        };
        days.into_iter().filter_map(move |(day, segments)| {
            let newest = segments.iter().map(|segment| segment.created_at).max()?;
            let activity = if newest < quiet_before { Activity::Ended } else { Activity::Growing };
            policy.choose(&Partition { table: table.clone(), day }, &segments, activity)
        })
    }

    /// Runs a spec and commits it. Returns the newest manifest, also where somebody else was faster.
    async fn merge(
        &self,
        log: &ManifestLog,
        manifest: &Arc<Manifest>,
        spec: &CompactionSpec,
        report: &mut Report,
    ) -> Result<Arc<Manifest>> {
        tracing::debug!(%spec, "merging");
        let objects = self.store.tenant(&spec.partition.table.tenant);
        let merged = match MergeJob::new(objects, spec, &self.ambient).run().await {
            Ok(merged) => merged,
            // Another compactor may have replaced an input and its garbage may be gone: then look again.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let newest = log.refresh(manifest).await?;
                if spec.inputs.iter().all(|input| newest.segment(input.id).is_some()) {
                    return Err(error);
                }
                report.conflicts += 1;
                return Ok(newest);
            }
            Err(error) => return Err(error),
        };
        // A machine that slept may find its object collected as an orphan by now: then it must not be committed.
        let latest = merged.meta.created_at.plus_ns(ns(self.config.orphan_grace_ms / 4));
        if self.config.orphan_grace_ms > 0 && self.ambient.clock.now() > latest {
            tracing::warn!(%spec, "the merge took too long to be committed safely: it will be done again");
            report.conflicts += 1;
            return Ok(log.refresh(manifest).await?);
        }
        let remove = spec.inputs.iter().map(|input| input.id).collect();
        let edit = ManifestEdit::Replace { remove, add: vec![merged.meta.clone()] };
        match log.commit(manifest, edit).await {
            Ok(newest) => {
                report.add(done(spec, &merged.meta));
                Ok(newest)
            }
            Err(StorageError::Conflict { conflict, .. }) => {
                tracing::info!(%spec, %conflict, "somebody else was faster");
                metrics::counter!("ironbark_compactor_conflicts_total").increment(1);
                report.conflicts += 1;
                Ok(log.refresh(manifest).await?)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn collect(&self, table: &TableRef, sweep: Sweep) -> Result<Report> {
        let log = ManifestLog::new(&self.store, table.clone(), self.ambient.clone());
        let objects = self.store.tenant(&table.tenant);
        let (config, ambient) = (&self.config, &self.ambient);
        let collector = Collector { log: &log, objects, table, config, ambient };
        let mut report = collector.removed().await?;
        if sweep == Sweep::Everything {
            report.add(collector.orphans().await?);
            if !self.config.dry_run {
                report.commits_deleted +=
                    log.trim(Duration::from_millis(self.config.grace_ms)).await?.deleted;
            }
        }
        let deleted = report.removed_deleted + report.orphans_deleted + report.commits_deleted;
        if !self.config.dry_run && deleted > 0 {
            metrics::counter!("ironbark_compactor_objects_deleted_total").increment(deleted);
        }
        Ok(report)
    }
}

/// The report of one committed merge.
fn done(spec: &CompactionSpec, merged: &SegmentMeta) -> Report {
    metrics::counter!("ironbark_compactor_merges_total", "reason" => spec.reason.as_str()).increment(1);
    metrics::counter!("ironbark_compactor_rows_total").increment(merged.rows);
    metrics::counter!("ironbark_compactor_bytes_read_total").increment(spec.bytes());
    metrics::counter!("ironbark_compactor_bytes_written_total").increment(merged.bytes);
    Report {
        merges: 1,
        rows: merged.rows,
        segments_in: count(spec.inputs.len()),
        segments_out: 1,
        bytes_in: spec.bytes(),
        bytes_out: merged.bytes,
        ..Report::default()
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
