//! `ironbark sql`: a statement, a script, or the shell.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use clap::Args;

use super::connection::{Client, ConnectionArgs};
use super::failure::Failure;
use super::output::{self, Format, Layout, Out};
use super::{shell, statements};

/// The longest script, in bytes.
const SCRIPT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The arguments of `ironbark sql`.
#[derive(Args, Debug)]
pub(crate) struct SqlArgs {
    /// The statement, or several separated by semicolons; without it standard input is read, and a terminal gets a shell
    query: Option<String>,
    /// How rows are written
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) async fn run(args: &SqlArgs, mut out: Out) -> Result<ExitCode, Failure> {
    let client = Client::new(&args.connection)?;
    let script = match &args.query {
        Some(query) => query.clone(),
        None if std::io::stdin().is_terminal() => return shell::run(client, args.format, out).await,
        None => read_script()?,
    };
    let (mut all, rest) = statements::split(&script);
    if !rest.is_empty() {
        all.push(rest);
    }
    if all.is_empty() {
        let reason = "there is no statement in it; an example is \"SELECT count(*) FROM logs\"".to_owned();
        let given = if script.trim().is_empty() { "(empty)".to_owned() } else { script };
        return Err(Failure::Argument { flag: "QUERY", given, reason });
    }
    for statement in all {
        let answer = client.query(statement).await?;
        output::write_answer(answer, args.format, Layout::Rows, &mut out).await?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read_script() -> Result<String, Failure> {
    let mut script = String::new();
    let read = std::io::stdin().take(SCRIPT_BYTES_MAX + 1).read_to_string(&mut script);
    let read = read.map_err(|source| Failure::Read { path: "standard input".into(), source })?;
    if u64::try_from(read).is_ok_and(|read| read > SCRIPT_BYTES_MAX) {
        let reason = format!("the script has more than {SCRIPT_BYTES_MAX} bytes; run it in several pieces");
        return Err(Failure::Argument { flag: "QUERY", given: "standard input".to_owned(), reason });
    }
    Ok(script)
}
