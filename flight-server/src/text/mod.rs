//! From the bytes of a log file to lines, and from a line to its timestamp and level.
//!
//! ```text
//!   bytes ──decompress──► LineReader ──(only with multiline: RecordReader)──► line
//!                                                                              │
//!                          Recogniser: timestamp.rs (families) + level.rs ◄────┘
//!                                                                              ▼
//!                                                       Fields { timestamp_ns, level }
//! ```
//!
//! Everything here is synchronous and pure: the clock is a parameter, nothing is sent, and the message is never
//! changed. What is not recognised stays `None`: a guess that is wrong costs more than an arrival time.

mod fields;
mod keyed;
mod level;
mod lines;
mod multiline;
mod timestamp;

#[cfg(test)]
pub(crate) use fields::Fields;
pub(crate) use fields::Recogniser;
pub(crate) use lines::{Line, LineReader, decompress, is_compressed};
pub(crate) use multiline::RecordReader;
pub(crate) use timestamp::Zone;
