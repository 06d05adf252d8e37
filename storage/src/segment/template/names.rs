//! Names of sources and levels by numbers, in the order in which they came.

use super::lexicon::hash_of;
use super::table::Table;
use crate::segment::seeded::Seeded;

/// See the module. Those of one row group are borrowed, those of a segment owned.
#[derive(Debug)]
pub(in crate::segment) struct Names<N> {
    seed: u64,
    table: Table,
    names: Vec<Option<N>>,
}

impl<N: AsRef<str>> Names<N> {
    /// None yet.
    pub(in crate::segment) fn new(seeded: Seeded) -> Self {
        let Seeded(seed) = seeded;
        Self { seed, table: Table::default(), names: Vec::new() }
    }

    /// The number of a name, which is added if it is new.
    pub(in crate::segment) fn number<'a>(&mut self, name: Option<&'a str>) -> u32
    where
        N: From<&'a str>,
    {
        let hash = name.map_or(self.seed, |name| hash_of(name.as_bytes(), self.seed));
        let is_it = |number: u32| {
            let known = self.names.get(number as usize);
            known.is_some_and(|known| known.as_ref().map(AsRef::as_ref) == name)
        };
        self.table.find(hash, is_it).unwrap_or_else(|| {
            let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
            self.names.push(name.map(Into::into));
            self.table.insert(hash, number);
            number
        })
    }

    /// All of them, that of number 0 first.
    pub(super) fn into_names(self) -> Vec<Option<N>> {
        self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_one_number() {
        let mut names = Names::<Box<str>>::new(Seeded(7));
        let all = [Some("api"), None, Some(""), Some("a name of more than sixteen bytes")];
        for (number, name) in (0..).zip(all) {
            assert_eq!(names.number(name), number);
        }
        assert_eq!(all.map(|name| names.number(name)), [0, 1, 2, 3]);
        assert_eq!(names.into_names(), all.map(|name| name.map(Box::from)));
    }
}
