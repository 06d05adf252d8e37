//! The `ironbark` binary: the allocator and a call. Everything that can be tested lies in the library.

use std::ffi::{c_int, c_long, c_ulong};
use std::process::ExitCode;

use libmimalloc_sys::{mi_option_set_default, mi_option_t};

/// Ingest and queries allocate large buffers from many threads; the system's allocator keeps more of them back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// After how many milliseconds free memory goes back to the system: the allocator's option `purge_delay` of version 3.
const PURGE_DELAY: mi_option_t = 15;
/// Its default of a second keeps what one load, flush or merge leaves while the next one begins.
const PURGE_DELAY_MS: c_long = 100;

/// Tells the kernel not to give this process huge pages: the operation of `prctl`.
#[cfg(target_os = "linux")]
const PR_SET_THP_DISABLE: c_int = 41;
/// The allocator's variable for huge pages: whoever sets it has chosen.
#[cfg(target_os = "linux")]
const ALLOW_THP: &str = "MIMALLOC_ALLOW_THP";

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the standard library has no call for it")]
unsafe extern "C" {
    fn prctl(operation: c_int, ...) -> c_int;
}

fn main() -> ExitCode {
    return_memory_soon();
    #[cfg(target_os = "linux")]
    if std::env::var_os(ALLOW_THP).is_none() {
        take_small_pages();
    }
    ironbark_flight_server::command::main()
}

/// Sets the delay, unless MIMALLOC_PURGE_DELAY has set it.
#[expect(unsafe_code, reason = "the allocator's options have no safe interface")]
fn return_memory_soon() {
    // SAFETY: it stores a number in a table of the allocator, before there is a second thread.
    unsafe { mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS) };
}

/// Has memory come in pages of 4 KiB. The allocator asks for pages of 2 MiB, and the kernel clears each of them whole when
/// its first byte is touched: with buffers that come and go, that was a quarter of what an ingest costs, and a third
/// of the peak of memory. The allocator's own option is read before `main`.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the standard library has no call for it")]
fn take_small_pages() {
    let (set, unused): (c_ulong, c_ulong) = (1, 0);
    // SAFETY: it sets a flag of the process, and takes no pointers. A kernel that does not know it refuses, which costs
    // memory and nothing else.
    unsafe { prctl(PR_SET_THP_DISABLE, set, unused, unused, unused) };
}

#[cfg(test)]
mod tests {
    use super::{PURGE_DELAY, PURGE_DELAY_MS, return_memory_soon};

    #[test]
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "the standard library has no call for it")]
    fn the_kernel_gives_no_huge_pages() {
        use super::{c_int, c_ulong, prctl, take_small_pages};
        const PR_GET_THP_DISABLE: c_int = 42;
        let unused: c_ulong = 0;
        take_small_pages();
        // SAFETY: it reads a flag of the process.
        assert_eq!(unsafe { prctl(PR_GET_THP_DISABLE, unused, unused, unused, unused) }, 1);
    }

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
