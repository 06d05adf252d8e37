//! Sorts DataFusion's errors into ours: the request's faults, limits, the storage's faults, and defects.
//!
//! Only this file looks inside of DataFusion's errors. Places come from its diagnostics or, for syntax errors, from
//! the end of the parser's message; suggestions compare names by edit distance.

use std::error::Error as StdError;
use std::sync::Arc;

use datafusion::common::utils::datafusion_strsim::levenshtein;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use parquet::errors::ParquetError;

use crate::error::{Error, Place, is_missing};

/// Names longer than this are not compared.
const NAME_BYTES_MAX: usize = 128;

impl From<DataFusionError> for Error {
    /// An error while a query runs.
    fn from(error: DataFusionError) -> Self {
        sort(error, None, Phase::Run)
    }
}

impl Error {
    /// The query's task ended by a panic: damaged pages can do that to the decoder, and so can a defect.
    pub(crate) fn died() -> Self {
        Self::Pages { reason: "the query died".to_owned(), segments: Vec::new() }
    }

    /// An error while a statement is parsed or planned.
    pub(crate) fn from_plan(error: DataFusionError) -> Self {
        sort(error, None, Phase::Plan)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Plan,
    Run,
}

fn sort(error: DataFusionError, place: Option<Place>, phase: Phase) -> Error {
    match error {
        DataFusionError::Diagnostic(diagnostic, inner) => {
            let found =
                diagnostic.span.map(|span| Place { line: span.start.line, column: span.start.column });
            sort(*inner, found.or(place), phase)
        }
        DataFusionError::Context(_, inner) => sort(*inner, place, phase),
        DataFusionError::Shared(inner) => match Arc::try_unwrap(inner) {
            Ok(inner) => sort(inner, place, phase),
            Err(inner) => storage(inner.as_ref()).unwrap_or_else(|| plain(inner.as_ref(), place, phase)),
        },
        DataFusionError::Collection(errors) => match errors.into_iter().next() {
            Some(first) => sort(first, place, phase),
            None => Error::Internal { reason: "an empty list of errors".to_owned() },
        },
        DataFusionError::External(inner) => external(inner, place, phase),
        DataFusionError::ParquetError(inner) => match *inner {
            ParquetError::External(inner) => external(inner, place, phase),
            other => undecodable(&other.to_string()),
        },
        DataFusionError::ArrowError(inner, text) => match *inner {
            arrow::error::ArrowError::ExternalError(inner) => external(inner, place, phase),
            arrow::error::ArrowError::ParquetError(reason) => undecodable(&reason),
            other => plain(&DataFusionError::ArrowError(Box::new(other), text), place, phase),
        },
        DataFusionError::ExecutionJoin(_) => Error::died(),
        DataFusionError::SQL(inner, _) => syntax(*inner, place),
        DataFusionError::SchemaError(inner, _) => schema(&inner, place),
        other => plain(&other, place, phase),
    }
}

fn external(inner: Box<dyn StdError + Send + Sync>, place: Option<Place>, phase: Phase) -> Error {
    let inner = match inner.downcast::<Error>() {
        Ok(error) => return *error,
        Err(inner) => inner,
    };
    let inner = match inner.downcast::<ironbark_storage::Error>() {
        Ok(error) => return Error::from(*error),
        Err(inner) => inner,
    };
    let inner = match inner.downcast::<arrow::error::ArrowError>() {
        Ok(error) => return sort(DataFusionError::ArrowError(error, None), place, phase),
        Err(inner) => inner,
    };
    let inner = match inner.downcast::<ParquetError>() {
        Ok(error) => return sort(DataFusionError::ParquetError(error), place, phase),
        Err(inner) => inner,
    };
    if inner.downcast_ref::<tokio::task::JoinError>().is_some() {
        return Error::died();
    }
    match inner.downcast::<DataFusionError>() {
        Ok(error) => sort(*error, place, phase),
        Err(inner) => {
            storage(inner.as_ref()).unwrap_or_else(|| Error::Internal { reason: inner.to_string() })
        }
    }
}

/// Pages that Parquet refuses. The stream adds which segments they may be of.
fn undecodable(reason: &str) -> Error {
    Error::Pages {
        reason: format!("the query met pages that cannot be decoded ({reason})"),
        segments: Vec::new(),
    }
}

/// A storage error somewhere below.
fn storage(error: &(dyn StdError + 'static)) -> Option<Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<ironbark_storage::Error>() {
            let reason = found.to_string();
            return Some(if is_missing(found) {
                Error::Missing { reason }
            } else {
                Error::Read { reason, kind: found.kind() }
            });
        }
        next = error.source();
    }
    None
}

fn plain(error: &DataFusionError, place: Option<Place>, phase: Phase) -> Error {
    let root = error.find_root();
    let reason = text(root);
    match root {
        DataFusionError::ResourcesExhausted(_) => Error::Memory { reason },
        DataFusionError::Internal(_)
        | DataFusionError::Substrait(_)
        | DataFusionError::Ffi(_)
        | DataFusionError::ExecutionJoin(_)
        | DataFusionError::IoError(_) => Error::Internal { reason },
        _ if phase == Phase::Plan => Error::Plan { reason, place, suggestion: None },
        _ => Error::Run { reason },
    }
}

/// The message without the prefix that names DataFusion's variant, and without a back-trace.
fn text(error: &DataFusionError) -> String {
    let message = error.message();
    let first = message.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default();
    let first = of_function(first).unwrap_or(first);
    let lines: Vec<&str> = first.lines().map(|line| line.trim_end_matches(['.', ' '])).collect();
    lines.join("; ")
}

/// What one of our functions said of its arguments, without what DataFusion puts around it.
fn of_function(message: &str) -> Option<&str> {
    let (_, said) = message.split_once("user-defined coercion failed with: ")?;
    let said = said.split(" No function matches the given name").next().unwrap_or(said);
    let prefixes = ["Execution error: ", "Error during planning: ", "External error: "];
    Some(prefixes.iter().fold(said, |said, prefix| said.strip_prefix(prefix).unwrap_or(said)))
}

fn syntax(error: ParserError, place: Option<Place>) -> Error {
    let reason = match error {
        ParserError::TokenizerError(reason) | ParserError::ParserError(reason) => reason,
        ParserError::RecursionLimitExceeded => "the statement is nested too deeply".to_owned(),
    };
    match reason.rsplit_once(" at Line: ") {
        Some((reason, rest)) => {
            Error::Syntax { reason: reason.to_owned(), place: parse_place(rest).or(place) }
        }
        None => Error::Syntax { reason, place },
    }
}

/// `3, Column: 14`.
fn parse_place(text: &str) -> Option<Place> {
    let (line, column) = text.split_once(", Column: ")?;
    Some(Place { line: line.parse().ok()?, column: column.trim().parse().ok()? })
}

fn schema(error: &SchemaError, place: Option<Place>) -> Error {
    let (reason, suggestion) = match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names = valid_fields.iter().map(Column::name);
            (format!("there is no column {}", field.flat_name()), closest(field.name(), names))
        }
        SchemaError::AmbiguousReference { field } => {
            let name = field.flat_name();
            (format!("column {name} is in more than one table: write the table before it"), None)
        }
        other => (other.to_string(), None),
    };
    Error::Plan { reason, place, suggestion }
}

/// The name that is nearest, if any is near enough to be meant.
pub(crate) fn closest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let lower = name.to_lowercase();
    let distance = |other: &&str| levenshtein(&lower, &other.to_lowercase());
    let nearest = names.filter(|other| other.len() <= NAME_BYTES_MAX).min_by_key(distance)?;
    let length = lower.chars().count().max(nearest.chars().count());
    (distance(&nearest) * 2 <= length).then(|| nearest.to_owned())
}
