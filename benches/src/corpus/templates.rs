//! Message templates: constant text with slots that are drawn anew for each row. The texts are written for this corpus;
//! each is used as it stands and with endings, which makes some hundreds.

use super::random::{Random, Weighted};
use super::time::write_padded;

/// A line for each template: its level and its text, slots in braces.
const TEXTS: &str = include_str!("templates.txt");

/// What may follow a text.
const ENDINGS: [&str; 3] = ["", " worker={small}", " attempt={small}"];

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
    "orders.placed",
    "payments.settled",
    "search-log",
];
const PATHS: [&str; 16] = [
    "/api/v2/cart",
    "/api/v2/catalog/items",
    "/api/v2/checkout",
    "/api/v2/orders",
    "/api/v2/orders/history",
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
const METHODS: [&str; 6] = ["GET", "GET", "GET", "POST", "PUT", "DELETE"];
const STATUSES: [&str; 12] =
    ["200", "200", "200", "200", "200", "200", "201", "204", "304", "400", "404", "503"];

/// What is drawn for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    OneOf(&'static [&'static str]),
    Hex(u32),
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

#[derive(Debug, Clone, Copy)]
enum Piece {
    Text(&'static str),
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

    /// Appends a UUID: seven times in eight one that came up lately.
    fn write(&mut self, random: &mut Random, out: &mut Vec<u8>) {
        let place = random.index(Self::COUNT_MAX);
        match self.ids.get(place) {
            Some(id) if random.chance(7, 8) => out.extend_from_slice(id),
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

/// The templates of a level.
#[derive(Debug)]
pub(crate) struct Templates {
    templates: Vec<Vec<Piece>>,
    weights: Weighted,
}

impl Templates {
    /// All templates of `level`.
    pub(crate) fn of_level(level: &str) -> Self {
        let texts = TEXTS.lines().filter_map(|line| line.split_once(' '));
        let texts = texts.filter(|(name, _)| *name == level).map(|(_, text)| text);
        let templates: Vec<_> = texts.flat_map(|text| ENDINGS.map(|ending| parse(text, ending))).collect();
        // Four of eight rows of a text have no ending.
        let weights = Weighted::new((0..templates.len()).map(|index| if index % 3 == 0 { 4 } else { 2 }));
        Self { templates, weights }
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.templates.len()
    }

    /// `count` of them for one source, the often used first.
    pub(crate) fn draw(&self, count: usize, random: &mut Random) -> Vec<usize> {
        (0..count).map(|_| self.weights.index(random)).collect()
    }

    /// Appends a message of the template.
    pub(crate) fn write(&self, template: usize, ids: &mut RecentIds, random: &mut Random, out: &mut Vec<u8>) {
        for piece in self.templates.get(template).into_iter().flatten() {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Slot(Slot::Uuid) => ids.write(random, out),
                Piece::Slot(slot) => slot.write(random, out),
            }
        }
    }
}

fn parse(text: &'static str, ending: &'static str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for mut rest in [text, ending] {
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            pieces.push(Piece::Text(before));
            pieces.extend(Slot::named(name).map(Piece::Slot));
            rest = after;
        }
        pieces.push(Piece::Text(rest));
    }
    pieces
}

impl Slot {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "word" => Self::OneOf(&WORDS),
            "table" => Self::OneOf(&TABLES),
            "topic" => Self::OneOf(&TOPICS),
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
            _ => return None,
        })
    }

    fn write(self, random: &mut Random, out: &mut Vec<u8>) {
        match self {
            Self::OneOf(list) => write_one(list, random, out),
            Self::Hex(digits) => write_hex(digits, random, out),
            Self::Uuid => RecentIds::default().write(random, out),
            Self::Ip => write_ip(random, out),
            Self::User => {
                write_one(&WORDS, random, out);
                write_number(random.below(500), out);
            }
            Self::Bytes => write_number(spread(999_999, random), out),
            Self::Milliseconds => write_number(spread(99_999, random), out),
            Self::Number(max) => write_number(spread(max, random), out),
            Self::Port => write_number(random.between(1_024, 65_535), out),
            Self::Path => write_path(random, out),
        }
    }
}

/// A number up to `max` with a random number of digits, so that small ones are not rare.
fn spread(max: u64, random: &mut Random) -> u64 {
    let end = max >> random.below(u64::from(max.checked_ilog2().unwrap_or(0)) * 2 / 3 + 1);
    random.between(0, end)
}

fn write_one(list: &[&str], random: &mut Random, out: &mut Vec<u8>) {
    out.extend_from_slice(random.pick(list).copied().unwrap_or_default().as_bytes());
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

fn write_path(random: &mut Random, out: &mut Vec<u8>) {
    write_one(&PATHS, random, out);
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
    use super::{Piece, Random, RecentIds, Slot, TEXTS, Templates, parse};

    #[test]
    fn every_slot_is_known() {
        for text in TEXTS.lines() {
            let slots = parse(text, "").iter().filter(|piece| matches!(piece, Piece::Slot(_))).count();
            assert_eq!(slots, text.matches('{').count(), "{text}");
        }
        assert_eq!(Slot::named("word "), None);
    }

    #[test]
    fn there_are_a_few_hundred() {
        let levels = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
        let counts = levels.map(|level| Templates::of_level(level).len());
        let all: usize = counts.iter().sum();
        assert_eq!(all, 3 * TEXTS.lines().count(), "{counts:?}");
        assert!((300..600).contains(&all), "{counts:?}");
    }

    #[test]
    fn slots_are_filled() {
        let (mut random, mut out) = (Random::new(5), Vec::new());
        Templates::of_level("FATAL").write(0, &mut RecentIds::default(), &mut random, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("cannot bind 0.0.0.0:") && text.ends_with("in use, shutting down"),
            "{text}"
        );
    }
}
