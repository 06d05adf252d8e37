//! The questions as Ironbark is asked them: SQL over HTTP, rows as NDJSON.

use serde_json::{Value, json};

use super::questions::Question;
use crate::corpus::DAY_START_US;
use crate::figures::load;
use crate::http::Connection;
use crate::{Error, Result};

const TAGS: [&str; 4] = ["env", "region", "host", "pod"];
const SECOND_US: u64 = 1_000_000;

/// The statement of a question.
pub(super) fn sql(question: &Question) -> String {
    let rows = "SELECT * FROM logs WHERE";
    let latest = |limit: &u64| format!("ORDER BY timestamp DESC LIMIT {limit}");
    match question {
        Question::RowsWithWord { word } => format!("{rows} search('{word}')"),
        Question::CountWord { word, .. } => format!("SELECT count(*) AS n FROM logs WHERE search('{word}')"),
        Question::ErrorsOfSource { source, from_us, until_us, limit } => format!(
            "{rows} source = '{source}' AND level = 'ERROR' AND timestamp >= '{}' AND timestamp < '{}' {}",
            moment(*from_us),
            moment(*until_us),
            latest(limit)
        ),
        Question::Histogram { from_us, step_s } => format!(
            "SELECT date_bin(INTERVAL '{step_s} seconds', timestamp) AS bucket, level, count(*) AS n FROM logs \
             WHERE timestamp >= '{}' GROUP BY 1, 2",
            moment(*from_us)
        ),
        Question::SourcesWithErrors { limit } => format!(
            "SELECT source, count(*) AS n FROM logs WHERE level = 'ERROR' \
             GROUP BY source ORDER BY n DESC, source LIMIT {limit}"
        ),
        Question::Phrase { phrase, limit } => format!("{rows} search('\"{phrase}\"') {}", latest(limit)),
        Question::CountSubstring { text } => {
            format!("SELECT count(*) AS n FROM logs WHERE message LIKE '%{text}%'")
        }
        Question::CountRegex { regex } => format!("SELECT count(*) AS n FROM logs WHERE message ~ '{regex}'"),
        Question::Trace { trace_id } => format!("{rows} trace_id = '{trace_id}'"),
        Question::Latest { limit } => format!("SELECT * FROM logs {}", latest(limit)),
        Question::HostsWithErrors { from_us } => format!(
            "SELECT DISTINCT tags['host'] AS host FROM logs WHERE level = 'ERROR' AND timestamp >= '{}'",
            moment(*from_us)
        ),
        Question::SourceWithoutWords { source, words, limit } => {
            format!("{rows} source = '{source}' AND search('-{}') {}", words.join(" -"), latest(limit))
        }
    }
}

/// Asks, and returns the answer as it came.
pub(super) async fn ask(connection: &mut Connection, question: &Question) -> Result<Vec<u8>> {
    load::post_sql(connection, &sql(question)).await
}

/// The plan of a question that was run, with its metrics.
pub(super) async fn explain(connection: &mut Connection, question: &Question) -> Result<String> {
    let query = format!("EXPLAIN ANALYZE {}", sql(question));
    let rows = load::sql(connection, &query).await?;
    let plans = rows.iter().filter_map(|row| row.get("plan").and_then(Value::as_str));
    Ok(format!("{query}\n{}", plans.collect::<Vec<_>>().join("\n")))
}

/// The rows of an answer, in the form that all answers are compared in.
pub(super) fn rows(question: &Question, body: &[u8]) -> Result<Vec<Value>> {
    load::json_lines(body).map(|row| compared(question, &row?)).collect()
}

fn compared(question: &Question, row: &Value) -> Result<Value> {
    let field = |name: &str| row.get(name).cloned().unwrap_or_default();
    Ok(match question {
        Question::CountWord { .. } | Question::CountSubstring { .. } | Question::CountRegex { .. } => {
            json!([field("n")])
        }
        Question::Histogram { .. } => json!([micros(row, "bucket")?, field("level"), field("n")]),
        Question::SourcesWithErrors { .. } => json!([field("source"), field("n")]),
        Question::HostsWithErrors { .. } => json!([field("host")]),
        Question::RowsWithWord { .. }
        | Question::ErrorsOfSource { .. }
        | Question::Phrase { .. }
        | Question::Trace { .. }
        | Question::Latest { .. }
        | Question::SourceWithoutWords { .. } => {
            let mut fields = vec![json!(micros(row, "timestamp")?)];
            fields.extend(["source", "level", "message", "trace_id"].map(field));
            let tags = field("tags");
            fields.extend(TAGS.map(|tag| tags.get(tag).cloned().unwrap_or_default()));
            Value::Array(fields)
        }
    })
}

/// A moment of the corpus's day or the midnight behind it, as RFC 3339.
pub(super) fn moment(us: u64) -> String {
    let since = us.saturating_sub(DAY_START_US);
    let (second, micro) = (since / SECOND_US, since % SECOND_US);
    let (days, second) = (second / 86_400, second % 86_400);
    format!(
        "2026-03-{:02}T{:02}:{:02}:{:02}.{micro:06}Z",
        2 + days,
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// Microseconds since 1970 of a timestamp of the corpus's day, whatever number of digits and zone it is written with.
pub(super) fn micros(row: &Value, name: &str) -> Result<u64> {
    let text = row.get(name).and_then(Value::as_str).unwrap_or_default();
    let wrong = || Error::unreadable("a timestamp of an answer", &row);
    let time = text.strip_prefix(crate::corpus::DAY).and_then(|rest| rest.get(1..)).ok_or_else(wrong)?;
    let time = time.trim_end_matches("+00:00").trim_end_matches('Z');
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut seconds = 0;
    for part in clock.split(':') {
        seconds = seconds * 60 + part.parse::<u64>().map_err(|_| wrong())?;
    }
    let fraction = format!("{fraction:0<6}");
    let micro: u64 = fraction.get(..6).and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
    Ok(DAY_START_US + seconds * SECOND_US + micro)
}

#[cfg(test)]
mod tests {
    use super::{moment, rows, sql};
    use crate::corpus::DAY_START_US;
    use crate::suite::questions::Question;
    use serde_json::json;

    #[test]
    fn moments_are_written_and_read() {
        assert_eq!(moment(DAY_START_US + 86_400_000_000), "2026-03-03T00:00:00.000000Z");
        let question = Question::Histogram { from_us: DAY_START_US + 3_661_000_500, step_s: 300 };
        assert!(sql(&question).contains("'2026-03-02T01:01:01.000500Z'"));
        for bucket in ["2026-03-02T01:01:01.000500Z", "2026-03-02T01:01:01.000500000+00:00"] {
            let line = json!({"bucket": bucket, "level": "INFO", "n": 3}).to_string();
            assert_eq!(
                rows(&question, line.as_bytes()).unwrap(),
                [json!([DAY_START_US + 3_661_000_500, "INFO", 3])]
            );
        }
        assert!(rows(&question, b"{\"bucket\":\"2026-03-03\"}").is_err());
    }

    #[test]
    fn rows_have_their_tags() {
        let line = br#"{"timestamp":"2026-03-02T00:00:00.000001Z","source":"s","level":"INFO","message":"m","tags":{"env":"e","region":"r","host":"h","pod":"p"},"trace_id":null,"_row_id":"7"}"#;
        let row = json!([DAY_START_US + 1, "s", "INFO", "m", null, "e", "r", "h", "p"]);
        assert_eq!(rows(&Question::Latest { limit: 1 }, line).unwrap(), [row]);
    }
}
