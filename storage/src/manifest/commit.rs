//! A commit's object: one edit with its number, as text that a person can read.
//!
//! ```text
//! {"format_version":1,"version":42,"uuid":…,"writer":…,"made_at":…,"edit":{"kind":"add",…}} LF
//! {"crc32c":"0f1e2d3c"} LF                                      of the first line without its LF
//! ```
//!
//! The UUID is fresh for every attempt to commit, so equal bytes are the same attempt. Unknown fields are refused: a
//! field that one reader skips and another obeys would split the table, so a new field is a new format version.

use bytes::Bytes;
use object_store::path::Path;
use uuid::Uuid;

use crate::{Error, ManifestEdit, Result, Timestamp};

/// Version of the commit objects that this build writes, and the newest it reads.
pub(super) const COMMIT_FORMAT_VERSION: u32 = 1;
/// Largest commit object in bytes: thousands of segments.
pub(super) const COMMIT_BYTES_MAX: u64 = 16 << 20;

/// What lies in a commit's object.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Commit {
    pub(super) format_version: u32,
    /// The number in its key.
    pub(super) version: u64,
    /// The attempt to commit.
    pub(super) uuid: Uuid,
    /// The log handle that made it, for whoever has to find out which process did what.
    pub(super) writer: Uuid,
    /// The committer's clock, in nanoseconds since 1970.
    pub(super) made_at: Timestamp,
    pub(super) edit: ManifestEdit,
}

#[derive(serde::Deserialize)]
struct AnyVersion {
    format_version: u32,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Checksum {
    crc32c: String,
}

impl Commit {
    /// The object's bytes. Fails where they would be more than [`COMMIT_BYTES_MAX`].
    pub(super) fn encode(&self, key: &Path) -> Result<Bytes> {
        let json = |source| Error::Json { object: key.to_string(), source };
        let mut bytes = serde_json::to_vec(self).map_err(json)?;
        let checksum = Checksum { crc32c: format!("{:08x}", crc32c::crc32c(&bytes)) };
        bytes.push(b'\n');
        serde_json::to_writer(&mut bytes, &checksum).map_err(json)?;
        bytes.push(b'\n');
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > COMMIT_BYTES_MAX {
            return Err(Error::Limit {
                what: "a manifest commit",
                limit: COMMIT_BYTES_MAX,
                unit: "bytes",
                advice: "commit fewer segments at once",
            });
        }
        Ok(bytes.into())
    }

    /// Reads the commit `version` from the bytes of its object.
    pub(super) fn decode(key: &Path, version: u64, bytes: &[u8]) -> Result<Self> {
        let damaged = |offset: usize, reason: String| Error::Corrupt {
            object: key.to_string(),
            offset: u64::try_from(offset).unwrap_or(u64::MAX),
            reason,
        };
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let (line, rest) = bytes.split_at(end);
        if let Ok(AnyVersion { format_version: found }) = serde_json::from_slice(line)
            && found > COMMIT_FORMAT_VERSION
        {
            return Err(Error::TooNew { object: key.to_string(), found, supported: COMMIT_FORMAT_VERSION });
        }
        let checksum: Checksum = serde_json::from_slice(rest)
            .map_err(|error| damaged(end, format!("the checksum line is not there: {error}")))?;
        let found = format!("{:08x}", crc32c::crc32c(line));
        if checksum.crc32c != found {
            return Err(damaged(0, format!("checksum {found}, recorded is {}", checksum.crc32c)));
        }
        let commit: Self = serde_json::from_slice(line)
            .map_err(|error| damaged(error.column(), format!("not a commit: {error}")))?;
        if commit.version != version {
            return Err(damaged(0, format!("it calls itself commit {}", commit.version)));
        }
        Ok(commit)
    }
}
