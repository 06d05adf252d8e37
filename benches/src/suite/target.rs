//! What is measured: a server of ours or a worker of a peer, each behind the same three calls.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::ironbark;
use super::peers::{Python, Worker};
use super::questions::Question;
use super::s3::{Requests, Traffic};
use super::victoria::{self, Victoria};
use crate::http::Connection;
use crate::process::Usage;
use crate::server::{Server, Settings};
use crate::{Error, Result};

/// An engine with the corpus in it.
#[derive(Debug)]
pub(super) enum Target {
    Ironbark(Box<Ours>),
    Peer(Box<Theirs>),
    Remote(Box<Victoria>),
}

/// A server on a data directory, and a connection to it.
#[derive(Debug)]
pub(super) struct Ours {
    pub(super) binary: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) settings: Settings,
    /// What its object store was asked, if that is S3.
    pub(super) traffic: Option<Arc<Traffic>>,
    pub(super) running: Option<(Server, Connection)>,
}

/// A worker on a folder.
#[derive(Debug)]
pub(super) struct Theirs {
    pub(super) python: Python,
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) running: Option<Worker>,
}

/// An answer and what it took.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
    /// What the object store was asked meanwhile, where that is known.
    pub(super) requests: Option<Requests>,
    /// None: the engine cannot answer such questions.
    pub(super) rows: Option<Vec<Value>>,
}

impl Target {
    /// Whether it can be ended and started again from here.
    pub(super) fn is_ours_to_restart(&self) -> bool {
        !matches!(self, Self::Remote(_))
    }

    /// Ends it and starts it again on the same data, if that can be done from here.
    pub(super) async fn restart(&mut self, before_start: impl FnOnce()) -> Result<()> {
        match self {
            Self::Ironbark(ours) => {
                if let Some((server, _)) = ours.running.take() {
                    server.stop()?;
                }
                before_start();
                let server = Server::start(&ours.binary, &ours.folder, &ours.settings)?;
                let connection = Connection::open(&server.http).await?;
                ours.running = Some((server, connection));
            }
            Self::Peer(theirs) => {
                theirs.running = None;
                before_start();
                let mut worker = Worker::start(&theirs.python, &theirs.name, &theirs.folder)?;
                worker.open(&theirs.folder)?;
                theirs.running = Some(worker);
            }
            Self::Remote(_) => {}
        }
        Ok(())
    }

    /// Asks a question and measures the answer, from the request to its last byte. Making sense of it is not measured.
    pub(super) async fn ask(&mut self, question: &Question) -> Result<Asked> {
        let stopped = || Error::unreadable("an engine", &"it is not running");
        match self {
            Self::Ironbark(ours) => {
                let (server, connection) = ours.running.as_mut().ok_or_else(stopped)?;
                // What went by before is nobody's.
                let _ = ours.traffic.as_ref().map(|traffic| traffic.take());
                let cpu_before = server.cpu();
                let began = Instant::now();
                let body = ironbark::ask(connection, question).await?;
                let (wall, cpu) = (began.elapsed(), server.cpu().saturating_sub(cpu_before));
                let requests = ours.traffic.as_ref().map(|traffic| traffic.take());
                Ok(Asked { wall, cpu, requests, rows: Some(ironbark::rows(question, &body)?) })
            }
            Self::Peer(theirs) => {
                let worker = theirs.running.as_mut().ok_or_else(stopped)?;
                let cpu_before = worker.cpu();
                let began = Instant::now();
                let answer = worker.ask(question)?;
                let (wall, cpu) = (began.elapsed(), worker.cpu().saturating_sub(cpu_before));
                Ok(Asked { wall, cpu, requests: None, rows: worker.rows(&answer)? })
            }
            Self::Remote(victoria) => {
                let cpu_before = victoria.cpu();
                let began = Instant::now();
                let body = victoria.ask(question).await?;
                let (wall, cpu) = (began.elapsed(), victoria.cpu().saturating_sub(cpu_before));
                Ok(Asked { wall, cpu, requests: None, rows: Some(victoria::rows(question, &body)?) })
            }
        }
    }

    /// How it answers a question, in its own words: with what it read for it.
    pub(super) async fn explain(&mut self, question: &Question) -> Result<Option<String>> {
        match self {
            Self::Ironbark(ours) => match ours.running.as_mut() {
                Some((_, connection)) => ironbark::explain(connection, question).await.map(Some),
                None => Ok(None),
            },
            Self::Peer(_) | Self::Remote(_) => Ok(None),
        }
    }

    /// What it has used since it was started.
    pub(super) fn usage(&self) -> Usage {
        match self {
            Self::Ironbark(ours) => ours.running.as_ref().map(|(server, _)| server.usage()),
            Self::Peer(theirs) => theirs.running.as_ref().map(Worker::usage),
            Self::Remote(victoria) => Some(victoria.usage()),
        }
        .unwrap_or_default()
    }

    /// Ends it.
    pub(super) fn stop(self) -> Result<()> {
        match self {
            Self::Ironbark(ours) => ours.running.map_or(Ok(()), |(server, _)| server.stop()),
            Self::Peer(_) | Self::Remote(_) => Ok(()),
        }
    }
}

/// Empties the system's page cache. False if that is not permitted here.
pub(super) fn drop_page_cache() -> bool {
    // Pages that are not written yet cannot be dropped.
    drop(Command::new("sync").status());
    std::fs::write(Path::new("/proc/sys/vm/drop_caches"), "3").is_ok()
}
