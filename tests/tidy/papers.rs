//! Rules on documents: that what they name exists, and that decision records have their form. Documents that are not
//! written yet break no rule.

use super::tree::Source;

/// Lines of a decision record.
pub(crate) const ADR_LINES_MAX: usize = 80;

/// The headings that every decision record has, in this order.
const ADR_HEADINGS: [&str; 4] = ["context", "decision", "rejected", "consequences"];

/// Paths in backticks that start at a folder of the root but lead nowhere. `exists` looks a path up.
pub(crate) fn dangling_paths(
    source: &Source,
    folders: &[String],
    exists: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, text) in prose(&source.text) {
        for code in backticked(text).filter_map(|code| path_part(code, folders)) {
            if !exists(code) {
                findings.push(source.finding(line, &format!("`{code}` does not exist")));
            }
        }
    }
    findings
}

/// The part of `code` that must exist, if it is a path from a folder of the root at all: up to a wildcard or a
/// placeholder, and without a line number.
fn path_part<'a>(code: &'a str, folders: &[String]) -> Option<&'a str> {
    let (top, _) = code.split_once('/')?;
    if !folders.iter().any(|folder| folder == top) || code.contains(' ') {
        return None;
    }
    let fixed = match code.find(['*', '<', '{', '…']) {
        Some(at) => code.get(..at)?.rsplit_once('/')?.0,
        None => code,
    };
    Some(fixed.split(':').next().unwrap_or(fixed).trim_end_matches('/'))
}

/// Invariants of the architecture whose test does not exist. The table is the one under a heading that speaks of
/// invariants; the last cell of each row names the tests in backticks.
pub(crate) fn untested_invariants(source: &Source, tests: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, cells) in invariant_rows(&source.text) {
        let names: Vec<&str> = cells.last().map(|cell| backticked(cell).collect()).unwrap_or_default();
        let functions: Vec<&str> = names.iter().filter_map(|name| test_name(name)).collect();
        if functions.is_empty() {
            findings.push(source.finding(line, "the last cell names no test function in backticks"));
        }
        for name in functions.iter().filter(|&&name| !tests.iter().any(|test| test == name)) {
            findings.push(source.finding(line, &format!("there is no test function `{name}`")));
        }
    }
    findings
}

/// The rows of the invariants' table, with their lines; without the heading and the ruler.
pub(crate) fn invariant_rows(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut inside = false;
    let mut rows = Vec::new();
    for (line, text) in prose(text) {
        if text.starts_with('#') {
            inside = text.to_lowercase().contains("invariant");
        } else if inside && text.trim_start().starts_with('|') {
            let cells = text.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
            rows.push((line, cells));
        }
    }
    let ruler =
        rows.iter().position(|(_, cells): &(usize, Vec<String>)| cells.iter().all(|cell| is_ruler(cell)));
    rows.into_iter().skip(ruler.map_or(0, |at| at + 1)).collect()
}

fn is_ruler(cell: &str) -> bool {
    cell.contains('-') && cell.chars().all(|c| matches!(c, '-' | ':' | ' '))
}

/// The function in `engine::recovery::tests::acked_means_durable`; a path to a file names no function.
fn test_name(code: &str) -> Option<&str> {
    let name = code.rsplit("::").next().unwrap_or(code);
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some(name)
}

/// Decision records that are too long or lack a heading.
pub(crate) fn adr_form(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = source.text.lines().count();
    if lines > ADR_LINES_MAX {
        findings.push(
            source.finding(ADR_LINES_MAX, &format!("{lines} lines, at most {ADR_LINES_MAX} are allowed")),
        );
    }
    let titles: Vec<String> =
        source.text.lines().filter_map(|line| line.strip_prefix("## ")).map(title).collect();
    let wanted: Vec<&str> = ADR_HEADINGS.to_vec();
    let found: Vec<&str> = titles.iter().map(String::as_str).filter(|title| wanted.contains(title)).collect();
    if found != wanted {
        findings.push(
            source.finding(1, &format!("wants the headings {wanted:?} in this order, found {titles:?}")),
        );
    }
    findings
}

fn title(heading: &str) -> String {
    heading.trim().to_lowercase()
}

/// The lines outside fenced code, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fence && !fenced).then_some((at + 1, line))
    })
}

/// What stands in single backticks on this line.
fn backticked(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').enumerate().filter(|(at, _)| at % 2 == 1).map(|(_, code)| code)
}
