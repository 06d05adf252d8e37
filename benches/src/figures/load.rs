//! Loading: rows in, CPU and memory of the server, bytes on disk.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::report::{Load, Sizes, Stages, per, per_million, per_row, seconds};
use super::serve;
use crate::http::Connection;
use crate::server::{self, Server, Settings};
use crate::{Error, Result};

/// A request's body is full at this size, in bytes.
const BODY_BYTES_MAX: usize = 4 << 20;
/// How often a request that the server could not take yet is sent again.
const RETRIES_MAX: u64 = 1_000;
const NDJSON: &str = "content-type: application/x-ndjson\r\n";

/// What all loads share.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) binary: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) file: PathBuf,
    pub(crate) rows: u64,
    pub(crate) connections: usize,
    /// With what servers are started that are loaded.
    pub(crate) settings: Settings,
}

/// How rows come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// NDJSON, several connections.
    Http,
    /// `ironbark ingest`.
    Flight,
}

/// Wall time until the last acknowledgement, and what a client of its own used.
struct Sent {
    wall: Duration,
    client_cpu: Option<Duration>,
    client_memory_peak_bytes: Option<u64>,
    retries: u64,
}

impl Bench {
    /// Loads the corpus into a fresh server and waits until compaction is settled.
    pub(crate) async fn load(&self, name: &'static str, route: Route) -> Result<(Server, Load)> {
        let server = serve(self, name, &self.settings)?;
        let cpu_before = server.usage().cpu;
        let sent = match route {
            Route::Http => self.send(&server).await?,
            Route::Flight => self.ingest(&server).await?,
        };
        let cpu_acknowledged = server.usage().cpu.saturating_sub(cpu_before);
        let settling = server.run(&["admin", "flush", "--wait"]).await?;
        let used = server.usage();
        let cpu_settled = used.cpu.saturating_sub(cpu_before);
        check_rows(&server, self.rows).await?;
        let load = Load {
            name,
            rows_per_second: per(self.rows, sent.wall.as_secs_f64()),
            seconds: seconds(sent.wall),
            settling_seconds: seconds(settling.wall),
            server_cpu_seconds_per_million_rows_acknowledged: per_million(cpu_acknowledged, self.rows),
            server_cpu_seconds_per_million_rows_settled: per_million(cpu_settled, self.rows),
            client_cpu_seconds_per_million_rows: sent.client_cpu.map(|cpu| per_million(cpu, self.rows)),
            server_memory_peak_bytes: used.memory_peak_bytes,
            client_memory_peak_bytes: sent.client_memory_peak_bytes,
            retries: sent.retries,
            sizes: self.sizes(name, Some(&server)).await?,
        };
        Ok((server, load))
    }

    /// Bytes after each stage of a segment's life.
    pub(super) async fn stages(&self) -> Result<Stages> {
        let name = "stages";
        let server = serve(self, name, &Settings::of(&["--compactor", "off"]))?;
        self.ingest(&server).await?;
        server.run(&["admin", "flush"]).await?;
        let flushing_cpu = server.usage().cpu;
        let flushed = self.sizes(name, Some(&server)).await?;
        server.stop()?;
        let server = serve(self, name, &Settings::default())?;
        server.run(&["admin", "flush", "--wait"]).await?;
        let compaction_cpu = server.usage().cpu;
        let compacted = self.sizes(name, Some(&server)).await?;
        server.stop()?;
        let compactor = self.binary.with_file_name("ironbark-compactor");
        let mut command = server::clean(&compactor);
        command.args(["--once", "--grace", "0s", "--orphan-grace", "0s", "--object-store"]);
        command.arg(self.folder.join(name).join("objects"));
        server::run(command, &compactor, "ironbark-compactor --once".to_owned()).await?;
        let mut collected = self.sizes(name, None).await?;
        collected.segments = compacted.segments;
        collected.segment_bytes_per_row = compacted.segment_bytes_per_row;
        Ok(Stages {
            cpu_seconds_per_million_rows_flushed: per_million(flushing_cpu, self.rows),
            cpu_seconds_per_million_rows_compacting: per_million(compaction_cpu, self.rows),
            flushed,
            compacted,
            collected,
        })
    }

    async fn ingest(&self, server: &Server) -> Result<Sent> {
        let file = self.file.to_string_lossy();
        let took = server.run(&["ingest", &file, "--format", "ndjson"]).await?;
        Ok(Sent {
            wall: took.wall,
            client_cpu: Some(took.usage.cpu),
            client_memory_peak_bytes: Some(took.usage.memory_peak_bytes),
            retries: 0,
        })
    }

    /// Sends the file in requests over several connections at once.
    async fn send(&self, server: &Server) -> Result<Sent> {
        let file = File::open(&self.file).map_err(Error::file(&self.file))?;
        let bodies = Arc::new(Mutex::new(BufReader::with_capacity(1 << 20, file)));
        let began = Instant::now();
        let mut senders = tokio::task::JoinSet::new();
        for _ in 0..self.connections.max(1) {
            let (bodies, url, path) = (Arc::clone(&bodies), server.http.clone(), self.file.clone());
            senders.spawn(async move { send_bodies(&bodies, &url, &path).await });
        }
        let mut retries = 0;
        while let Some(sender) = senders.join_next().await {
            retries += sender.map_err(|error| Error::unreadable("a connection's result", &error))??;
        }
        Ok(Sent { wall: began.elapsed(), client_cpu: None, client_memory_peak_bytes: None, retries })
    }

    /// Bytes of the objects and of everything else; of the segments if a server can be asked.
    async fn sizes(&self, name: &str, server: Option<&Server>) -> Result<Sizes> {
        let folder = self.folder.join(name);
        let all = folder_bytes(&folder)?;
        let objects = folder.join("objects");
        // Objects that are in another store are not counted.
        let objects = if objects.is_dir() { folder_bytes(&objects)? } else { 0 };
        let (mut segments, mut segment_bytes) = (0, 0);
        if let Some(server) = server {
            for segment in sql(&mut Connection::open(&server.http).await?, "SHOW SEGMENTS").await? {
                segments += 1;
                segment_bytes += segment.get("bytes").and_then(Value::as_u64).unwrap_or(0);
            }
        }
        Ok(Sizes {
            segments,
            segment_bytes_per_row: per_row(segment_bytes, self.rows),
            object_bytes_per_row: per_row(objects, self.rows),
            other_bytes: all - objects,
        })
    }
}

/// Sends bodies until there are none left. Returns how often the server asked to come again later.
async fn send_bodies(bodies: &Mutex<BufReader<File>>, url: &str, path: &Path) -> Result<u64> {
    let mut connection = Connection::open(url).await?;
    let (mut retries, mut body) = (0, Vec::new());
    loop {
        body.clear();
        let lines = next_body(&mut bodies.lock(), &mut body).map_err(Error::file(path))?;
        if lines == 0 {
            return Ok(retries);
        }
        let answer = loop {
            let answer = connection.post("/logs/ingest", NDJSON, &body).await?;
            if answer.status != 429 || retries == RETRIES_MAX {
                break answer.success("POST /logs/ingest")?;
            }
            retries += 1;
            tokio::time::sleep(Duration::from_secs(answer.retry_after_seconds.unwrap_or(1))).await;
        };
        let report: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| Error::unreadable("the answer to POST /logs/ingest", &error))?;
        if report.get("accepted").and_then(Value::as_u64) != Some(lines) {
            return Err(Error::wrong("POST /logs/ingest", &format!("{lines} rows accepted"), &report));
        }
    }
}

/// Reads whole lines up to a body's size. Returns how many.
pub(crate) fn next_body(file: &mut BufReader<File>, body: &mut Vec<u8>) -> std::io::Result<u64> {
    let mut lines = 0;
    while body.len() < BODY_BYTES_MAX && file.read_until(b'\n', body)? > 0 {
        lines += 1;
    }
    Ok(lines)
}

async fn check_rows(server: &Server, rows: u64) -> Result<()> {
    let query = "SELECT count(*) AS n FROM logs";
    let answer = sql(&mut Connection::open(&server.http).await?, query).await?;
    let found = answer.first().and_then(|row| row.get("n")).and_then(Value::as_u64).unwrap_or(0);
    if found == rows { Ok(()) } else { Err(Error::wrong(query, &rows, &found)) }
}

/// Runs a statement over HTTP and returns its rows as JSON objects.
pub(crate) async fn sql(connection: &mut Connection, query: &str) -> Result<Vec<Value>> {
    json_lines(&post_sql(connection, query).await?).collect()
}

/// Runs a statement over HTTP and returns the answer as it came: NDJSON.
pub(crate) async fn post_sql(connection: &mut Connection, query: &str) -> Result<Vec<u8>> {
    let body = json!({ "query": query }).to_string();
    let headers = "content-type: application/json\r\naccept: application/x-ndjson\r\n";
    Ok(connection.post("/sql", headers, body.as_bytes()).await?.success(query)?.body)
}

/// The rows of an answer in NDJSON.
pub(crate) fn json_lines(body: &[u8]) -> impl Iterator<Item = Result<Value>> {
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| {
        serde_json::from_slice(line).map_err(|error| Error::unreadable("a row of an answer", &error))
    })
}

/// Bytes of all files below a directory.
pub(crate) fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(Error::file(folder))?.flatten() {
        // A file that is deleted meanwhile has no bytes.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
