//! Copies for stores that have none of their own: the object is read whole and put again, with what a put promises.

use object_store::path::Path;
use object_store::{CopyMode, CopyOptions, ObjectStore, ObjectStoreExt, PutMode, Result};

/// Copies an object by reading it into memory.
pub(super) async fn copy_by_put(
    objects: &dyn ObjectStore,
    from: &Path,
    to: &Path,
    options: CopyOptions,
) -> Result<()> {
    let bytes = objects.get(from).await?.bytes().await?;
    let mode = match options.mode {
        CopyMode::Overwrite => PutMode::Overwrite,
        CopyMode::Create => PutMode::Create,
    };
    objects.put_opts(to, bytes.into(), mode.into()).await.map(drop)
}
