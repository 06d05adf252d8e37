//! A tenant's view of the store: the same keys, but none outside of the tenant's prefix.
//!
//! Whatever reads or writes rows for a request goes through this, so that a wrong key is an error and not a leak.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

use crate::Error;

/// A store that refuses every key outside of a prefix.
#[derive(Debug)]
pub(super) struct Confined {
    objects: Arc<dyn ObjectStore>,
    allowed: Path,
}

impl Confined {
    pub(super) fn new(objects: Arc<dyn ObjectStore>, allowed: Path) -> Self {
        Self { objects, allowed }
    }

    fn check(&self, key: &Path) -> Result<()> {
        check(&self.allowed, key)
    }

    fn check_prefix(&self, prefix: Option<&Path>) -> Result<()> {
        match prefix {
            Some(prefix) if *prefix == self.allowed => Ok(()),
            Some(prefix) => self.check(prefix),
            None => self.check(&Path::default()),
        }
    }
}

fn check(allowed: &Path, key: &Path) -> Result<()> {
    if key.prefix_matches(allowed) && key != allowed {
        return Ok(());
    }
    let refusal = Error::OutsideTenant { key: key.to_string(), allowed: allowed.to_string() };
    Err(object_store::Error::PermissionDenied { path: key.to_string(), source: Box::new(refusal) })
}

impl fmt::Display for Confined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} within {}", self.objects, self.allowed)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Confined {
    async fn put_opts(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.check(key)?;
        self.objects.put_opts(key, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        key: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check(key)?;
        self.objects.put_multipart_opts(key, options).await
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        self.check(key)?;
        self.objects.get_opts(key, options).await
    }

    async fn get_ranges(&self, key: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.check(key)?;
        self.objects.get_ranges(key, ranges).await
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let allowed = self.allowed.clone();
        let checked = keys.map(move |key| key.and_then(|key| check(&allowed, &key).map(|()| key)));
        self.objects.delete_stream(checked.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check_prefix(prefix) {
            Ok(()) => self.objects.list(prefix),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check_prefix(prefix) {
            Ok(()) => self.objects.list_with_offset(prefix, offset),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.check_prefix(prefix)?;
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.check(from)?;
        self.check(to)?;
        self.objects.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.check(from)?;
        self.check(to)?;
        self.objects.rename_opts(from, to, options).await
    }
}
