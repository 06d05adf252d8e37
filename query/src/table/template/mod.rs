//! What a filter makes of a segment's rows before any of them is read.
//!
//! ```text
//!   filter ─► Condition                        a tree: AND, OR, NOT, and leaves of two sorts
//!               ├─ on the message ─► Automaton ─► tried on each template     ┐  true, false, NULL, or which
//!               └─ on source, level, time ─► cells of statistics             ┘  of them is not known
//!                                                     │
//!   runs of a row group (source, level, template) ────┴─► of each run: sure, impossible, or to be read
//!                                                                                             │ words, by grams of the index:
//!                                                                                             └─ impossible in some ranges
//! ```
//!
//! Sure and impossible are certain; whatever is too hard is to be read. So an answer that counts the sure rows and checks the
//! others equals the scan's.

mod answers;
mod automaton;
mod condition;
mod known;
mod rows;
mod text;
mod words;

#[cfg(test)]
mod tests;

pub(super) use condition::Condition;
pub(super) use rows::{RowFilter, Shared, SortedRows};
