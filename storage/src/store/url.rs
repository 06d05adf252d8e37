//! The URL of an object store, as a setting names it. It holds no secret: keys come from the environment.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use object_store::path::Path;

use crate::{Error, Result};

/// Longest URL in bytes.
const URL_BYTES_MAX: usize = 4096;

/// Where a store lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// A directory: `file:///dir` or a plain path.
    Local(PathBuf),
    /// `s3://bucket/prefix`; endpoint, region and keys come from the `AWS_*` environment.
    S3 {
        /// The bucket.
        bucket: String,
        /// What all keys begin with; may be empty.
        prefix: Path,
    },
    /// `memory:`: for tests, gone with the process.
    Memory,
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > URL_BYTES_MAX {
            return Err(refuse(text, "it must have 1 to 4096 bytes"));
        }
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::Local(PathBuf::from(text)));
        };
        match scheme {
            "file" if !rest.starts_with('/') => {
                Err(refuse(text, "a file URL has three slashes and a full path"))
            }
            "file" if rest.contains(['%', '?', '#']) => {
                Err(refuse(text, "a directory with %, ? or # in its name is given as a plain path"))
            }
            "file" => Ok(Self::Local(PathBuf::from(rest))),
            "s3" => parse_s3(text, rest),
            _ => Err(refuse(text, "the scheme must be file, s3 or memory")),
        }
    }
}

fn parse_s3(text: &str, rest: &str) -> Result<StoreUrl> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(named) {
        return Err(refuse(text, "a bucket has 3 to 63 of a-z, 0-9, - and . (no keys or ports in the URL)"));
    }
    let prefix = Path::parse(prefix.trim_end_matches('/'))
        .map_err(|_| refuse(text, "the prefix has an empty or unusual part"))?;
    Ok(StoreUrl::S3 { bucket: bucket.to_owned(), prefix })
}

fn refuse(text: &str, why: &str) -> Error {
    // What stands before an @ may be a password.
    let shown = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    Error::InvalidSetting {
        what: "object store",
        value: shown.chars().take(256).collect(),
        reason: format!("{why}; as in /var/lib/ironbark, file:///var/lib/ironbark or s3://bucket/prefix"),
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, prefix } if prefix.as_ref().is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Memory => f.write_str("memory:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_round_trip() {
        for text in ["/var/lib/x", "data", "s3://logs", "s3://logs/prod/eu", "memory:"] {
            assert_eq!(text.parse::<StoreUrl>().unwrap().to_string(), text);
        }
        assert_eq!("file:///a/b".parse::<StoreUrl>().unwrap(), StoreUrl::Local("/a/b".into()));
        assert_eq!("s3://logs/".parse::<StoreUrl>().unwrap().to_string(), "s3://logs");
    }

    #[test]
    fn bad_urls_are_refused_without_secrets() {
        let bad =
            ["", "gs://x", "file://x", "file:///a%20b", "s3://", "s3://B", "s3://logs/a//b", "s3://logs:80"];
        for text in bad {
            assert!(text.parse::<StoreUrl>().is_err(), "{text}");
        }
        let error = "s3://key:secret@logs/a".parse::<StoreUrl>().unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
