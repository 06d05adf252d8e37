//! An S3 server behind a delay: the server of the tests, and a proxy that holds back each request for as long as a store
//! across a network would and remembers when it came and went.
//!
//! ```text
//!   ironbark ── HTTP/1.1 ──► proxy ── wait ──► SeaweedFS
//!                              └── exchanges: began, ended, bytes
//! ```
//!
//! The proxy reads no HTTP. Clients of S3 send a request and wait for its answer, so bytes from the client that follow
//! bytes from the server begin a request.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::server::Settings;
use crate::{Error, Result};

const BUFFER_BYTES: usize = 64 << 10;
/// Requests that are remembered between two looks.
const EXCHANGES_MAX: usize = 1_000_000;

/// One request and its answer.
#[derive(Debug, Clone, Copy)]
struct Exchange {
    began: Instant,
    /// When the last byte of the answer went by.
    ended: Instant,
    /// Of the answer, its head included.
    bytes: u64,
}

/// Requests of a stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// How many.
    pub count: u64,
    /// The longest row of requests of which each began after the one before had ended: at least so long do answers
    /// take, and no more requests can have depended on one another.
    pub rounds: u64,
    /// Bytes of the answers, with their heads.
    pub bytes: u64,
}

/// A running S3 server behind its proxy. Dropped, the server is ended.
#[derive(Debug)]
pub(super) struct DelayedS3 {
    traffic: Arc<Traffic>,
    /// What the script that starts the server says of it, by name.
    values: Vec<(String, String)>,
    /// Of the proxy.
    endpoint: String,
}

#[derive(Debug, Default)]
pub(super) struct Traffic {
    exchanges: Mutex<Vec<Exchange>>,
}

impl DelayedS3 {
    /// Starts both. What the server stores goes below the folder.
    pub(super) async fn start(folder: &Path, delay: Duration) -> Result<Self> {
        let broken = |source| Error::Connection { request: "listen for S3".to_owned(), source };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(broken)?;
        let endpoint = format!("http://{}", listener.local_addr().map_err(broken)?);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/parts/seaweedfs.sh");
        run(&script, &["install"], folder)?;
        let folder = folder.join("s3");
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let text = run(&script, &["start", &folder.to_string_lossy()], &folder)?;
        let values: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.trim_start_matches("IRONBARK_TEST_").to_owned(), value.to_owned()))
            .collect();
        let started = Self { traffic: Arc::default(), values, endpoint };
        let upstream = started.value("S3").trim_start_matches("http://").to_owned();
        tokio::spawn(accept(listener, upstream, delay, Arc::clone(&started.traffic)));
        Ok(started)
    }

    /// With what a server of ours is started to use it.
    pub(super) fn settings(&self) -> Settings {
        let variable = |name: &str, value: String| (name.to_owned(), value);
        Settings {
            arguments: vec!["--object-store".to_owned(), format!("s3://{}/suite", self.value("S3_BUCKET"))],
            environment: vec![
                variable("AWS_ENDPOINT", self.endpoint.clone()),
                variable("AWS_REGION", self.value("S3_REGION")),
                variable("AWS_ACCESS_KEY_ID", self.value("S3_ACCESS_KEY")),
                variable("AWS_SECRET_ACCESS_KEY", self.value("S3_SECRET_KEY")),
                variable("AWS_ALLOW_HTTP", "true".to_owned()),
            ],
        }
    }

    /// What it went through.
    pub(super) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    fn value(&self, name: &str) -> String {
        let found = self.values.iter().find(|(of, _)| of == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

impl Drop for DelayedS3 {
    fn drop(&mut self) {
        let pid = self.value("PID");
        if !pid.is_empty() {
            // Not asked to end: it would wait for its connections, and what it stores goes with the run. A process that
            // has ended already is as dead as was asked for.
            drop(Command::new("kill").args(["-KILL", &pid]).status());
        }
    }
}

impl Traffic {
    /// What went by since this was last asked.
    pub(super) fn take(&self) -> Requests {
        let exchanges = std::mem::take(&mut *self.exchanges.lock());
        requests(exchanges)
    }

    fn begin(&self) -> Option<usize> {
        let now = Instant::now();
        let mut exchanges = self.exchanges.lock();
        (exchanges.len() < EXCHANGES_MAX).then(|| {
            exchanges.push(Exchange { began: now, ended: now, bytes: 0 });
            exchanges.len() - 1
        })
    }

    fn answered(&self, exchange: Option<usize>, bytes: usize) {
        let mut exchanges = self.exchanges.lock();
        // One that began before the last look is in no list any more.
        if let Some(exchange) = exchange.and_then(|place| exchanges.get_mut(place)) {
            exchange.ended = Instant::now();
            exchange.bytes += bytes as u64;
        }
    }
}

/// Counts; for the rounds, the request that ends first is taken, then the first to end of those that began later.
fn requests(mut exchanges: Vec<Exchange>) -> Requests {
    exchanges.sort_by_key(|exchange| exchange.ended);
    let (mut rounds, mut last_end) = (0, None);
    for exchange in &exchanges {
        if last_end.is_none_or(|end| exchange.began >= end) {
            rounds += 1;
            last_end = Some(exchange.ended);
        }
    }
    Requests {
        count: exchanges.len() as u64,
        rounds,
        bytes: exchanges.iter().map(|exchange| exchange.bytes).sum(),
    }
}

async fn accept(listener: TcpListener, upstream: String, delay: Duration, traffic: Arc<Traffic>) {
    while let Ok((client, _)) = listener.accept().await {
        let (upstream, traffic) = (upstream.clone(), Arc::clone(&traffic));
        // A connection that breaks is the client's to notice.
        tokio::spawn(async move { forward(client, &upstream, delay, &traffic).await.ok() });
    }
}

async fn forward(
    mut client: TcpStream,
    upstream: &str,
    delay: Duration,
    traffic: &Traffic,
) -> std::io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    let (mut sent, mut answered) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
    let (mut exchange, mut is_asking) = (None, false);
    loop {
        tokio::select! {
            count = client.read(&mut sent) => {
                let count = count?;
                if count == 0 {
                    return Ok(());
                }
                if !is_asking {
                    is_asking = true;
                    exchange = traffic.begin();
                    tokio::time::sleep(delay).await;
                }
                server.write_all(sent.get(..count).unwrap_or_default()).await?;
            }
            count = server.read(&mut answered) => {
                let count = count?;
                if count == 0 {
                    return Ok(());
                }
                is_asking = false;
                traffic.answered(exchange, count);
                client.write_all(answered.get(..count).unwrap_or_default()).await?;
            }
        }
    }
}

fn run(script: &PathBuf, arguments: &[&str], folder: &Path) -> Result<String> {
    let log = folder.join("s3.log");
    let errors = std::fs::File::create(&log).map_err(Error::file(&log))?;
    let output = Command::new(script).args(arguments).stdin(Stdio::null()).stderr(errors).output();
    let output = output.map_err(|source| Error::Start { program: script.clone(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let output = std::fs::read_to_string(&log).unwrap_or_default();
    Err(Error::Program { what: script.display().to_string(), output })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::Instant;

    use super::{Exchange, Requests, Traffic, accept, requests};

    #[test]
    fn rounds_are_requests_one_after_the_other() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let exchange = |began, ended| Exchange { began: at(began), ended: at(ended), bytes: 5 };
        let all = vec![
            exchange(0, 60),
            exchange(61, 130),
            exchange(61, 121),
            exchange(62, 125),
            exchange(131, 190),
        ];
        assert_eq!(requests(all), Requests { count: 5, rounds: 3, bytes: 25 });
        assert_eq!(requests(Vec::new()), Requests::default());
    }

    #[tokio::test]
    async fn each_request_waits_and_is_counted() {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = upstream.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let (mut stream, _) = upstream.accept().await.unwrap();
            let mut asked = [0; 3];
            while stream.read_exact(&mut asked).await.is_ok() {
                stream.write_all(b"answer").await.unwrap();
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let (delay, traffic) = (Duration::from_millis(20), Arc::<Traffic>::default());
        tokio::spawn(accept(listener, address, delay, Arc::clone(&traffic)));
        let mut client = TcpStream::connect(proxy).await.unwrap();
        let began = Instant::now();
        for _ in 0..3 {
            client.write_all(b"ask").await.unwrap();
            let mut answer = [0; 6];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"answer");
        }
        assert!(began.elapsed() >= delay * 3, "{:?}", began.elapsed());
        assert_eq!(traffic.take(), Requests { count: 3, rounds: 3, bytes: 18 });
        assert_eq!(traffic.take(), Requests::default());
    }
}
