//! Which statements may run: an allow-list, applied to the parsed text.
//!
//! ```text
//!   text ─► size ─► parse (one statement) ─► depth, allow-list ─► Allowed ─► plan ─► checked once more
//! ```
//!
//! Everything that is not named here is refused, so a statement that a newer parser learns is refused too. Reading
//! files or URLs has no place in the catalog and no table function; this file makes sure that nothing writes.

use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParserBuilder, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::{
    CreateTable, Ident, ObjectName, Query, SetExpr, ShowStatementFilter, Statement as SqlStatement, Visit,
    Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use super::{depth, expand};
use crate::config::SQL_BYTES_MAX;
use crate::error::{Error, Limit, Result};

/// Deepest nesting of parentheses and subqueries.
const NESTING_MAX: usize = 64;

const ALLOWED: &str = "this server takes SELECT, WITH, VALUES, EXPLAIN, SHOW TABLES, SHOW COLUMNS FROM t, \
     SHOW SEGMENTS [FROM t], SHOW FUNCTIONS, DESCRIBE t and CREATE TABLE name; rows are written by ingestion";

/// A statement that may run.
#[derive(Clone, Debug)]
pub(crate) enum Allowed {
    /// It reads: DataFusion plans it.
    Read(DfStatement),
    /// `SHOW TABLES`.
    ShowTables,
    /// `SHOW SEGMENTS [FROM t]`.
    ShowSegments(Option<ObjectName>),
    /// `CREATE TABLE [IF NOT EXISTS] t`.
    CreateTable {
        /// The table.
        name: ObjectName,
        /// Whether it is fine if it exists already.
        if_not_exists: bool,
    },
}

/// Parses one statement and checks that it may run.
pub(crate) fn parse(sql: &str) -> Result<Allowed> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(Error::Limit(Limit::SqlBytes(SQL_BYTES_MAX)));
    }
    depth::with_stack(|| parse_bounded(sql))
}

fn parse_bounded(sql: &str) -> Result<Allowed> {
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize_with_location();
    let tokens = tokens.map_err(|error| Error::from_plan(ParserError::from(error).into()))?;
    depth::check_tokens(&tokens)?;
    let mut parser = DFParserBuilder::new(tokens)
        .with_dialect(&dialect)
        .with_recursion_limit(NESTING_MAX)
        .build()
        .map_err(Error::from_plan)?;
    if is_show_segments(&parser.parser) {
        return show_segments(&mut parser.parser);
    }
    let mut statements = parser.parse_statements().map_err(Error::from_plan)?;
    match (statements.pop_front(), statements.pop_front()) {
        (Some(statement), None) => allow(statement),
        (None, _) => Err(Error::Syntax { reason: "the statement is empty".to_owned(), place: None }),
        (Some(_), Some(_)) => Err(Error::Refused {
            statement: "more than one statement".to_owned(),
            allowed: "send them one after the other",
        }),
    }
}

fn is_show_segments(parser: &Parser<'_>) -> bool {
    let is = |place, name| match parser.peek_nth_token(place).token {
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(name),
        _ => false,
    };
    is(0, "show") && is(1, "segments")
}

/// `SHOW SEGMENTS [FROM t]`, which is our own.
fn show_segments(parser: &mut Parser<'_>) -> Result<Allowed> {
    parser.next_token();
    parser.next_token();
    let mut table = None;
    if parser.parse_one_of_keywords(&[Keyword::FROM, Keyword::IN]).is_some() {
        table = Some(parser.parse_object_name(false).map_err(|error| Error::from_plan(error.into()))?);
    }
    while parser.consume_token(&Token::SemiColon) {}
    let rest = parser.peek_token();
    if rest.token == Token::EOF {
        return Ok(Allowed::ShowSegments(table));
    }
    let place = crate::error::Place { line: rest.span.start.line, column: rest.span.start.column };
    Err(Error::Syntax {
        reason: format!("expected FROM and a table, found {}", rest.token),
        place: Some(place),
    })
}

fn allow(mut statement: DfStatement) -> Result<Allowed> {
    match &mut statement {
        DfStatement::Explain(explain) => match explain.statement.as_mut() {
            DfStatement::Statement(inner) if matches!(inner.as_ref(), SqlStatement::Query(_)) => {
                check(inner)?;
                Ok(Allowed::Read(statement))
            }
            DfStatement::Statement(inner) => refuse(&format!("EXPLAIN {}", name(inner))),
            other => refuse(&format!("EXPLAIN {}", first_word(&other.to_string()))),
        },
        DfStatement::Statement(inner) => match inner.as_mut() {
            SqlStatement::Query(_)
            | SqlStatement::ShowColumns { .. }
            | SqlStatement::ShowFunctions { .. }
            | SqlStatement::ExplainTable { .. } => {
                check(inner)?;
                Ok(Allowed::Read(statement))
            }
            SqlStatement::ShowTables { .. } => Ok(Allowed::ShowTables),
            SqlStatement::CreateTable(create) => bare_create(create),
            other => refuse(&name(other)),
        },
        DfStatement::CopyTo(_) => refuse("COPY"),
        DfStatement::CreateExternalTable(_) => refuse("CREATE EXTERNAL TABLE"),
        DfStatement::Reset(_) => refuse("RESET"),
    }
}

/// Tables of logs have the columns that they have: nothing but a name can be given.
fn bare_create(create: &CreateTable) -> Result<Allowed> {
    let exists = if create.if_not_exists { "IF NOT EXISTS " } else { "" };
    let bare = format!("CREATE TABLE {exists}{}", create.name);
    let text = create.to_string();
    if text.trim_end_matches(" ()") != bare {
        return Err(Error::Refused {
            statement: "CREATE TABLE with columns or options".to_owned(),
            allowed: "every table of logs has the same columns: write just CREATE TABLE [IF NOT EXISTS] name",
        });
    }
    Ok(Allowed::CreateTable { name: create.name.clone(), if_not_exists: create.if_not_exists })
}

fn refuse<T>(statement: &str) -> Result<T> {
    Err(Error::Refused { statement: statement.to_owned(), allowed: ALLOWED })
}

/// The words that begin a statement, for a message.
fn name(statement: &SqlStatement) -> String {
    let text = statement.to_string();
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    match words.as_slice() {
        [verb @ ("CREATE" | "DROP" | "ALTER" | "SHOW"), noun] => format!("{verb} {noun}"),
        [verb, ..] => (*verb).to_owned(),
        [] => "this statement".to_owned(),
    }
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

fn check(statement: &mut SqlStatement) -> Result<()> {
    depth::bound(statement)?;
    expand::check(statement)?;
    match statement.visit(&mut Check) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Looks into the corners of a query where something else than reading could hide.
struct Check;

impl Visitor for Check {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        if !query.locks.is_empty() {
            return broken("SELECT … FOR UPDATE");
        }
        match body(&query.body) {
            Some(sort) => broken(sort),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_statement(&mut self, statement: &SqlStatement) -> ControlFlow<Error> {
        match statement {
            SqlStatement::ShowFunctions { filter: Some(filter) } if !is_plain(filter) => {
                ControlFlow::Break(Error::Refused {
                    statement: "SHOW FUNCTIONS with this filter".to_owned(),
                    allowed: "write LIKE and a pattern of letters, digits, _ and % only",
                })
            }
            SqlStatement::Query(_)
            | SqlStatement::ShowColumns { .. }
            | SqlStatement::ShowFunctions { .. }
            | SqlStatement::ExplainTable { .. } => ControlFlow::Continue(()),
            other => broken(&name(other)),
        }
    }
}

/// Whether the planner may put the filter into the text of a query, which it does without escaping it.
fn is_plain(filter: &ShowStatementFilter) -> bool {
    match filter {
        ShowStatementFilter::Like(pattern) => {
            pattern.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'%'))
        }
        _ => false,
    }
}

fn broken(statement: &str) -> ControlFlow<Error> {
    ControlFlow::Break(Error::Refused { statement: statement.to_owned(), allowed: ALLOWED })
}

/// What is wrong with the body of a query, if anything.
fn body(body: &SetExpr) -> Option<&'static str> {
    match body {
        SetExpr::Select(select) => select.into.is_some().then_some("SELECT … INTO"),
        SetExpr::SetOperation { left, right, .. } => self::body(left).or_else(|| self::body(right)),
        SetExpr::Query(_) | SetExpr::Values(_) => None,
        SetExpr::Insert(_) => Some("INSERT"),
        SetExpr::Update(_) => Some("UPDATE"),
        SetExpr::Delete(_) => Some("DELETE"),
        SetExpr::Merge(_) => Some("MERGE"),
        SetExpr::Table(_) => Some("TABLE"),
    }
}

/// A name as SQL folds it: lower case unless quoted.
pub(crate) fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}
