//! How the allocator of the programs is set: of the server, and of the compactor as a process of its own.
//!
//! Ingest, flushes and merges allocate large arrays from many threads and free them on others; what is free has to go back
//! to the system soon (ADR 054). A program names the allocator and puts the settings under the symbol where it looks for
//! them; no library does.

/// The settings, which the allocator reads before `main`; the variable `_RJEM_MALLOC_CONF` overrides them. Free memory goes
/// back within half a second, by a thread of the allocator; of allocations of 4 MiB and more at once. No huge pages: the
/// kernel clears each of them whole when its first byte is touched.
pub const ALLOCATOR_SETTINGS: &[u8; 96] =
    b"background_thread:true,dirty_decay_ms:500,muzzy_decay_ms:0,oversize_threshold:4194304,thp:never\0";
