//! A simulated process's door to the object store: it counts operations and ends the process at one of them. It also
//! stamps objects with the simulated time, by which garbage is told from news.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use ironbark_engine::disk::sim::{Faults, SimDisk};
use ironbark_storage::clock::Clock;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// When objects were put, by the simulated clock. All processes share it.
pub(crate) type PutTimes = Arc<Mutex<HashMap<Path, i64>>>;

/// At which of its operations on the store a process ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// Before it has an effect.
    Before(u64),
    /// After it had its effect, before the answer.
    After(u64),
}

#[derive(Debug, Default)]
struct Life {
    dead: bool,
    operations: u64,
    end: Option<End>,
}

enum Step {
    Go,
    LastOne,
}

/// The store as one process has it.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    objects: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
    times: PutTimes,
    life: Arc<Mutex<Life>>,
    /// The disk that fails with the process, if it has one.
    disk: Option<(SimDisk, Faults)>,
}

impl Process {
    pub(crate) fn new(objects: Arc<dyn ObjectStore>, clock: Arc<dyn Clock>, times: PutTimes) -> Self {
        Self { objects, clock, times, life: Arc::default(), disk: None }
    }

    /// Lets the disk fail from the process's end on; `lies` are the faults that it always has.
    pub(crate) fn with_disk(mut self, disk: SimDisk, lies: Faults) -> Self {
        self.disk = Some((disk, lies));
        self
    }

    /// Ends the process at a later operation.
    pub(crate) fn end_at(&self, end: End) {
        let mut life = self.life.lock().unwrap();
        let now = life.operations;
        life.end = Some(match end {
            End::Before(count) => End::Before(now + count),
            End::After(count) => End::After(now + count),
        });
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.life.lock().unwrap().dead
    }

    fn begin(&self) -> Result<Step> {
        let mut life = self.life.lock().unwrap();
        if life.dead {
            return Err(gone());
        }
        life.operations += 1;
        let step = match life.end {
            Some(End::Before(at)) if life.operations >= at => Err(gone()),
            Some(End::After(at)) if life.operations >= at => Ok(Step::LastOne),
            _ => return Ok(Step::Go),
        };
        life.dead = true;
        if let Some((disk, lies)) = &self.disk {
            disk.set_faults(Faults { crash_at_operation: Some(1), ..*lies });
        }
        step
    }

    fn stamp(&self, object: ObjectMeta) -> ObjectMeta {
        let time = self.times.lock().unwrap().get(&object.location).copied();
        let last_modified = time.map_or(object.last_modified, chrono::DateTime::from_timestamp_nanos);
        ObjectMeta { last_modified, ..object }
    }
}

impl Step {
    fn answer<T>(self, result: Result<T>) -> Result<T> {
        match self {
            Self::Go => result,
            Self::LastOne => Err(gone()),
        }
    }
}

fn gone() -> object_store::Error {
    object_store::Error::Generic { store: "sim", source: "the simulated process has ended".into() }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("process:")
    }
}

#[async_trait]
impl ObjectStore for Process {
    async fn put_opts(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let step = self.begin()?;
        let put = self.objects.put_opts(key, payload, options).await;
        if !matches!(put, Err(object_store::Error::AlreadyExists { .. })) {
            self.times.lock().unwrap().insert(key.clone(), self.clock.now().ns());
        }
        step.answer(put)
    }

    async fn put_multipart_opts(
        &self,
        key: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let step = self.begin()?;
        step.answer(self.objects.put_multipart_opts(key, options).await)
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        let step = self.begin()?;
        let got = self.objects.get_opts(key, options).await;
        step.answer(got.map(|got| GetResult { meta: self.stamp(got.meta.clone()), ..got }))
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let process = self.clone();
        keys.then(move |key| {
            let process = process.clone();
            async move {
                let (key, step) = (key?, process.begin()?);
                let mut one = process.objects.delete_stream(futures::stream::once(async { Ok(key) }).boxed());
                let deleted = one.next().await.unwrap();
                step.answer(deleted)
            }
        })
        .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if let Err(error) = self.begin() {
            return futures::stream::once(async { Err(error) }).boxed();
        }
        let process = self.clone();
        self.objects.list(prefix).map_ok(move |object| process.stamp(object)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let step = self.begin()?;
        let listed = self.objects.list_with_delimiter(prefix).await;
        step.answer(listed.map(|listed| ListResult {
            objects: listed.objects.into_iter().map(|object| self.stamp(object)).collect(),
            ..listed
        }))
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let step = self.begin()?;
        step.answer(self.objects.copy_opts(from, to, options).await)
    }
}
