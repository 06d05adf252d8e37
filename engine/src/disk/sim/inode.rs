//! The bytes of one simulated file: what calls see, what survives, and the changes between the two.

use super::random::SimRandom;

/// What a disk writes as one; sectors of one write may reach it in any order.
const SECTOR_BYTES: u64 = 512;

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Len(usize),
}

#[derive(Debug, Default)]
pub(super) struct Inode {
    cache: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

/// How a loss of power treats the unsynced changes of one file or of all names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    Drop,
    Keep,
    /// The first so many, the next one torn.
    First(usize),
    /// Each for itself.
    Scatter,
}

impl Fate {
    pub(super) fn draw(random: &mut SimRandom, changes: usize) -> Self {
        match random.below(5) {
            0 => Self::Drop,
            1 => Self::Keep,
            2 => Self::First(to_usize(random.below(changes as u64))),
            _ => Self::Scatter,
        }
    }
}

impl Inode {
    pub(super) fn len_bytes(&self) -> u64 {
        self.cache.len() as u64
    }

    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let rest = self.cache.get(to_usize(offset)..).unwrap_or_default();
        let count = rest.len().min(buf.len());
        for (to, from) in buf.iter_mut().zip(rest) {
            *to = *from;
        }
        count
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.change(Change::Write { offset: to_usize(offset), bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, len_bytes: u64) {
        self.change(Change::Len(to_usize(len_bytes)));
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.cache, &change);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            apply(&mut self.durable, &change);
        }
    }

    /// What a failed sync does: the changes stay visible and count as written.
    pub(super) fn forget_unsynced(&mut self) {
        self.unsynced.clear();
    }

    pub(super) fn crash(&mut self, random: &mut SimRandom) {
        let changes = std::mem::take(&mut self.unsynced);
        let fate = Fate::draw(random, changes.len());
        for (index, change) in changes.into_iter().enumerate() {
            match fate {
                Fate::Keep => apply(&mut self.durable, &change),
                Fate::First(count) if index < count => apply(&mut self.durable, &change),
                Fate::First(count) if index == count => tear(&mut self.durable, &change, random),
                Fate::Drop | Fate::First(_) => {}
                Fate::Scatter => scatter(&mut self.durable, &change, random),
            }
        }
        self.cache.clone_from(&self.durable);
    }

    pub(super) fn rot(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.cache);
        self.durable.clone_from(&self.cache);
        self.unsynced.clear();
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Len(len) => bytes.resize(*len, 0),
        Change::Write { offset, bytes: new } => {
            let end = offset.saturating_add(new.len());
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            let place = bytes.get_mut(*offset..end).unwrap_or_default();
            for (to, from) in place.iter_mut().zip(new) {
                *to = *from;
            }
        }
    }
}

/// Applies a write up to some byte; a change of length happens or not.
fn tear(bytes: &mut Vec<u8>, change: &Change, random: &mut SimRandom) {
    match change {
        Change::Len(_) => {
            if random.one_in(2) {
                apply(bytes, change);
            }
        }
        Change::Write { offset, bytes: new } => {
            let kept = to_usize(random.below(new.len() as u64));
            let torn = new.get(..kept).unwrap_or_default().to_vec();
            apply(bytes, &Change::Write { offset: *offset, bytes: torn });
        }
    }
}

/// Keeps, drops or tears every sector of a write for itself.
fn scatter(bytes: &mut Vec<u8>, change: &Change, random: &mut SimRandom) {
    let Change::Write { offset, bytes: new } = change else {
        return tear(bytes, change, random);
    };
    let mut rest = new.as_slice();
    let mut at = *offset;
    while !rest.is_empty() {
        let in_sector = SECTOR_BYTES.saturating_sub((at as u64) % SECTOR_BYTES);
        let count = rest.len().min(to_usize(in_sector));
        let (sector, behind) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        let piece = Change::Write { offset: at, bytes: sector.to_vec() };
        match random.below(5) {
            0 | 1 => {}
            2 => tear(bytes, &piece, random),
            _ => apply(bytes, &piece),
        }
        rest = behind;
        at = at.saturating_add(count);
    }
}

pub(super) fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
