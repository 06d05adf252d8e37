//! Tries a text condition on a template: does it hold for all messages of the template, for none, or maybe for some?
//!
//! ```text
//!   template      r e f u s e d ␣ a f t e r ␣ ■ m s          ■: 1 to 6 digits
//!   condition     refused as a word, as an automaton
//!
//!   states        { start } ─r─► { … } ─ … ─d─► { … } ─␣─► { found } ─ … ─► { found }
//!                 a slot: all states that so many of its bytes can lead to
//! ```
//!
//! After the last part the set holds the state of every message of the template, and may hold others. If all of its
//! states accept, all messages match; if none does, none matches. So both answers are certain, and "maybe" costs speed
//! alone. Automata and slots speak of ASCII: where a template may hold other characters, what is not yet decided stays so.

use std::collections::{BTreeMap, HashMap};

use ironbark_storage::{ByteSet, Part, Slot, Template};
use parking_lot::Mutex;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::start::Config as Start;
use regex_automata::util::syntax;
use regex_automata::{Anchored, MatchKind, nfa::thompson};

use super::text::AsciiRegex;
use crate::table::tally::Verdict;

/// States at once; beyond it the answer is maybe.
const STATES_MAX: usize = 64;
/// Bytes of a slot that are tried one by one; where longer ones still lead somewhere new, the answer is maybe.
const SLOT_STEPS_MAX: u32 = 64;
/// Memory of the states of one condition that were tried, in bytes; beyond it the answer is maybe.
const CACHE_BYTES_MAX: usize = 1 << 20;
/// Templates of which a condition keeps what it said.
const VERDICTS_MAX: usize = 1 << 14;
/// Memory of a condition's program, in bytes.
const PROGRAM_BYTES_MAX: usize = 1 << 20;

/// A condition on the text of a message.
#[derive(Debug)]
pub(super) struct Automaton {
    dfa: DFA,
    /// Of the bytes that it treats alike: which these are in ASCII, byte 0 the lowest bit, and one of them.
    classes: Vec<(u128, u8)>,
    /// States are made when they are first met.
    cache: Mutex<Cache>,
    /// Of templates so far: those of one segment are mostly those of the next.
    verdicts: Mutex<HashMap<Template, Verdict>>,
}

/// The states that messages of a template can be in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct States {
    /// Ascending. States from which nothing is found are left out.
    open: Vec<LazyStateID>,
    /// Whether some have found it, whatever follows.
    found: bool,
    /// Whether some will not find it any more.
    lost: bool,
}

/// There are too many states, or bytes that are not ASCII.
struct TooMuch;

impl Automaton {
    /// The condition that a message holds a match. `None` if the expression is too large.
    pub(super) fn new(regex: &AsciiRegex) -> Option<Self> {
        let syntax = syntax::Config::new().utf8(false).unicode(regex.unicode);
        let dfa = DFA::builder()
            .syntax(syntax.case_insensitive(regex.ignore_case))
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(PROGRAM_BYTES_MAX)))
            .configure(
                DFA::config()
                    .match_kind(MatchKind::All)
                    .unicode_word_boundary(true)
                    .cache_capacity(CACHE_BYTES_MAX)
                    .skip_cache_capacity_check(true)
                    .minimum_cache_clear_count(Some(0)),
            )
            .build(&regex.pattern)
            .ok()?;
        let mut classes: BTreeMap<u8, (u128, u8)> = BTreeMap::new();
        for byte in 0..0x80 {
            let (bytes, _) = classes.entry(dfa.byte_classes().get(byte)).or_insert((0, byte));
            *bytes |= 1 << byte;
        }
        let cache = Mutex::new(dfa.create_cache());
        Some(Self { dfa, classes: classes.into_values().collect(), cache, verdicts: Mutex::default() })
    }

    /// Of which of a template's messages it holds.
    pub(super) fn verdict(&self, template: &Template) -> Verdict {
        let mut verdicts = self.verdicts.lock();
        if let Some(verdict) = verdicts.get(template) {
            return *verdict;
        }
        let mut walk = Walk { dfa: &self.dfa, classes: &self.classes, cache: &mut self.cache.lock() };
        let verdict = walk.template(template).unwrap_or(Verdict::Undecided);
        if verdicts.len() < VERDICTS_MAX {
            verdicts.insert(template.clone(), verdict);
        }
        verdict
    }
}

struct Walk<'a> {
    dfa: &'a DFA,
    classes: &'a [(u128, u8)],
    cache: &'a mut Cache,
}

impl Walk<'_> {
    fn template(&mut self, template: &Template) -> Result<Verdict, TooMuch> {
        let start = Start::new().anchored(Anchored::No);
        let mut states = States::default();
        let first = self.dfa.start_state(self.cache, &start).map_err(|_| TooMuch)?;
        Self::put(&mut states, first);
        for part in template.parts() {
            if states.open.is_empty() {
                break;
            }
            states = match part {
                Part::Text(text) => self.text(states, text)?,
                Part::Slot(slot) => self.slot(states, *slot)?,
            };
        }
        for state in std::mem::take(&mut states.open) {
            let end = self.dfa.next_eoi_state(self.cache, state).map_err(|_| TooMuch)?;
            if end.is_match() { states.found = true } else { states.lost = true }
        }
        Ok(match (states.found, states.lost) {
            (true, false) => Verdict::All,
            (false, _) => Verdict::Nothing,
            (true, true) => Verdict::Undecided,
        })
    }

    fn text(&mut self, mut states: States, text: &[u8]) -> Result<States, TooMuch> {
        for byte in text {
            match states.open.as_mut_slice() {
                [] => break,
                // Nearly always there is one, which goes on to another.
                [state] if byte.is_ascii() => {
                    let to = self.dfa.next_state(self.cache, *state, *byte).map_err(|_| TooMuch)?;
                    if to.is_tagged() {
                        states = self.step(&states, &[*byte])?;
                    } else {
                        *state = to;
                    }
                }
                _ => states = self.step(&states, &[*byte])?,
            }
        }
        Ok(states)
    }

    fn slot(&mut self, states: States, slot: Slot) -> Result<States, TooMuch> {
        let bytes = self.representatives(slot.bytes)?;
        let mut reached = states;
        let mut after = States::default();
        if slot.min == 0 {
            after.join(&reached)?;
        }
        for length in 1..=slot.max {
            if length > SLOT_STEPS_MAX {
                return Err(TooMuch);
            }
            let next = self.step(&reached, &bytes)?;
            let is_settled = next == reached;
            if length >= slot.min || is_settled {
                after.join(&next)?;
            }
            if is_settled || next.open.is_empty() {
                // A slot that is longer changes nothing.
                after.join(&next)?;
                break;
            }
            reached = next;
        }
        Ok(after)
    }

    /// The states after one of these bytes.
    fn step(&mut self, states: &States, bytes: &[u8]) -> Result<States, TooMuch> {
        let mut next = States { open: Vec::new(), ..*states };
        for state in &states.open {
            for byte in bytes {
                if !byte.is_ascii() {
                    return Err(TooMuch);
                }
                let to = self.dfa.next_state(self.cache, *state, *byte).map_err(|_| TooMuch)?;
                if to.is_quit() || to.is_unknown() {
                    return Err(TooMuch);
                }
                Self::put(&mut next, to);
            }
        }
        if next.open.len() > STATES_MAX { Err(TooMuch) } else { Ok(next) }
    }

    /// Adds a state.
    fn put(states: &mut States, state: LazyStateID) {
        if state.is_match() {
            states.found = true;
        } else if state.is_dead() {
            states.lost = true;
        } else if let Err(place) = states.open.binary_search(&state) {
            states.open.insert(place, state);
        }
    }

    /// Of all these bytes, one for each way in which the automaton treats them.
    fn representatives(&self, bytes: ByteSet) -> Result<Vec<u8>, TooMuch> {
        let ascii = bytes.ascii().ok_or(TooMuch)?;
        let met = self.classes.iter().filter(|(class, _)| class & ascii != 0);
        Ok(met.map(|(_, byte)| *byte).collect())
    }
}

impl States {
    fn join(&mut self, other: &Self) -> Result<(), TooMuch> {
        self.found |= other.found;
        self.lost |= other.lost;
        for state in &other.open {
            if let Err(place) = self.open.binary_search(state) {
                self.open.insert(place, *state);
            }
        }
        if self.open.len() > STATES_MAX { Err(TooMuch) } else { Ok(()) }
    }
}
