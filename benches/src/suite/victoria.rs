//! VictoriaLogs, a server that runs already: its LogsQL over HTTP. It is not started or stopped from here, so it is
//! asked nothing cold.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::ironbark::{micros, moment};
use super::questions::Question;
use super::report::Loaded;
use crate::corpus::DAY_START_US;
use crate::figures::load::{json_lines, next_body};
use crate::figures::report::{per, per_million, per_row, seconds};
use crate::http::{Connection, encode};
use crate::process;
use crate::{Error, Result};

const INSERT: &str = "/insert/jsonline?_stream_fields=source&_time_field=timestamp&_msg_field=message";
const NDJSON: &str = "content-type: application/stream+json\r\n";
const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";
const DAY_END_US: u64 = DAY_START_US + 86_400_000_000;
const FIELDS: [&str; 8] =
    ["source", "level", "_msg", "trace_id", "tags.env", "tags.region", "tags.host", "tags.pod"];

/// How long a connection is used: VictoriaLogs closes them when they are two minutes old.
const CONNECTION_SECONDS_MAX: u64 = 60;

/// A connection to it, and its process if that is on this machine.
#[derive(Debug)]
pub(super) struct Victoria {
    url: String,
    connection: Connection,
    connected: Instant,
    pid: Option<u32>,
}

impl Victoria {
    /// Connects to `http://host:port`.
    pub(super) async fn open(url: &str) -> Result<Self> {
        let port = url.trim_end_matches('/').rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let pid = port.and_then(process::listener_on);
        let connection = Connection::open(url).await?;
        Ok(Self { url: url.to_owned(), connection, connected: Instant::now(), pid })
    }

    /// The connection, or a new one in the place of an old one.
    async fn connection(&mut self) -> Result<&mut Connection> {
        if self.connected.elapsed() > Duration::from_secs(CONNECTION_SECONDS_MAX) {
            self.connection = Connection::open(&self.url).await?;
            self.connected = Instant::now();
        }
        Ok(&mut self.connection)
    }

    /// CPU time of its threads; 0 on another machine.
    pub(super) fn cpu(&self) -> Duration {
        self.pid.map(process::threads_cpu).unwrap_or_default()
    }

    /// What it has used since it was started; nothing on another machine.
    pub(super) fn usage(&self) -> process::Usage {
        self.pid.map(process::usage).unwrap_or_default()
    }

    /// Sends it the corpus over one connection. It must be empty before.
    pub(super) async fn load(&mut self, file: &Path, rows: u64) -> Result<Loaded> {
        let before = self.count().await?;
        if before != 0 {
            return Err(Error::wrong("the rows of a VictoriaLogs that is to be loaded", &0, &before));
        }
        let mut bodies = BufReader::new(File::open(file).map_err(Error::file(file))?);
        let (mut body, cpu_before, began) = (Vec::new(), self.usage().cpu, Instant::now());
        while next_body(&mut bodies, &mut body).map_err(Error::file(file))? > 0 {
            let sent = self.connection().await?.post(INSERT, NDJSON, &body).await?;
            sent.success("POST /insert/jsonline")?;
            body.clear();
        }
        let wall = began.elapsed();
        let flushed = self.connection().await?.get("/internal/force_flush").await?;
        flushed.success("GET /internal/force_flush")?;
        let after = self.count().await?;
        if after != rows {
            return Err(Error::wrong(
                "the rows of VictoriaLogs (is -retentionPeriod long enough?)",
                &rows,
                &after,
            ));
        }
        let usage = self.usage();
        let cpu = per_million(usage.cpu.saturating_sub(cpu_before), rows);
        let metrics = self.connection().await?.get("/metrics").await?.success("GET /metrics")?.text();
        Ok(Loaded {
            rows_per_second: per(rows, seconds(wall)),
            seconds: seconds(wall),
            settling_seconds: seconds(began.elapsed().saturating_sub(wall)),
            cpu_seconds_per_million_rows_acknowledged: cpu,
            cpu_seconds_per_million_rows_settled: cpu,
            memory_peak_bytes: usage.memory_peak_bytes,
            bytes_per_row: per_row(data_bytes(&metrics), rows),
            parts: std::collections::BTreeMap::new(),
        })
    }

    /// Asks, and returns the answer as it came.
    pub(super) async fn ask(&mut self, question: &Question) -> Result<Vec<u8>> {
        self.query(&logsql(question)).await
    }

    async fn query(&mut self, query: &str) -> Result<Vec<u8>> {
        let body = format!("query={}", encode(query));
        let answer = self.connection().await?.post("/select/logsql/query", FORM, body.as_bytes()).await?;
        Ok(answer.success(query)?.body)
    }

    async fn count(&mut self) -> Result<u64> {
        let body = self.query("* | stats count() as n").await?;
        let counted = rows(&Question::CountSubstring { text: String::new() }, &body)?;
        Ok(counted.first().and_then(|row| row.get(0)).and_then(Value::as_u64).unwrap_or(0))
    }
}

/// The bytes that its metrics name, of all kinds of storage.
fn data_bytes(metrics: &str) -> u64 {
    let lines = metrics.lines().filter(|line| line.starts_with("vl_data_size_bytes{"));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

/// The query of a question.
fn logsql(question: &Question) -> String {
    let from = |from_us: u64, until_us: u64| format!("_time:[{}, {})", moment(from_us), moment(until_us));
    let latest = |limit: &u64| format!("| sort by (_time desc) limit {limit}");
    match question {
        Question::RowsWithWord { word } => format!("\"{word}\""),
        Question::CountWord { word, .. } => format!("\"{word}\" | stats count() as n"),
        Question::ErrorsOfSource { source, from_us, until_us, limit } => {
            format!("{} {{source=\"{source}\"}} level:=ERROR {}", from(*from_us, *until_us), latest(limit))
        }
        Question::Histogram { from_us, step_s } => {
            format!("{} | stats by (_time:{step_s}s, level) count() as n", from(*from_us, DAY_END_US))
        }
        Question::SourcesWithErrors { limit } => {
            format!("level:=ERROR | stats by (source) count() as n | sort by (n desc, source) limit {limit}")
        }
        Question::Phrase { phrase, limit } => format!("\"{phrase}\" {}", latest(limit)),
        Question::CountSubstring { text } => format!("_msg:~\"{text}\" | stats count() as n"),
        Question::CountRegex { regex } => format!("_msg:~\"{regex}\" | stats count() as n"),
        Question::Trace { trace_id } => format!("trace_id:=\"{trace_id}\""),
        Question::Latest { limit } => format!("* {}", latest(limit)),
        Question::HostsWithErrors { from_us } => {
            format!("{} level:=ERROR | uniq by (\"tags.host\")", from(*from_us, DAY_END_US))
        }
        Question::SourceWithoutWords { source, words, limit } => {
            let without: Vec<String> = words.iter().map(|word| format!("!\"{word}\"")).collect();
            format!("{{source=\"{source}\"}} {} {}", without.join(" "), latest(limit))
        }
    }
}

/// The rows of an answer, in the form that all answers are compared in. All its values are strings.
pub(super) fn rows(question: &Question, body: &[u8]) -> Result<Vec<Value>> {
    json_lines(body).map(|row| compared(question, &row?)).collect()
}

fn compared(question: &Question, row: &Value) -> Result<Value> {
    let field = |name: &str| row.get(name).cloned().unwrap_or_default();
    let count = || {
        let text = row.get("n").and_then(Value::as_str).unwrap_or_default();
        text.parse::<u64>().map_err(|_| Error::unreadable("a count of VictoriaLogs", row))
    };
    Ok(match question {
        Question::CountWord { .. } | Question::CountSubstring { .. } | Question::CountRegex { .. } => {
            json!([count()?])
        }
        Question::Histogram { .. } => json!([micros(row, "_time")?, field("level"), count()?]),
        Question::SourcesWithErrors { .. } => json!([field("source"), count()?]),
        Question::HostsWithErrors { .. } => json!([field("tags.host")]),
        Question::RowsWithWord { .. }
        | Question::ErrorsOfSource { .. }
        | Question::Phrase { .. }
        | Question::Trace { .. }
        | Question::Latest { .. }
        | Question::SourceWithoutWords { .. } => {
            let fields = FIELDS.map(field);
            Value::Array(std::iter::once(json!(micros(row, "_time")?)).chain(fields).collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{data_bytes, logsql, rows};
    use crate::corpus::DAY_START_US;
    use crate::suite::questions::Question;
    use serde_json::json;

    #[test]
    fn questions_are_put_in_its_language() {
        let words = vec!["task".to_owned(), "cart".to_owned()];
        let question = Question::SourceWithoutWords { source: "api".to_owned(), words, limit: 7 };
        assert_eq!(logsql(&question), "{source=\"api\"} !\"task\" !\"cart\" | sort by (_time desc) limit 7");
        let question = Question::Histogram { from_us: DAY_START_US, step_s: 300 };
        assert_eq!(
            logsql(&question),
            "_time:[2026-03-02T00:00:00.000000Z, 2026-03-03T00:00:00.000000Z) | stats by (_time:300s, level) count() as n"
        );
    }

    #[test]
    fn its_strings_become_rows() {
        let body = b"{\"_time\":\"2026-03-02T00:00:00.5Z\",\"level\":\"INFO\",\"n\":\"12\"}\n";
        let histogram = Question::Histogram { from_us: 0, step_s: 300 };
        assert_eq!(rows(&histogram, body).unwrap(), [json!([DAY_START_US + 500_000, "INFO", 12])]);
        let body = br#"{"_time":"2026-03-02T00:00:00Z","_stream":"{}","source":"s","level":"INFO","_msg":"m","tags.env":"e","tags.region":"r","tags.host":"h","tags.pod":"p"}"#;
        let row = json!([DAY_START_US, "s", "INFO", "m", null, "e", "r", "h", "p"]);
        assert_eq!(rows(&Question::Latest { limit: 1 }, body).unwrap(), [row]);
        assert!(rows(&Question::CountRegex { regex: String::new() }, b"{\"n\":\"?\"}").is_err());
        assert_eq!(
            data_bytes(
                "vl_data_size_bytes{type=\"storage\"} 40\nvl_data_size_bytes{type=\"indexdb\"} 2\nx 1\n"
            ),
            42
        );
    }
}
