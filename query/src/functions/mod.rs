//! Log functions of SQL: what one wants of log messages and SQL does not have.
//!
//! ```text
//!   pattern, extract_kv, extract_json, grok, parse_ip, cidr_match    a Spec each, run by call
//!   time_bucket                                                      becomes date_bin (bucket)
//!        │
//!        ▼ rule: literals are compiled once for a query
//!   Kernel over Texts
//!
//!   histogram, rate, facets, field_names, field_values, context    become plans over a table (tables)
//! ```
//!
//! Functions of one text have one shape, in `call`. Their meaning for users is in `docs/SQL.md`. Nothing here
//! reads anything but its arguments and tables of the session's tenant.

mod address;
mod bucket;
mod call;
mod grok;
mod json_path;
mod key_values;
mod mistake;
mod pattern;
mod rule;
mod tables;
mod texts;

#[cfg(test)]
mod tests;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::optimizer::Analyzer;

use self::call::Spec;

pub(crate) use tables::{scans, table_functions};

/// The functions of one text.
static OF_TEXT: [&Spec; 6] = [
    &pattern::PATTERN,
    &key_values::EXTRACT_KV,
    &json_path::EXTRACT_JSON,
    &grok::GROK,
    &address::PARSE_IP,
    &address::CIDR_MATCH,
];

/// Gives sessions the log functions and their rule.
pub(crate) fn install(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    let scalars = builder.scalar_functions().get_or_insert_default();
    scalars.extend(OF_TEXT.iter().map(|spec| call::function(spec)));
    scalars.push(bucket::function());
    // Behind type coercion: by then the arguments have the types that the functions take.
    builder.analyzer().get_or_insert_with(Analyzer::new).rules.push(rule::CompileCalls::rule());
    builder
}
