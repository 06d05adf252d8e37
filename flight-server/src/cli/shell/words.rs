//! What the shell completes: keywords, functions, and the names of tables and columns.

use arrow::array::{AsArray, RecordBatch};

use crate::cli::connection::Client;
use crate::cli::failure::Failure;

const KEYWORDS: [&str; 52] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "ORDER",
    "BY",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "DISTINCT",
    "AS",
    "AND",
    "OR",
    "NOT",
    "NULL",
    "IS",
    "IN",
    "LIKE",
    "ILIKE",
    "BETWEEN",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "JOIN",
    "LEFT",
    "INNER",
    "ON",
    "UNION",
    "ALL",
    "WITH",
    "ASC",
    "DESC",
    "EXPLAIN",
    "ANALYZE",
    "SHOW",
    "TABLES",
    "COLUMNS",
    "SEGMENTS",
    "DESCRIBE",
    "CREATE",
    "TABLE",
    "INTERVAL",
    "TIMESTAMP",
    "EXISTS",
    "FILTER",
    "OVER",
    "PARTITION",
    "NULLS",
    "FIRST",
    "LAST",
];
const FUNCTIONS: [&str; 16] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "search",
    "matches",
    "date_trunc",
    "date_bin",
    "now",
    "lower",
    "upper",
    "coalesce",
    "approx_distinct",
    "approx_percentile_cont",
    "regexp_match",
];
const NAMES: &str = "SELECT table_name, column_name FROM information_schema.columns";

/// All words, read from the server once.
///
/// # Errors
/// A server that cannot be reached; one that has no `information_schema` only completes less.
pub(super) async fn load(client: &Client) -> Result<Vec<String>, Failure> {
    let mut words: Vec<String> =
        KEYWORDS.iter().flat_map(|word| [(*word).to_owned(), word.to_lowercase()]).collect();
    words.extend(FUNCTIONS.map(str::to_owned));
    match client.collect(NAMES).await {
        Ok(batches) => words.extend(batches.iter().flat_map(names)),
        Err(failure @ Failure::Unreachable { .. }) => return Err(failure),
        Err(_) => {}
    }
    words.sort();
    words.dedup();
    Ok(words)
}

fn names(rows: &RecordBatch) -> Vec<String> {
    let columns = rows.columns().iter().filter_map(|column| column.as_string_opt::<i32>());
    columns.flat_map(|column| column.iter().flatten().map(str::to_owned)).collect()
}
