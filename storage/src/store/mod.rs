//! The object store: where everything durable lies, on a local disk, in S3 or in memory.
//!
//! ```text
//!   StoreUrl ─► Store ─┬─ object_store()    every key: epochs, leases, manifests of all tables
//!                      └─ tenant(t)         the same keys, refused outside of the tenant's prefix
//!                         │
//!                         ▼
//!        local (fsync, atomic create) │ S3 (If-None-Match) │ memory │ test doubles
//! ```
//!
//! What the rest of the system relies on, and the conformance suite checks: a put is atomic and durable when it returns;
//! of several racing creators of a key exactly one wins; a read sees every put that returned before it began.
//! Nothing relies on overwriting an object, nor on the order of a listing.

mod confined;
mod copy;
mod local;
mod s3;
pub mod sim;
mod small;
mod staging;
mod url;

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;

use crate::{Error, Result, TenantId, key};

pub(crate) use small::{Created, create_once, exists, json_line, list_numbers, read_object};
pub use url::StoreUrl;

/// An object store with Ironbark's keys in it. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Store(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    objects: Arc<dyn ObjectStore>,
    /// What every object's URL begins with; without a slash at its end.
    url: String,
}

impl Store {
    /// Opens the store that a URL names. A local directory is made where there is none; of S3 nothing is asked
    /// yet. Fails with [`Error::InvalidSetting`] where the environment lacks what S3 needs.
    pub fn open(url: &StoreUrl) -> Result<Self> {
        match url {
            StoreUrl::Memory => Ok(Self::memory()),
            StoreUrl::Local(directory) => {
                let local = local::LocalDirectory::open(directory)?;
                let url = format!("file://{}", local.root().display());
                Ok(Self::from_object_store(Arc::new(local), Path::default(), &url))
            }
            StoreUrl::S3 { bucket, prefix } => {
                let s3 = s3::open(bucket, url)?;
                Ok(Self::from_object_store(Arc::new(s3), prefix.clone(), &url.to_string()))
            }
        }
    }

    /// An empty store in memory, gone with its last clone.
    pub fn memory() -> Self {
        Self::from_object_store(Arc::new(InMemory::new()), Path::default(), "memory:")
    }

    /// A store over any implementation, with all keys below `prefix`. `url` is what the URLs of its objects begin
    /// with, the prefix included.
    pub fn from_object_store(store: Arc<dyn ObjectStore>, prefix: Path, url: &str) -> Self {
        let objects =
            if prefix.as_ref().is_empty() { store } else { Arc::new(PrefixStore::new(store, prefix)) };
        Self(Arc::new(Opened { objects, url: url.trim_end_matches('/').to_owned() }))
    }

    /// All objects: for the system's own keys and for work that spans tenants.
    pub fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.0.objects)
    }

    /// The objects of one tenant under their full keys. Any other key is refused with an error that carries
    /// [`Error::OutsideTenant`].
    pub fn tenant(&self, tenant: &TenantId) -> Arc<dyn ObjectStore> {
        Arc::new(confined::Confined::new(self.object_store(), key::tenant_prefix(tenant)))
    }

    /// The URL under which other programs find an object: `file:///…` or `s3://bucket/…`.
    pub fn object_url(&self, key: &Path) -> String {
        format!("{}/{key}", self.0.url)
    }
}

/// An error of the store at a key. A refusal of a tenant's store comes out as what it carries.
pub(crate) fn failed(key: &Path, source: object_store::Error) -> Error {
    if let object_store::Error::PermissionDenied { source: carried, .. } = &source
        && let Some(Error::OutsideTenant { key, allowed }) = carried.downcast_ref::<Error>()
    {
        return Error::OutsideTenant { key: key.clone(), allowed: allowed.clone() };
    }
    Error::Store { key: key.to_string(), source }
}

#[cfg(test)]
mod tests;
