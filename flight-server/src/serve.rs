//! A server from start to stop.
//!
//! ```text
//!   Opening   store ─► engine (lock, epoch, recovery) ─► query engine ─► compactor
//!   Listening HTTP and Flight; the ready line is printed
//!   Draining  SIGTERM, SIGINT: no new requests, running ones end within limits.drain
//!   Closed    the engine flushes and closes its log; exit code 0
//! ```
//!
//! The listeners are bound before anything is opened: a port in use is told at once, and leaves no trace.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::serve::ListenerExt as _;
use ironbark_engine::{EngineBuilder, OnDamage};
use ironbark_query::{QueryEngine, RangeCache};
use ironbark_storage::{Ambient, Store, StoreUrl, Tables};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;

use crate::compaction::Compaction;
use crate::config::{CompactorMode, Config};
use crate::error::{Error, Result};
use crate::node::Node;
use crate::{demo, flight, http};

/// Directory of the default object store inside of the data directory.
const OBJECTS_DIR: &str = "objects";
/// Directory of the disk cache inside of the data directory, unless set.
const RANGE_CACHE_DIR: &str = "range-cache";
/// How often a silent HTTP/2 connection is asked whether it still lives; a query of a dead one is then stopped.
const KEEPALIVE: std::time::Duration = std::time::Duration::from_secs(20);
/// HTTP/2 flow-control windows: what a client may send before it is told to go on, for a stream and a connection.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// What to do about a write-ahead log that is damaged in the middle.
pub type Damage = OnDamage;

/// A server that takes requests.
#[derive(Debug)]
pub struct Server {
    node: Arc<Node>,
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// Where Flight listens.
    pub flight: SocketAddr,
    stop: CancellationToken,
    listeners: Vec<JoinHandle<()>>,
}

impl Server {
    /// Binds the listeners, opens the database and takes requests.
    pub async fn start(config: &Config, damage: Damage, ambient: Ambient) -> Result<Self> {
        let http = bind("http.listen", "--http", config.http_listen).await?;
        let flight = bind("flight.listen", "--flight", config.flight_listen).await?;
        let metrics = recorder();
        let node = Arc::new(open(config, damage, ambient).await?);
        let server = Self::listen(node, metrics, http, flight)?;
        server.node.set_ready(true);
        Ok(server)
    }

    fn listen(
        node: Arc<Node>,
        metrics: PrometheusHandle,
        (http_listener, http): (TcpListener, SocketAddr),
        (flight_listener, flight): (TcpListener, SocketAddr),
    ) -> Result<Self> {
        let stop = CancellationToken::new();
        let router = http::router(Arc::clone(&node), metrics);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        // As for Flight: the last bytes of an answer must not wait until the client has acknowledged those before them.
        let http_listener = http_listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "a connection answers with delay");
            }
        });
        let stopped = stop.clone().cancelled_owned();
        let http_task = tokio::spawn(async move {
            let served = axum::serve(http_listener, service).with_graceful_shutdown(stopped).await;
            if let Err(error) = served {
                tracing::error!(%error, "the HTTP listener ended");
            }
        });
        let service = flight::service(Arc::clone(&node)).map_err(Error::Flight)?;
        let server = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .add_service(service);
        let incoming = TcpIncoming::from(flight_listener).with_nodelay(Some(true));
        let stopped = stop.clone().cancelled_owned();
        let flight_task = tokio::spawn(async move {
            if let Err(error) = server.serve_with_incoming_shutdown(incoming, stopped).await {
                tracing::error!(%error, "the Flight listener ended");
            }
        });
        Ok(Self { node, http, flight, stop, listeners: vec![http_task, flight_task] })
    }

    /// The line that tells scripts where the server listens.
    pub fn ready_line(&self) -> String {
        format!("ironbark ready http=http://{} flight=http://{}", self.http, self.flight)
    }

    /// Fills the database with the demo's day, says what to try, and adds rows for ever.
    pub(crate) async fn demonstrate(&self) -> Result<()> {
        let (engine, ambient) = (&self.node.engine, &self.node.ambient);
        let started = ambient.clock.now();
        let mut out = std::io::stdout();
        let rows = demo::fill(engine, ambient, &mut out).await?;
        let (http, flight) = (format!("http://{}", self.http), format!("http://{}", self.flight));
        demo::tell_what_to_try(&mut out, rows, &http, &flight, started)?;
        demo::live(engine, ambient).await
    }

    /// Takes no more requests, lets running ones end for a bounded time, and closes the database.
    pub async fn stop(mut self) -> Result<()> {
        self.node.set_ready(false);
        self.stop.cancel();
        let drain = self.node.limits.drain;
        let ended = tokio::time::timeout(drain, async {
            for listener in &mut self.listeners {
                // A listener that panicked has ended too; the panic is in the log.
                let _ = listener.await;
            }
        });
        if ended.await.is_err() {
            tracing::warn!(?drain, "requests are still running and are ended now");
            for listener in &self.listeners {
                listener.abort();
            }
        }
        self.node.compaction.stop();
        self.node.engine.shutdown().await?;
        if let Some(ranges) = self.node.query.range_cache() {
            ranges.close().await;
        }
        Ok(())
    }
}

async fn bind(
    key: &'static str,
    flag: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr)> {
    let refused = |source| Error::Listen { key, flag, address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let local = listener.local_addr().map_err(refused)?;
    Ok((listener, local))
}

async fn open(config: &Config, damage: Damage, ambient: Ambient) -> Result<Node> {
    let data_dir = &config.data_dir;
    let unusable = |source| Error::DataDir { dir: data_dir.clone(), source };
    std::fs::create_dir_all(data_dir).map_err(unusable)?;
    let url = match &config.object_store {
        Some(url) => url.clone(),
        None => StoreUrl::Local(std::path::absolute(data_dir.join(OBJECTS_DIR)).map_err(unusable)?),
    };
    let store = Store::open(&url)?;
    let engine = EngineBuilder::local(data_dir, store.clone())?
        .config(config.engine.clone())
        .ambient(ambient.clone())
        .on_damage(damage)
        .open()
        .await?;
    let tables: Arc<dyn Tables> = Arc::clone(&engine) as Arc<dyn Tables>;
    let ranges = match url {
        StoreUrl::S3 { .. } => {
            RangeCache::open(&config.query, &data_dir.join(RANGE_CACHE_DIR), &ambient).await
        }
        StoreUrl::Local(_) | StoreUrl::Memory => None,
    };
    let query = QueryEngine::new(config.query.clone(), store.clone(), tables, ambient.clone(), ranges)?;
    let compaction = match config.compactor_mode {
        CompactorMode::Off => Compaction::Off,
        CompactorMode::On => Compaction::start(config.compactor.clone(), store.clone(), ambient.clone())
            .map_err(|source| Error::Setup { what: "the compactor's threads", source })?,
    };
    let only_local =
        [config.http_listen, config.flight_listen].iter().all(|a| a.ip().to_canonical().is_loopback());
    Ok(Node {
        engine,
        query,
        store,
        ambient,
        limits: config.limits.clone(),
        compaction,
        only_local,
        ready: AtomicBool::new(false),
    })
}

/// The metrics of this process. There is one recorder for a process: a second server in it (as tests start them)
/// shows only its gauges.
fn recorder() -> PrometheusHandle {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::debug!("metrics are recorded by an earlier server of this process");
    }
    handle
}
