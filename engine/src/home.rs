//! The data directory: its lock, its identity, its format.
//!
//! ```text
//! data_dir/
//!   LOCK            held by one process; holds its pid
//!   ironbark.json   {"format_version":1,"writer":"<uuid>"}
//!   wal/            the write-ahead log
//!   idempotency/    keys whose WAL records are gone
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use ironbark_storage::{Ambient, WriterId};
use serde::{Deserialize, Serialize};

use crate::disk::{Disk, DiskExt};
use crate::{Error, Result};

const FORMAT_VERSION: u32 = 1;
const IDENTITY: &str = "ironbark.json";
/// Where in the directory the write-ahead log lies.
pub(crate) const WAL_DIR: &str = "wal";

/// A process's claim on a directory; the operating system gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Creates the directory if need be and locks it. Fails with [`Error::Locked`] while another process has it.
    pub fn take(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|source| Error::Io { path: dir.to_owned(), source })?;
        let path = dir.join("LOCK");
        let io = |source| Error::Io { path: path.clone(), source };
        let mut file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Whoever holds the lock may be writing its pid just now: without it the error says less.
                let _ = file.read_to_string(&mut pid);
                return Err(Error::Locked { dir: dir.to_owned(), pid: pid.trim().parse().ok() });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0).map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { _file: file })
    }
}

#[derive(Serialize, Deserialize)]
struct Identity {
    format_version: u32,
    writer: WriterId,
}

/// The directory's identity, made at its first start.
pub(crate) fn identity(disk: &dyn Disk, dir: &Path, ambient: &Ambient) -> Result<WriterId> {
    let path: PathBuf = dir.join(IDENTITY);
    let io = |source| Error::Io { path: path.clone(), source };
    match disk.read(&path) {
        Ok(bytes) => {
            let found: Identity = serde_json::from_slice(&bytes)
                .map_err(|source| Error::Identity { path: path.clone(), source })?;
            if found.format_version > FORMAT_VERSION {
                return Err(Error::NewerFormat {
                    path,
                    found: found.format_version,
                    supported: FORMAT_VERSION,
                });
            }
            Ok(found.writer)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let made = Identity { format_version: FORMAT_VERSION, writer: WriterId(ambient.uuid()) };
            let bytes =
                serde_json::to_vec(&made).map_err(|source| Error::Identity { path: path.clone(), source })?;
            disk.replace(&path, &bytes).map_err(io)?;
            Ok(made.writer)
        }
        Err(error) => Err(io(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::LocalDisk;

    #[test]
    fn a_directory_has_one_owner_and_one_identity() {
        let dir = tempfile::tempdir().unwrap();
        let lock = DirLock::take(dir.path()).unwrap();
        let refused = DirLock::take(dir.path()).unwrap_err();
        assert!(matches!(refused, Error::Locked { pid: Some(pid), .. } if pid == std::process::id()));
        drop(lock);
        DirLock::take(dir.path()).unwrap();
        let ambient = Ambient::system();
        let first = identity(&LocalDisk, dir.path(), &ambient).unwrap();
        assert_eq!(identity(&LocalDisk, dir.path(), &ambient).unwrap(), first);
        let newer = format!("{{\"format_version\":99,\"writer\":\"{}\"}}", first.0);
        std::fs::write(dir.path().join(IDENTITY), newer).unwrap();
        assert!(matches!(
            identity(&LocalDisk, dir.path(), &ambient),
            Err(Error::NewerFormat { found: 99, .. })
        ));
    }
}
