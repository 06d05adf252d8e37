//! What was sent and what was acknowledged, written down outside the server that is killed. Each row of a batch is one
//! message, `BATCH-ROW`, unique over the whole run.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

#[derive(Debug, Clone)]
struct Batch {
    rows: u64,
    acked: bool,
    /// What was sent, to send it again under the same key.
    body: String,
}

/// The ledger: in memory for comparing, in a file for reading after a failure.
#[derive(Debug)]
pub(crate) struct Ledger {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    batches: BTreeMap<String, Batch>,
}

impl Ledger {
    pub(crate) fn create(path: &Path) -> Self {
        let file = File::create_new(path).expect("the ledger can be made");
        Self { state: Mutex::new(State { file, batches: BTreeMap::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no writer panics with the ledger in hand")
    }

    /// Notes a batch before it is sent. Sending one again changes nothing.
    pub(crate) fn sent(&self, batch: &str, rows: u64, body: &str) {
        let mut state = self.state();
        writeln!(state.file, "sent {batch} {rows}").expect("the ledger can be written");
        let noted = Batch { rows, acked: false, body: body.to_owned() };
        state.batches.entry(batch.to_owned()).or_insert(noted);
    }

    /// Notes an acknowledgement.
    pub(crate) fn acked(&self, batch: &str) {
        let mut state = self.state();
        writeln!(state.file, "acked {batch}").expect("the ledger can be written");
        state.batches.get_mut(batch).expect("only what was sent is acknowledged").acked = true;
    }

    /// A batch that was sent over HTTP and not acknowledged, with its body.
    pub(crate) fn unacked(&self, choice: u64) -> Option<(String, u64, String)> {
        let state = self.state();
        let open: Vec<_> =
            state.batches.iter().filter(|(_, batch)| !batch.acked && !batch.body.is_empty()).collect();
        let at = usize::try_from(choice).unwrap_or(0).checked_rem(open.len())?;
        open.get(at).map(|(name, batch)| ((*name).clone(), batch.rows, batch.body.clone()))
    }

    pub(crate) fn acked_rows(&self) -> u64 {
        self.state().batches.values().filter(|batch| batch.acked).map(|batch| batch.rows).sum()
    }

    pub(crate) fn summary(&self) -> String {
        let acked = self.state().batches.values().filter(|batch| batch.acked).count();
        let sent = self.state().batches.len();
        format!("{sent} batches sent, {acked} of them acknowledged with {} rows", self.acked_rows())
    }

    /// Compares with how often the server has each message: what is wrong if an acknowledged row is not there once,
    /// another more than once, a batch in part, or a row that nobody sent.
    pub(crate) fn findings(&self, found: &HashMap<String, u64>) -> Vec<String> {
        let state = self.state();
        let mut findings = Vec::new();
        let mut known = 0;
        for (name, batch) in &state.batches {
            let counts: Vec<u64> =
                (0..batch.rows).map(|row| found.get(&message(name, row)).copied().unwrap_or(0)).collect();
            known += counts.iter().filter(|&&count| count > 0).count();
            let whole = counts.windows(2).all(|pair| pair.first() == pair.last());
            if batch.acked && counts.iter().any(|&count| count != 1) {
                findings.push(format!("batch {name} was acknowledged, its rows are there {counts:?} times"));
            } else if counts.iter().any(|&count| count > 1) {
                findings
                    .push(format!("batch {name} was not acknowledged, its rows are there {counts:?} times"));
            } else if !whole {
                findings.push(format!("batch {name} is there in part: {counts:?}"));
            }
        }
        if known != found.len() {
            findings.push(format!("{} messages were never sent", found.len() - known));
        }
        findings
    }
}

/// The text of one row.
pub(crate) fn message(batch: &str, row: u64) -> String {
    format!("{batch}-{row}")
}
