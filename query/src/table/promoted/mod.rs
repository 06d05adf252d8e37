//! Promoted tags in scans of segments: `tags['host']` reads a column of the file where the file has one.
//!
//! ```text
//!                                        in a file with a column for host      in one without
//!   tag(tags, 'host')                    the column                            looked up in the map
//!   tags                                 map and columns put together          the map
//!   tag(tags, 'host') = 'h1' (filter)    decided on the column, by its pages   only above of the scan
//! ```
//!
//! The plan knows only the columns of stored rows. What they are in a file is settled when it is opened ([`super::adapter`]).
//! Filters on tags stay above of the scan, because files without the column cannot decide them; the scan gets them as
//! hints beside ([`condition`]). Expressions over tags have to stand in the scan itself for that ([`push`]).

mod assemble;
mod condition;
mod push;

#[cfg(test)]
mod tests;

pub(super) use assemble::AllTags;
pub(super) use condition::{TagCondition, hints, hints_last};
pub(crate) use push::PushTags;
