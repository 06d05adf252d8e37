//! Message templates: constant text with slots that are drawn anew for each row. Written texts are used as they stand
//! and with endings, which makes some hundreds.

use super::random::{Random, Weighted};
use super::texts::{Share, Text, Texts};
use super::time::write_padded;

/// What may follow a text.
const ENDINGS: [&str; 3] = ["", " worker={small}", " attempt={small}"];

const METHODS: [&str; 6] = ["GET", "GET", "GET", "POST", "PUT", "DELETE"];
const STATUSES: [&str; 12] =
    ["200", "200", "200", "200", "200", "200", "201", "204", "304", "400", "404", "503"];

/// What is drawn for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    OneOf(&'static [&'static str]),
    Word,
    Table,
    Topic,
    Hex(u32),
    Digits(u32),
    Uuid,
    Ip,
    User,
    Bytes,
    Milliseconds,
    /// A number up to this, small ones as likely as large ones.
    Number(u64),
    Port,
    Path,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Slot(Slot),
}

/// Identifiers that came up lately: what a log is about, it speaks of more than once.
#[derive(Debug, Default)]
pub(crate) struct RecentIds {
    ids: Vec<Vec<u8>>,
}

impl RecentIds {
    /// How many are remembered.
    const COUNT_MAX: usize = 24;

    /// Appends a UUID: fifteen times in sixteen one that came up lately.
    fn write(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        let place = random.index(Self::COUNT_MAX);
        match self.ids.get(place) {
            Some(id) if random.chance(15, 16) => out.extend_from_slice(id),
            known => {
                let is_known = known.is_some();
                let start = out.len();
                write_separated(&[8, 4, 4, 4, 12], b'-', random, out);
                let id = out.get(start..).unwrap_or_default().to_vec();
                if is_known {
                    self.ids.swap_remove(place);
                }
                self.ids.push(id);
            }
        }
    }
}

/// The templates of a level, or those of fixed shares.
#[derive(Debug)]
pub(crate) struct Templates {
    templates: Vec<Vec<Piece>>,
    weights: Weighted,
}

impl Templates {
    /// All templates of `level`.
    pub(crate) fn of_level(level: &str, texts: &[Text]) -> Self {
        let (mut templates, mut weights) = (Vec::new(), Vec::new());
        for text in texts.iter().filter(|text| text.level == level) {
            // Four of eight rows of a text have no ending.
            for (ending, weight) in ENDINGS.iter().zip([4, 2, 2]).take(if text.has_endings { 3 } else { 1 }) {
                templates.push(parse(&text.text, ending));
                weights.push(weight);
            }
        }
        Self { templates, weights: Weighted::new(weights) }
    }

    /// The texts of fixed shares, by these shares.
    pub(crate) fn of_shares(shares: &[Share]) -> Self {
        let templates = shares.iter().map(|share| parse(&share.text, "")).collect();
        Self { templates, weights: Weighted::new(shares.iter().map(|share| share.weight)) }
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.templates.len()
    }

    /// One of them, by their weights.
    pub(crate) fn index(&self, random: &mut Random) -> usize {
        self.weights.index(random)
    }

    /// `count` of them for one source, the often used first.
    pub(crate) fn draw(&self, count: usize, random: &mut Random) -> Vec<usize> {
        (0..count).map(|_| self.index(random)).collect()
    }

    /// Appends a message of the template.
    pub(crate) fn write(
        &self,
        template: usize,
        texts: &Texts,
        ids: &mut RecentIds,
        random: &mut Random,
        out: &mut Vec<u8>,
    ) {
        for piece in self.templates.get(template).into_iter().flatten() {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Slot(Slot::Uuid) => ids.write(random, out),
                Piece::Slot(slot) => slot.write(texts, random, out),
            }
        }
    }
}

fn parse(text: &str, ending: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for mut rest in [text, ending] {
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            pieces.push(Piece::Text(before.to_owned()));
            pieces.extend(Slot::named(name).map(Piece::Slot));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
    }
    pieces
}

impl Slot {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "word" => Self::Word,
            "table" => Self::Table,
            "topic" => Self::Topic,
            "method" => Self::OneOf(&METHODS),
            "status" => Self::OneOf(&STATUSES),
            "path" => Self::Path,
            "hex8" => Self::Hex(8),
            "hex16" => Self::Hex(16),
            "uuidhex" => Self::Hex(32),
            "uuid" => Self::Uuid,
            "ip" => Self::Ip,
            "user" => Self::User,
            "bytes" => Self::Bytes,
            "ms" => Self::Milliseconds,
            "us" => Self::Number(9_999),
            "n" => Self::Number(20_000),
            "big" => Self::Number(99_999_999),
            "small" => Self::Number(64),
            "pct" => Self::Number(100),
            "port" => Self::Port,
            counted => {
                let (kind, digits) = counted.split_at_checked(1)?;
                let digits = digits.parse().ok().filter(|digits| (1..=64).contains(digits))?;
                match kind {
                    "d" => Self::Digits(digits),
                    "x" => Self::Hex(digits),
                    _ => return None,
                }
            }
        })
    }

    fn write(self, texts: &Texts, random: &mut Random, out: &mut Vec<u8>) {
        match self {
            Self::OneOf(list) => write_one(list, random, out),
            Self::Word => write_one(&texts.words, random, out),
            Self::Table => write_one(&texts.tables, random, out),
            Self::Topic => write_one(&texts.topics, random, out),
            Self::Digits(digits) => (0..digits).for_each(|_| write_number(random.below(10), out)),
            Self::Hex(digits) => write_hex(digits, random, out),
            Self::Uuid => RecentIds::default().write(random, out),
            Self::Ip => write_ip(random, out),
            Self::User => {
                write_one(&texts.words, random, out);
                write_number(random.below(500), out);
            }
            Self::Bytes => write_number(spread(999_999, random), out),
            Self::Milliseconds => write_number(spread(99_999, random), out),
            Self::Number(max) => write_number(spread(max, random), out),
            Self::Port => write_number(random.between(1_024, 65_535), out),
            Self::Path => write_path(texts, random, out),
        }
    }
}

/// A number up to `max` with a random number of digits, so that small ones are not rare.
fn spread(max: u64, random: &mut Random) -> u64 {
    let end = max >> random.below(u64::from(max.checked_ilog2().unwrap_or(0)) * 2 / 3 + 1);
    random.between(0, end)
}

fn write_one(list: &[impl AsRef<str>], random: &mut Random, out: &mut Vec<u8>) {
    out.extend_from_slice(random.pick(list).map(AsRef::as_ref).unwrap_or_default().as_bytes());
}

/// Addresses of a private network, as services behind a balancer see them.
fn write_ip(random: &mut Random, out: &mut Vec<u8>) {
    out.extend_from_slice(b"10.");
    write_number(random.below(8), out);
    out.push(b'.');
    write_number(random.below(256), out);
    out.push(b'.');
    write_number(random.between(1, 254), out);
}

fn write_path(texts: &Texts, random: &mut Random, out: &mut Vec<u8>) {
    write_one(&texts.paths, random, out);
    if random.chance(1, 3) {
        out.push(b'/');
        write_number(spread(999_999, random), out);
    }
}

fn write_separated(groups: &[u32], mark: u8, random: &mut Random, out: &mut Vec<u8>) {
    for (place, digits) in groups.iter().enumerate() {
        if place > 0 {
            out.push(mark);
        }
        write_hex(*digits, random, out);
    }
}

/// Appends random hexadecimal digits.
pub(crate) fn write_hex(digits: u32, random: &mut Random, out: &mut Vec<u8>) {
    let mut bits = 0;
    for place in 0..digits {
        if place % 16 == 0 {
            bits = random.bits();
        }
        out.push(hex_digit(bits));
        bits >>= 4;
    }
}

/// The lowest four bits.
fn hex_digit(bits: u64) -> u8 {
    match u8::try_from(bits & 15).unwrap_or(0) {
        digit @ 0..=9 => b'0' + digit,
        letter => b'a' + letter - 10,
    }
}

/// Appends a number in decimal.
pub(crate) fn write_number(number: u64, out: &mut Vec<u8>) {
    write_padded(number, number.checked_ilog10().unwrap_or(0) + 1, out);
}

#[cfg(test)]
mod tests {
    use super::{Piece, Random, RecentIds, Slot, Templates, parse};
    use crate::corpus::texts::Texts;

    #[test]
    fn every_slot_is_known() {
        let texts = Texts::written(&[]);
        let shares = texts.shares.iter().map(|share| &share.text);
        for text in texts.templates.iter().map(|template| &template.text).chain(shares) {
            let slots = parse(text, "").iter().filter(|piece| matches!(piece, Piece::Slot(_))).count();
            assert_eq!(slots, text.matches('{').count(), "{text}");
        }
        assert_eq!(Slot::named("word "), None);
        assert_eq!((Slot::named("d12"), Slot::named("x0")), (Some(Slot::Digits(12)), None));
    }

    #[test]
    fn there_are_a_few_hundred() {
        let texts = Texts::written(&[]).templates;
        let levels = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
        let counts = levels.map(|level| Templates::of_level(level, &texts).len());
        let all: usize = counts.iter().sum();
        assert_eq!(all, 3 * texts.len(), "{counts:?}");
        assert!((300..600).contains(&all), "{counts:?}");
    }

    #[test]
    fn slots_are_filled() {
        let texts = Texts::written(&[]);
        let (mut random, mut ids, mut out) = (Random::new(5), RecentIds::default(), Vec::new());
        Templates::of_level("FATAL", &texts.templates).write(0, &texts, &mut ids, &mut random, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("cannot bind 0.0.0.0:") && text.ends_with("in use, shutting down"),
            "{text}"
        );
    }
}
