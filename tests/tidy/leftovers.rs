//! Rules on what may not be left lying in a file: code that is commented out, code that is kept although nothing uses
//! it, marks without an owner, and words that only make sense on the machine where they were typed.

use super::lexer::{Kind, Token, lex, lex_code};
use super::tree::Source;

/// Marks that need an owner, split so that this file does not hold them.
const MARKS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

/// Files in which a mark can only be a mark. Elsewhere (a log line, a document) it may be anything.
const MARKED_EXTENSIONS: [&str; 6] = ["sh", "py", "java", "toml", "md", "yaml"];

/// Comments that open like this and end in `{` or `;` are code.
const CODE_OPENINGS: [&str; 20] = [
    "let ", "fn ", "pub ", "use ", "mod ", "impl ", "struct ", "enum ", "trait ", "match ", "if ", "for ",
    "while ", "loop ", "return ", "async ", "const ", "static ", "type ", "self.",
];

/// Parts of addresses that belong to a machine or a network, split so that this file does not hold them.
const FORBIDDEN: [&str; 11] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("artif", "actory"),
    concat!("index", "-url"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("repo.", "maven"),
    concat!("repo1.", "maven"),
    concat!("registry.", "npmjs"),
    concat!("proxy.", "golang"),
];

/// Comments that are code. Documentation is free to show code.
pub(crate) fn commented_out_code(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for token in lex(&source.text) {
        let (Kind::LineComment(text) | Kind::BlockComment(text)) = &token.kind else { continue };
        for (offset, line) in text.lines().enumerate().filter(|(_, line)| is_code(line.trim())) {
            let what = format!("code that is commented out: `{}`", line.trim());
            findings.push(source.finding(token.line + offset, &what));
        }
    }
    findings
}

fn is_code(line: &str) -> bool {
    let opens_like_code =
        CODE_OPENINGS.iter().any(|opening| line.starts_with(opening)) || line.starts_with("} ");
    let attribute = line.starts_with("#[") && line.ends_with(']');
    let closes = matches!(line, "}" | "};" | "})" | "});" | "})?;" | "),");
    let statement = line.ends_with(';') && (opens_like_code || line.ends_with(");") || line.contains(" = "));
    let block = opens_like_code && line.ends_with('{');
    attribute || closes || statement || block
}

/// Attributes that silence a lint for good. `expect` with a reason fails as soon as it is not needed any more.
pub(crate) fn silenced_lints(source: &Source) -> Vec<String> {
    let tokens = lex_code(&source.text);
    let mut findings = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(at, _)| is_attribute_start(&tokens, *at)) {
        let attribute = attribute_words(&tokens, at);
        let first = attribute.first().map_or("", String::as_str);
        if first == "allow" || (first == "expect" && !attribute.iter().any(|word| word == "reason")) {
            findings.push(
                source.finding(token.line, "use `#[expect(lint, reason = \"…\")]` on the smallest item"),
            );
        }
        if attribute.iter().any(|word| word == "dead_code" || word.starts_with("unused")) && first != "deny" {
            findings.push(source.finding(token.line, "code that nothing uses is removed, not silenced"));
        }
    }
    findings
}

fn is_attribute_start(tokens: &[Token], at: usize) -> bool {
    let mark = |ahead: usize, mark: char| tokens.get(at + ahead).is_some_and(|token| token.is_mark(mark));
    mark(0, '#') && (mark(1, '[') || (mark(1, '!') && mark(2, '[')))
}

/// The words of the attribute that starts at `at`, up to the bracket that closes it.
fn attribute_words(tokens: &[Token], at: usize) -> Vec<String> {
    let mut depth = 0_usize;
    let mut words = Vec::new();
    for token in tokens.iter().skip(at) {
        match &token.kind {
            Kind::Mark('[') => depth += 1,
            Kind::Mark(']') if depth == 1 => break,
            Kind::Mark(']') => depth = depth.saturating_sub(1),
            Kind::Word(word) => words.push(word.clone()),
            _ => {}
        }
    }
    words
}

/// Marks for work to be done that name nobody who will do it.
pub(crate) fn marks_without_owner(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    let mut check = |line: usize, text: &str| {
        for mark in MARKS.iter().filter(|mark| has_unowned(text, mark)) {
            findings.push(
                source.finding(line, &format!("`{mark}` without an owner: do it, or write {mark}(name):")),
            );
        }
    };
    if source.has_extension("rs") {
        for token in lex(&source.text) {
            let (Kind::LineComment(text) | Kind::DocComment(text) | Kind::BlockComment(text)) = &token.kind
            else {
                continue;
            };
            check(token.line, text);
        }
    } else if MARKED_EXTENSIONS.iter().any(|extension| source.has_extension(extension)) {
        source.text.lines().enumerate().for_each(|(at, line)| check(at + 1, line));
    }
    findings
}

fn has_unowned(text: &str, mark: &str) -> bool {
    text.match_indices(mark).any(|(at, _)| {
        let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let (before, after) = (text.get(..at).unwrap_or(""), text.get(at + mark.len()..).unwrap_or(""));
        let whole_word = !letter(before.chars().next_back()) && !letter(after.chars().next());
        let owner = after.strip_prefix('(').and_then(|rest| rest.split_once("):"));
        whole_word && owner.is_none_or(|(name, _)| name.trim().is_empty())
    })
}

/// Paths of one machine and hosts of package registries. `docs/work/` is no machine path, so what precedes counts.
pub(crate) fn machine_words(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (at, line) in source.text.lines().enumerate() {
        for word in FORBIDDEN.iter().filter(|word| holds(line, word)) {
            findings.push(
                source.finding(at + 1, &format!("`{word}` has no meaning outside one machine or network")),
            );
        }
    }
    findings
}

fn holds(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        !word.starts_with('/') || !before.is_some_and(|c| c.is_alphanumeric() || "._-}$*".contains(c))
    })
}

/// Where the wall clock and randomness are read for everybody else.
const CLOCK: &str = "storage/src/clock.rs";

/// Calls that read them, as pairs of words around `::`.
const CLOCKS: [(&str, &str); 5] =
    [("SystemTime", "now"), ("Utc", "now"), ("Local", "now"), ("Uuid", "new_v4"), ("Uuid", "now_v7")];

/// Calls of the wall clock or of randomness in product code. Tests and benches may.
pub(crate) fn clocks_of_their_own(source: &Source) -> Vec<String> {
    if source.path == CLOCK || source.path.starts_with("tests/") || source.path.starts_with("benches/") {
        return Vec::new();
    }
    let tokens = lex_code(&source.text);
    let words = tokens.iter().filter_map(|token| match &token.kind {
        Kind::Word(word) => Some((token.line, word.as_str())),
        _ => None,
    });
    let words: Vec<_> = words.collect();
    let pairs = words.iter().zip(words.iter().skip(1));
    let calls = pairs.filter(|((_, owner), (_, call))| CLOCKS.contains(&(*owner, *call)));
    calls
        .map(|((line, owner), (_, call))| {
            source.finding(*line, &format!("`{owner}::{call}`: take time and randomness from `{CLOCK}`"))
        })
        .collect()
}
