//! Leases: who does a job at the moment, such as compacting a table.
//!
//! ```text
//! _ironbark/lease/<name>/…01.json  held by A until 10:00
//!                        …02.json  held by A until 10:05     (renewed)
//!                        …03.json  released by A
//!                        …04.json  held by B until 10:20     the newest number counts
//! ```
//!
//! Whoever creates the next number has the lease; the number is its fencing number. A lease saves double work and no
//! more: clocks may be wrong, so whatever must not happen twice is decided by a manifest commit.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use object_store::ObjectStore;
use uuid::Uuid;

use crate::store::{Created, create_once, json_line, list_numbers, read_object};
use crate::{Ambient, Error, Result, Store, Timestamp, key};

/// Version of the lease objects that this build writes, and the newest it reads.
const LEASE_FORMAT_VERSION: u32 = 1;
/// Largest lease object in bytes.
const LEASE_BYTES_MAX: u64 = 4096;
/// Longest lease name in bytes.
const LEASE_NAME_BYTES_MAX: usize = 128;
/// Newest objects of a lease that are kept.
const LEASE_OBJECTS_KEPT: u64 = 16;
/// Listings begun again because a newer number came meanwhile.
const LEASE_READS_MAX: u32 = 8;

/// For how long a lease is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTerms {
    /// From taking or renewing it until it expires.
    pub term: Duration,
    /// How far the clocks of two holders may be apart: others wait so much longer.
    pub skew: Duration,
}

impl Default for LeaseTerms {
    fn default() -> Self {
        Self { term: Duration::from_mins(2), skew: Duration::from_secs(10) }
    }
}

/// One name that may be leased, as one would-be holder sees it.
#[derive(Clone, Debug)]
pub struct Leases {
    objects: Arc<dyn ObjectStore>,
    name: String,
    holder: Uuid,
    terms: LeaseTerms,
    ambient: Ambient,
}

/// A lease that was ours when it was taken or renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Greater than that of every earlier lease of the name.
    pub fencing: u64,
    /// Until when it is held, by the holder's clock.
    pub expires_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Held,
    Released,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct LeaseObject {
    format_version: u32,
    number: u64,
    state: State,
    holder: Uuid,
    /// Fresh for every object.
    uuid: Uuid,
    made_at: Timestamp,
    expires_at: Timestamp,
}

impl Leases {
    /// The lease of a name: 1 to 128 of `a-z`, `0-9`, `-` and `_`.
    pub fn new(store: &Store, name: &str, terms: LeaseTerms, ambient: Ambient) -> Result<Self> {
        let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > LEASE_NAME_BYTES_MAX || !name.bytes().all(ok) {
            return Err(Error::InvalidName {
                what: "lease",
                value: name.chars().take(LEASE_NAME_BYTES_MAX).collect(),
                reason: "a lease name has 1 to 128 of a-z, 0-9, - and _, as in compactor".to_owned(),
            });
        }
        let (name, holder) = (name.to_owned(), ambient.uuid());
        Ok(Self { objects: store.object_store(), name, holder, terms, ambient })
    }

    /// Takes the lease, or returns `None` while somebody holds it (this holder included).
    pub async fn acquire(&self) -> Result<Option<Lease>> {
        let next = match self.newest().await? {
            None => 1,
            Some(newest) => {
                let until = newest.expires_at.plus_ns(nanoseconds(self.terms.skew));
                if newest.state == State::Held && self.ambient.clock.now() <= until {
                    return Ok(None);
                }
                newest.number + 1
            }
        };
        self.put(next, State::Held).await
    }

    /// Holds the lease for another term, or returns `None` when somebody else took it meanwhile: then the holder
    /// must stop what it does.
    pub async fn renew(&self, lease: &Lease) -> Result<Option<Lease>> {
        self.put(lease.fencing + 1, State::Held).await
    }

    /// Gives the lease back before it expires. Nothing happens where somebody else took it meanwhile.
    pub async fn release(&self, lease: Lease) -> Result<()> {
        self.put(lease.fencing + 1, State::Released).await.map(drop)
    }

    async fn put(&self, number: u64, state: State) -> Result<Option<Lease>> {
        let made_at = self.ambient.clock.now();
        let expires_at = match state {
            State::Held => made_at.plus_ns(nanoseconds(self.terms.term)),
            State::Released => made_at,
        };
        let (uuid, holder) = (self.ambient.uuid(), self.holder);
        let key = key::lease(&self.name, number);
        let object = LeaseObject {
            format_version: LEASE_FORMAT_VERSION,
            number,
            state,
            holder,
            uuid,
            made_at,
            expires_at,
        };
        let bytes = json_line(&key, &object)?;
        if create_once(&*self.objects, &key, &bytes, LEASE_BYTES_MAX).await? != Created::Ours {
            return Ok(None);
        }
        // A holder that slept may have created a number again that was cleared away long ago.
        let numbers = list_numbers(&*self.objects, &key::lease_prefix(&self.name)).await?;
        if numbers.last().is_some_and(|newest| *newest > number) {
            return Ok(None);
        }
        self.clear(numbers, number).await;
        Ok(Some(Lease { fencing: number, expires_at }))
    }

    /// The newest object of the lease.
    async fn newest(&self) -> Result<Option<LeaseObject>> {
        for _ in 0..LEASE_READS_MAX {
            let numbers = list_numbers(&*self.objects, &key::lease_prefix(&self.name)).await?;
            let Some(number) = numbers.last().copied() else { return Ok(None) };
            let key = key::lease(&self.name, number);
            if let Some(bytes) = read_object(&*self.objects, &key, LEASE_BYTES_MAX).await? {
                return parse(&key, number, &bytes).map(Some);
            }
        }
        Err(Error::Limit {
            what: "the number of attempts to read a lease",
            limit: u64::from(LEASE_READS_MAX),
            unit: "attempts",
            advice: "try again later",
        })
    }

    /// Old objects only cost room, so what cannot be deleted now is left to the next holder.
    async fn clear(&self, numbers: Vec<u64>, newest: u64) {
        let old = numbers.into_iter().filter(|number| number + LEASE_OBJECTS_KEPT <= newest);
        let keys: Vec<_> = old.map(|number| Ok(key::lease(&self.name, number))).collect();
        let mut deletions = self.objects.delete_stream(stream::iter(keys).boxed());
        while let Some(deletion) = deletions.next().await {
            if let Err(error) = deletion {
                tracing::debug!(lease = self.name, %error, "cannot delete an old lease object");
            }
        }
    }
}

fn parse(key: &object_store::path::Path, number: u64, bytes: &[u8]) -> Result<LeaseObject> {
    let damaged = |reason: String| Error::Corrupt { object: key.to_string(), offset: 0, reason };
    let object: LeaseObject =
        serde_json::from_slice(bytes).map_err(|error| damaged(format!("not a lease: {error}")))?;
    if object.format_version > LEASE_FORMAT_VERSION {
        let (found, supported) = (object.format_version, LEASE_FORMAT_VERSION);
        return Err(Error::TooNew { object: key.to_string(), found, supported });
    }
    if object.number != number {
        return Err(damaged(format!("it calls itself number {}", object.number)));
    }
    Ok(object)
}

fn nanoseconds(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SeededEntropy};

    fn ambient(clock: &Arc<ManualClock>, seed: u64) -> Ambient {
        Ambient { clock: Arc::clone(clock) as _, entropy: Arc::new(SeededEntropy::new(seed)) }
    }

    #[tokio::test]
    async fn a_lease_has_one_holder_at_a_time() {
        let (store, clock) = (Store::memory(), Arc::new(ManualClock::default()));
        let terms = LeaseTerms { term: Duration::from_mins(1), skew: Duration::from_secs(5) };
        let of = |seed| Leases::new(&store, "compactor", terms, ambient(&clock, seed)).unwrap();
        let (a, b) = (of(1), of(2));
        let mut held = a.acquire().await.unwrap().unwrap();
        assert_eq!((held.fencing, held.expires_at.ns()), (1, 60_000_000_000));
        for _ in 0..40 {
            clock.advance_ns(50_000_000_000);
            assert_eq!(b.acquire().await.unwrap(), None);
            held = a.renew(&held).await.unwrap().unwrap();
        }
        assert_eq!(held.fencing, 41);
        let kept = list_numbers(&*store.object_store(), &key::lease_prefix("compactor")).await.unwrap();
        assert_eq!(kept, (26..=41).collect::<Vec<u64>>());

        clock.advance_ns(65_000_000_000);
        assert_eq!(b.acquire().await.unwrap(), None, "within the skew");
        clock.advance_ns(1);
        let taken = b.acquire().await.unwrap().unwrap();
        assert_eq!(taken.fencing, 42);
        assert_eq!(a.renew(&held).await.unwrap(), None);
        a.release(held).await.unwrap();
        assert_eq!(a.acquire().await.unwrap(), None, "another's release changes nothing");
        b.release(taken).await.unwrap();
        assert_eq!(a.acquire().await.unwrap().unwrap().fencing, 44);
    }

    #[tokio::test]
    async fn a_holder_that_slept_through_many_terms_finds_out() {
        let (store, clock) = (Store::memory(), Arc::new(ManualClock::default()));
        let of = |seed| Leases::new(&store, "job", LeaseTerms::default(), ambient(&clock, seed)).unwrap();
        let (sleeper, other) = (of(1), of(2));
        let old = sleeper.acquire().await.unwrap().unwrap();
        sleeper.release(old).await.unwrap();
        let mut held = other.acquire().await.unwrap().unwrap();
        for _ in 0..30 {
            held = other.renew(&held).await.unwrap().unwrap();
        }
        // The sleeper's next number was cleared away, so it can create it again.
        assert_eq!(sleeper.renew(&old).await.unwrap(), None);
    }

    #[test]
    fn bad_names_are_refused() {
        for name in ["", "A", "a/b", "..", &"x".repeat(129)] {
            assert!(Leases::new(&Store::memory(), name, LeaseTerms::default(), Ambient::system()).is_err());
        }
    }
}
