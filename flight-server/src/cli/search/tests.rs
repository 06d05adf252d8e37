//! Searches as SQL, and records as lines.

use clap::Parser;
use ironbark_storage::{LogBatchBuilder, RowRef, TagKind, TagSet, TimeWindow};

use super::*;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    search: SearchArgs,
}

fn parsed(arguments: &[&str]) -> SearchArgs {
    Command::try_parse_from([&["search"], arguments].concat()).unwrap().search
}

#[test]
fn a_search_is_a_condition_of_sql() {
    let now = Timestamp::from_ns(1_700_000_000_000_000_000);
    let condition = |arguments: &[&str]| condition(&parsed(arguments), now);
    assert_eq!(condition(&["it's \"so\""]), "search('it''s \"so\"')");
    assert_eq!(condition(&[" "]), "true");
    assert_eq!(
        condition(&["x", "--since", "1h"]),
        "search('x') AND timestamp >= TIMESTAMP '2023-11-14T21:13:20Z'"
    );
    insta::assert_snapshot!(
        condition(&["", "--from", "2024-01-02", "--to", "2024-01-03 12:00"]),
        @"timestamp >= TIMESTAMP '2024-01-02T00:00:00Z' AND timestamp < TIMESTAMP '2024-01-03T12:00:00Z'"
    );
}

#[test]
fn times_that_contradict_are_refused() {
    for arguments in
        [&["x", "--since", "1h", "--from", "2024-01-02"][..], &["x", "--since", "soon"], &["x", "--to", "x"]]
    {
        assert!(Command::try_parse_from([&["search"], arguments].concat()).is_err(), "{arguments:?}");
    }
}

#[test]
fn records_are_lines_and_safe_for_a_terminal() {
    let mut builder = LogBatchBuilder::new(Timestamp::from_ns(0), TimeWindow::default());
    let mut tags = TagSet::new();
    tags.push("env", Some("prod"), TagKind::String);
    tags.push("pod", Some("a b"), TagKind::String);
    let row =
        RowRef { level: Some("info"), source: Some("web"), message: "red \u{1b}[31m", ..RowRef::default() };
    builder.push(row, &mut tags).unwrap();
    builder.push(RowRef { message: " plain", ..RowRef::default() }, &mut tags).unwrap();
    let rows = builder.finish().unwrap().rows().clone();
    let shown = |message_only, terminal| {
        let mut out = Vec::new();
        lines(&rows, message_only, terminal, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(shown(true, false), "red \u{1b}[31m\n plain\n");
    insta::assert_snapshot!(shown(false, true), @r#"
    1970-01-01T00:00:00Z INFO  web red \u{1b}[31m env=prod pod="a b"
    1970-01-01T00:00:00Z        plain
    "#);
}
