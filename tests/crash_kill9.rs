//! Kills a server at random moments, starts it again on the same directory, and holds it to its word: every
//! acknowledged row is there exactly once, every other row at most once. The acknowledgements are written down outside
//! the server. `IRONBARK_CRASH_ROUNDS` sets the number of kills, `IRONBARK_CRASH_SEED` repeats a run's choices (the
//! moment of a kill also depends on the machine).
//!
//! ```text
//!   round:  start ─► writers (HTTP ×2, Flight) and a flusher ─► kill -9 ─► start ─► compare with the ledger
//!                        │ sent, acked                 ▲ sometimes already while it recovers
//!                        ▼                             └ what was not acked is sent again under its key
//!                     ledger
//! ```
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails where it stands")]
#![expect(clippy::print_stdout, reason = "the seed repeats a failure")]

#[path = "crash/ledger.rs"]
mod ledger;
#[path = "crash/random.rs"]
mod random;
#[path = "crash/writer.rs"]
mod writer;

use std::sync::Arc;
use std::time::Duration;

use ironbark_tests::client::Client;
use ironbark_tests::parts::S3;
use ironbark_tests::{Launch, Server};
use tokio::task::JoinSet;

use ledger::Ledger;
use random::Random;
use writer::{Path, Writer};

/// The server lives this long in a round, beginning when it takes requests.
const LIFE_MS: std::ops::Range<u64> = 30..2_500;
/// A server that is killed before it is ready lives this long.
const START_LIFE_MS: std::ops::Range<u64> = 1..400;
/// One in so many restarts is killed before it is ready.
const KILLED_STARTS_ONE_IN: u64 = 4;
/// Pause between flushes, so that kills also fall into commits.
const FLUSH_PAUSE_MS: std::ops::Range<u64> = 50..600;

/// Findings that a failed comparison prints.
const FINDINGS_MAX: usize = 20;

const LOCAL_ROUNDS: u64 = 6;
const S3_ROUNDS: u64 = 4;

fn rounds(default: u64) -> u64 {
    std::env::var("IRONBARK_CRASH_ROUNDS")
        .ok()
        .map_or(default, |text| text.parse().expect("a number of rounds"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_acked_row_is_lost_on_a_local_directory() {
    let folder = tempfile::tempdir().unwrap();
    crash(Launch::new(&folder.path().join("data")), &folder, rounds(LOCAL_ROUNDS)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_acked_row_is_lost_on_s3() {
    let Some(s3) = S3::require() else { return };
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().file_name().unwrap().to_string_lossy().trim_start_matches('.').to_owned();
    let url = format!("s3://{}/crash-{name}", s3.bucket);
    let mut launch = Launch::new(&folder.path().join("data")).argument("--object-store").argument(&url);
    for (variable, value) in s3.environment() {
        launch = launch.variable(variable, &value);
    }
    crash(launch, &folder, rounds(S3_ROUNDS)).await;
}

async fn crash(launch: Launch, folder: &tempfile::TempDir, rounds: u64) {
    let mut random = Random::from_environment();
    let ledger = Arc::new(Ledger::create(&folder.path().join("ledger")));
    let mut server = launch.start();
    for round in 0..rounds {
        one_life(&server, round, &ledger, &mut random).await;
        server.kill();
        while random.below(KILLED_STARTS_ONE_IN) == 0 {
            launch.start_and_kill(Duration::from_millis(random.within(&START_LIFE_MS))).await;
        }
        server = launch.start();
        verify(&server, &ledger, &format!("after kill {round}")).await;
    }
    // What a clean end writes must hold too, and so must what a flush and a compaction make of it.
    assert!(server.terminate().success(), "SIGTERM drains:\n{}", server.log_tail());
    let server = launch.start();
    verify(&server, &ledger, "after a clean end").await;
    Client::connect(&server).await.unwrap().flush().await.unwrap();
    verify(&server, &ledger, "after a flush").await;
    println!("{rounds} kills, {}", ledger.summary());
    assert!(ledger.acked_rows() > 0, "no row was ever acknowledged, so nothing was tested");
}

/// Writes and flushes until the time is over; the caller kills the server while they are still at it.
async fn one_life(server: &Server, round: u64, ledger: &Arc<Ledger>, random: &mut Random) {
    let client = Client::connect(server).await.unwrap();
    let mut tasks = JoinSet::new();
    for (number, path) in [Path::Http, Path::Http, Path::Flight].into_iter().enumerate() {
        let name = format!("{round}.{number}");
        let writer = Writer { name, path, client: client.clone(), ledger: Arc::clone(ledger) };
        tasks.spawn(writer.run(random.fork()));
    }
    let mut pauses = random.fork();
    tasks.spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(pauses.within(&FLUSH_PAUSE_MS))).await;
            if client.flush().await.is_err() {
                break;
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(random.within(&LIFE_MS))).await;
    // The kill comes first and the tasks end by it: an acknowledgement on its way still reaches the ledger.
    let pid = server.pid().to_string();
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    tasks.join_all().await;
}

async fn verify(server: &Server, ledger: &Ledger, when: &str) {
    let client = Client::connect(server).await.unwrap();
    let found = client.rows("SELECT message, count(*) FROM logs GROUP BY message").await.unwrap();
    let found = found.into_iter().map(|row| {
        let [message, count] = row.try_into().unwrap();
        (message.unwrap(), count.unwrap().parse::<u64>().unwrap())
    });
    let findings = ledger.findings(&found.collect());
    let shown: Vec<_> = findings.iter().take(FINDINGS_MAX).map(String::as_str).collect();
    assert!(findings.is_empty(), "{when}: {} findings:\n{}", findings.len(), shown.join("\n"));
    let rows = client.number("SELECT count(*) FROM logs").await.unwrap();
    let ids = client.number("SELECT count(DISTINCT _row_id) FROM logs").await.unwrap();
    assert_eq!(rows, ids, "{when}: two rows share an id");
}

#[test]
fn a_lost_row_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Ledger::create(&folder.path().join("ledger"));
    ledger.sent("a", 2, "");
    ledger.acked("a");
    ledger.sent("b", 2, "");
    let wrong = |counts: &[(&str, u64)]| {
        let found = counts.iter().map(|(text, count)| ((*text).to_owned(), *count)).collect();
        ledger.findings(&found).len()
    };
    assert_eq!(wrong(&[("a-0", 1), ("a-1", 1)]), 0, "an unacknowledged batch may be missing");
    assert_eq!(wrong(&[("a-0", 1), ("a-1", 1), ("b-0", 1), ("b-1", 1)]), 0, "or be there");
    assert_eq!(wrong(&[("a-0", 1)]), 1, "lost");
    assert_eq!(wrong(&[("a-0", 1), ("a-1", 2)]), 1, "twice");
    assert_eq!(wrong(&[("a-0", 1), ("a-1", 1), ("b-0", 2), ("b-1", 2)]), 1, "twice without acknowledgement");
    assert_eq!(wrong(&[("a-0", 1), ("a-1", 1), ("b-0", 1)]), 1, "in part");
    assert_eq!(wrong(&[("a-0", 1), ("a-1", 1), ("c-0", 1)]), 1, "never sent");
}
