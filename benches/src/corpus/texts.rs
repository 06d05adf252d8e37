//! What a corpus speaks: message templates, texts of a fixed share of the rows, word lists and source names. Written
//! for this corpus; in a sealed one every word is another and the templates are put together anew, so that nothing
//! can have been fitted to it; or drawn from real logs.

use std::path::Path;

use super::drawn;
use super::random::Random;
use super::vocabulary::Vocabulary;

/// A line for each template: its level and its text, slots in braces.
const TEMPLATES: &str = include_str!("templates.txt");
/// A line for each text of a fixed share: rows in 10,000, level, text.
const SHARES: &str = include_str!("shares.txt");

const WORDS: [&str; 40] = [
    "alder", "amber", "basalt", "birch", "cedar", "cobalt", "copper", "coral", "crane", "delta", "ember",
    "fjord", "flint", "garnet", "harbor", "hazel", "heron", "indigo", "jasper", "juniper", "kestrel",
    "lagoon", "larch", "maple", "marble", "meadow", "nectar", "onyx", "opal", "osprey", "pebble", "quartz",
    "raven", "sable", "summit", "thistle", "tundra", "umber", "willow", "zephyr",
];
const TABLES: [&str; 12] = [
    "accounts",
    "addresses",
    "carts",
    "customers",
    "invoices",
    "items",
    "parcels",
    "payments",
    "prices",
    "sessions",
    "shipments",
    "stock_levels",
];
const TOPICS: [&str; 8] = [
    "audit.v1",
    "cart-events",
    "clicks",
    "inventory.v2",
    "mail-outbox",
    "returns.placed",
    "payments.settled",
    "search-log",
];
const PATHS: [&str; 16] = [
    "/api/v2/cart",
    "/api/v2/catalog/items",
    "/api/v2/checkout",
    "/api/v2/returns",
    "/api/v2/returns/history",
    "/api/v2/profile",
    "/api/v2/search",
    "/assets/app.js",
    "/assets/site.css",
    "/auth/refresh",
    "/auth/token",
    "/healthz",
    "/images/thumb",
    "/internal/metrics",
    "/var/lib/data",
    "/ws/live",
];

/// A text of a fixed share of all rows, whoever writes them.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    /// Rows in 10,000.
    pub(crate) weight: u64,
    pub(crate) level: String,
    pub(crate) text: String,
}

/// A template before it is parsed.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) level: String,
    pub(crate) text: String,
    /// Whether it is used with endings, too.
    pub(crate) has_endings: bool,
}

/// What is known to occur in many rows.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Terms {
    /// Two words in a row, in 2 % of the rows.
    pub phrase: String,
    /// An identifier of two words, in 2.3 % of the rows.
    pub identifier: String,
    /// What stands before the `=` of a duration; 5 digits and more follow in 3.6 % of the rows.
    pub key: String,
    /// Words that each occur in 9 % of the rows, in the same ones.
    pub words: Vec<String>,
    /// Words that occur in several per cent of the rows, each in others.
    pub common: Vec<String>,
}

/// Everything that a corpus is put together from.
#[derive(Debug, Clone)]
pub(crate) struct Texts {
    pub(crate) templates: Vec<Text>,
    pub(crate) shares: Vec<Share>,
    pub(crate) words: Vec<String>,
    pub(crate) tables: Vec<String>,
    pub(crate) topics: Vec<String>,
    pub(crate) paths: Vec<String>,
    pub(crate) sources: Vec<String>,
    pub(crate) terms: Terms,
}

impl Texts {
    /// The texts as they are written here.
    pub(crate) fn written(sources: &[&str]) -> Self {
        let lines = TEMPLATES.lines().filter_map(|line| line.split_once(' '));
        let templates =
            lines.map(|(level, text)| Text { level: level.into(), text: text.into(), has_endings: true });
        let shares = SHARES.lines().filter_map(|line| {
            let (weight, rest) = line.split_once(' ')?;
            let (level, text) = rest.split_once(' ')?;
            Some(Share { weight: weight.parse().ok()?, level: level.into(), text: text.into() })
        });
        Self {
            templates: templates.collect(),
            shares: shares.collect(),
            words: owned(&WORDS),
            tables: owned(&TABLES),
            topics: owned(&TOPICS),
            paths: owned(&PATHS),
            sources: owned(sources),
            terms: Terms {
                phrase: "connection refused".to_owned(),
                identifier: "ReplicaStreamer".to_owned(),
                key: "duration_ms".to_owned(),
                words: owned(&["orders", "storefront", "basket", "lookup"]),
                common: owned(&[
                    "finished", "task", "payment", "offset", "cart", "worker", "answered", "request",
                ]),
            },
        }
    }

    /// Every word replaced by another of its length, and the second halves of templates dealt out anew.
    pub(crate) fn sealed(mut self, seed: u64) -> Self {
        let mut random = Random::branch(seed, 5);
        deal_tails(&mut self.templates, &mut random);
        let mut vocabulary = Vocabulary::new(random);
        for text in self.templates.iter_mut().map(|template| &mut template.text) {
            *text = vocabulary.translate(text);
        }
        for text in self.shares.iter_mut().map(|share| &mut share.text) {
            *text = vocabulary.translate(text);
        }
        let Terms { phrase, identifier, key, words, common } = &mut self.terms;
        let lists = [&mut self.words, &mut self.tables, &mut self.topics, &mut self.paths, &mut self.sources];
        let lists = lists.into_iter().chain([words, common]).flatten();
        for text in lists.chain([phrase, identifier, key]) {
            *text = vocabulary.translate(text);
        }
        self
    }

    /// The templates of each level that occurs in the logs of a directory, in place of those written here.
    pub(crate) fn drawn_from(mut self, folder: &Path) -> std::io::Result<Self> {
        let drawn = drawn::templates(folder)?;
        self.templates.retain(|old| !drawn.iter().any(|new| new.level == old.level));
        self.templates.extend(drawn);
        let texts = &self.templates;
        self.terms.common.retain(|word| texts.iter().all(|text| is_plain(word, &text.text)));
        Ok(self)
    }
}

/// Whether a word means the same to every tokenizer wherever it occurs: in small letters, and not next to an underscore,
/// which some take for a letter.
fn is_plain(word: &str, text: &str) -> bool {
    let small = text.to_ascii_lowercase();
    small.match_indices(word).all(|(at, _)| {
        let after = text.get(at..).unwrap_or_default();
        let rest = after.strip_prefix(word);
        let before = text.get(..at).unwrap_or_default();
        rest.is_some_and(|rest| !rest.starts_with('_')) && !before.ends_with('_')
    })
}

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// Gives what follows the first comma or colon of a template to another template of its level.
fn deal_tails(templates: &mut [Text], random: &mut Random) {
    let cut = |text: &str| text.find(", ").or_else(|| text.find(": ")).unwrap_or(text.len());
    for place in (1..templates.len()).rev() {
        let other = random.index(place);
        let Some((before, [last, ..])) = templates.split_at_mut_checked(place) else { continue };
        let Some(first) = before.get_mut(other).filter(|first| first.level == last.level) else { continue };
        let tails = (first.text.split_off(cut(&first.text)), last.text.split_off(cut(&last.text)));
        first.text.push_str(&tails.1);
        last.text.push_str(&tails.0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Texts, Vocabulary, is_plain};
    use crate::corpus::random::Random;

    #[test]
    fn a_sealed_corpus_shares_no_text() {
        let written = Texts::written(&["orders-api"]);
        let sealed = written.clone().sealed(7);
        let texts = |of: &Texts| of.templates.iter().map(|one| one.text.clone()).collect::<BTreeSet<_>>();
        assert!(texts(&written).is_disjoint(&texts(&sealed)));
        assert_ne!(sealed.terms.phrase, written.terms.phrase);
        assert!(sealed.shares.iter().any(|share| share.text.contains(&sealed.terms.phrase)));
        assert_ne!(sealed.sources, written.sources);
        assert_ne!(texts(&written.sealed(8)), texts(&sealed));
    }

    #[test]
    fn words_that_tokenizers_differ_about_are_known() {
        assert!(is_plain("task", "two tasks, a task"));
        assert!(!is_plain("task", "Task 4") && !is_plain("task", "a_task") && !is_plain("task", "task_4"));
    }

    #[test]
    fn a_word_has_one_translation_and_slots_have_none() {
        let mut vocabulary = Vocabulary::new(Random::new(3));
        let text = vocabulary.translate("ReplicaStreamer {uuid} replica of TLSv1.3 to {ip}");
        let words: Vec<&str> = text.split(' ').collect();
        assert_eq!((words[1], words[3], words[5], words[6]), ("{uuid}", "of", "to", "{ip}"));
        assert!(words[0].to_lowercase().starts_with(words[2]) && words[0].len() == 15, "{text}");
    }
}
