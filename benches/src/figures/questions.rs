//! The five questions. Literals vary from run to run, and each answer is compared with what was generated.

use serde_json::Value;
use tokio::time::Instant;

use super::load::sql;
use super::report::{Question, milliseconds, quantile};
use crate::corpus::{DAY, DAY_START_US, LEVEL_NAMES, SOURCE_NAMES};
use crate::facts::{FILTER_LIMIT, Facts, Filter, SUBSTRINGS, Seen, VARIANTS};
use crate::http::{Connection, encode};
use crate::server::Server;
use crate::{Error, Result};

/// How late each run's histogram begins, in buckets after the run before.
const BUCKETS_PER_RUN: usize = 7;
/// The smallest limit of the latest rows.
const LATEST_LIMIT: usize = 100;

/// Which question.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Needle,
    Filtered,
    Histogram,
    Latest,
    Substring,
}

const KINDS: [(&str, Kind); 5] = [
    ("needle by search, 1 row", Kind::Needle),
    ("source and level in one hour, latest 100", Kind::Filtered),
    ("count by level in 5-minute buckets", Kind::Histogram),
    ("latest 100 of everything", Kind::Latest),
    ("count of a substring", Kind::Substring),
];

/// Asks each question 15 times.
pub(super) async fn ask(server: &Server, facts: &Facts) -> Result<Vec<Question>> {
    let mut connection = Connection::open(&server.http).await?;
    let mut questions = Vec::new();
    for (name, kind) in KINDS {
        let (mut wall, mut cpu) = (Vec::new(), Vec::new());
        for run in 0..VARIANTS {
            let cpu_before = server.cpu();
            let began = Instant::now();
            let answer = kind.answer(&mut connection, facts, run).await?;
            wall.push(began.elapsed());
            cpu.push(server.cpu().saturating_sub(cpu_before));
            kind.check(&answer, facts, run)?;
        }
        questions.push(Question {
            name,
            runs: VARIANTS,
            latency_ms_median: milliseconds(quantile(&mut wall, 50)),
            latency_ms_p95: milliseconds(quantile(&mut wall, 95)),
            server_cpu_ms_median: milliseconds(quantile(&mut cpu, 50)),
            server_cpu_ms_p95: milliseconds(quantile(&mut cpu, 95)),
        });
    }
    Ok(questions)
}

impl Kind {
    async fn answer(self, connection: &mut Connection, facts: &Facts, run: usize) -> Result<Vec<Value>> {
        let query = self.query(facts, run);
        match self {
            Self::Needle => {
                let path = format!("/logs/search?q={}&limit=100", encode(&query));
                let answer = connection.get(&path).await?.success(&path)?;
                let page: Value = serde_json::from_slice(&answer.body)
                    .map_err(|error| Error::unreadable("the answer to a search", &error))?;
                Ok(page.get("records").and_then(Value::as_array).cloned().unwrap_or_default())
            }
            _ => sql(connection, &query).await,
        }
    }

    /// The SQL, or for a needle its word.
    fn query(self, facts: &Facts, run: usize) -> String {
        match self {
            Self::Needle => facts.needles.get(run).map(|needle| needle.word.clone()).unwrap_or_default(),
            Self::Filtered => filter(facts, run).map(filter_query).unwrap_or_default(),
            Self::Histogram => format!(
                "SELECT date_bin(INTERVAL '5 minutes', timestamp) AS bucket, level, count(*) AS n FROM logs \
                 WHERE timestamp >= TIMESTAMP '{}' GROUP BY 1, 2",
                bucket_start(run * BUCKETS_PER_RUN)
            ),
            Self::Latest => {
                format!("SELECT * FROM logs ORDER BY timestamp DESC LIMIT {}", LATEST_LIMIT + run)
            }
            Self::Substring => {
                let text = SUBSTRINGS.get(run).copied().unwrap_or_default();
                format!("SELECT count(*) AS n FROM logs WHERE message LIKE '%{text}%'")
            }
        }
    }

    fn check(self, rows: &[Value], facts: &Facts, run: usize) -> Result<()> {
        let query = self.query(facts, run);
        match self {
            Self::Needle => {
                let hits = facts.needles.get(run).map_or(0, |needle| needle.hits);
                let holds = |row: &&Value| text(row, "message").contains(&query);
                let found = rows.iter().filter(holds).count() as u64;
                same(&query, &format!("{hits} of {hits} rows"), &format!("{found} of {} rows", rows.len()))
            }
            Self::Filtered => {
                let expected = filter(facts, run).into_iter().flat_map(|filter| filter.latest.iter().rev());
                same(&query, &shown(expected.take(FILTER_LIMIT)), &received(rows))
            }
            Self::Histogram => same(&query, &histogram(facts, run * BUCKETS_PER_RUN), &counted(rows)),
            Self::Latest => {
                same(&query, &shown(facts.latest.iter().rev().take(LATEST_LIMIT + run)), &received(rows))
            }
            Self::Substring => {
                let expected = facts.substrings.get(run).copied().unwrap_or(0);
                same(
                    &query,
                    &expected.to_string(),
                    &rows.first().map_or(0, |row| number(row, "n")).to_string(),
                )
            }
        }
    }
}

fn same(query: &str, expected: &str, got: &str) -> Result<()> {
    if expected == got { Ok(()) } else { Err(Error::wrong(query, &expected, &got)) }
}

fn filter(facts: &Facts, run: usize) -> Option<&Filter> {
    facts.filters.get(run)
}

fn filter_query(filter: &Filter) -> String {
    let source = SOURCE_NAMES.get(filter.source).copied().unwrap_or_default();
    let hour = filter.hour;
    format!(
        "SELECT * FROM logs WHERE source = '{source}' AND level = 'ERROR' \
         AND timestamp >= TIMESTAMP '{DAY}T{hour:02}:00:00Z' AND timestamp <= TIMESTAMP '{DAY}T{hour:02}:59:59.999999Z' \
         ORDER BY timestamp DESC LIMIT {FILTER_LIMIT}"
    )
}

/// The start of a bucket of the day, as it is written in queries.
fn bucket_start(bucket: usize) -> String {
    format!("{DAY}T{:02}:{:02}:00Z", bucket / 12, bucket % 12 * 5)
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn number(row: &Value, field: &str) -> u64 {
    row.get(field).and_then(Value::as_u64).unwrap_or(0)
}

/// Time of day and message of each row, as lines.
fn shown<'a>(rows: impl Iterator<Item = &'a Seen>) -> String {
    let line = |seen: &Seen| {
        let since_us = seen.timestamp_us - DAY_START_US;
        let (second, micro) = (since_us / 1_000_000, since_us % 1_000_000);
        let (hour, minute) = (second / 3_600, second / 60 % 60);
        format!("{DAY}T{hour:02}:{minute:02}:{:02}.{micro:06} {}\n", second % 60, seen.message)
    };
    rows.map(line).collect()
}

/// The same of rows that came, whatever number of digits and zone their timestamps have.
fn received(rows: &[Value]) -> String {
    let line = |row: &Value| {
        let timestamp = text(row, "timestamp").trim_end_matches('Z').trim_end_matches("+00:00");
        let (second, fraction) = timestamp.split_once('.').unwrap_or((timestamp, ""));
        format!("{second}.{:0<6} {}\n", fraction.trim_end_matches('0'), text(row, "message"))
    };
    rows.iter().map(line).collect()
}

/// Bucket, level and count, as sorted lines.
fn histogram(facts: &Facts, first: usize) -> String {
    let mut lines = Vec::new();
    for (bucket, levels) in facts.histogram.iter().enumerate().skip(first) {
        for (level, count) in LEVEL_NAMES.iter().zip(levels).filter(|(_, count)| **count > 0) {
            lines.push(format!("{} {level} {count}\n", bucket_start(bucket)));
        }
    }
    lines.sort_unstable();
    lines.concat()
}

fn counted(rows: &[Value]) -> String {
    let line = |row: &Value| {
        let bucket = text(row, "bucket").get(..19).unwrap_or_default().to_owned();
        format!("{bucket}Z {} {}\n", text(row, "level"), number(row, "n"))
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.sort_unstable();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::{Kind, bucket_start, quantile, received, shown};
    use crate::corpus::DAY_START_US;
    use crate::facts::{Facts, Seen};
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn the_median_and_the_slowest_but_one_are_found() {
        let mut values: Vec<Duration> = (1..=15).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&mut values, 50).as_millis(), 8);
        assert_eq!(quantile(&mut values, 95).as_millis(), 15);
    }

    #[test]
    fn timestamps_are_compared_by_what_they_mean() {
        let seen = Seen { timestamp_us: DAY_START_US + 3_661_000_500, message: "m".to_owned() };
        let row = |timestamp| json!({"timestamp": timestamp, "message": "m"});
        for timestamp in ["2026-03-02T01:01:01.000500Z", "2026-03-02T01:01:01.000500000+00:00"] {
            assert_eq!(shown(std::iter::once(&seen)), received(&[row(timestamp)]));
        }
        assert_ne!(shown(std::iter::once(&seen)), received(&[row("2026-03-02T01:01:01.000501Z")]));
        assert_eq!(bucket_start(13), "2026-03-02T01:05:00Z");
    }

    #[test]
    fn a_wrong_answer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let facts = Facts::write(2_000, 1, &folder.path().join("corpus.ndjson")).unwrap();
        for kind in [Kind::Needle, Kind::Histogram, Kind::Latest] {
            assert!(kind.check(&[], &facts, 1).is_err(), "{kind:?}");
        }
        let count = json!({"n": facts.substrings[2]});
        assert!(Kind::Substring.check(&[count], &facts, 2).is_ok());
        assert!(Kind::Substring.check(&[json!({"n": facts.substrings[2] + 1})], &facts, 2).is_err());
    }
}
