//! Rules on the shape of Rust files: sizes, names, how a file opens. Each rule takes one file and returns what is
//! wrong with it; the tests that apply it to the tree, and to a bad snippet, are in `tidy.rs`.

use super::lexer::{Token, lex_code};
use super::tree::Source;

/// Lines of any Rust file.
pub(crate) const FILE_LINES_MAX: usize = 600;
/// Lines of a `lib.rs`, which holds docs, a drawing, `mod` and `pub use`.
pub(crate) const LIB_LINES_MAX: usize = 200;
/// Lines of a function, from `fn` to its closing brace.
pub(crate) const FUNCTION_LINES_MAX: usize = 70;
/// Lines of the test modules inside a file that also holds what they test.
pub(crate) const INLINE_TEST_LINES_MAX: usize = 150;

/// Words that say nothing about what a module holds.
const EMPTY_WORDS: [&str; 9] =
    ["utils", "util", "common", "helpers", "helper", "manager", "managers", "misc", "miscellaneous"];

pub(crate) fn file_size(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let max = if source.file_name() == "lib.rs" { LIB_LINES_MAX } else { FILE_LINES_MAX };
    let too_long =
        (lines > max).then(|| source.finding(max, &format!("{lines} lines, at most {max} are allowed")));
    too_long.into_iter().collect()
}

pub(crate) fn opens_with_docs(source: &Source) -> Vec<String> {
    let documented = source.text.starts_with("//! ");
    let missing =
        (!documented).then(|| source.finding(1, "open with `//!`: what it is, why, what it may not do"));
    missing.into_iter().collect()
}

/// Names of files, folders and inline modules.
pub(crate) fn module_names(source: &Source) -> Vec<String> {
    let path = source.path.strip_suffix(".rs").unwrap_or(&source.path);
    let in_path = path.split('/').filter(|name| is_empty_name(name));
    let mut findings: Vec<String> = in_path.map(|name| source.finding(1, &says_nothing(name))).collect();
    let tokens = lex_code(&source.text);
    for pair in tokens.windows(2) {
        if let [first, second] = pair
            && first.is_word("mod")
            && let Some(name) = word(second).filter(|name| is_empty_name(name))
        {
            findings.push(source.finding(second.line, &says_nothing(name)));
        }
    }
    findings
}

fn is_empty_name(name: &str) -> bool {
    name.split(['_', '-']).any(|part| EMPTY_WORDS.contains(&part))
}

fn says_nothing(name: &str) -> String {
    format!("the name `{name}` says nothing: name the module by what it holds")
}

pub(crate) fn function_size(source: &Source) -> Vec<String> {
    let long = functions(&source.text).into_iter().filter(|function| function.lines() > FUNCTION_LINES_MAX);
    let describe = |function: Function| {
        let what = format!(
            "`{}` has {} lines, at most {FUNCTION_LINES_MAX} are allowed",
            function.name,
            function.lines()
        );
        source.finding(function.first_line, &what)
    };
    long.map(describe).collect()
}

pub(crate) fn inline_tests_size(source: &Source) -> Vec<String> {
    // A file of tests alone is what the rule asks for.
    if source.file_name() == "tests.rs" || source.path.starts_with("tests/") {
        return Vec::new();
    }
    let tokens = lex_code(&source.text);
    let modules = (0..tokens.len()).filter_map(|at| inline_test_module(&tokens, at));
    let lines: usize = modules.map(|(first, last)| last - first + 1).sum();
    let too_long = lines > INLINE_TEST_LINES_MAX;
    let what = format!(
        "{lines} lines of tests inside, over {INLINE_TEST_LINES_MAX} they go to a sibling `tests.rs`"
    );
    too_long.then(|| source.finding(1, &what)).into_iter().collect()
}

/// First and last line of the `#[cfg(test)] mod name { … }` whose `mod` is at `at`.
fn inline_test_module(tokens: &[Token], at: usize) -> Option<(usize, usize)> {
    let keyword = tokens.get(at).filter(|token| token.is_word("mod"))?;
    let open = at + 2;
    tokens.get(open).filter(|token| token.is_mark('{'))?;
    if !attributes_before(tokens, at).iter().any(|word| word == "test") {
        return None;
    }
    Some((keyword.line, closing_line(tokens, open)))
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) first_line: usize,
    pub(crate) last_line: usize,
    /// It has `#[test]`, `#[tokio::test]` or a like attribute.
    pub(crate) is_test: bool,
}

impl Function {
    pub(crate) fn lines(&self) -> usize {
        self.last_line - self.first_line + 1
    }
}

/// Every function with a body, nested ones too. `fn(u8)` types and `fn $name` in macros are none.
pub(crate) fn functions(text: &str) -> Vec<Function> {
    let tokens = lex_code(text);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.is_word("fn")) {
        let Some(name) = tokens.get(at + 1).and_then(word) else { continue };
        let Some(open) = body_open(&tokens, at) else { continue };
        found.push(Function {
            name: name.to_owned(),
            first_line: token.line,
            last_line: closing_line(&tokens, open),
            is_test: attributes_before(&tokens, at).iter().any(|word| word == "test"),
        });
    }
    found
}

/// Where the body of the function at `at` opens; a declaration without a body has none.
fn body_open(tokens: &[Token], at: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        if token.is_mark('(') || token.is_mark('[') {
            depth += 1;
        } else if token.is_mark(')') || token.is_mark(']') {
            depth -= 1;
        } else if depth == 0 && token.is_mark('{') {
            return Some(index);
        } else if depth == 0 && token.is_mark(';') {
            return None;
        }
    }
    None
}

/// The line of the brace that closes the one at `open`, or the last line of the file.
fn closing_line(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    let mut last = 1;
    for token in tokens.iter().skip(open) {
        last = token.line;
        if token.is_mark('{') {
            depth += 1;
        } else if token.is_mark('}') {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                break;
            }
        }
    }
    last
}

/// The words of the attributes in front of an item, back to the item before it.
fn attributes_before(tokens: &[Token], at: usize) -> Vec<String> {
    let mut words = Vec::new();
    let mut brackets = 0_usize;
    for token in tokens.iter().take(at).rev() {
        if token.is_mark(']') {
            brackets += 1;
        } else if token.is_mark('[') {
            brackets = brackets.saturating_sub(1);
        } else if brackets > 0 {
            words.extend(word(token).map(str::to_owned));
        } else if [';', '}', '{'].iter().any(|&mark| token.is_mark(mark)) {
            break;
        }
    }
    words
}

fn word(token: &Token) -> Option<&str> {
    match &token.kind {
        super::lexer::Kind::Word(text) => Some(text),
        _ => None,
    }
}

#[test]
fn functions_are_found_with_their_lines() {
    let text = "//! x\n#[tokio::test]\nasync fn a(f: fn(u8) -> u8) {\n  let s = \"}\";\n}\ntrait T { fn b(&self); }\n\
                macro_rules! m { ($n:ident) => { fn $n() {} } }\n#[test] fn c() {}";
    let found = functions(text);
    let a = Function { name: "a".to_owned(), first_line: 3, last_line: 5, is_test: true };
    let c = Function { name: "c".to_owned(), first_line: 8, last_line: 8, is_test: true };
    assert_eq!(found, [a, c]);
}
