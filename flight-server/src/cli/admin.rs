//! `ironbark admin`: what an operator asks of a running server.

use std::io::Write;
use std::process::ExitCode;

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::connection::{Client, ConnectionArgs};
use super::failure::Failure;
use super::output::{Out, escape};

/// The arguments of `ironbark admin`.
#[derive(Args, Debug)]
pub(crate) struct AdminArgs {
    #[command(subcommand)]
    action: AdminAction,
}

#[derive(Debug, Subcommand)]
enum AdminAction {
    /// Write the rows in memory to segments
    Flush {
        /// Return only when the segments are committed and compaction has nothing left to do
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        connection: ConnectionArgs,
    },
    /// Check the server's state, and exit with 1 if something is wrong
    Check {
        #[command(flatten)]
        connection: ConnectionArgs,
    },
}

pub(super) async fn run(args: &AdminArgs, mut out: Out) -> Result<ExitCode, Failure> {
    let (name, body, connection) = match &args.action {
        AdminAction::Flush { wait, connection } => ("ironbark.flush", json!({ "wait": wait }), connection),
        AdminAction::Check { connection } => ("ironbark.check", json!({}), connection),
    };
    let client = Client::new(connection)?;
    let answer = client.action(name, Bytes::from(body.to_string())).await?;
    let report: Value =
        serde_json::from_slice(&answer).map_err(|error| Failure::Answer(error.to_string()))?;
    let mut text = String::new();
    describe(&report, 0, &mut text);
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::Output)?;
    let healthy = report.get("ok").and_then(Value::as_bool).unwrap_or(true);
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a report as indented `name: value` lines.
fn describe(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let entries: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (format!("{name}:"), value)).collect(),
        Value::Array(items) => items.iter().map(|item| ("-".to_owned(), item)).collect(),
        scalar => vec![(String::new(), scalar)],
    };
    for (name, value) in entries {
        let nested = value.as_object().is_some_and(|fields| !fields.is_empty())
            || value.as_array().is_some_and(|items| !items.is_empty());
        let shown = match value {
            _ if nested => String::new(),
            Value::String(value) => escape::all(value).into_owned(),
            value => value.to_string(),
        };
        text.push_str(format!("{indent}{name} {shown}").trim_end());
        text.push('\n');
        if nested {
            describe(value, depth + 1, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_printed_as_lines() {
        let mut text = String::new();
        let report = json!({"ok": true, "tables": [{"name": "logs", "rows": 5}, {"name": "audit", "rows": 0}], "lost": []});
        describe(&report, 0, &mut text);
        insta::assert_snapshot!(text, @r"
        lost: []
        ok: true
        tables:
          -
            name: logs
            rows: 5
          -
            name: audit
            rows: 0
        ");
    }
}
