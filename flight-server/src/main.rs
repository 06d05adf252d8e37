//! The `ironbark` binary: the allocator and a call. Everything that can be tested lies in the library.

use std::process::ExitCode;

/// Ingest and queries allocate large buffers from many threads; the system's allocator keeps more of them back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ironbark_flight_server::command::main()
}
