//! The interactive SQL shell: statements over several lines until a semicolon, history, completion.
//!
//! The line editor blocks, so it runs on a thread of its own and comes back with each line. While a statement runs,
//! Ctrl-C drops its answer, and with it the statement on the server.

mod words;

use std::process::ExitCode;

use reedline::{
    ColumnarMenu, DefaultPrompt, DefaultPromptSegment, Emacs, FileBackedHistory, KeyCode, KeyModifiers,
    MenuBuilder, Reedline, ReedlineEvent, ReedlineMenu, Signal, ValidationResult, Validator,
    default_emacs_keybindings,
};
use tokio::time::Instant;

use super::connection::Client;
use super::failure::Failure;
use super::output::{self, Format, Layout, Out};
use super::{state, statements};

/// Lines of history that are kept.
const HISTORY_LINES_MAX: usize = 10_000;
const MENU: &str = "completion_menu";
const HELP: &str = "\
  SELECT … ;      run a statement, over as many lines as it takes
  \\d             list the tables
  \\d TABLE       list the columns of a table
  \\x             one value a line, or one row a line again
  \\timing        say how long each statement takes, or stop saying it
  \\?             this help
  \\q             leave (or Ctrl-D)
  Tab completes, Ctrl-R searches the history, Ctrl-C cancels what is typed or runs";

/// What the shell remembers between statements.
struct Shell {
    client: Client,
    format: Format,
    layout: Layout,
    timing: bool,
    out: Out,
}

/// What to do with a line.
#[derive(Debug, PartialEq, Eq)]
enum Action<'a> {
    Quit,
    Help,
    Timing,
    Expanded,
    Tables,
    Describe(&'a str),
    Unknown(&'a str),
    Statements,
}

impl<'a> Action<'a> {
    fn of(line: &'a str) -> Self {
        let line = line.trim().trim_end_matches(';').trim_end();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match (word, rest.trim()) {
            ("\\q" | "quit" | "exit", "") => Self::Quit,
            ("\\?" | "\\h" | "help", "") => Self::Help,
            ("\\timing", "") => Self::Timing,
            ("\\x", "") => Self::Expanded,
            ("\\d" | "\\dt", "") => Self::Tables,
            ("\\d", table) => Self::Describe(table),
            _ if word.starts_with('\\') => Self::Unknown(word),
            _ => Self::Statements,
        }
    }
}

pub(super) async fn run(client: Client, format: Format, out: Out) -> Result<ExitCode, Failure> {
    let mut shell = Shell { client, format, layout: Layout::Rows, timing: false, out };
    let words = words::load(&shell.client).await?;
    shell.out.line(&format!("connected to {}; \\? for help, \\q to leave", shell.client.server()))?;
    let mut editor = Box::new(editor(words));
    loop {
        let reading = tokio::task::spawn_blocking(move || {
            let signal = editor.read_line(&prompt());
            (editor, signal)
        });
        let (returned, signal) = reading.await.map_err(|error| Failure::Terminal(error.to_string()))?;
        editor = returned;
        match signal.map_err(|error| Failure::Terminal(error.to_string()))? {
            Signal::Success(line) if shell.line(&line).await? => {}
            Signal::Success(_) | Signal::CtrlD => return Ok(ExitCode::SUCCESS),
            _ => {}
        }
    }
}

impl Shell {
    /// Does what a line says; false ends the shell.
    async fn line(&mut self, line: &str) -> Result<bool, Failure> {
        match Action::of(line) {
            Action::Quit => return Ok(false),
            Action::Help => self.out.line(HELP)?,
            Action::Unknown(word) => self.out.line(&format!("{word} is not a command; \\? lists them"))?,
            Action::Timing => {
                self.timing = !self.timing;
                self.out.line(if self.timing { "timing is on" } else { "timing is off" })?;
            }
            Action::Expanded => {
                self.layout = if self.layout == Layout::Rows { Layout::Expanded } else { Layout::Rows };
                let expanded = self.layout == Layout::Expanded;
                self.out.line(if expanded { "one value a line" } else { "one row a line" })?;
            }
            Action::Tables => self.statement("SHOW TABLES").await?,
            Action::Describe(table) => self.statement(&format!("DESCRIBE {table}")).await?,
            Action::Statements => {
                let (mut all, rest) = statements::split(line);
                all.extend(Some(rest).filter(|rest| !rest.is_empty()));
                for statement in all {
                    self.statement(statement).await?;
                }
            }
        }
        Ok(true)
    }

    /// Runs a statement. Its own errors are shown and forgotten.
    async fn statement(&mut self, sql: &str) -> Result<(), Failure> {
        let began = Instant::now();
        let (format, layout) = (self.format, self.layout);
        let client = self.client.clone();
        let out = &mut self.out;
        let answer = async move { output::write_answer(client.query(sql).await?, format, layout, out).await };
        let outcome = tokio::select! {
            outcome = answer => outcome.map(|_| ()),
            _ = tokio::signal::ctrl_c() => {
                self.out.line("cancelled")?;
                Ok(())
            }
        };
        match outcome {
            Err(failure @ (Failure::Output(_) | Failure::Terminal(_))) => return Err(failure),
            Err(failure) => {
                for line in failure.to_string().lines() {
                    self.out.line(&format!("error: {}", output::escape::all(line)))?;
                }
            }
            Ok(()) => {}
        }
        if self.timing {
            self.out.line(&format!("{:.3} s", began.elapsed().as_secs_f64()))?;
        }
        Ok(())
    }
}

/// A statement goes on until its semicolon; a command is one line.
struct UntilSemicolon;

impl Validator for UntilSemicolon {
    fn validate(&self, line: &str) -> ValidationResult {
        let (_, rest) = statements::split(line);
        let done = rest.is_empty() || !matches!(Action::of(line), Action::Statements);
        if done { ValidationResult::Complete } else { ValidationResult::Incomplete }
    }
}

fn prompt() -> DefaultPrompt {
    DefaultPrompt::new(DefaultPromptSegment::Basic("ironbark".to_owned()), DefaultPromptSegment::Empty)
}

fn editor(words: Vec<String>) -> Reedline {
    let mut completer = reedline::DefaultCompleter::with_inclusions(&['_']);
    completer.insert(words);
    let mut keys = default_emacs_keybindings();
    let complete = vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext];
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(complete));
    let editor = Reedline::create()
        .with_completer(Box::new(completer))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(ColumnarMenu::default().with_name(MENU))))
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_validator(Box::new(UntilSemicolon));
    // A home that cannot be written costs the history, not the shell.
    let history =
        state::path("history").and_then(|path| FileBackedHistory::with_file(HISTORY_LINES_MAX, path).ok());
    match history {
        Some(history) => editor.with_history(Box::new(history)),
        None => editor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_goes_on_until_its_semicolon() {
        let complete = |line: &str| matches!(UntilSemicolon.validate(line), ValidationResult::Complete);
        assert!(complete("SELECT 1;"));
        assert!(complete("\\d logs"));
        assert!(complete("  "));
        assert!(!complete("SELECT 1"));
        assert!(!complete("SELECT ';"));
        assert!(!complete("SELECT 1; SELECT 2"));
    }

    #[test]
    fn commands_are_known() {
        assert_eq!(Action::of(" \\q "), Action::Quit);
        assert_eq!(Action::of("exit;"), Action::Quit);
        assert_eq!(Action::of("\\d"), Action::Tables);
        assert_eq!(Action::of("\\d logs;"), Action::Describe("logs"));
        assert_eq!(Action::of("\\nonsense x"), Action::Unknown("\\nonsense"));
        assert_eq!(Action::of("SELECT 1;"), Action::Statements);
    }
}
