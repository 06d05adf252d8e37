//! The design of manifest commits and trims, checked by trying all interleavings of a small world.
//!
//! ```text
//!   2 writers    put the next number ─► read back ─► look at the boundary ─► acknowledged ─► checkpoint
//!                     └──────── theirs: replay or load, step by step, then look at the boundary
//!   1 trimmer    boundary ─► delete checkpoints and commits one by one
//!   the network  a put may time out and take effect at any later moment, or never
//! ```
//!
//! Every line of a box is a step of its own, and anything may happen between two steps, so every writer may sleep
//! anywhere for as long as the others need to commit and trim. The model is the design in
//! `storage/src/manifest/log.rs` and `storage/src/manifest/trim.rs` with small numbers; whoever changes one changes the
//! other. Each safeguard is also taken out once, and then the model must find the loss.
#![expect(clippy::indexing_slicing, reason = "there are always two writers")]

use std::collections::{BTreeMap, BTreeSet};

use stateright::{Checker, HasDiscoveries, Model, Property};

type Version = u8;
/// An edit stands for its UUID too: a repeated put of an edit is the same attempt.
type Edit = u8;

/// Every so many commits there is a checkpoint and a boundary.
const SPACING: Version = 2;

/// The design, or the design without one of its safeguards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Design {
    Whole,
    /// A writer that created its number believes that it won.
    NoLookAfterWin,
    /// A reader believes what it read.
    NoLookAfterReplay,
    /// The trimmer deletes first.
    BoundaryLast,
    /// A number that is taken is taken by somebody else, and the writer does not know its own edit again.
    NoReadBack,
    /// A writer does not know its own edit again where it finds it in a manifest. Its commit may have been trimmed
    /// before it was read back, and a ghost of another writer may lie in its place.
    NoRecognition,
}

struct Table {
    design: Design,
    /// How many edits each writer commits.
    edits: [Edit; 2],
    timeouts_max: u8,
    trims_max: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// Wants to create the number after `known`.
    Put,
    /// Its put failed in some way: what lies there?
    ReadBack,
    /// It created the number: was it trimmed before?
    LookAfterWin,
    Checkpoint,
    /// Lists the checkpoints.
    Load,
    /// Reads the checkpoint that the listing showed.
    LoadFrom(Version),
    /// Reads one commit after the other; `first` is where it began.
    Replay {
        first: Version,
        seen: Vec<Edit>,
    },
    /// It met a missing commit: was anything trimmed under it?
    LookAfterReplay {
        first: Version,
        seen: Vec<Edit>,
    },
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Writer {
    phase: Phase,
    /// The manifest that it knows: the edits in order.
    known: Vec<Edit>,
    /// The edit that it is committing, and how many come after it.
    edit: Edit,
    left: Edit,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Trimmer {
    Idle,
    Mark { covered: Version },
    Delete { covered: Version },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    commits: BTreeMap<Version, Edit>,
    checkpoints: BTreeMap<Version, Vec<Edit>>,
    boundaries: BTreeSet<Version>,
    /// Puts that timed out and may still arrive.
    late: BTreeSet<(Version, Edit)>,
    writers: [Writer; 2],
    trimmer: Trimmer,
    acked: BTreeSet<(Edit, Version)>,
    timeouts: u8,
    trims: u8,
    /// Somebody created a number that had been trimmed.
    ghost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Step(usize),
    TimeOut(usize),
    Arrive(Version, Edit),
    Trim,
}

impl World {
    fn is_trimmed(&self, version: Version) -> bool {
        self.boundaries.contains(&(version.div_ceil(SPACING) * SPACING))
    }

    /// Creates a commit unless there is one; whether it did.
    fn create(&mut self, version: Version, edit: Edit) -> bool {
        if self.commits.contains_key(&version) {
            return false;
        }
        self.ghost |= self.is_trimmed(version);
        self.commits.insert(version, edit);
        true
    }

    /// What somebody who loads the table now will see.
    fn truth(&self) -> Vec<Edit> {
        let mut edits = self.checkpoints.last_key_value().map(|(_, edits)| edits.clone()).unwrap_or_default();
        while let Some(edit) = self.commits.get(&next(&edits)) {
            edits.push(*edit);
        }
        edits
    }
}

fn next(known: &[Edit]) -> Version {
    Version::try_from(known.len() + 1).unwrap_or(Version::MAX)
}

impl Table {
    fn step(&self, world: &mut World, at: usize) {
        let mut writer = world.writers[at].clone();
        let (version, edit) = (next(&writer.known), writer.edit);
        writer.phase = match writer.phase.clone() {
            Phase::Put if world.create(version, edit) => Phase::LookAfterWin,
            Phase::Put if self.design == Design::NoReadBack => Phase::Replay { first: version, seen: vec![] },
            Phase::Put => Phase::ReadBack,
            Phase::ReadBack => match world.commits.get(&version) {
                None => Phase::Put,
                Some(found) if *found == edit => Phase::LookAfterWin,
                Some(_) => Phase::Replay { first: version, seen: vec![] },
            },
            Phase::LookAfterWin if world.is_trimmed(version) && self.design != Design::NoLookAfterWin => {
                Phase::Load
            }
            Phase::LookAfterWin => {
                world.acked.insert((edit, version));
                writer.known.push(edit);
                if version % SPACING == 0 { Phase::Checkpoint } else { begin_next(&mut writer) }
            }
            Phase::Checkpoint => {
                world.checkpoints.entry(version - 1).or_insert_with(|| writer.known.clone());
                begin_next(&mut writer)
            }
            Phase::Load => {
                if let Some((newest, _)) = world.checkpoints.last_key_value() {
                    Phase::LoadFrom(*newest)
                } else {
                    writer.known.clear();
                    Phase::Replay { first: 1, seen: vec![] }
                }
            }
            Phase::LoadFrom(newest) => match world.checkpoints.get(&newest) {
                Some(edits) => {
                    writer.known.clone_from(edits);
                    Phase::Replay { first: next(edits), seen: vec![] }
                }
                None => Phase::Load,
            },
            Phase::Replay { first, mut seen } => {
                let wanted = first + next(&seen) - 1;
                match world.commits.get(&wanted) {
                    Some(found) => {
                        seen.push(*found);
                        Phase::Replay { first, seen }
                    }
                    None => Phase::LookAfterReplay { first, seen },
                }
            }
            Phase::LookAfterReplay { first, .. }
                if world.is_trimmed(first) && self.design != Design::NoLookAfterReplay =>
            {
                Phase::Load
            }
            Phase::LookAfterReplay { seen, .. } => {
                writer.known.extend(seen);
                let recognises = !matches!(self.design, Design::NoRecognition | Design::NoReadBack);
                let committed = recognises && writer.known.contains(&edit);
                if committed { begin_next(&mut writer) } else { Phase::Put }
            }
            Phase::Done => Phase::Done,
        };
        world.writers[at] = writer;
    }

    fn trim(&self, world: &mut World) {
        let boundary = |covered: Version| covered / SPACING * SPACING;
        world.trimmer = match world.trimmer {
            Trimmer::Idle => {
                let covered = world.checkpoints.last_key_value().map_or(0, |(newest, _)| *newest);
                world.trims += 1;
                if self.design == Design::BoundaryLast {
                    Trimmer::Delete { covered }
                } else {
                    Trimmer::Mark { covered }
                }
            }
            Trimmer::Mark { covered } => {
                let missing = (1..=boundary(covered) / SPACING).map(|group| group * SPACING);
                match missing.into_iter().find(|group| !world.boundaries.contains(group)) {
                    Some(group) => {
                        world.boundaries.insert(group);
                        Trimmer::Mark { covered }
                    }
                    None if self.design == Design::BoundaryLast => Trimmer::Idle,
                    None => Trimmer::Delete { covered },
                }
            }
            Trimmer::Delete { covered } => {
                let checkpoint = world.checkpoints.keys().copied().find(|version| *version < covered);
                let commit = world.commits.keys().copied().find(|version| *version <= boundary(covered));
                match (checkpoint, commit) {
                    (Some(version), _) => drop(world.checkpoints.remove(&version)),
                    (None, Some(version)) => drop(world.commits.remove(&version)),
                    (None, None) if self.design == Design::BoundaryLast => {
                        world.trimmer = Trimmer::Mark { covered };
                        return;
                    }
                    (None, None) => {
                        world.trimmer = Trimmer::Idle;
                        return;
                    }
                }
                Trimmer::Delete { covered }
            }
        };
    }
}

fn begin_next(writer: &mut Writer) -> Phase {
    if writer.left == 0 {
        return Phase::Done;
    }
    writer.left -= 1;
    writer.edit += 1;
    Phase::Put
}

impl Model for Table {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let writer = |at: Edit| {
            let edits = self.edits[usize::from(at)];
            Writer { phase: Phase::Put, known: vec![], edit: at * 100 + 1, left: edits - 1 }
        };
        vec![World {
            commits: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            boundaries: BTreeSet::new(),
            late: BTreeSet::new(),
            writers: [writer(0), writer(1)],
            trimmer: Trimmer::Idle,
            acked: BTreeSet::new(),
            timeouts: 0,
            trims: 0,
            ghost: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (at, writer) in world.writers.iter().enumerate() {
            if writer.phase != Phase::Done {
                actions.push(Action::Step(at));
            }
            if writer.phase == Phase::Put && world.timeouts < self.timeouts_max {
                actions.push(Action::TimeOut(at));
            }
        }
        actions.extend(world.late.iter().map(|(version, edit)| Action::Arrive(*version, *edit)));
        if world.trimmer != Trimmer::Idle || (world.trims < self.trims_max && !world.checkpoints.is_empty()) {
            actions.push(Action::Trim);
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Step(at) => self.step(&mut world, at),
            Action::TimeOut(at) => {
                let writer = &mut world.writers[at];
                world.late.insert((next(&writer.known), writer.edit));
                writer.phase = Phase::ReadBack;
                world.timeouts += 1;
            }
            Action::Arrive(version, edit) => {
                world.late.remove(&(version, edit));
                world.create(version, edit);
            }
            Action::Trim => self.trim(&mut world),
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no acked edit is lost", |_, world: &World| {
                let truth = world.truth();
                world.acked.iter().all(|(edit, version)| truth.get(usize::from(*version) - 1) == Some(edit))
            }),
            Property::always("no edit is there twice", |_, world: &World| {
                let truth = world.truth();
                truth.iter().collect::<BTreeSet<_>>().len() == truth.len()
            }),
            Property::always("no two edits share a version", |_, world: &World| {
                let versions: BTreeSet<_> = world.acked.iter().map(|(_, version)| version).collect();
                versions.len() == world.acked.len()
            }),
            Property::always("whoever reads sees a beginning of the truth", |_, world: &World| {
                let truth = world.truth();
                world.writers.iter().all(|writer| truth.starts_with(&writer.known))
            }),
            Property::sometimes("a trimmed number is created again", |_, world: &World| world.ghost),
            Property::sometimes("all is committed after a trim", |table, world: &World| {
                let all = usize::from(table.edits[0] + table.edits[1]);
                world.truth().len() == all
                    && world.trims > 0
                    && world.writers.iter().all(|w| w.phase == Phase::Done)
            }),
        ]
    }
}

fn table(design: Design) -> Table {
    Table { design, edits: [1, 3], timeouts_max: 2, trims_max: 2 }
}

#[test]
fn no_interleaving_loses_an_acked_edit() {
    let checker = table(Design::Whole).checker().spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
}

#[test]
fn without_a_safeguard_the_model_finds_the_loss() {
    for (design, property) in [
        (Design::NoLookAfterWin, "no acked edit is lost"),
        (Design::NoLookAfterReplay, "whoever reads sees a beginning of the truth"),
        (Design::BoundaryLast, "no acked edit is lost"),
        (Design::NoReadBack, "no edit is there twice"),
        (Design::NoRecognition, "no edit is there twice"),
    ] {
        let checker =
            table(design).checker().finish_when(HasDiscoveries::AnyOf([property].into())).spawn_bfs().join();
        println!("{design:?}: {} states", checker.unique_state_count());
        assert!(checker.discovery(property).is_some(), "{design:?} breaks nothing: {property}");
    }
}
