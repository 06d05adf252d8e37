//! What the world outside knows: which appends were acknowledged, and what may and may not be visible therefore.

use std::collections::{BTreeMap, HashMap, HashSet};

/// A row as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SeenRow {
    pub(crate) id: i64,
    pub(crate) timestamp: i64,
    pub(crate) message: String,
}

/// What is known of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Acknowledged, or seen once: from then on always there, the first row under this id.
    There { first: i64 },
    /// The answer was lost: there whole or not at all, and the next recovery decides.
    Unknown,
    /// Refused: never there.
    Refused,
}

/// An idempotency key's request.
#[derive(Clone, Debug)]
pub(crate) struct Keyed {
    pub(crate) key: String,
    pub(crate) answer: String,
}

/// An append as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) table: usize,
    /// Timestamps and messages; a message names one row of the whole run.
    pub(crate) rows: Vec<(i64, String)>,
    pub(crate) keyed: Option<Keyed>,
    pub(crate) fate: Fate,
}

/// Everything that was sent.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) sent: Vec<Sent>,
    /// Message to its append and its place in it.
    rows: HashMap<String, (usize, usize)>,
}

impl Ledger {
    pub(crate) fn send(&mut self, sent: Sent) -> usize {
        let number = self.sent.len();
        for (place, (_, message)) in sent.rows.iter().enumerate() {
            self.rows.insert(message.clone(), (number, place));
        }
        self.sent.push(sent);
        number
    }

    /// The numbers of the appends that were sent under a key.
    pub(crate) fn keyed(&self) -> Vec<usize> {
        (0..self.sent.len()).filter(|number| self.sent[*number].keyed.is_some()).collect()
    }

    /// Compares what readers of all tables see with what may be. Appends that turn out to be there are there from now
    /// on.
    pub(crate) fn check(&mut self, seen: &BTreeMap<usize, Vec<SeenRow>>) -> Result<(), String> {
        let mut ids = HashSet::new();
        let mut found: HashMap<usize, Vec<Option<i64>>> = HashMap::new();
        for (table, rows) in seen {
            for row in rows {
                if !ids.insert(row.id) {
                    return Err(format!("row id {} is there twice, once as {:?}", row.id, row.message));
                }
                let Some((number, place)) = self.rows.get(&row.message) else {
                    return Err(format!("nobody sent {row:?}, which is in table {table}"));
                };
                let sent = &self.sent[*number];
                if sent.table != *table {
                    return Err(format!("{row:?} of table {} is in table {table}", sent.table));
                }
                if sent.rows[*place].0 != row.timestamp {
                    return Err(format!("{row:?} was sent with timestamp {}", sent.rows[*place].0));
                }
                let places = found.entry(*number).or_insert_with(|| vec![None; sent.rows.len()]);
                if places[*place].replace(row.id).is_some() {
                    return Err(format!("{row:?} is visible twice"));
                }
            }
        }
        for number in 0..self.sent.len() {
            self.check_append(number, found.get(&number))?;
        }
        Ok(())
    }

    fn check_append(&mut self, number: usize, found: Option<&Vec<Option<i64>>>) -> Result<(), String> {
        let sent = &mut self.sent[number];
        let what = || format!("append {number} ({:?}) {:?}", sent.rows.first(), sent.fate);
        let Some(found) = found else {
            let lost = matches!(sent.fate, Fate::There { .. }) && !sent.rows.is_empty();
            return if lost { Err(format!("{} is not visible", what())) } else { Ok(()) };
        };
        let first = match (sent.fate, found.first().copied().flatten()) {
            (Fate::Refused, _) => return Err(format!("{} is visible", what())),
            (Fate::There { first }, _) | (Fate::Unknown, Some(first)) => first,
            (Fate::Unknown, None) => return Err(format!("{} is visible without its first row", what())),
        };
        for (place, id) in found.iter().enumerate() {
            let expected = first + i64::try_from(place).unwrap();
            if *id != Some(expected) {
                return Err(format!("{}: row {place} has id {id:?}, not {expected}", what()));
            }
        }
        sent.fate = Fate::There { first };
        Ok(())
    }

    /// After a recovery: what it did not bring back never comes.
    pub(crate) fn settle(&mut self) {
        for sent in &mut self.sent {
            if sent.fate == Fate::Unknown && !sent.rows.is_empty() {
                sent.fate = Fate::Refused;
            }
        }
    }
}
