//! `ironbark search`: the newest log records that a query matches, oldest first, as lines.
//!
//! The query goes to the server as `search('…')` in SQL, so its answers are those of SQL by construction.
//!
//! ```text
//!   newest N at or below the mark ──► printed, oldest first
//!   --follow: every second, rows above the mark, in the order of their arrival; the mark moves to the last
//! ```

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch, StructArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clap::{Args, ValueEnum};
use ironbark_storage::{Ambient, Timestamp, column};

use super::connection::{Client, ConnectionArgs};
use super::failure::Failure;
use super::moment;
use super::output::{self, Format, Layout, Out, escape};
use crate::config::quantity;

/// How often `--follow` asks for new rows.
const FOLLOW_MS: u64 = 1_000;
/// The most rows that `--follow` takes at a time.
const FOLLOW_ROWS_MAX: usize = 10_000;
const COLUMNS: &str = "timestamp, ingested_at, source, level, message, tags, trace_id, span_id, _row_id";

/// The arguments of `ironbark search`.
#[derive(Args, Debug)]
pub(crate) struct SearchArgs {
    /// What to look for: words, "a phrase", field:value, AND OR NOT, /regex/ (left out: everything)
    #[arg(default_value = "", hide_default_value = true)]
    query: String,
    /// Only from so long ago on, as 30s, 15m, 1h, 7d
    #[arg(long, value_name = "DURATION", conflicts_with = "from", value_parser = quantity::parse_duration)]
    since: Option<Duration>,
    /// Only from this time on
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    from: Option<Timestamp>,
    /// Only before this time
    #[arg(long, value_name = "TIME", value_parser = moment::parse, conflicts_with = "follow")]
    to: Option<Timestamp>,
    /// How many records, the newest ones
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,
    /// Go on printing new records as they arrive
    #[arg(long)]
    follow: bool,
    /// The table
    #[arg(long, default_value = "logs")]
    table: ironbark_storage::TableName,
    /// How records are written
    #[arg(long, value_enum, default_value = "text")]
    format: SearchFormat,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SearchFormat {
    /// A line for each record: time, level, source, message, tags
    Text,
    /// Only the messages
    Message,
    /// A table
    Table,
    /// One JSON array of objects
    Json,
    /// One JSON object a line
    Ndjson,
    /// CSV with a header
    Csv,
    /// An Arrow IPC stream
    Arrow,
    /// A Parquet file
    Parquet,
}

impl SearchFormat {
    fn rows(self) -> Option<Format> {
        match self {
            Self::Text | Self::Message => None,
            Self::Table => Some(Format::Table),
            Self::Json => Some(Format::Json),
            Self::Ndjson => Some(Format::Ndjson),
            Self::Csv => Some(Format::Csv),
            Self::Arrow => Some(Format::Arrow),
            Self::Parquet => Some(Format::Parquet),
        }
    }

    /// Whether more rows can be written behind the ones that were.
    fn goes_on(self) -> bool {
        matches!(self, Self::Text | Self::Message | Self::Ndjson)
    }
}

pub(super) async fn run(args: &SearchArgs, mut out: Out) -> Result<ExitCode, Failure> {
    if args.follow && !args.format.goes_on() {
        return Err(Failure::Argument {
            flag: "--format",
            given: format!("{:?}", args.format).to_lowercase(),
            reason: "with --follow the answer has no end; use text, message or ndjson".to_owned(),
        });
    }
    let client = Client::new(&args.connection)?;
    let condition = condition(args, Ambient::system().clock.now());
    let mark = if args.follow { Some(newest_row(&client, args).await?) } else { None };
    let bound = mark.map(|mark| format!(" AND _row_id <= {mark}")).unwrap_or_default();
    let newest = format!(
        "SELECT {COLUMNS} FROM {} WHERE {condition}{bound} ORDER BY timestamp DESC, _row_id DESC LIMIT {}",
        args.table, args.limit
    );
    let sql = format!("SELECT * FROM ({newest}) AS newest ORDER BY timestamp, _row_id");
    write(&client, &sql, args.format, &mut out).await?;
    let Some(mut mark) = mark else { return Ok(ExitCode::SUCCESS) };
    loop {
        tokio::time::sleep(Duration::from_millis(FOLLOW_MS)).await;
        let sql = format!(
            "SELECT {COLUMNS} FROM {} WHERE {condition} AND _row_id > {mark} ORDER BY _row_id LIMIT {FOLLOW_ROWS_MAX}",
            args.table
        );
        mark = mark.max(write(&client, &sql, args.format, &mut out).await?.unwrap_or(mark));
    }
}

fn condition(args: &SearchArgs, now: Timestamp) -> String {
    let ns = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    let since = args.since.map(|since| now.plus_ns(-ns(since)));
    let query = args.query.trim();
    let text = (!query.is_empty()).then(|| format!("search('{}')", query.replace('\'', "''")));
    let from = since.or(args.from).map(|from| format!("timestamp >= TIMESTAMP '{from}'"));
    let to = args.to.map(|to| format!("timestamp < TIMESTAMP '{to}'"));
    let all: Vec<String> = [text, from, to].into_iter().flatten().collect();
    if all.is_empty() { "true".to_owned() } else { all.join(" AND ") }
}

/// The newest row of the table, from which `--follow` goes on.
async fn newest_row(client: &Client, args: &SearchArgs) -> Result<i64, Failure> {
    let rows = client.collect(&format!("SELECT max(_row_id) AS newest FROM {}", args.table)).await?;
    let first =
        rows.first().filter(|rows| rows.num_rows() > 0).and_then(|rows| rows.columns().first().cloned());
    let newest = first.and_then(|column| {
        let ids = column.as_primitive_opt::<Int64Type>()?;
        (!ids.is_null(0)).then(|| ids.value(0))
    });
    Ok(newest.unwrap_or(0))
}

/// Writes the rows of a statement, and returns the last row id.
async fn write(
    client: &Client,
    sql: &str,
    format: SearchFormat,
    out: &mut Out,
) -> Result<Option<i64>, Failure> {
    if let Some(rows) = format.rows().filter(|_| !format.goes_on()) {
        output::write_answer(client.query(sql).await?, rows, Layout::Rows, out).await?;
        return Ok(None);
    }
    let answer = client.query(sql).await?;
    let schema = answer.schema.clone();
    let batches: Vec<RecordBatch> = futures::TryStreamExt::try_collect(answer.rows).await?;
    let rows = concat_batches(&schema, &batches)?;
    if let Some(format) = format.rows() {
        let mut writer = output::row_writer(format, Layout::Rows, &schema, out)?;
        writer.write(&rows)?;
        writer.finish()?;
    } else {
        let terminal = out.is_terminal();
        lines(&rows, format == SearchFormat::Message, terminal, out)?;
    }
    out.flush().map_err(Failure::Output)?;
    let ids = rows.column_by_name("_row_id").and_then(|ids| ids.as_primitive_opt::<Int64Type>().cloned());
    Ok(ids.and_then(|ids| ids.iter().flatten().max()))
}

/// Writes each row as a line. What is NULL is left out.
fn lines(
    rows: &RecordBatch,
    message_only: bool,
    terminal: bool,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let options = FormatOptions::default().with_null("");
    let column = |name: &str| {
        let column = rows.column_by_name(name);
        column.ok_or_else(|| Failure::Answer(format!("column {name} is missing")))
    };
    let cells = |name: &str| Ok::<_, Failure>(ArrayFormatter::try_new(column(name)?, &options)?);
    let (time, level, source) = (cells("timestamp")?, cells("level")?, cells("source")?);
    let message = cells("message")?;
    let tags = column("tags")?.as_map_opt();
    for row in 0..rows.num_rows() {
        let message = message.value(row).try_to_string()?;
        let line = if message_only {
            message
        } else {
            let level = format!("{:5}", level.value(row).try_to_string()?);
            let (time, source) = (time.value(row).try_to_string()?, source.value(row).try_to_string()?);
            let tags = tags.map(|tags| tag_words(&tags.value(row))).unwrap_or_default();
            let words = [time, level, source, message, tags];
            words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        };
        let line = if terminal { escape::but_space(&line).into_owned() } else { line };
        writeln!(out, "{line}").map_err(Failure::Output)?;
    }
    Ok(())
}

/// `env=prod pod="a b"`, without the original of a level that is shown already.
fn tag_words(entries: &StructArray) -> String {
    let texts = |at: usize| entries.columns().get(at).and_then(|column| column.as_string_opt::<i32>());
    let (Some(keys), Some(values)) = (texts(0), texts(1)) else { return String::new() };
    let words = keys.iter().zip(values).filter_map(|(key, value)| {
        let (key, value) = (key?, value.unwrap_or("null"));
        let bare =
            !value.is_empty() && !value.contains(|letter: char| letter.is_whitespace() || letter == '"');
        let value = if bare { value.to_owned() } else { format!("{value:?}") };
        (key != column::LEVEL).then(|| format!("{key}={value}"))
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
