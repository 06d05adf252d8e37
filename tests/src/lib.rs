//! The harness of the tests that need whole processes: it finds our binaries, starts and kills a server, and finds the
//! real parts (an S3 server, drivers) that `tests/run` installs. It is test code, so it panics where a test could not
//! go on; no product crate may depend on it.
//!
//! ```text
//!   tests/run ──installs and starts──► parts (S3, JDBC jar, Python, curl)
//!       │ environment                        ▲
//!       ▼                                    │ uses
//!   #[test] ──Launch::start──► Server ◄──HTTP, Flight──┘
//!                  │  child process, killed on drop
//!                  ▼
//!               binaries::path("ironbark")
//! ```
#![expect(clippy::panic, clippy::expect_used, reason = "a test that cannot go on fails where it stands")]
#![expect(clippy::print_stdout, reason = "a test says which part it skips")]

pub mod binaries;
pub mod client;
pub mod parts;
mod server;

pub use server::{Launch, Server};
