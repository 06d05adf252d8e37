//! Small numbered objects, the ground of commits, epochs and leases: created exactly once, whatever the network says,
//! read whole and listed by number.
//!
//! A put may fail after it took effect, and a repetition may then find its own object in the way. So an answer other
//! than success is never believed: the object itself is read and compared. Callers put a fresh UUID into the bytes,
//! so that equal bytes mean the same writer.

use std::time::Duration;

use bytes::Bytes;
use futures::{TryStreamExt, future};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, PutMode, PutPayload};

use crate::{Error, Result, key};

use super::failed;

/// Puts of one object before the last error is returned.
const CREATE_ATTEMPTS_MAX: u32 = 6;
/// A quarter of the pause before the third put, in milliseconds; it doubles with each further one.
const CREATE_BACKOFF_MS: u64 = 5;

/// Whose object lies at a key after an attempt to create it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Created {
    /// The caller's.
    Ours,
    /// Somebody else's, with these bytes.
    Theirs(Bytes),
}

/// Creates an object, or tells what lies there instead. After an error nobody knows whether the object is there or
/// will be.
pub(crate) async fn create_once(
    objects: &dyn ObjectStore,
    key: &Path,
    bytes: &Bytes,
    bytes_max: u64,
) -> Result<Created> {
    let mut attempt = 0;
    loop {
        let payload = PutPayload::from(bytes.clone());
        let Err(error) = objects.put_opts(key, payload, PutMode::Create.into()).await else {
            return Ok(Created::Ours);
        };
        if is_hopeless(&error) {
            return Err(failed(key, error));
        }
        attempt += 1;
        match read_object(objects, key, bytes_max).await {
            Ok(Some(found)) if found == *bytes => return Ok(Created::Ours),
            Ok(Some(found)) => return Ok(Created::Theirs(found)),
            Ok(None) | Err(_) if attempt >= CREATE_ATTEMPTS_MAX => return Err(failed(key, error)),
            Ok(None) => {}
            Err(unread) => tracing::debug!(%key, %unread, "cannot read back after a failed put"),
        }
        // The first repetition is at once: most failures are over by then.
        if attempt > 1 {
            tokio::time::sleep(Duration::from_millis(CREATE_BACKOFF_MS << attempt)).await;
        }
    }
}

/// Errors that no repetition mends, and after which nothing was written.
fn is_hopeless(error: &object_store::Error) -> bool {
    use object_store::Error as E;
    matches!(
        error,
        E::PermissionDenied { .. }
            | E::Unauthenticated { .. }
            | E::NotImplemented { .. }
            | E::NotSupported { .. }
            | E::InvalidPath { .. }
    )
}

/// The bytes of a small object, or `None` where there is none. An object over `bytes_max` bytes is
/// [`Error::Corrupt`]: nobody wrote it.
pub(crate) async fn read_object(
    objects: &dyn ObjectStore,
    key: &Path,
    bytes_max: u64,
) -> Result<Option<Bytes>> {
    let found = match objects.get_opts(key, GetOptions::new()).await {
        Ok(found) => found,
        Err(object_store::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(failed(key, error)),
    };
    let size = found.meta.size;
    if size > bytes_max {
        return Err(Error::Corrupt {
            object: key.to_string(),
            offset: bytes_max,
            reason: format!("it has {size} bytes, more than the {bytes_max} that such an object may have"),
        });
    }
    match found.bytes().await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failed(key, error)),
    }
}

/// The numbers of the objects below a prefix, in order.
pub(crate) async fn list_numbers(objects: &dyn ObjectStore, prefix: &Path) -> Result<Vec<u64>> {
    let numbers =
        objects.list(Some(prefix)).try_filter_map(|object| future::ok(key::number(&object.location)));
    let mut numbers: Vec<u64> = numbers.try_collect().await.map_err(|source| failed(prefix, source))?;
    numbers.sort_unstable();
    Ok(numbers)
}

/// A value as one line of JSON: the whole content of a small object.
pub(crate) fn json_line<T: serde::Serialize>(key: &Path, value: &T) -> Result<Bytes> {
    let mut bytes =
        serde_json::to_vec(value).map_err(|source| Error::Json { object: key.to_string(), source })?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

/// Whether an object is there.
pub(crate) async fn exists(objects: &dyn ObjectStore, key: &Path) -> Result<bool> {
    match objects.get_opts(key, GetOptions::new().with_head(true)).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(failed(key, error)),
    }
}
