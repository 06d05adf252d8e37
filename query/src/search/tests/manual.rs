//! Runs the examples of `docs/SEARCH.md`.

use super::super::parse;
use super::sql::{Record, Table};

const MANUAL: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SEARCH.md"));

/// A query, and records with whether they match it.
struct Example {
    query: String,
    records: Vec<(bool, Record)>,
}

fn examples() -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in MANUAL.lines() {
        if line.starts_with("```") {
            inside = line == "```search";
        } else if let Some(text) = line.strip_prefix("  + ").filter(|_| inside) {
            examples.last_mut().unwrap().records.push((true, Record::read(text)));
        } else if let Some(text) = line.strip_prefix("  - ").filter(|_| inside) {
            examples.last_mut().unwrap().records.push((false, Record::read(text)));
        } else if inside && !line.is_empty() {
            examples.push(Example { query: line.to_owned(), records: Vec::new() });
        }
    }
    examples
}

#[tokio::test]
async fn examples_of_the_manual_hold() {
    let examples = examples();
    assert!(examples.len() > 50, "only {} examples were found", examples.len());
    let mut wrong = Vec::new();
    for example in &examples {
        assert!(!example.records.is_empty(), "{} has no records", example.query);
        let table = Table::of(example.records.iter().map(|(_, record)| record.clone()));
        let found = table.search(&example.query).await;
        for (i, (expected, record)) in example.records.iter().enumerate() {
            if found.contains(&i) != *expected {
                wrong.push(format!("{}: {} {record:?}", example.query, if *expected { "+" } else { "-" }));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_mistake_of_the_manual_is_told_so() {
    let error = crate::Error::from(parse("level:warn status:").unwrap_err());
    assert!(MANUAL.contains(&format!("\n{error}\n")), "{error}");
}
