//! A directory as an object store that keeps its word: a put is on the disk when it returns.
//!
//! ```text
//! put:  write .staging/n/17 ─► fsync it ─► link (create) or rename (overwrite) to its name ─► fsync the directory
//! ```
//!
//! `object_store`'s own local store never syncs; it serves the reads here. A name is taken by a hard link, which
//! fails where the name exists, so exactly one of several creators wins. Directories are never removed, so one that
//! was synced stays. When the sync of a directory fails, nobody can tell any more which names are durable: from then
//! on everything is refused, reads too, lest a reader takes a name for durable.

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use parking_lot::Mutex;

use super::copy::copy_by_put;
use super::staging::{STAGING, Staged, Staging};
use crate::Error;

/// Directories remembered as synced; when there are more, all are forgotten and synced again on their next use.
const SYNCED_DIRECTORIES_MAX: usize = 65_536;
/// Objects deleted between two syncs of their directories.
const DELETES_MAX: usize = 64;

/// A local directory.
#[derive(Debug)]
pub(super) struct LocalDirectory {
    reads: LocalFileSystem,
    disk: Arc<Disk>,
}

#[derive(Debug)]
struct Disk {
    root: PathBuf,
    staging: Staging,
    sync: Arc<dyn Syncing>,
    synced: Mutex<HashSet<PathBuf>>,
    unsure: AtomicBool,
}

/// What makes bytes and names durable. A seam, so that tests can tell what the loss of power would leave.
trait Syncing: fmt::Debug + Send + Sync {
    /// Makes a file's bytes durable.
    fn file(&self, file: &File) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn directory(&self, directory: &FsPath) -> io::Result<()>;
}

#[derive(Debug)]
struct SystemSync;

impl Syncing for SystemSync {
    fn file(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn directory(&self, directory: &FsPath) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

/// How a staged file takes its name.
#[derive(Clone, Copy)]
enum Placing {
    Create,
    Overwrite,
}

impl LocalDirectory {
    /// Opens a directory, making it where there is none.
    pub(super) fn open(directory: &FsPath) -> crate::Result<Self> {
        Self::open_with(directory, Arc::new(SystemSync))
    }

    fn open_with(directory: &FsPath, sync: Arc<dyn Syncing>) -> crate::Result<Self> {
        let failed = |source| Error::Io { path: directory.display().to_string(), source };
        let given = std::path::absolute(directory).map_err(failed)?;
        let missing = given.ancestors().take_while(|ancestor| !ancestor.exists()).count();
        fs::create_dir_all(&given).map_err(failed)?;
        for made in given.ancestors().take(missing).filter_map(FsPath::parent) {
            sync.directory(made).map_err(failed)?;
        }
        let root = fs::canonicalize(&given).map_err(failed)?;
        let reads = LocalFileSystem::new_with_prefix(&root)
            .map_err(|source| Error::Store { key: root.display().to_string(), source })?;
        let staging = Staging::open(&root)?;
        let (synced, unsure) = (Mutex::default(), AtomicBool::new(false));
        Ok(Self { reads, disk: Arc::new(Disk { root, staging, sync, synced, unsure }) })
    }

    /// The directory's full path.
    pub(super) fn root(&self) -> &FsPath {
        &self.disk.root
    }

    fn file(&self, key: &Path) -> Result<PathBuf> {
        self.disk.check()?;
        locate(&self.reads, key)
    }
}

impl Disk {
    fn check(&self) -> Result<()> {
        if self.unsure.load(Ordering::Acquire) {
            let source = "syncing a directory failed earlier: check the disk and start again".into();
            return Err(object_store::Error::Generic { store: "local", source });
        }
        Ok(())
    }

    fn stage(&self, payload: &PutPayload) -> io::Result<Staged> {
        let mut staged = self.staging.file()?;
        for bytes in payload {
            staged.file.write_all(bytes)?;
        }
        Ok(staged)
    }

    /// Makes a staged file durable under its name.
    fn place(&self, staged: &Staged, file: &FsPath, placing: Placing) -> io::Result<()> {
        self.sync.file(&staged.file)?;
        let directory = file.parent().ok_or(io::ErrorKind::InvalidFilename)?;
        self.make(directory)?;
        let mut named = name(staged, file, placing);
        if matches!(&named, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            // Somebody removed a directory by hand.
            self.synced.lock().clear();
            self.make(directory)?;
            named = name(staged, file, placing);
        }
        // Also after a lost race: the loser may rely on the winner's object from now on.
        self.sync(directory)?;
        named
    }

    /// Makes a directory and everything above it durable.
    fn make(&self, directory: &FsPath) -> io::Result<()> {
        if self.synced.lock().contains(directory) {
            return Ok(());
        }
        fs::create_dir_all(directory)?;
        // Another process may have made the directories and not synced them yet, so existing ones are synced too.
        let below_root = directory.ancestors().take_while(|ancestor| *ancestor != self.root);
        for made in below_root.filter_map(FsPath::parent) {
            self.sync(made)?;
        }
        let mut synced = self.synced.lock();
        if synced.len() >= SYNCED_DIRECTORIES_MAX {
            synced.clear();
        }
        synced.insert(directory.to_owned());
        Ok(())
    }

    fn sync(&self, directory: &FsPath) -> io::Result<()> {
        self.sync.directory(directory).inspect_err(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::error!(directory = %directory.display(), %error, "cannot sync: the store is closed");
                self.unsure.store(true, Ordering::Release);
            }
        })
    }

    /// Deletes files and makes that durable; one result for each key.
    fn delete(&self, files: Vec<Result<(Path, PathBuf)>>) -> Vec<Result<Path>> {
        let mut directories = HashSet::new();
        let mut delete = |(key, file): (Path, PathBuf)| {
            fs::remove_file(&file).map_err(|error| translate(&file, error))?;
            directories.extend(file.parent().map(FsPath::to_owned));
            Ok(key)
        };
        let deleted = files.into_iter().map(|file| file.and_then(&mut delete)).collect();
        for directory in directories {
            if let Err(error) = self.sync(&directory) {
                return vec![Err(translate(&directory, error))];
            }
        }
        deleted
    }
}

fn name(staged: &Staged, file: &FsPath, placing: Placing) -> io::Result<()> {
    match placing {
        Placing::Create => fs::hard_link(&staged.path, file),
        Placing::Overwrite => fs::rename(&staged.path, file),
    }
}

fn locate(reads: &LocalFileSystem, key: &Path) -> Result<PathBuf> {
    if is_staging(key) {
        let source = format!("keys do not begin with {STAGING}").into();
        return Err(object_store::Error::NotSupported { source });
    }
    reads.path_to_filesystem(key)
}

fn is_staging(key: &Path) -> bool {
    key.parts().next().is_some_and(|first| first.as_ref() == STAGING)
}

fn translate(file: &FsPath, error: io::Error) -> object_store::Error {
    let path = file.display().to_string();
    match error.kind() {
        io::ErrorKind::NotFound => object_store::Error::NotFound { path, source: error.into() },
        io::ErrorKind::AlreadyExists => object_store::Error::AlreadyExists { path, source: error.into() },
        io::ErrorKind::PermissionDenied => {
            object_store::Error::PermissionDenied { path, source: error.into() }
        }
        _ => {
            let source = Error::Io { path, source: error }.into();
            object_store::Error::Generic { store: "local", source }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

impl fmt::Display for LocalDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file://{}", self.disk.root.display())
    }
}

#[async_trait]
impl ObjectStore for LocalDirectory {
    async fn put_opts(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let placing = match options.mode {
            PutMode::Create => Placing::Create,
            PutMode::Overwrite => Placing::Overwrite,
            PutMode::Update(_) => {
                let (operation, implementer) = ("a conditional update".into(), self.to_string());
                return Err(object_store::Error::NotImplemented { operation, implementer });
            }
        };
        let (file, disk) = (self.file(key)?, Arc::clone(&self.disk));
        blocking(move || {
            let staged = disk.stage(&payload).map_err(|error| translate(&file, error))?;
            disk.place(&staged, &file, placing).map_err(|error| translate(&file, error))?;
            Ok(PutResult { e_tag: None, version: None })
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        key: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let (file, disk) = (self.file(key)?, Arc::clone(&self.disk));
        blocking(move || {
            let staged = disk.staging.file().map_err(|error| translate(&file, error))?;
            let upload = LocalUpload { disk, file, staged: Some(Arc::new(staged)), offset: 0 };
            Ok(Box::new(upload) as Box<dyn MultipartUpload>)
        })
        .await
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        self.file(key)?;
        self.reads.get_opts(key, options).await
    }

    async fn get_ranges(&self, key: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.file(key)?;
        self.reads.get_ranges(key, ranges).await
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (disk, reads) = (Arc::clone(&self.disk), self.reads.clone());
        keys.ready_chunks(DELETES_MAX)
            .then(move |keys| {
                let (disk, reads) = (Arc::clone(&disk), reads.clone());
                blocking(move || {
                    disk.check()?;
                    let file = |key: Path| locate(&reads, &key).map(|file| (key, file));
                    Ok(disk.delete(keys.into_iter().map(|key| key.and_then(file)).collect()))
                })
            })
            .map_ok(stream::iter)
            .try_flatten()
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if let Err(error) = self.disk.check() {
            return stream::once(async { Err(error) }).boxed();
        }
        let listed = self.reads.list(prefix);
        listed.try_filter(|object| futures::future::ready(!is_staging(&object.location))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.disk.check()?;
        let mut listed = self.reads.list_with_delimiter(prefix).await?;
        listed.common_prefixes.retain(|prefix| !is_staging(prefix));
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        copy_by_put(self, from, to, options).await
    }
}

/// A file that is written piece by piece and takes its name at the end. All pieces must be done by then, as the
/// trait asks.
#[derive(Debug)]
struct LocalUpload {
    disk: Arc<Disk>,
    file: PathBuf,
    staged: Option<Arc<Staged>>,
    offset: u64,
}

impl LocalUpload {
    fn staged(&self) -> Result<Arc<Staged>> {
        self.staged.clone().ok_or_else(|| object_store::Error::Generic {
            store: "local",
            source: format!("the upload of {} is over already", self.file.display()).into(),
        })
    }
}

#[async_trait]
impl MultipartUpload for LocalUpload {
    fn put_part(&mut self, payload: PutPayload) -> UploadPart {
        let (staged, file, mut offset) = (self.staged(), self.file.clone(), self.offset);
        self.offset += u64::try_from(payload.content_length()).unwrap_or(u64::MAX);
        blocking(move || {
            let staged = staged?;
            for bytes in &payload {
                staged.file.write_all_at(bytes, offset).map_err(|error| translate(&file, error))?;
                offset += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            }
            Ok(())
        })
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (staged, file, disk) = (self.staged()?, self.file.clone(), Arc::clone(&self.disk));
        self.staged = None;
        blocking(move || {
            disk.place(&staged, &file, Placing::Overwrite).map_err(|error| translate(&file, error))?;
            Ok(PutResult { e_tag: None, version: None })
        })
        .await
    }

    async fn abort(&mut self) -> Result<()> {
        self.staged = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
