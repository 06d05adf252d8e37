//! `ironbark demo`: a server that fills itself with a day of a small shop's logs, and keeps adding to them.
//!
//! ```text
//!   story (seed, time) ─► records ─► LogBatch ─► engine.append     a day in batches, then a batch each half second
//! ```
//!
//! The day ends now, so that `--since 1h` finds something. Its incident lies three hours back.

mod dice;
mod shop;
mod story;

use std::io::Write;
use std::time::Duration;

use ironbark_engine::{Engine, ErrorKind};
use ironbark_storage::{
    Ambient, DAY_NS, LogBatchBuilder, Snapshot, TableRef, Tables, TagSet, TenantId, TimeWindow, Timestamp,
};

pub(crate) use story::{INCIDENT_BEFORE_END_NS, Story};

use crate::error::{Error, Result};

/// Rows of the day, about.
const DAY_ROWS: u64 = 1_000_000;
/// Rows of one append while the day is filled in.
const FILL_ROWS: usize = 20_000;
/// Time between live batches, in milliseconds.
const LIVE_MS: u64 = 500;
/// Seed of the demo: everybody sees the same day.
const SEED: u64 = 20_240_607;
/// Time to wait when the write path is full, in milliseconds.
const RETRY_MS: u64 = 200;

/// Fills an empty `logs` table with a day that ends now. Returns how many rows it has then.
pub(crate) async fn fill(engine: &Engine, ambient: &Ambient, out: &mut (impl Write + Send)) -> Result<u64> {
    let table = TableRef::logs(TenantId::default());
    let there = rows(&engine.snapshot(&table).await?);
    if there > 0 {
        tell(out, &format!("The data directory has {there} rows already: nothing is filled in."))?;
        return Ok(there);
    }
    tell(out, &format!("Filling in a day of a small shop's logs (about {DAY_ROWS} rows) …"))?;
    let end = ambient.clock.now();
    let mut story = Story::new(SEED, end.plus_ns(-DAY_NS), end, DAY_ROWS);
    let mut filled: u64 = 0;
    while let Some(batch) = next_batch(&mut story, end, FILL_ROWS)? {
        filled += batch.num_rows() as u64;
        append(engine, &table, batch).await?;
    }
    engine.flush().await?;
    Ok(filled)
}

/// Adds rows as they would come now, for ever.
pub(crate) async fn live(engine: &Engine, ambient: &Ambient) -> Result<()> {
    let table = TableRef::logs(TenantId::default());
    let mut from = ambient.clock.now();
    loop {
        tokio::time::sleep(Duration::from_millis(LIVE_MS)).await;
        let now = ambient.clock.now();
        // A clock that was set back tells no story until it has caught up.
        if now <= from {
            continue;
        }
        let span = u64::try_from(now.ns().saturating_sub(from.ns())).unwrap_or_default();
        let wanted = span.saturating_mul(DAY_ROWS) / DAY_NS.unsigned_abs();
        let seed = SEED ^ now.ns().unsigned_abs();
        let mut story = Story::new(seed, from, now, wanted.max(1));
        while let Some(batch) = next_batch(&mut story, now, FILL_ROWS)? {
            append(engine, &table, batch).await?;
        }
        from = now;
    }
}

/// What to try, with the addresses of this server.
pub(crate) fn tell_what_to_try(
    out: &mut impl Write,
    rows: u64,
    http: &str,
    flight: &str,
    started: Timestamp,
) -> Result<()> {
    let incident = started.plus_ns(-INCIDENT_BEFORE_END_NS);
    tell(
        out,
        &format!(
            "\n{rows} rows are there, and more are coming. Something broke at about {incident}: find out what.\n\n\
             In another terminal:\n\n  \
             ironbark sql --server {flight} \"SELECT level, count(*) FROM logs GROUP BY level ORDER BY 2 DESC\"\n  \
             ironbark sql --server {flight} \"SELECT source, count(*) AS errors FROM logs WHERE level = 'ERROR' GROUP BY source ORDER BY errors DESC LIMIT 5\"\n  \
             ironbark search --server {flight} 'level:error \"connection refused\"' --since 4h --limit 5\n  \
             ironbark search --server {flight} 'source:checkout' --follow\n  \
             curl '{http}/logs/search?q=level:error&limit=3'\n\n\
             Press Ctrl-C to stop."
        ),
    )
}

fn tell(out: &mut impl Write, text: &str) -> Result<()> {
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    written.map_err(|source| Error::Write { what: "to standard output", source })
}

fn rows(snapshot: &Snapshot) -> u64 {
    let segments: u64 = snapshot.manifest().segments().map(|segment| segment.rows).sum();
    let buffers = snapshot.buffers().iter().flat_map(ironbark_storage::BufferView::batches);
    segments + buffers.map(|batch| batch.num_rows() as u64).sum::<u64>()
}

/// The next rows of the story; `None` at its end.
fn next_batch(
    story: &mut Story,
    arrival: Timestamp,
    rows: usize,
) -> Result<Option<ironbark_storage::LogBatch>> {
    let mut builder = LogBatchBuilder::new(arrival, TimeWindow::default());
    let mut tags = TagSet::new();
    while builder.len() < rows && story.next(&mut builder, &mut tags) {}
    if builder.is_empty() {
        return Ok(None);
    }
    Ok(Some(builder.finish()?))
}

/// Appends, waiting while the write path is full.
async fn append(engine: &Engine, table: &TableRef, batch: ironbark_storage::LogBatch) -> Result<()> {
    loop {
        match engine.append(table, batch.clone(), None).await {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Retry => {
                tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
