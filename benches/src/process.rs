//! What a process and its descendants use, read from `/proc`: CPU time and peak memory. Linux only.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// A tick of the CPU times in `/proc`, the same on every Linux.
const TICK_MS: u64 = 10;

/// What a process tree has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system time, ended and waited-for children included.
    pub(crate) cpu: Duration,
    /// The sum of the peaks of resident memory.
    pub(crate) memory_peak_bytes: u64,
}

/// Use of a process and its descendants since they started.
pub(crate) fn usage(pid: u32) -> Usage {
    let mut usage = Usage::default();
    for pid in tree(pid) {
        usage.cpu += cpu(&format!("/proc/{pid}/stat"), CpuOf::ItselfAndChildren);
        usage.memory_peak_bytes += memory_peak_bytes(pid);
    }
    usage
}

/// CPU time of the children that this process has waited for.
pub(crate) fn ended_children_cpu() -> Duration {
    cpu("/proc/self/stat", CpuOf::Children)
}

/// CPU time of the living threads of a process tree, in nanoseconds' resolution: for short spans, in which few threads
/// end.
pub(crate) fn threads_cpu(pid: u32) -> Duration {
    let mut total_ns = 0;
    for pid in tree(pid) {
        for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            total_ns += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Duration::from_nanos(total_ns)
}

/// Peak of resident memory; 0 once the process has ended.
pub(crate) fn memory_peak_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kibibytes: u64 = line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0);
    kibibytes * 1024
}

/// The process of this machine that listens on a TCP port.
pub(crate) fn listener_on(port: u16) -> Option<u32> {
    let mut sockets = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // Local address, state (0A is listening) and inode are the 2nd, 4th and 10th fields.
            if let (Some(local), Some(&"0A"), Some(inode)) = (fields.get(1), fields.get(3), fields.get(9))
                && local.ends_with(&format!(":{port:04X}"))
            {
                sockets.push(format!("socket:[{inode}]"));
            }
        }
    }
    let is_socket = |file: fs::DirEntry| {
        let target = fs::read_link(file.path()).unwrap_or_default();
        sockets.iter().any(|socket| target.as_os_str() == socket.as_str())
    };
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        fs::read_dir(entry.path().join("fd")).ok()?.flatten().any(is_socket).then_some(pid)
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CpuOf {
    ItselfAndChildren,
    Children,
}

fn cpu(stat: &str, of: CpuOf) -> Duration {
    let text = fs::read_to_string(stat).unwrap_or_default();
    // utime, stime, cutime and cstime are the 14th to 17th fields, the 12th to 15th after the name in brackets.
    let fields = fields(&text).skip(if of == CpuOf::Children { 13 } else { 11 });
    let count = if of == CpuOf::Children { 2 } else { 4 };
    let ticks: u64 = fields.take(count).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * TICK_MS)
}

/// The fields behind the name, which may itself hold blanks and brackets.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default().split_whitespace()
}

/// A process and its living descendants.
fn tree(root: u32) -> Vec<u32> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = fields(&stat).nth(1).and_then(|parent| parent.parse::<u32>().ok());
        parents.insert(pid, parent.unwrap_or(0));
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| **of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{ended_children_cpu, fields, listener_on, threads_cpu, usage};

    #[test]
    fn this_process_uses_something() {
        let work: u64 =
            (0..20_000_000_u64).fold(1, |product, factor| product ^ factor.wrapping_mul(product | 1));
        assert_ne!(work, 0);
        let used = usage(std::process::id());
        assert!(used.memory_peak_bytes > 1 << 20, "{used:?}");
        assert!(threads_cpu(std::process::id()).as_millis() > 0);
        assert!(used.cpu >= ended_children_cpu());
    }

    #[test]
    fn a_listener_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listener_on(port), Some(std::process::id()));
    }

    #[test]
    fn a_name_with_brackets_is_skipped() {
        assert_eq!(fields("12 (a) b) S 7 8").collect::<Vec<_>>(), ["S", "7", "8"]);
    }
}
