//! Right answers, by DuckDB over the raw NDJSON, and the comparison with what came.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::Path;

use serde_json::Value;

use super::corpus::Outline;
use super::peers::Python;
use super::questions::{Case, Question};
use crate::{Error, Result};

/// Right answers of each case, in the order of its literals.
pub(super) type Answers = Vec<Vec<Vec<Value>>>;

/// Letters of an answer that an error shows.
const SHOWN_LETTERS_MAX: usize = 400;

/// The right answers: from the cache beside the corpus, or computed.
pub(super) fn right(
    corpus: &Outline,
    file: &Path,
    folder: &Path,
    cases: &[Case],
    python: &Python,
) -> Result<Answers> {
    let questions: Vec<&Question> = cases.iter().flat_map(|case| &case.literals).collect();
    let asked = serde_json::to_vec(&questions).map_err(|error| Error::unreadable("the questions", &error))?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&asked);
    hasher.write(&python.source("reference.py")?);
    hasher.write(&python.source("worker.py")?);
    let cache = folder.join(format!("reference-{}-{:016x}.json", corpus.hash, hasher.finish()));
    let text = if let Ok(text) = std::fs::read(&cache) {
        text
    } else {
        let scratch = tempfile::tempdir_in(folder).map_err(Error::file(folder))?;
        let text = python.run("reference.py", &[file, scratch.path()], &asked)?;
        std::fs::write(&cache, &text).map_err(Error::file(&cache))?;
        text
    };
    let all: Vec<Vec<Value>> =
        serde_json::from_slice(&text).map_err(|error| Error::unreadable("the reference answers", &error))?;
    if all.len() != questions.len() {
        return Err(Error::wrong("the reference", &questions.len(), &all.len()));
    }
    let mut all = all.into_iter();
    Ok(cases.iter().map(|case| all.by_ref().take(case.literals.len()).collect()).collect())
}

/// Fails unless an answer is the right one.
pub(super) fn check(name: &str, question: &Question, right: &[Value], got: &[Value]) -> Result<()> {
    let (right, got) = (canonical(question, right), canonical(question, got));
    if right == got {
        return Ok(());
    }
    let first =
        right.iter().zip(&got).position(|(one, other)| one != other).unwrap_or(right.len().min(got.len()));
    let show = |rows: &[String]| {
        let row = rows.get(first).map_or("nothing", String::as_str);
        format!(
            "{} rows, the {first}th {}",
            rows.len(),
            row.chars().take(SHOWN_LETTERS_MAX).collect::<String>()
        )
    };
    Err(Error::wrong(&format!("{name} {question:?}"), &show(&right), &show(&got)))
}

/// Rows as text, in an order of their own where the question does not give one.
fn canonical(question: &Question, rows: &[Value]) -> Vec<String> {
    let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    if !question.is_ordered() {
        rows.sort_unstable();
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::{Question, check};
    use serde_json::json;

    #[test]
    fn order_counts_where_it_is_asked_for() {
        let rows = [json!([2, "b"]), json!([1, "a"])];
        let turned = [json!([1, "a"]), json!([2, "b"])];
        let hosts = Question::HostsWithErrors { from_us: 1 };
        let latest = Question::Latest { limit: 2 };
        assert!(check("Q12", &hosts, &rows, &turned).is_ok());
        assert!(check("Q11", &latest, &rows, &rows).is_ok());
        let error = check("Q11", &latest, &rows, &turned).unwrap_err().to_string();
        assert!(error.contains("Q11") && error.contains("[2,\"b\"]"), "{error}");
        assert!(check("Q12", &hosts, &rows, &rows[..1]).is_err());
        assert!(check("Q12", &hosts, &[], &rows).is_err());
    }
}
