//! `ironbark ingest`: files and standard input into a table.
//!
//! ```text
//!   reader thread                                          this task
//!   bytes ─► decompress ─► lines ─► range (fixed lines) ══► DoPut with the range's key ─► journal ─► report
//!                                   two ranges ahead        again and again while the server is busy
//! ```
//!
//! A range is a fixed run of lines, cut only by the file's content, and goes under a key of its own: sent twice, it is
//! stored once. Ranges are sent one after the other, so that rows keep the order of their lines. Nothing is held of a
//! file but the ranges on their way.

mod journal;
mod progress;
mod ranges;
mod report;
mod send;
mod source;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use ironbark_storage::{Ambient, TableName};
use tokio::sync::mpsc;

use super::connection::{Client, ConnectionArgs};
use super::failure::Failure;
use super::output::Out;
use crate::text::Zone;
use journal::Journal;
use progress::Progress;
use ranges::{Plan, Range};
use report::{FileReport, RejectFile};
use send::Sender;
use source::Source;

/// Ranges that are read ahead of the one being sent.
const RANGES_AHEAD_MAX: usize = 2;
/// The name by which standard input is asked for.
const STDIN: &str = "-";

/// The arguments of `ironbark ingest`.
#[derive(Args, Debug)]
pub(crate) struct IngestArgs {
    /// The files, plain, gzip or zstd; none, or -, is standard input
    files: Vec<PathBuf>,
    /// What the lines are; auto takes a file whose first line is a JSON object as ndjson, and refuses arrays
    #[arg(long, value_enum, default_value = "auto")]
    format: LineFormat,
    /// The source of rows that name none; for text by default the file's name
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// A tag that every row gets
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = parse_tag)]
    tags: Vec<(String, String)>,
    /// The table
    #[arg(long, default_value = "logs")]
    table: TableName,
    /// The zone of timestamps that name none: an IANA name or an offset
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = str::parse::<Zone>)]
    timezone: Zone,
    /// Join the lines of stack traces to the line before them
    #[arg(long)]
    multiline: bool,
    /// Write refused lines to this file, as JSON with the reason
    #[arg(long, value_name = "FILE")]
    reject_file: Option<PathBuf>,
    /// Continue an interrupted load of the same files where it stopped
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// What the lines of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LineFormat {
    /// Decide by the first line
    Auto,
    /// One JSON object a line
    Ndjson,
    /// Log lines as programs write them
    Text,
}

fn parse_tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a tag is KEY=VALUE, for example env=prod".to_owned()),
    }
}

pub(super) async fn run(args: &IngestArgs, mut out: Out) -> Result<ExitCode, Failure> {
    if args.files.is_empty() && std::io::stdin().is_terminal() {
        let reason = "name a file, or send lines to standard input".to_owned();
        return Err(Failure::Argument { flag: "FILES", given: "(none)".to_owned(), reason });
    }
    let client = Client::new(&args.connection)?;
    let ambient = Ambient::system();
    let stdin = vec![PathBuf::from(STDIN)];
    let files = if args.files.is_empty() { &stdin } else { &args.files };
    let mut rejects =
        args.reject_file.as_deref().map(|path| RejectFile::open(path, args.resume)).transpose()?;
    let mut load =
        Load { args, ambient: &ambient, sender: Sender::new(client, &args.table, ambient.clone()) };
    let mut reports: Vec<FileReport> = Vec::new();
    let mut failure = None;
    for file in files {
        let mut report = FileReport::new(file);
        let outcome = tokio::select! {
            outcome = load.file(file, &mut report, rejects.as_mut()) => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
        };
        reports.push(report);
        if let Err(error) = outcome {
            failure = Some(error);
            break;
        }
    }
    if let Some(rejects) = &mut rejects {
        rejects.finish()?;
    }
    let summary = report::summary(&reports, failure.is_some(), args.reject_file.as_deref());
    if !summary.is_empty() {
        out.line(summary.trim_end())?;
    }
    match failure {
        Some(failure) => Err(failure),
        None if report::all_refused(&reports) => Ok(ExitCode::FAILURE),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// The load of several files.
struct Load<'a> {
    args: &'a IngestArgs,
    ambient: &'a Ambient,
    sender: Sender,
}

impl Load<'_> {
    async fn file(
        &mut self,
        path: &Path,
        report: &mut FileReport,
        mut rejects: Option<&mut RejectFile>,
    ) -> Result<(), Failure> {
        let source = if path == Path::new(STDIN) { Source::stdin() } else { Source::open(path)? };
        let Some(mut journal) = self.journal(path, &source, report)? else { return Ok(()) };
        let progress = Progress::new(path, &source);
        let mut ranges = self.read(path, source, &journal);
        while let Some(range) = ranges.recv().await {
            let range = range?;
            let key = journal.key(range.number);
            let answer = match &range.rows {
                Some(rows) => Some(self.sender.send(rows, &key, &progress).await?),
                None => None,
            };
            if let Some(rejects) = rejects.as_deref_mut() {
                rejects.add(path, &range, answer.as_ref())?;
            }
            report.add(&range, answer.as_ref());
            progress.advance(report);
            journal.acknowledge(range.number, report, self.ambient.clock.now())?;
        }
        progress.finish();
        journal.complete(report, self.ambient.clock.now())
    }

    /// The journal of the file's load, or `None` if a load to be resumed has nothing left to do.
    fn journal(
        &self,
        path: &Path,
        source: &Source,
        report: &mut FileReport,
    ) -> Result<Option<Journal>, Failure> {
        let now = self.ambient.clock.now();
        let load = journal::Identity {
            server: self.args.connection.server.clone(),
            tenant: self.args.connection.tenant.to_string(),
            table: self.args.table.to_string(),
            options: format!(
                "{:?} {:?} {:?} {:?} {}",
                self.args.format, self.args.source, self.args.tags, self.args.timezone, self.args.multiline
            ),
        };
        let place = journal::location(&load, source);
        if !self.args.resume {
            return Journal::begin(place, load, source, self.ambient.uuid(), now).map(Some);
        }
        let journal = Journal::resume(place, &load, path, source, now)?;
        journal.restore(report);
        Ok((!journal.is_done()).then_some(journal))
    }

    /// Reads ranges on a thread of their own, because reading blocks, perhaps for ever.
    fn read(&self, path: &Path, source: Source, journal: &Journal) -> mpsc::Receiver<Result<Range, Failure>> {
        let plan = Plan {
            format: self.args.format,
            source: self.args.source.clone(),
            file_name: source.name(path),
            tags: self.args.tags.clone(),
            zone: self.args.timezone,
            multiline: self.args.multiline,
            keep_refused: self.args.reject_file.is_some(),
            first_range: journal.ranges_done(),
            fixed_now: (!source.is_live()).then(|| journal.began()),
            ambient: self.ambient.clone(),
        };
        let (sender, receiver) = mpsc::channel(RANGES_AHEAD_MAX);
        let path = path.to_owned();
        std::thread::spawn(move || ranges::read(plan, &path, source, &sender));
        receiver
    }
}
