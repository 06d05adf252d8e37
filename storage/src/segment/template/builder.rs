//! Gathers the templates and runs of a segment while it is written.

use super::miner::Miner;
use super::names::Names;
use super::{Run, Templates};
use crate::segment::seeded::Seeded;

/// Names in order, and the place of each number among them.
fn sorted(names: Names<Box<str>>) -> (Vec<Option<Box<str>>>, Vec<u32>) {
    let mut names: Vec<_> = names.into_names().into_iter().zip(0u32..).collect();
    names.sort_unstable();
    let mut places = vec![0; names.len()];
    for (place, (_, number)) in (0..).zip(&names) {
        if let Some(known) = places.get_mut(*number as usize) {
            *known = place;
        }
    }
    (names.into_iter().map(|(name, _)| name).collect(), places)
}

/// See the module.
#[derive(Debug)]
pub(in crate::segment) struct TemplatesBuilder {
    pub(in crate::segment) miner: Miner,
    pub(in crate::segment) seeded: Seeded,
    sources: Names<Box<str>>,
    levels: Names<Box<str>>,
    row_groups: Vec<Vec<Run>>,
}

impl TemplatesBuilder {
    /// No rows yet. The seed has to be random.
    pub(in crate::segment) fn new(seed: u64) -> Self {
        let seeded = Seeded(seed);
        let (sources, levels) = (Names::new(seeded), Names::new(seeded));
        Self { miner: Miner::new(seeded), seeded, sources, levels, row_groups: Vec::new() }
    }

    /// Begins a row group.
    pub(in crate::segment) fn begin_row_group(&mut self) {
        self.row_groups.push(Vec::new());
    }

    /// The next rows of the row group.
    pub(in crate::segment) fn add(
        &mut self,
        source: Option<&str>,
        level: Option<&str>,
        template: u16,
        rows: usize,
    ) {
        let (source, level) = (self.sources.number(source), self.levels.number(level));
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        if let Some(runs) = self.row_groups.last_mut() {
            runs.push(Run { source, level, template: u32::from(template), rows });
        }
    }

    /// All of it. Sources of a row group are in order, if they were added so.
    pub(in crate::segment) fn finish(self) -> Templates {
        let ((sources, source_places), (levels, level_places)) = (sorted(self.sources), sorted(self.levels));
        let place = |places: &[u32], number: u32| places.get(number as usize).copied().unwrap_or(0);
        let mut row_groups = self.row_groups;
        for run in row_groups.iter_mut().flatten() {
            run.source = place(&source_places, run.source);
            run.level = place(&level_places, run.level);
        }
        Templates { sources, levels, templates: self.miner.finish(), row_groups }
    }
}
