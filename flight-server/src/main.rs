//! The `ironbark` binary: the allocator and a call. Everything that can be tested lies in the library.

use std::process::ExitCode;

/// Ingest, flushes and merges allocate large arrays from many threads and free them on others: this one gives their memory
/// back to the system soon, which keeps the peak low (ADR 054).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The allocator's settings, which it reads before `main`; the variable `_RJEM_MALLOC_CONF` overrides them. Free memory goes
/// back within half a second, by a thread of the allocator; of allocations of 4 MiB and more at once. No huge pages: the
/// kernel clears each of them whole when its first byte is touched.
#[expect(unsafe_code, reason = "the allocator finds its settings by the name of this symbol")]
// SAFETY: the allocator takes it as a pointer to text that ends with a zero, and only it has a symbol of this name.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_SETTINGS: &[u8; 96] =
    b"background_thread:true,dirty_decay_ms:500,muzzy_decay_ms:0,oversize_threshold:4194304,thp:never\0";

fn main() -> ExitCode {
    ironbark_flight_server::command::main()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_allocator_has_found_its_settings() {
        let found = tikv_jemalloc_ctl::opt::background_thread::read().unwrap();
        assert!(found, "the settings are not read: was the symbol renamed?");
    }
}
