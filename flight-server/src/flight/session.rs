//! Session options: the catalog and schema that unqualified names mean.
//!
//! Both are the tenant's and can only be confirmed, so that a session has no state: no cookie, nothing to expire, and
//! a client's calls may go over any connection.

use std::collections::HashMap;

use ironbark_query::Session;

use super::wire::{
    CloseSessionResult, OptionValue, SessionOptionError, SessionOptionValue, SessionOptions,
    SetSessionOptionsResult,
};

const CATALOG: &str = "catalog";
const SCHEMA: &str = "schema";

/// There is no option of this name.
const INVALID_NAME: i32 = 1;
/// The option cannot have this value.
const INVALID_VALUE: i32 = 2;
/// The session is closed.
const CLOSED: i32 = 1;

/// Says which of the options cannot be set.
pub(super) fn set(session: &Session, request: SessionOptions) -> SetSessionOptionsResult {
    let judge = |(name, value): (String, SessionOptionValue)| {
        let own = match name.as_str() {
            CATALOG => session.default_catalog(),
            SCHEMA => session.default_schema(),
            _ => return Some((name, SessionOptionError { value: INVALID_NAME })),
        };
        let fits = match value.value {
            // Without a value an option is set back to what it is anyway.
            None => true,
            Some(OptionValue::Text(text)) => text.is_empty() || text == own,
            Some(_) => false,
        };
        (!fits).then_some((name, SessionOptionError { value: INVALID_VALUE }))
    };
    SetSessionOptionsResult { errors: request.session_options.into_iter().filter_map(judge).collect() }
}

/// The options as they are.
pub(super) fn get(session: &Session) -> SessionOptions {
    let text = |text| SessionOptionValue { value: Some(OptionValue::Text(text)) };
    let options = [
        (CATALOG.to_owned(), text(session.default_catalog())),
        (SCHEMA.to_owned(), text(session.default_schema())),
    ];
    SessionOptions { session_options: HashMap::from(options) }
}

/// Closes a session, of which nothing is kept.
pub(super) const fn close() -> CloseSessionResult {
    CloseSessionResult { status: CLOSED }
}
