//! Corpora and measurements of the whole system. Nothing here links Ironbark: it is driven from outside, by the binary
//! and the interfaces that people use, and what it answers is checked against what was generated.
//!
//! ```text
//!   corpus ── NDJSON ──► file, HTTP ──► ironbark serve ──► answers, /proc, objects
//!      └────── facts ───────────────────────┐                   │
//!                                           └──── compared ─────┴──► record/DATE-MACHINE/*.json
//! ```

pub mod arguments;
pub mod corpus;
mod error;
mod facts;
pub mod figures;
mod http;
mod process;
mod server;
pub mod suite;

pub use error::{Error, Result};
