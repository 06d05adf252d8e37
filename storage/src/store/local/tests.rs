//! What the loss of power leaves of a local store, and what happens when the disk does not do as told.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;

use object_store::ObjectStoreExt;
use tempfile::TempDir;

use super::*;

/// What the double does with a request to sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Sync,
    /// As if the code did not ask.
    Forget,
    Fail,
}

/// Remembers what was synced: all that the loss of power would leave.
#[derive(Debug)]
struct Power {
    files: Mutex<Answer>,
    directories: Mutex<Answer>,
    /// Inode and size.
    durable_files: Mutex<HashSet<(u64, u64)>>,
    /// The names in each directory and the inodes that they name.
    durable_names: Mutex<HashMap<PathBuf, HashMap<OsString, u64>>>,
}

impl Power {
    fn new(files: Answer, directories: Answer) -> Arc<Self> {
        let (files, directories) = (Mutex::new(files), Mutex::new(directories));
        Arc::new(Self {
            files,
            directories,
            durable_files: Mutex::default(),
            durable_names: Mutex::default(),
        })
    }

    /// Whether an object would be there, whole, after the loss of power.
    fn leaves(&self, top: &FsPath, file: &FsPath) -> bool {
        let Ok(metadata) = fs::metadata(file) else { return false };
        let names = self.durable_names.lock();
        let named = |path: &FsPath| {
            let inode = fs::metadata(path).unwrap().ino();
            let names = names.get(path.parent().unwrap());
            names.is_some_and(|names| names.get(path.file_name().unwrap()) == Some(&inode))
        };
        self.durable_files.lock().contains(&(metadata.ino(), metadata.len()))
            && file.ancestors().take_while(|ancestor| *ancestor != top).all(named)
    }
}

impl Syncing for Power {
    fn file(&self, file: &File) -> io::Result<()> {
        match *self.files.lock() {
            Answer::Sync => {
                let metadata = file.metadata()?;
                self.durable_files.lock().insert((metadata.ino(), metadata.len()));
                Ok(())
            }
            Answer::Forget => Ok(()),
            Answer::Fail => Err(io::Error::other("the disk is broken")),
        }
    }

    fn directory(&self, directory: &FsPath) -> io::Result<()> {
        match *self.directories.lock() {
            Answer::Sync => {
                let entries = fs::read_dir(directory)?.map(|entry| entry.unwrap());
                let names =
                    entries.map(|entry| (entry.file_name(), entry.metadata().unwrap().ino())).collect();
                self.durable_names.lock().insert(directory.to_owned(), names);
                Ok(())
            }
            Answer::Forget => Ok(()),
            Answer::Fail => Err(io::Error::other("the disk is broken")),
        }
    }
}

struct World {
    top: TempDir,
    power: Arc<Power>,
    store: LocalDirectory,
}

impl World {
    fn new(files: Answer, directories: Answer) -> Self {
        let (top, power) = (tempfile::tempdir().unwrap(), Power::new(files, directories));
        let store =
            LocalDirectory::open_with(&top.path().join("new/store"), Arc::clone(&power) as _).unwrap();
        Self { top, power, store }
    }

    fn leaves(&self, key: &str) -> bool {
        let top = fs::canonicalize(self.top.path()).unwrap();
        self.power.leaves(&top, &self.store.root().join(key))
    }
}

async fn put(store: &LocalDirectory, key: &str, mode: PutMode) -> Result<PutResult> {
    store.put_opts(&Path::from(key), PutPayload::from_static(b"0123456789"), mode.into()).await
}

#[tokio::test]
async fn a_put_survives_the_loss_of_power() {
    let world = World::new(Answer::Sync, Answer::Sync);
    put(&world.store, "a/b/c/created", PutMode::Create).await.unwrap();
    put(&world.store, "a/b/c/created", PutMode::Overwrite).await.unwrap();
    put(&world.store, "a/b/d/e/overwritten", PutMode::Overwrite).await.unwrap();
    world.store.copy(&Path::from("a/b/c/created"), &Path::from("copies/1")).await.unwrap();
    let mut upload = world.store.put_multipart(&Path::from("a/pieces/1")).await.unwrap();
    upload.put_part(PutPayload::from_static(b"01234")).await.unwrap();
    upload.put_part(PutPayload::from_static(b"56789")).await.unwrap();
    assert!(!world.leaves("a/pieces/1"));
    upload.complete().await.unwrap();
    for key in ["a/b/c/created", "a/b/d/e/overwritten", "copies/1", "a/pieces/1"] {
        assert!(world.leaves(key), "{key}");
    }
    // Another process made directories and was killed before it synced them.
    fs::create_dir_all(world.store.root().join("x/y/z")).unwrap();
    put(&world.store, "x/y/z/1", PutMode::Create).await.unwrap();
    assert!(world.leaves("x/y/z/1"));
    // Somebody removed directories under the store's feet.
    fs::remove_dir_all(world.store.root().join("x")).unwrap();
    put(&world.store, "x/y/z/1", PutMode::Create).await.unwrap();
    assert!(world.leaves("x/y/z/1"));
}

#[tokio::test]
async fn whoever_loses_a_race_may_rely_on_the_winner() {
    let world = World::new(Answer::Sync, Answer::Sync);
    // The winner was killed between its link and its sync.
    fs::create_dir_all(world.store.root().join("a")).unwrap();
    let winner = world.store.root().join("a/1");
    fs::write(&winner, b"0123456789").unwrap();
    world.power.file(&File::open(&winner).unwrap()).unwrap();
    assert!(!world.leaves("a/1"));
    let lost = put(&world.store, "a/1", PutMode::Create).await.unwrap_err();
    assert!(matches!(lost, object_store::Error::AlreadyExists { .. }), "{lost}");
    assert!(world.leaves("a/1"));
}

#[tokio::test]
async fn without_one_of_the_syncs_a_put_would_be_lost() {
    for (files, directories) in [(Answer::Forget, Answer::Sync), (Answer::Sync, Answer::Forget)] {
        let world = World::new(files, directories);
        put(&world.store, "a/b/1", PutMode::Create).await.unwrap();
        assert!(!world.leaves("a/b/1"), "{files:?} {directories:?}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_synced_gets_no_name() {
    let world = World::new(Answer::Fail, Answer::Sync);
    assert!(put(&world.store, "a/1", PutMode::Create).await.is_err());
    let missing = world.store.head(&Path::from("a/1")).await.unwrap_err();
    assert!(matches!(missing, object_store::Error::NotFound { .. }), "{missing}");
    // The next attempt writes the bytes anew, so it may succeed.
    *world.power.files.lock() = Answer::Sync;
    put(&world.store, "a/1", PutMode::Create).await.unwrap();
    assert!(world.leaves("a/1"));
}

#[tokio::test]
async fn after_a_failed_sync_of_names_the_store_is_closed() {
    let world = World::new(Answer::Sync, Answer::Sync);
    put(&world.store, "a/1", PutMode::Create).await.unwrap();
    *world.power.directories.lock() = Answer::Fail;
    assert!(put(&world.store, "a/2", PutMode::Create).await.is_err());
    *world.power.directories.lock() = Answer::Sync;
    // It is there, and may be gone after the loss of power: so nobody may see it.
    assert!(world.store.root().join("a/2").exists());
    for key in ["a/1", "a/2"] {
        let error = world.store.get(&Path::from(key)).await.unwrap_err().to_string();
        assert!(error.contains("check the disk and start again"), "{error}");
    }
    assert!(put(&world.store, "a/3", PutMode::Create).await.is_err());
    assert!(world.store.list(None).next().await.unwrap().is_err());
}

#[tokio::test]
async fn deletions_are_durable_and_tell_what_was_missing() {
    let world = World::new(Answer::Sync, Answer::Sync);
    put(&world.store, "a/1", PutMode::Create).await.unwrap();
    let keys = ["a/1", "a/2"].map(|key| Ok(Path::from(key)));
    let outcomes: Vec<_> = world.store.delete_stream(stream::iter(keys).boxed()).collect().await;
    assert!(
        matches!(outcomes.as_slice(), [Ok(_), Err(object_store::Error::NotFound { .. })]),
        "{outcomes:?}"
    );
    let directory = world.store.root().join("a");
    assert!(world.power.durable_names.lock()[&directory].is_empty());
}

#[tokio::test]
async fn leftovers_of_a_crash_go_and_the_files_of_others_stay() {
    let top = tempfile::tempdir().unwrap();
    let (first, second) =
        (LocalDirectory::open(top.path()).unwrap(), LocalDirectory::open(top.path()).unwrap());
    let mut upload = second.put_multipart(&Path::from("a/1")).await.unwrap();
    upload.put_part(PutPayload::from_static(b"0123456789")).await.unwrap();
    drop(first);
    let leftover = top.path().join(STAGING).join("1/99");
    fs::write(&leftover, b"half").unwrap();
    let third = LocalDirectory::open(top.path()).unwrap();
    assert!(!leftover.exists());
    upload.complete().await.unwrap();
    assert_eq!(third.get(&Path::from("a/1")).await.unwrap().bytes().await.unwrap(), "0123456789");
    let staged = || fs::read_dir(top.path().join(STAGING)).unwrap().map(|slot| slot.unwrap().path());
    let files: usize =
        staged().filter(|slot| slot.is_dir()).map(|slot| fs::read_dir(slot).unwrap().count()).sum();
    assert_eq!(files, 0, "nothing stays behind");
}

#[tokio::test]
async fn staging_is_nobodys_key() {
    let world = World::new(Answer::Sync, Answer::Sync);
    put(&world.store, "a/1", PutMode::Create).await.unwrap();
    assert!(put(&world.store, ".staging/1/x", PutMode::Create).await.is_err());
    assert!(world.store.delete(&Path::from(".staging/1.lock")).await.is_err());
    let listed: Vec<_> = world.store.list(None).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(world.store.list_with_delimiter(None).await.unwrap().common_prefixes, [Path::from("a")]);
}
