//! Seeded simulations of the write path: a real engine and a real compactor over a disk that loses power and a store
//! that fails, compared after every step with what was acknowledged. `IRONBARK_SIM_SEED=n` repeats one run and prints
//! its steps; `IRONBARK_SIM_SEEDS=n` runs that many.
//!
//! ```text
//!   seed ─► steps: append, repeat, flush, compact, let time pass, create a table,
//!              │   kill, lose power, end at an operation, fill or break the disk, make the store fail
//!              ▼
//!   engine ─► SimDisk, SimStore ─► Snapshot + read_segment ─► compared with the ledger
//! ```
//!
//! After every step: an acknowledged row is visible exactly once under its first id, a refused one never, one whose
//! answer was lost at most once and with its whole append; keys are answered alike; nobody else's rows appear.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it stands")]
#![expect(clippy::indexing_slicing, reason = "a test fails where it stands")]
#![expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "drawn numbers are small")]
#![expect(clippy::print_stdout, reason = "the seed repeats a failure")]

#[path = "simulation/ledger.rs"]
mod ledger;
#[path = "simulation/process.rs"]
mod process;
#[path = "simulation/rows.rs"]
mod rows;
#[path = "simulation/steps.rs"]
mod steps;
#[path = "simulation/world.rs"]
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ironbark_engine::disk::sim::Faults;

use world::{Counts, Ending, World};

const SEEDS: u64 = 50;
const STEPS: u64 = 100;
/// Runs at once.
const THREADS: usize = 4;
/// Seeds among which a disk that lies must be found out.
const LIE_SEEDS: u64 = 12;

/// What went wrong in a run.
#[derive(Debug)]
struct Violation {
    seed: u64,
    step: u64,
    what: String,
}

fn run(seed: u64, lies: Faults, say: bool) -> Result<Counts, Violation> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed, lies);
        let failed = |step, what| Violation { seed, step, what };
        world.restart(Ending::Kill).await.map_err(|what| failed(0, what))?;
        for step in 1..=STEPS {
            let did = world.step().await.map_err(|what| failed(step, what))?;
            if say {
                println!("{step:4} {did}");
            }
        }
        world.conclude().await.map_err(|what| failed(STEPS + 1, what))?;
        Ok(world.counts)
    })
}

fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs all seeds on a few threads; returns what they did together.
fn run_all(seeds: u64) -> Counts {
    let (next, total, violations) =
        (AtomicU64::new(0), Mutex::new(Counts::default()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds {
                        return;
                    }
                    match run(seed, Faults::default(), false) {
                        Ok(counts) => total.lock().unwrap().add(&counts),
                        Err(violation) => violations.lock().unwrap().push(violation),
                    }
                }
            });
        }
    });
    let violations = violations.into_inner().unwrap();
    for Violation { seed, step, what } in &violations {
        println!(
            "seed {seed}, step {step}: {what}\n  repeat it: IRONBARK_SIM_SEED={seed} cargo test --test simulation"
        );
    }
    assert!(violations.is_empty(), "{} of {seeds} runs failed", violations.len());
    total.into_inner().unwrap()
}

#[test]
fn fifty_seeded_simulations() {
    if let Some(seed) = given("IRONBARK_SIM_SEED") {
        let counts = run(seed, Faults::default(), true);
        println!("{counts:?}");
        assert!(counts.is_ok(), "{counts:?}");
        return;
    }
    let seeds = given("IRONBARK_SIM_SEEDS").unwrap_or(SEEDS);
    let counts = run_all(seeds);
    println!("{counts:?}");
    // A simulation in which nothing happens proves nothing.
    assert!(counts.acked > 10 * seeds && counts.flushes > seeds && counts.repeated > seeds, "{counts:?}");
    assert!(counts.kills > seeds && counts.power_losses > seeds, "{counts:?}");
    let rare = [counts.unknown, counts.disk_full, counts.failed_flushes, counts.merges];
    assert!(rare.iter().all(|count| *count > 0), "{counts:?}");
    assert!(counts.collected > 0 && counts.orphans > 0, "{counts:?}");
}

#[test]
fn a_disk_that_lies_about_syncs_is_found_out() {
    let files = Faults { lying_file_sync: true, ..Faults::default() };
    let names = Faults { lying_dir_sync: true, ..Faults::default() };
    for lies in [files, names] {
        let found = (0..LIE_SEEDS).any(|seed| run(seed, lies, false).is_err());
        assert!(found, "no run noticed {lies:?}");
    }
}
