//! The `ironbark` binary: the allocator and a call. Everything that can be tested lies in the library.

use std::process::ExitCode;

use ironbark_compactor::ALLOCATOR_SETTINGS;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Where the allocator looks for its settings.
#[expect(unsafe_code, reason = "the allocator finds its settings by the name of this symbol")]
// SAFETY: the allocator takes it as a pointer to text that ends with a zero, and only it has a symbol of this name.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static SETTINGS: &[u8; 96] = ALLOCATOR_SETTINGS;

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
