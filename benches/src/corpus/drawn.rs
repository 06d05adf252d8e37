//! Templates from real logs: each line without its head, with slots for what looks drawn (numbers, hexadecimal,
//! addresses). Crude, because only the variety of the texts matters here.

use std::collections::BTreeMap;
use std::path::Path;

use super::texts::Text;

/// Most frequent templates that are kept of a level.
const TEMPLATES_OF_LEVEL_MAX: usize = 200;
/// Words of a line's head, at most: date, time, zone, level, process and the like.
const HEAD_WORDS_MAX: usize = 7;
/// A word of hexadecimal digits is a number from this length on.
const HEX_LETTERS_MIN: usize = 6;
const LEVEL_WORDS: [(&str, &[&str]); 5] = [
    ("FATAL", &["FATAL", "CRITICAL"]),
    ("ERROR", &["ERROR", "error"]),
    ("WARN", &["WARN", "WARNING", "warn", "warning"]),
    ("DEBUG", &["DEBUG", "TRACE", "debug"]),
    ("INFO", &["INFO", "info", "notice"]),
];
/// Stands for an address while a text is taken apart; no log holds it.
const ADDRESS: char = '\u{1}';
const MONTHS_AND_DAYS: [&str; 19] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Mon", "Tue", "Wed",
    "Thu", "Fri", "Sat", "Sun",
];

/// Templates of all files `*.log` of a directory, the most frequent first.
pub(crate) fn templates(folder: &Path) -> std::io::Result<Vec<Text>> {
    let mut counts = BTreeMap::<(&str, String), u64>::new();
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
        for line in String::from_utf8_lossy(&std::fs::read(path)?).lines() {
            let text = with_slots(without_head(line));
            if text.len() > HEX_LETTERS_MIN {
                *counts.entry((level(line), text)).or_default() += 1;
            }
        }
    }
    let mut found: Vec<_> = counts.into_iter().collect();
    found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut kept = BTreeMap::<&str, usize>::new();
    found.retain(|((level, _), _)| {
        let before = kept.entry(level).or_default();
        *before += 1;
        *before <= TEMPLATES_OF_LEVEL_MAX
    });
    let text =
        |((level, text), _): ((&str, String), u64)| Text { level: level.into(), text, has_endings: false };
    Ok(found.into_iter().map(text).collect())
}

fn level(line: &str) -> &'static str {
    let words = || line.split(|letter: char| !letter.is_ascii_alphabetic()).take(HEAD_WORDS_MAX * 3);
    let of = |(level, names): &(&'static str, &[&str])| {
        words().any(|word| names.contains(&word)).then_some(*level)
    };
    LEVEL_WORDS.iter().find_map(of).unwrap_or("INFO")
}

fn without_head(line: &str) -> &str {
    let mut rest = line.trim();
    for _ in 0..HEAD_WORDS_MAX {
        let Some((word, after)) = rest.split_once(' ') else { break };
        let bare = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        let is_level = LEVEL_WORDS.iter().any(|(_, names)| names.contains(&bare));
        let is_head = bare.is_empty()
            || is_level
            || MONTHS_AND_DAYS.contains(&bare)
            || bare.contains(|letter: char| letter.is_ascii_digit());
        if !is_head {
            break;
        }
        rest = after.trim_start();
    }
    rest
}

/// Slots `{ip}`, `{dN}` and `{xN}` (N digits) in place of what looks drawn.
fn with_slots(text: &str) -> String {
    let (mut out, mut word) = (String::new(), String::new());
    for letter in with_addresses_marked(text).chars().chain([' ']) {
        if letter.is_ascii_alphanumeric() {
            word.push(letter);
            continue;
        }
        put(&word, &mut out);
        word.clear();
        match letter {
            ADDRESS => out.push_str("{ip}"),
            '{' => out.push('('),
            '}' => out.push(')'),
            other if other.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// The text with [`ADDRESS`] in place of each IPv4 address.
fn with_addresses_marked(text: &str) -> String {
    let (mut out, mut run) = (String::new(), String::new());
    for letter in text.chars().filter(|letter| *letter != ADDRESS).chain([ADDRESS]) {
        if letter.is_ascii_digit() || letter == '.' {
            run.push(letter);
            continue;
        }
        let is_address = run.split('.').count() == 4 && run.split('.').all(|part| !part.is_empty());
        if is_address {
            out.push(ADDRESS);
        } else {
            out.push_str(&run);
        }
        run.clear();
        out.push(letter);
    }
    out.pop();
    out
}

fn put(word: &str, out: &mut String) {
    let has_digit = word.contains(|letter: char| letter.is_ascii_digit());
    let is_number = word.chars().all(|letter| letter.is_ascii_digit());
    let is_hex = word.len() >= HEX_LETTERS_MIN && word.chars().all(|letter| letter.is_ascii_hexdigit());
    if !has_digit {
        out.push_str(word);
    } else if is_hex && !is_number {
        out.push_str(&format!("{{x{}}}", word.len()));
    } else {
        let mut digits = 0;
        for letter in word.chars() {
            if letter.is_ascii_digit() {
                digits += 1;
                continue;
            }
            put_digits(&mut digits, out);
            out.push(letter);
        }
        put_digits(&mut digits, out);
    }
}

fn put_digits(digits: &mut usize, out: &mut String) {
    if *digits > 0 {
        out.push_str(&format!("{{d{digits}}}"));
    }
    *digits = 0;
}

#[cfg(test)]
mod tests {
    use super::templates;

    #[test]
    fn lines_become_templates() {
        let folder = tempfile::tempdir().unwrap();
        let lines = "081109 203615 148 INFO dfs.DataNode$PacketResponder: PacketResponder 1 for block blk_38865049064139660 terminating\n\
                     081109 203807 222 INFO dfs.DataNode$PacketResponder: PacketResponder 0 for block blk_68865049064139666 terminating\n\
                     Jun  3 12:00:01 combo WARN {x} session deadbeef12 from 1.2.3.254\n";
        std::fs::write(folder.path().join("a.log"), lines).unwrap();
        std::fs::write(folder.path().join("b.csv"), "no log at all here\n").unwrap();
        let found: Vec<_> =
            templates(folder.path()).unwrap().into_iter().map(|one| (one.level, one.text)).collect();
        let packet = "dfs.DataNode$PacketResponder: PacketResponder {d1} for block blk_{d17} terminating";
        let combo = "combo WARN (x) session {x10} from {ip}";
        assert_eq!(found, [("INFO".to_owned(), packet.to_owned()), ("WARN".to_owned(), combo.to_owned())]);
    }
}
