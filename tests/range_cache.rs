//! The cache of byte ranges, seen from the S3 server: who asks the same again costs it no request for a segment, also after a
//! restart; kill -9 and damaged cache files change no answer.
//!
//! ```text
//!   ironbark ── HTTP ──► proxy ──► S3
//!                          └── counts GETs of segments
//! ```
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ironbark_tests::client::Client;
use ironbark_tests::parts::S3;
use ironbark_tests::{Launch, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ROWS: usize = 20_000;
const NEEDLE: &str = "SELECT timestamp, level, trace_id, message FROM logs WHERE matches(message, 'needle') ORDER BY timestamp";
const ALL: &str = "SELECT timestamp, source, message FROM logs ORDER BY timestamp, message";

/// A proxy before the S3 server.
struct Counted {
    endpoint: String,
    segments: Arc<AtomicU64>,
}

impl Counted {
    async fn before(s3: &S3) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let upstream = s3.endpoint.trim_start_matches("http://").to_owned();
        let segments = Arc::<AtomicU64>::default();
        let counter = Arc::clone(&segments);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (upstream, counter) = (upstream.clone(), Arc::clone(&counter));
                // A connection that breaks is the client's to notice.
                tokio::spawn(async move { forward(client, &upstream, &counter).await.ok() });
            }
        });
        Self { endpoint, segments }
    }

    /// Requests for segments since this was last asked.
    fn take(&self) -> u64 {
        self.segments.swap(0, Ordering::SeqCst)
    }
}

/// A request for an object has no body, so its head is what comes in one piece.
async fn forward(mut client: TcpStream, upstream: &str, counter: &AtomicU64) -> std::io::Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    let (mut sent, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            count = client.read(&mut sent) => match count? {
                0 => return Ok(()),
                count => {
                    let line = sent.get(..count).unwrap_or_default().split(|byte| *byte == b'\r').next().unwrap_or_default();
                    let line = String::from_utf8_lossy(line);
                    counter.fetch_add(u64::from(line.starts_with("GET ") && line.contains(".parquet")), Ordering::SeqCst);
                    server.write_all(sent.get(..count).unwrap_or_default()).await?;
                }
            },
            count = server.read(&mut answered) => match count? {
                0 => return Ok(()),
                count => client.write_all(answered.get(..count).unwrap_or_default()).await?,
            },
        }
    }
}

/// The answers to both questions.
async fn ask(server: &Server) -> [Vec<Vec<Option<String>>>; 2] {
    let client = Client::connect(server).await.unwrap();
    [client.rows(NEEDLE).await.unwrap(), client.rows(ALL).await.unwrap()]
}

/// Flips a bit in every other 64 KiB of all files below.
fn damage(dir: &Path) -> usize {
    let mut places = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            places += damage(&path);
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        for byte in bytes.iter_mut().skip(20_000).step_by(128 << 10) {
            *byte ^= 0x20;
            places += 1;
        }
        std::fs::write(&path, bytes).unwrap();
    }
    places
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_cached_is_not_asked_of_s3_again() {
    let Some(s3) = S3::require() else { return };
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().file_name().unwrap().to_string_lossy().trim_start_matches('.').to_owned();
    let (proxy, data) = (Counted::before(&s3).await, folder.path().join("data"));
    let mut launch = Launch::new(&data).argument("--object-store");
    launch =
        launch.argument(&format!("s3://{}/ranges-{name}", s3.bucket)).argument("--compactor").argument("off");
    for (variable, value) in s3.environment() {
        launch = launch.variable(variable, &value);
    }
    launch = launch.variable("AWS_ENDPOINT", &proxy.endpoint).variable("IRONBARK_QUERY_DISK_CACHE", "64MiB");

    let mut server = launch.start();
    let client = Client::connect(&server).await.unwrap();
    let row = |n: usize| {
        let word = if n % 9_000 == 77 { "needle" } else { "request" };
        let ms = n.wrapping_mul(7_919) % 10_007;
        format!(
            r#"{{"timestamp":"2026-11-23T{:02}:{:02}:{:02}Z","source":"web","message":"{word} {n} took {ms} ms"}}"#,
            n / 3_600,
            n / 60 % 60,
            n % 60
        )
    };
    let body: Vec<String> = (0..ROWS).map(row).collect();
    client.post_ndjson(body.join("\n"), None).await.unwrap();
    client.flush().await.unwrap();
    proxy.take();
    let expected = ask(&server).await;
    assert_eq!((expected[0].len(), expected[1].len()), (ROWS.div_ceil(9_000), ROWS));
    assert!(proxy.take() > 0, "the first time costs requests");
    assert_eq!(ask(&server).await, expected);
    assert_eq!(proxy.take(), 0, "from memory");

    assert!(server.terminate().success(), "{}", server.log_tail());
    let cache = data.join("range-cache");
    assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    let mut server = launch.start();
    assert_eq!(ask(&server).await, expected);
    assert_eq!(proxy.take(), 0, "from disk:\n{}", server.log_tail());

    server.kill();
    let mut server = launch.start();
    assert_eq!(ask(&server).await, expected);
    assert_eq!(proxy.take(), 0, "from disk after kill -9:\n{}", server.log_tail());

    server.kill();
    assert!(damage(&cache) > 0);
    let mut server = launch.start();
    assert_eq!(ask(&server).await, expected, "after damage");
    assert!(proxy.take() > 0, "what is damaged comes from S3");
    server.kill();

    let server = launch.variable("IRONBARK_QUERY_RANGE_CACHE", "0").start();
    for _ in 0..2 {
        assert_eq!(ask(&server).await, expected, "without a cache");
        assert!(proxy.take() > 0);
    }
}
