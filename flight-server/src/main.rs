//! The `ironbark` binary: the allocator and a call. Everything that can be tested lies in the library.

use std::ffi::c_long;
use std::process::ExitCode;

use libmimalloc_sys::{mi_option_set_default, mi_option_t};

/// Ingest and queries allocate large buffers from many threads; the system's allocator keeps more of them back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// After how many milliseconds free memory goes back to the system: the allocator's option `purge_delay` of version 3.
const PURGE_DELAY: mi_option_t = 15;
/// Its default of a second keeps what one load, flush or merge leaves while the next one begins.
const PURGE_DELAY_MS: c_long = 100;

fn main() -> ExitCode {
    return_memory_soon();
    ironbark_flight_server::command::main()
}

/// Sets the delay, unless MIMALLOC_PURGE_DELAY has set it.
#[expect(unsafe_code, reason = "the allocator's options have no safe interface")]
fn return_memory_soon() {
    // SAFETY: it stores a number in a table of the allocator, before there is a second thread.
    unsafe { mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS) };
}

#[cfg(test)]
mod tests {
    use super::{PURGE_DELAY, PURGE_DELAY_MS, return_memory_soon};

    /// The number of an option may change with the allocator's version; its default gives it away.
    #[test]
    #[expect(unsafe_code, reason = "the allocator's options have no safe interface")]
    fn the_delay_of_the_allocator_is_set() {
        // SAFETY: both read a number.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(delay(), 1_000);
        return_memory_soon();
        assert_eq!(delay(), PURGE_DELAY_MS);
    }
}
